"""`POST /v1/embeddings`: texts in, vectors out, as floats or (what the official client asks for) base64."""

import base64
import sys
from array import array
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Request
from msgspec import Meta, Struct
from starlette.responses import Response

from rixin.engines import Embeddings
from rixin.errors import InvalidRequest
from rixin.http.body import JsonBody
from rixin.http.describe import describe
from rixin.http.identity import program
from rixin.http.openai.wire import Embedding, EmbeddingList, EmbeddingUsage
from rixin.http.serving import Serving, ignored_header, serving
from rixin.http.stream import unless_disconnected

router = APIRouter(dependencies=[Depends(program)])

Text = Annotated[str, Meta(min_length=1)]


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/embeddings`. `dimensions` cuts vectors short and scales them to length 1 again."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    input: Text | Annotated[list[Text], Meta(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Annotated[int, Meta(ge=1, le=1 << 20)] | None = None
    user: str | None = None


BODY = JsonBody(EmbeddingRequest)


@router.post(
    "/v1/embeddings",
    summary="Turn texts into vectors",
    openapi_extra=describe(body=EmbeddingRequest, answer=EmbeddingList),
)
async def embeddings(
    request: Request,
    server: Annotated[Serving, Depends(serving)],
) -> Response:
    body, ignored = await BODY.read(request)
    texts = [body.input] if isinstance(body.input, str) else body.input
    target = await server.target(body.model)
    async with server.workspace.engines.lease(target.version) as engine:
        if not engine.capabilities().embed:
            raise InvalidRequest(f"The model {body.model!r} makes no embeddings.", param="model")
        made = await unless_disconnected(request.receive, engine.embed(texts))
    if body.dimensions is not None and body.dimensions > made.dimensions:
        raise InvalidRequest(f"The model's vectors have {made.dimensions} dimensions.", param="dimensions")
    answer = EmbeddingList(
        data=[
            Embedding(index=index, embedding=_encoded(vector, body.encoding_format or "float"))
            for index, vector in enumerate(_vectors(made, body.dimensions or made.dimensions))
        ],
        model=body.model,
        usage=EmbeddingUsage(prompt_tokens=made.tokens, total_tokens=made.tokens),
    )
    return Response(msgspec.json.encode(answer), 200, ignored_header(ignored), "application/json")


def _vectors(made: Embeddings, dimensions: int) -> list[bytes]:
    size = made.dimensions * 4
    rows = [made.vectors[start : start + size] for start in range(0, len(made.vectors), size)]
    return rows if dimensions == made.dimensions else [_shortened(row, dimensions) for row in rows]


def _shortened(row: bytes, dimensions: int) -> bytes:
    values = _floats(row[: dimensions * 4])
    length = sum(value * value for value in values) ** 0.5 or 1.0
    return _bytes(array("f", (value / length for value in values)))


def _encoded(row: bytes, encoding: Literal["float", "base64"]) -> list[float] | str:
    return base64.b64encode(row).decode() if encoding == "base64" else _floats(row).tolist()


def _floats(row: bytes) -> "array[float]":
    values = array("f", row)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _bytes(values: "array[float]") -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
