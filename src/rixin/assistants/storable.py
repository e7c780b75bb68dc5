"""What models, tools and documents say, as a database can keep it."""


def storable(text: str) -> str:
    """A model may emit what no database column holds: U+0000 and lone surrogates become U+FFFD."""
    text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
