"""A client that costs next to nothing: raw asyncio sockets, one regular expression, no JSON on the way."""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

FIRST_TEXT = re.compile(rb'"(?:content|text)": ?"[^"]')
COUNTS = {
    name: re.compile(rb'"' + name.encode() + rb'": ?(\d+)')
    for name in ("completion_tokens", "prompt_tokens", "cached_tokens")
}


@dataclass(frozen=True)
class Target:
    """A server of the OpenAI API."""

    url: str
    model: str
    key: str = ""


@dataclass(frozen=True)
class Reply:
    """What one streamed answer cost; the counts are the server's own."""

    first_token_s: float
    total_s: float
    completion_tokens: int
    prompt_tokens: int
    cached_tokens: int


async def ask(target: Target, question: str, max_tokens: int) -> Reply:
    """One streamed, greedy chat answer of exactly `max_tokens`. Raises RuntimeError with what came back instead."""
    body = json.dumps(
        {
            "model": target.model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()
    address = urlsplit(target.url)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address.netloc}\r\nauthorization: Bearer {target.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head.encode() + body)
    received = bytearray()
    first = 0.0
    while piece := await reader.read(1 << 16):
        received += piece
        if not first and FIRST_TEXT.search(received):
            first = time.perf_counter() - began
    total = time.perf_counter() - began
    writer.close()
    found = {name: pattern.findall(received) for name, pattern in COUNTS.items()}
    if not first or not found["completion_tokens"]:
        raise RuntimeError(f"{target.url} answered: {received[:2000].decode('utf-8', 'replace')}")
    counts = {name: int(values[-1]) if values else 0 for name, values in found.items()}
    if counts["completion_tokens"] != max_tokens:
        raise RuntimeError(f"{target.url} made {counts['completion_tokens']} tokens instead of {max_tokens}")
    return Reply(first, total, **counts)


async def tokens_per_second(target: Target, questions: Sequence[str], max_tokens: int) -> float:
    """All questions at once: tokens made, by the time from the first byte sent to the last received."""
    began = time.perf_counter()
    replies = await asyncio.gather(*(ask(target, question, max_tokens) for question in questions))
    return sum(reply.completion_tokens for reply in replies) / (time.perf_counter() - began)
