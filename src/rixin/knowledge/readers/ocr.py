"""Text in pictures, read by RapidOCR (the extra `ocr`) on OpenVINO: PP-OCR's models, which come in its package."""

import functools
import importlib.util
import logging
from typing import TYPE_CHECKING, Any

from rixin.knowledge.documents import Document
from rixin.knowledge.readers.layout import Piece, blocks_of, body_size, heading_sizes, page_of
from rixin.knowledge.readers.source import Source, clean, finish

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_PIXELS = 50_000_000
MAX_SIDE = 4000
MAX_FRAMES = 500
_LEAST_SURE = 0.5
_MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
}


def recognise(source: Source, picture: "NDArray[np.uint8]") -> list[Piece]:
    """The lines of a picture (height × width × 3, blue first), places in pixels. Raises UnreadableDocument."""
    import numpy as np

    source.alive()
    found = _engine(source)(np.ascontiguousarray(picture))
    if found.boxes is None or found.txts is None:
        return []
    pieces = []
    for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        said = clean(" ".join(text.split()))
        if score < _LEAST_SURE or not said:
            continue
        left, top = box.min(axis=0)
        right, bottom = box.max(axis=0)
        # The boxes reach about a fifth of the type's size beyond the letters.
        pieces.append(Piece(said, float(left), float(top), float(right), float(bottom), float(bottom - top) * 0.8))
    return _in_lines(pieces)


def read_image(source: Source) -> Document:
    """A photograph or scan of text; a page for each picture of a TIFF."""
    if not source.ocr:
        raise source.unreadable("needs_ocr", "The file is a picture.", "Read it with OCR switched on.")
    _require(source)
    from io import BytesIO

    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    pages = []
    try:
        with Image.open(BytesIO(source.data)) as opened:
            media_type = _MEDIA_TYPES.get(opened.format or "", "application/octet-stream")
            frames = getattr(opened, "n_frames", 1) if opened.format == "TIFF" else 1
            if opened.width * opened.height > MAX_PIXELS:
                raise source.too_large(f"{opened.width:,} × {opened.height:,} pixels")
            for number in range(min(frames, MAX_FRAMES)):
                opened.seek(number)
                upright = ImageOps.exif_transpose(opened).convert("RGBA")
                white = Image.new("RGBA", upright.size, "white")
                picture = Image.alpha_composite(white, upright).convert("RGB")
                picture.thumbnail((MAX_SIDE, MAX_SIDE))
                pixels = np.asarray(picture)[:, :, ::-1]
                pages.append(page_of(number + 1, recognise(source, pixels), float(picture.height)))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise source.broken(error) from error
    except Image.DecompressionBombError as error:
        raise source.too_large("more pixels than a page has") from error
    body = body_size(pages)
    sizes = heading_sizes(pages, body * 1.25)  # what is measured on pictures is less exact
    blocks = [block for page in pages for block in blocks_of(page, body, sizes, {})]
    return finish(source, blocks, media_type, title=source.stem)


def _require(source: Source) -> None:
    if importlib.util.find_spec("rapidocr") is None:
        raise source.unreadable(
            "needs_ocr",
            "It holds pictures of text, and what reads them is not installed.",
            "Run `make ocr`, then try again.",
        )


def _engine(source: Source) -> Any:
    _require(source)
    return _load()


@functools.cache
def _load() -> Any:
    from rapidocr import EngineType, RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.WARNING)
    engine = EngineType.OPENVINO
    return RapidOCR(
        params={
            "Det.engine_type": engine,
            "Cls.engine_type": engine,
            "Rec.engine_type": engine,
            "Global.log_level": "warning",
        }
    )


def _in_lines(pieces: list[Piece]) -> list[Piece]:
    """From the top, and from the left within a line."""
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda one: (one.top + one.bottom) / 2):
        middle = (piece.top + piece.bottom) / 2
        if lines and middle < lines[-1][0].bottom - 0.25 * lines[-1][0].size:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [piece for line in lines for piece in sorted(line, key=lambda one: one.left)]
