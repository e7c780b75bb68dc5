"""Plain text, code and tables of separated values."""

import csv
import io
import re
import sys
from collections.abc import Iterator

from rixin.knowledge.documents import Block, Document
from rixin.knowledge.readers.encoding import decode
from rixin.knowledge.readers.source import Source, clean, finish
from rixin.knowledge.readers.tables import table_blocks

LANGUAGES = {
    "bash": "bash", "bat": "batch", "c": "c", "cc": "cpp", "cfg": "ini", "clj": "clojure", "cmake": "cmake",
    "conf": "ini", "cpp": "cpp", "cs": "csharp", "css": "css", "cu": "cuda", "cxx": "cpp", "dart": "dart",
    "diff": "diff", "dockerfile": "dockerfile", "el": "lisp", "erl": "erlang", "ex": "elixir", "f90": "fortran",
    "fs": "fsharp", "go": "go", "gradle": "groovy", "graphql": "graphql", "groovy": "groovy", "h": "c", "hpp": "cpp",
    "hs": "haskell", "ini": "ini", "ipynb": "json", "java": "java", "jl": "julia", "js": "javascript", "json": "json",
    "json5": "json", "jsonl": "json", "jsx": "javascript", "kt": "kotlin", "less": "css", "lisp": "lisp", "lua": "lua",
    "m": "matlab", "mjs": "javascript", "mk": "make", "ml": "ocaml", "ndjson": "json", "nim": "nim", "nix": "nix",
    "patch": "diff", "php": "php", "pl": "perl", "pm": "perl", "proto": "protobuf", "ps1": "powershell",
    "properties": "ini", "py": "python", "pyi": "python", "r": "r", "rb": "ruby", "rs": "rust", "sass": "css",
    "scala": "scala", "scm": "scheme", "scss": "css", "sh": "bash", "sql": "sql", "svelte": "svelte", "sv": "verilog",
    "swift": "swift", "tcl": "tcl", "tex": "latex", "tf": "terraform", "toml": "toml", "ts": "typescript",
    "tsx": "typescript", "v": "verilog", "vb": "vb", "vhdl": "vhdl", "vim": "vim", "vue": "vue", "xml": "xml",
    "xsd": "xml", "xsl": "xml", "yaml": "yaml", "yml": "yaml", "zig": "zig", "zsh": "bash",
}  # fmt: skip
_NAMES = {"makefile": "make", "dockerfile": "dockerfile", "cmakelists.txt": "cmake"}
_INTERPRETER = re.compile(r"#!\s*\S*?/(?:env\s+)?(\w+?)[\d.]*(?:\s|$)")
_INTERPRETED = {"python": "python", "bash": "bash", "sh": "bash", "zsh": "bash", "perl": "perl", "ruby": "ruby"}
_BETWEEN = re.compile(r"\n[ \t\u3000]*(?:\n[ \t\u3000]*)+")
_UNDERLINE = re.compile(r"([=\-~^*#+\"'.`])\1{2,}\s*")
_SEPARATORS = ",\t;|"


def code_language(source: Source, text: str = "") -> str | None:
    """The language of a file of code by its name or first line; None if it is none."""
    named = _NAMES.get(source.name.rsplit("/", 1)[-1].lower()) or LANGUAGES.get(source.extension)
    if named or source.extension:
        return named
    found = _INTERPRETER.match(text)
    return _INTERPRETED.get(found[1]) if found else None


def read_code(source: Source, text: str, language: str) -> Document:
    title = source.name.replace("\\", "/").rsplit("/", 1)[-1]
    media_type = "application/json" if language == "json" else "text/plain"
    blocks = [Block(kind="code", text=text, metadata={"language": language})]
    return finish(source, blocks, media_type, title=title)


def read_text(source: Source) -> Document:
    return finish(source, text_blocks(clean(decode(source.data))), "text/plain")


def text_blocks(text: str, *, page: int | None = None) -> Iterator[Block]:
    """Paragraphs between empty lines; a line that is underlined, as in reStructuredText, is a heading."""
    marks: list[str] = []
    for said in _BETWEEN.split(text):
        paragraph = said.strip("\n").rstrip()
        lines = paragraph.split("\n")
        while len(lines) >= 2 and (found := _underlined(lines)):
            title, mark, used = found
            if mark not in marks:
                marks.append(mark)
            yield Block(kind="heading", text=title, level=min(6, marks.index(mark) + 1), page=page)
            lines = lines[used:]
        if any(lines):
            yield Block(kind="paragraph", text="\n".join(lines), page=page)


def _underlined(lines: list[str]) -> tuple[str, str, int] | None:
    """A title, the mark under (and over) it, and how many lines they take."""
    over = bool(_UNDERLINE.fullmatch(lines[0])) and len(lines) >= 3
    title, under = (lines[1], lines[2]) if over else (lines[0], lines[1])
    found = _UNDERLINE.fullmatch(under)
    if not found or not title.strip() or len(title) > 200 or _UNDERLINE.fullmatch(title):
        return None
    if len(under.rstrip()) * 10 < len(title.strip()) * 7 or (over and lines[0].rstrip() != under.rstrip()):
        return None
    return title.strip(), found[1] * (2 if over else 1), 3 if over else 2


def read_separated(source: Source) -> Document:
    """CSV, TSV and their kin. Source: RFC 4180, with the separator that the first lines agree on."""
    text = decode(source.data)
    separator = _separator(text, "\t" if source.extension in ("tsv", "tab") else ",")
    csv.field_size_limit(sys.maxsize)
    try:
        rows = list(csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=separator))
    except csv.Error as error:
        raise source.broken(error) from error
    media_type = "text/tab-separated-values" if separator == "\t" else "text/csv"
    return finish(source, table_blocks(rows), media_type)


def _separator(text: str, usual: str) -> str:
    """The one that most of the first lines hold equally often; `usual` where none does."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in text[:20_000].splitlines()[:30] if line.strip()]

    def agreement(separator: str) -> tuple[int, bool]:
        counts = [line.count(separator) for line in lines]
        found = [count for count in counts if count]
        return (found.count(max(set(found), key=found.count)) if found else 0, separator == usual)

    return max(_SEPARATORS, key=agreement)
