"""Hostile and awkward files cost a typed error each, and never the process that asked or the files after them."""

import io
import os
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import made_documents as made
from rixin.errors import UnreadableDocument
from rixin.knowledge.readers import Reading, ReadingLimits, read_document

CJK_FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


@pytest.fixture(scope="module")
def reading() -> Iterator[Reading]:
    with Reading(limits=ReadingLimits(seconds=20, memory_bytes=600 << 20)) as opened:
        yield opened


def refusal(reading: Reading, path: Path) -> UnreadableDocument:
    with pytest.raises(UnreadableDocument) as caught:
        reading.read(path)
    assert caught.value.where == path.name
    return caught.value


def put(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zip_bomb() -> bytes:
    """A sheet of 40 MB of one letter, in 40 KB."""
    return made.packed(
        {
            "_rels/.rels": made.relations(("officeDocument", "xl/workbook.xml")),
            "xl/worksheets/sheet1.xml": b"x" * (40 << 20),
        }
    )


def lying_zip() -> bytes:
    """A Word document whose text unpacks to 30 MB and says that it is a hundred bytes."""
    size = 30 << 20
    lying = made.packed({"word/document.xml": b"a" * size})
    return lying.replace(struct.pack("<I", size), struct.pack("<I", 100))


def png(width: int, height: int) -> bytes:
    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(width * 100))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")


BILLION = "<!DOCTYPE a [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{('&' + chr(97 + n) + ';') * 10}'>" for n in range(9)
)
DEEP_XML = f"<w:document {made.WORD}><w:body>" + "<w:sdt><w:sdtContent>" * 20_000


OUTSIDE = f"{BILLION}]><w:document {made.WORD}><w:body>{made.p('&j;')}</w:body></w:document>"
SECRET = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
SECRET += f"<w:document {made.WORD}><w:body>{made.p('kept &x;')}</w:body></w:document>"
PARTS = "Content-Type: multipart/mixed; boundary=b\n\n--b\n"

# File name → what makes its content, the reason it is refused for ("" where it can be read).
HOSTILE: dict[str, tuple[Callable[[], bytes | str], str]] = {
    "bomb.xlsx": (zip_bomb, "too_large"),
    "lying.docx": (lying_zip, "broken"),
    "laughs.docx": (lambda: made.docx("", more={"word/document.xml": OUTSIDE}), "empty"),
    "entity.docx": (lambda: made.docx("", more={"word/document.xml": SECRET}), ""),
    "deep.docx": (lambda: made.docx("", more={"word/document.xml": DEEP_XML}), "empty"),
    "deep.html": (lambda: "<div>" * 50_000 + "far below", ""),
    "deep_table.html": (lambda: "<table><tr><td>" * 3000 + "far below", ""),
    "deep_list.html": (lambda: "<ul><li>" * 3000 + "far below", ""),
    "deep.md": (lambda: ">" * 20_000 + " far below", ""),
    "deep_list.md": (lambda: "".join("  " * n + "- x\n" for n in range(500)), ""),
    "brackets.md": (lambda: "[" * 50_000 + "far below", ""),
    "links.md": (lambda: "[a](" * 20_000 + "far below", ""),
    "tags.md": (lambda: "para <a " * 20_000 + "far below", ""),
    "ticks.md": (lambda: "".join("`" * (n % 300) + "x" for n in range(3000)) + "[far](below)", ""),
    "spans.html": (lambda: "<table>" + "<tr><td colspan=99999 rowspan=99999>x<td>y" * 15, ""),
    "wide.csv": (lambda: ",".join(["x"] * 200_000) + "\n" + ",".join(["y"] * 200_000), ""),
    "quote.csv": (lambda: 'a,b\n"' + "far below, " * 100_000, ""),
    "mail.eml": (lambda: "From: a\nSubject: s\nMIME-Version: 1.0\n" + PARTS * 500, ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_or_refused_in_time(name: str, reading: Reading, tmp_path: Path) -> None:
    content, reason = HOSTILE[name]
    path = put(tmp_path / name, content())
    started = time.monotonic()
    if reason:
        assert refusal(reading, path).reason == reason
    else:
        assert "root:" not in reading.read(path).text
    assert time.monotonic() - started < 10
    assert reading.read(put(tmp_path / "next.md", "# Fine")).title == "Fine"


def test_a_file_that_needs_too_much_memory_costs_only_itself(tmp_path: Path) -> None:
    sheet = made.xlsx({"s": [["a", "b"]]})
    with zipfile.ZipFile(io.BytesIO(sheet)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    far = b'<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>far</t></is></c></row></sheetData>'
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", far)
    path = put(tmp_path / "far.xlsx", made.packed(parts))
    with Reading(limits=ReadingLimits(seconds=20, memory_bytes=400 << 20)) as reading:
        assert refusal(reading, path).reason in ("too_large", "broken")
        assert reading.read(put(tmp_path / "next.txt", "fine")).text == "fine"


def test_a_reader_that_hangs_is_ended(tmp_path: Path) -> None:
    slow = put(tmp_path / "slow.docx", made.docx(made.p("x " * 10) * 150_000))
    with Reading(limits=ReadingLimits(seconds=0.2)) as reading:
        assert refusal(reading, slow).reason == "too_slow"
        assert refusal(reading, slow).reason == "too_slow"


def test_a_reader_that_is_killed_is_started_again(tmp_path: Path) -> None:
    path = put(tmp_path / "a.md", "# A")
    slow = put(tmp_path / "slow.docx", made.docx(made.p("x " * 10) * 300_000))
    with Reading() as reading, ThreadPoolExecutor() as pool:
        reading.read(path)
        kill_workers()
        assert reading.read(path).title == "A"
        under_way = pool.submit(reading.read, slow)
        time.sleep(0.3)
        kill_workers()
        with pytest.raises(UnreadableDocument, match=r"crashed at the file \(SIGKILL\)"):
            under_way.result(10)
        assert reading.read(path).title == "A"


def kill_workers() -> None:
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "readers.worker"], capture_output=True, text=True)
    for pid in found.stdout.split():
        os.kill(int(pid), 9)
    time.sleep(0.1)


def test_a_thousand_pages_are_read_with_their_numbers(reading: Reading, tmp_path: Path) -> None:
    pages = [[(50, 100, 12, f"This is what stands on page {number} of the long book.")] for number in range(1, 1001)]
    document = reading.read(put(tmp_path / "long.pdf", made.pdf(pages)))
    assert document.metadata["pages"] == "1000"
    assert [(block.page, block.text) for block in document.blocks][999] == (
        1000,
        "This is what stands on page 1000 of the long book.",
    )


def test_many_threads_share_the_readers_and_each_gets_its_own(tmp_path: Path) -> None:
    paths = [put(tmp_path / f"{number}.md", f"# Page {number}\n\ntext") for number in range(300)]
    broken = put(tmp_path / "broken.pdf", "%PDF-1.7")
    with Reading(processes=2) as reading, ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        found = pool.map(lambda path: reading.read(path).title, paths)
        wrong = [pool.submit(reading.read, broken) for _ in range(5)]
        assert list(found) == [f"Page {number}" for number in range(300)]
        assert all(isinstance(one.exception(), UnreadableDocument) for one in wrong)
        assert time.monotonic() - started < 10


def test_closing_ends_what_is_under_way(tmp_path: Path) -> None:
    slow = put(tmp_path / "slow.docx", made.docx(made.p("x " * 10) * 300_000))
    reading = Reading()
    caught: list[BaseException] = []

    def read() -> None:
        try:
            reading.read(slow)
        except UnreadableDocument as error:
            caught.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    reading.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert [error.reason for error in caught if isinstance(error, UnreadableDocument)] == ["stopped"] * 3


def test_the_reader_can_open_no_file_no_connection_and_no_process() -> None:
    code = """
import socket, subprocess, sys
from rixin.compute.walls import close_in
layers = close_in((), {})
tried = [lambda: open("/etc/passwd"), lambda: open("/tmp/rixin-written", "w"),
         lambda: socket.create_connection(("127.0.0.1", 9)), lambda: subprocess.run(["true"])]
for one in tried:
    try:
        one()
    except PermissionError:
        continue
    sys.exit("it could")
print(*layers)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    if "landlock" not in run.stdout and "it could" in run.stderr:
        pytest.skip("this kernel has no Landlock")
    assert run.returncode == 0, run.stderr
    assert "seccomp" in run.stdout


def page_picture() -> bytes:
    """A page of text as a picture."""
    from PIL import Image, ImageDraw, ImageFont

    if not CJK_FONT.exists():
        pytest.skip("no font with Chinese characters")
    picture = Image.new("RGB", (900, 330), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((60, 30), "劳动合同管理办法", font=ImageFont.truetype(CJK_FONT, 48), fill="black")
    for line, text in enumerate(["第一条 用人单位应当按月支付工资。", "The employer pays on the 15th of each month."]):
        draw.text((60, 140 + 70 * line), text, font=ImageFont.truetype(CJK_FONT, 28), fill="black")
    made_file = io.BytesIO()
    picture.save(made_file, "PDF", resolution=150)
    return made_file.getvalue()


def test_a_scanned_page_is_read_from_its_picture(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    path = put(tmp_path / "scan.pdf", page_picture())
    with Reading() as reading:
        document = reading.read(path)
        assert [(block.kind, block.page) for block in document.blocks] == [
            ("heading", 1),
            ("paragraph", 1),
            ("paragraph", 1),
        ]
        assert document.title == "劳动合同管理办法"
        assert "用人单位应当按月支付工资" in document.text
        assert "employer pays on the 15th" in document.text
        with pytest.raises(UnreadableDocument) as caught:
            reading.read(path, ocr=False)
        assert caught.value.reason == "needs_ocr"
        bomb = put(tmp_path / "bomb.png", png(60_000, 60_000))
        assert refusal(reading, bomb).reason == "too_large"


def test_without_the_extra_a_picture_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, content in (("a.png", png(100, 100)), ("scan.pdf", page_picture())):
        with pytest.raises(UnreadableDocument, match="make ocr") as caught:
            read_document(put(tmp_path / name, content))
        assert caught.value.reason == "needs_ocr"
