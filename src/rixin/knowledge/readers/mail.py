"""E-mail as it is kept in .eml files: who, when, what about; the text; the attachments' names.

Source: RFC 5322, RFC 2045 to 2047.
"""

import email
import email.policy
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message

from rixin.knowledge.documents import Block, Document
from rixin.knowledge.readers.encoding import decode
from rixin.knowledge.readers.plain import text_blocks
from rixin.knowledge.readers.source import Source, clean, finish, one_line

MEDIA_TYPE = "message/rfc822"
MAX_PARTS = 1000
_SHOWN = ("From", "To", "Cc", "Date", "Subject")


def read_mail(source: Source) -> Document:
    # The older policy: it hands out what is there, while the newer one raises at the headers of real mail.
    message = email.message_from_bytes(source.data, policy=email.policy.compat32)
    fields = {name: _header(message, name) for name in _SHOWN}
    head = "\n".join(f"{name}: {value}" for name, value in fields.items() if value)
    blocks = [Block(kind="paragraph", text=head)] if head else []
    attached: list[str] = []
    body = list(_body(message, attached))
    blocks.extend(body)
    if attached:
        blocks.append(
            Block(kind="list", text="\n".join(f"- {name}" for name in attached), metadata={"part": "attachments"})
        )
    if not body and not fields["Subject"] and not attached:
        blocks = []
    metadata = {"from": fields["From"], "to": fields["To"], "date": fields["Date"]}
    return finish(source, blocks, MEDIA_TYPE, title=fields["Subject"], metadata=metadata)


def _header(message: Message, name: str) -> str:
    """Decoded where it is encoded, and where someone wrote bytes of some encoding into it."""
    value = message.get(name)
    if value is None:
        return ""
    try:
        said = str(make_header(decode_header(str(value)) if isinstance(value, str) else decode_header(value)))
    except (LookupError, ValueError):
        said = str(value)
    if "\ufffd" in said or any("\udc80" <= character <= "\udcff" for character in said):
        raw = message.get(name, "")
        written = next((one for key, one in message.raw_items() if key.lower() == name.lower()), raw)
        said = decode(str(written).encode("utf-8", "surrogateescape"))
    return one_line(clean(said))


def _body(message: Message, attached: list[str]) -> Iterator[Block]:
    """The text, of alternatives the one with structure; names of what is attached go to `attached`."""
    waiting: list[Message] = [message]
    count = 0
    while waiting:
        part = waiting.pop(0)
        count += 1
        if count > MAX_PARTS:
            return
        kind = part.get_content_type()
        name = _filename(part)
        if part.is_multipart():
            inner = [one for one in part.get_payload() if isinstance(one, Message)]
            if kind == "multipart/alternative":
                inner = _preferred(inner)
            if kind == "message/rfc822":
                for one in inner:
                    if subject := _header(one, "Subject"):
                        yield Block(kind="heading", text=subject, level=2)
            waiting = [*inner, *waiting]
        elif name or part.get_content_disposition() == "attachment":
            attached.append(name or kind)
        elif kind == "text/html":
            yield from _html(_payload(part), part.get_content_charset())
        elif kind.startswith("text/"):
            yield from text_blocks(clean(decode(_payload(part), part.get_content_charset())))


def _preferred(parts: list[Message]) -> list[Message]:
    """HTML keeps tables and headings; what holds it may hold pictures too."""
    for wanted in ("text/html", "multipart/related", "multipart/mixed", "text/plain"):
        for part in parts:
            if part.get_content_type() == wanted:
                return [part]
    return parts[:1]


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _filename(part: Message) -> str:
    name = part.get_filename()
    if not name:
        return ""
    try:
        return one_line(clean(str(make_header(decode_header(name)))))
    except (LookupError, ValueError):
        return one_line(clean(name))


def _html(data: bytes, charset: str | None) -> Iterator[Block]:
    from rixin.knowledge.readers.html import blocks_of, parse

    root = parse(data, charset)
    if root is not None:
        yield from blocks_of(root)
