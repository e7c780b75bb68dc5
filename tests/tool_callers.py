"""A model that calls what a test needs, and an office that its tool `people__hire` changes."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec

from libraries import LetterEmbedder
from rixin.engines.fake import FakeEngine
from rixin.engines.protocol import (
    Capabilities,
    ChatPrompt,
    Delta,
    Embeddings,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Started,
    ToolCallDelta,
)
from served import FAKE_VERSION

HIRE = ("people__hire", {"name": "Eve"})
INTERFACE = """
openapi: 3.0.0
info: {title: People, version: "1"}
paths:
  /people:
    post:
      operationId: hire
      requestBody:
        content:
          application/json:
            schema: {type: object, properties: {name: {type: string}}, required: [name]}
      responses: {"200": {description: done}}
"""


@dataclass(kw_only=True)
class Caller(FakeEngine):
    """Makes `calls` one after the other while it is offered tools, then says `reply`, or what the last tool gave.

    Without `native` tools it can only be held to a schema. `before` is run when it is asked.
    """

    calls: Sequence[tuple[str, Mapping[str, object]]] = ()
    native: bool = True
    verdict: str = "yes"
    before: Callable[[], object] = lambda: None

    def capabilities(self) -> Capabilities:
        return msgspec.structs.replace(super().capabilities(), tools=self.native)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        return await LetterEmbedder().embed(FAKE_VERSION, texts, "passage")

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        self.requests.append(request)
        await asyncio.to_thread(self.before)
        assert isinstance(request.prompt, ChatPrompt)
        said = [message.content for message in request.prompt.messages]
        called = sum("<data from=" in text for text in said if "tool " in text)
        schema = request.sampling.json_schema or ""
        following = self.calls[called] if called < len(self.calls) else None
        yield Started(prompt_tokens=10)
        if said[-1] == "Judgement:":  # whether the passages answer
            yield Delta(text=self.verdict, tokens=1)
        elif schema:
            name, arguments = following or ("none", {})
            yield Delta(text=json.dumps({"tool": name, "arguments": arguments}), tokens=1)
        elif following and request.prompt.tools and request.prompt.tool_choice != "none":
            name, arguments = following
            yield ToolCallDelta(id=f"c{called}", name=name, arguments=json.dumps(arguments))
            yield Finished(reason="tool_calls", completion_tokens=1)
            return
        else:
            yield Delta(text=self.reply or said[-1].split("\n")[1], tokens=1)
        yield Finished(reason="stop", completion_tokens=1)


class Office(BaseHTTPRequestHandler):
    """The interface that `people__hire` reaches."""

    hired: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.hired.append(body["name"])
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.end_headers()
        self.wfile.write(f"{body['name']} is hired.".encode())

    def log_message(self, *_: object) -> None: ...


@contextmanager
def office_at(home: Path) -> Iterator[None]:
    """The office runs, and the tools.toml of `home` names it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Office)
    address = f"http://127.0.0.1:{server.server_port}"
    (home / "people.yaml").write_text(INTERFACE)
    (home / "tools.toml").write_text(
        f'[[openapi]]\nname = "people"\ndocument = "people.yaml"\nserver = "{address}"\nprivate = true\n'
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
