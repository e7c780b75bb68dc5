"""What a reader of one format is given, and how it ends: a Document, or an UnreadableDocument that names the file."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath

from msgspec.structs import replace

from rixin.errors import UnreadableDocument
from rixin.knowledge.documents import Block, Document
from rixin.knowledge.readers.language import language_of

MAX_CHARACTERS = 50_000_000
MAX_TITLE = 200

# What no page can show and no database keeps: controls but tab and line feed, lone surrogates, what isn't a character.
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|\x85|\u2028|\u2029")


@dataclass(frozen=True)
class Source:
    """The bytes of a file and the name people know it by. `alive` is to be called now and then by what takes long."""

    data: bytes
    name: str
    ocr: bool = True
    alive: Callable[[], None] = lambda: None

    @property
    def stem(self) -> str:
        return PurePath(self.name).stem or self.name

    @property
    def extension(self) -> str:
        """In small letters, without the dot."""
        return PurePath(self.name).suffix[1:].lower()

    def unreadable(self, reason: str, message: str, fix: str | None = None) -> UnreadableDocument:
        return UnreadableDocument(message, reason=reason, where=self.name, fix=fix)

    def broken(self, why: object = "") -> UnreadableDocument:
        said = " ".join(str(why).split())[:200].rstrip(".")
        return self.unreadable(
            "broken",
            f"The file is damaged{f' ({said})' if said else ''}.",
            "Open it in the program that made it and save it again.",
        )

    def encrypted(self) -> UnreadableDocument:
        return self.unreadable("encrypted", "The file is protected by a password.", "Save a copy without the password.")

    def too_large(self, what: str) -> UnreadableDocument:
        return self.unreadable("too_large", f"The file has {what}.", "Split it into smaller files.")


def clean(text: str) -> str:
    """Lines end in a line feed, and no character is left that can't be shown or stored."""
    if not text.isprintable():
        text = _UNSHOWN.sub("", _LINE_ENDS.sub("\n", text))
    return text


def one_line(text: str) -> str:
    return " ".join(text.split())


def finish(
    source: Source,
    blocks: Iterable[Block],
    media_type: str,
    *,
    title: str = "",
    language: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Document:
    """The Document of these blocks, cleaned; without a `title`, that of the first heading or the file's name.

    Raises UnreadableDocument if there is nothing in them, or too much.
    """
    kept = []
    characters = 0
    for block in blocks:
        text = clean(block.text).strip("\n").rstrip()
        if not text.strip():
            continue
        characters += len(text)
        if characters > MAX_CHARACTERS:
            raise source.too_large(f"more than {MAX_CHARACTERS:,} characters")
        kept.append(block if text == block.text else replace(block, text=text))
    if not kept:
        raise source.unreadable("empty", "There is no text in the file.", "Leave it out, or put in one with text.")
    first_heading = next((block.text for block in kept if block.kind == "heading"), "")
    title = one_line(clean(title)) or one_line(first_heading) or clean(source.stem)
    return Document(
        title=title[:MAX_TITLE],
        blocks=tuple(kept),
        media_type=media_type,
        language=language or language_of(kept),
        metadata={key: clean(value) for key, value in (metadata or {}).items() if value},
    )
