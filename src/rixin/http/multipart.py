"""A multipart form with one file, taken in as it comes: its bytes go to the disk piece by piece, never into memory."""

from collections.abc import Callable
from dataclasses import dataclass, field

from anyio.to_thread import run_sync
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from rixin.errors import InvalidRequest
from rixin.training import Upload

MAX_FIELD_BYTES = 64 << 10
MAX_PARTS = 32
MAX_HEADER_BYTES = 16 << 10


@dataclass
class Form:
    """The fields of a form, and the file's name; its bytes are in the Upload."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None


async def read_form(request: Request, file_field: str, begin: Callable[[], Upload]) -> tuple[Form, Upload]:
    """The form of this request. Raises InvalidRequest, TooLarge, NotEnoughDisk; then the Upload is discarded."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise HTTPException(415, "Send the file as multipart/form-data.")
    upload = await run_sync(begin)
    reader = _Reader(file_field, upload)
    parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
    try:
        async for chunk in request.stream():
            if chunk:
                await run_sync(_feed, parser, chunk)
        await run_sync(_end, parser)
        if not reader.complete or reader.form.file_name is None:
            raise InvalidRequest(f"The form has no complete `{file_field}`.", param=file_field)
    except BaseException:
        await run_sync(upload.discard)
        raise
    return reader.form, upload


def _feed(parser: MultipartParser, chunk: bytes) -> None:
    try:
        parser.write(chunk)
    except ValueError as error:  # the parser's errors
        raise InvalidRequest(f"The form can't be read: {error}.") from None


def _end(parser: MultipartParser) -> None:
    try:
        parser.finalize()
    except ValueError as error:
        raise InvalidRequest(f"The form can't be read: {error}.") from None


class _Reader:
    """What the parser tells, put together."""

    def __init__(self, file_field: str, upload: Upload) -> None:
        self.form = Form()
        self.complete = False
        self._file_field = file_field
        self._upload = upload
        self._parts = 0
        self._names = b""
        self._values = b""
        self._headers: dict[str, bytes] = {}
        self._field: str | None = None
        self._value = bytearray()

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequest(f"The form has more than {MAX_PARTS} parts.")
        self._headers, self._field, self._value = {}, None, bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._names += data[start:end]
        self._bound(self._names)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._values += data[start:end]
        self._bound(self._values)

    def _bound(self, header: bytes) -> None:
        if len(header) > MAX_HEADER_BYTES or len(self._headers) > MAX_PARTS:
            raise InvalidRequest("A part of the form has headers that are too long.")

    def _header_end(self) -> None:
        self._headers[self._names.decode("latin-1").lower()] = self._values
        self._names = self._values = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        name = options.get(b"name", b"").decode(errors="replace")
        if name != self._file_field:
            self._field = name
            return
        if self.form.file_name is not None:
            raise InvalidRequest("The form has more than one file.", param=self._file_field)
        self.form.file_name = options.get(b"filename", b"").decode(errors="replace") or "file"

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._upload.write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise InvalidRequest(f"The field `{self._field[:100]}` is too long.", param=self._field[:100])

    def _part_end(self) -> None:
        if self._field is not None:
            self.form.fields[self._field] = self._value.decode(errors="replace")

    def _end(self) -> None:
        self.complete = True
