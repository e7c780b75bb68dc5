"""What models, tools and documents say, as a database can keep it."""


def storable(text: str) -> str:
    """A model may emit what no database column holds: U+0000 and lone surrogates become U+FFFD."""
    text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def storable_document(value: object) -> object:
    """The same of all text in a JSON document."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): storable_document(item) for key, item in value.items()}
    return [storable_document(item) for item in value] if isinstance(value, list) else value
