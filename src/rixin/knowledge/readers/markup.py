"""Markdown: CommonMark with tables, its blocks as their author wrote them, links as the words they stand on."""

import functools
import html
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rixin.knowledge.documents import Block, BlockKind, Document
from rixin.knowledge.readers.encoding import decode
from rixin.knowledge.readers.plain import text_blocks
from rixin.knowledge.readers.source import Source, clean, finish

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MEDIA_TYPE = "text/markdown"
DEEPEST = 100  # lists and quotes within each other; what lies deeper is not read

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,20000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_FIELD = re.compile(r"""^(title|date|author|lang|description):[ \t]*(["']?)(.{1,300}?)\2[ \t]*$""", re.M)
_TICKS = re.compile("`+")
_LINK = re.compile(
    r"!?\[((?:[^\[\]\\]|\\.){0,500})\](?:\([^()\s]{0,2000}(?:\([^()\s]{0,500}\)[^()\s]{0,500})?(?:\s+\"[^\"]{0,500}\")?\s*\)|\[[^\[\]]{0,200}\])"
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,1000}>")
_ADDRESS = re.compile(r"<((?:https?|mailto):[^<>\s]{1,2000})>")
_HEADING_MARKS = re.compile(r"(\*{1,3}|_{2,3}|~~)(?=\S)(.{1,300}?)(?<=\S)\1")
_HEADING_ID = re.compile(r"\s*\{[#.:][^{}]{0,200}\}\s*$")


def read_markdown(source: Source) -> Document:
    text = clean(decode(source.data))
    fields: dict[str, str] = {}
    if found := _FRONT_MATTER.match(text):
        fields = {name: value for name, _, value in _FIELD.findall(found[1])}
        text = text[found.end() :]
    title = fields.pop("title", "")
    language = fields.pop("lang", None)
    blocks = list(_blocks(text)) or list(text_blocks(text))
    return finish(source, blocks, MEDIA_TYPE, title=title, language=language, metadata=fields)


@functools.cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # What is inside a block stays as written, and parsing it would take three quarters of the time.
    return MarkdownIt("commonmark", {"maxNesting": DEEPEST}).enable("table").disable("inline")


def _blocks(text: str) -> Iterator[Block]:
    lines = text.split("\n")
    tokens = iter(_parser().parse(text))
    for token in tokens:
        match token.type:
            case "heading_open":
                yield Block(kind="heading", text=heading_text(next(tokens).content), level=int(token.tag[1]))
            case "paragraph_open":
                yield Block(kind="paragraph", text=plain(next(tokens).content))
            case "bullet_list_open" | "ordered_list_open":
                yield from _written("list", token, tokens, lines)
            case "table_open":
                yield from _written("table", token, tokens, lines)
            case "fence" | "code_block":
                words = token.info.split()
                metadata = {"language": words[0].strip("{}.").lower()[:40]} if words else {}
                yield Block(kind="code", text=token.content, metadata=metadata)
            case "html_block":
                yield from _html(token.content)


def _written(kind: BlockKind, token: "Token", tokens: "Iterator[Token]", lines: list[str]) -> Iterator[Block]:
    """A block as it stands in the file; its tokens are passed over."""
    for inner in tokens:
        if inner.type == token.type.replace("_open", "_close") and inner.level == token.level:
            break
    assert token.map
    block = [line.expandtabs(4) for line in lines[slice(*token.map)]]
    if kind == "table":
        block = [line.strip() for line in block]
    indent = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    yield Block(kind=kind, text=plain("\n".join(line[indent:].rstrip() for line in block)))


def _html(content: str) -> Iterator[Block]:
    if "<" not in _TAG.sub("", content) and not _TAG.sub("", content).strip():
        return
    from rixin.knowledge.readers.html import blocks_of, parse

    root = parse(content.encode("utf-8", "replace"), "utf-8")
    if root is not None:
        yield from blocks_of(root)


def plain(text: str) -> str:
    """Links and images as their words, without tags and entities; code spans untouched."""
    if not any(mark in text for mark in "[<&"):
        return text
    parts = []
    end = 0
    for start, stop in _code_spans(text):
        parts += [_plain(text[end:start]), text[start:stop]]
        end = stop
    return "".join([*parts, _plain(text[end:])])


def _code_spans(text: str) -> Iterator[tuple[int, int]]:
    """From a run of backticks to the next of the same length; a pattern for it would take the cube of the time."""
    runs = [(found.start(), found.end()) for found in _TICKS.finditer(text)]
    following: dict[int, int] = {}  # length → the nearest run of it further on
    closing = [0] * len(runs)
    for index in range(len(runs) - 1, -1, -1):
        length = runs[index][1] - runs[index][0]
        closing[index] = following.get(length, 0)
        following[length] = index
    index = 0
    while index < len(runs):
        if closing[index]:
            yield runs[index][0], runs[closing[index]][1]
            index = closing[index]
        index += 1


def _plain(text: str) -> str:
    if "](" in text or "][" in text:
        for _ in range(2):  # an image may be what a link stands on
            text = _LINK.sub(r"\1", text)
    if "<" in text:
        text = _TAG.sub("", _ADDRESS.sub(r"\1", text))
    return html.unescape(text) if "&" in text else text


def heading_text(text: str) -> str:
    """A heading without marks of emphasis, code and anchors."""
    text = _HEADING_ID.sub("", plain(text))
    return " ".join(_HEADING_MARKS.sub(r"\2", text).replace("`", "").split())
