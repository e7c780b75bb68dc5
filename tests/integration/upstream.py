"""An OpenAI-like server for the tests of `remote`; the model's name says how it behaves."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

Scope = dict[str, object]
KEY = "sk-upstream-secret"


class Upstream:
    """What it was asked, and whether a client that left was noticed."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.failures_left = 0
        self.left = threading.Event()
        self.url = ""

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        self._send, self._receive = send, receive
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if dict(scope["headers"]).get(b"authorization") != f"Bearer {KEY}".encode():
            await self.json(send, 401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})
            return
        path = scope["path"].removeprefix("/v1")
        if path == "/models":
            names = ["good", "cut", "garbage", "slow", "html", "busy", "bare", "silent", "long", "half", "failing"]
            await self.json(send, 200, {"object": "list", "data": [{"id": name} for name in names]})
            return
        request = json.loads(body)
        self.bodies.append(request)
        answer = getattr(self, path.strip("/").replace("/", "_"))
        await answer(request, send, receive)

    async def json(self, send, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        await self.raw(
            send, status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})}
        )

    async def raw(self, send, status: int, body: bytes, headers: dict[str, str]) -> None:
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": body})

    async def chat_completions(self, request, send, receive) -> None:
        model = request["model"]
        if model == "busy" and self.failures_left:
            self.failures_left -= 1
            await self.json(send, 429, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}},
                            {"retry-after": "0.05"})  # fmt: skip
            return
        if model == "html":
            await self.raw(
                send, 502, b"<html><style>p{}</style><h1>Bad Gateway</h1></html>", {"content-type": "text/html"}
            )
            return
        if model == "long":
            error = {"message": "This model's maximum context length is 8 tokens.", "type": "invalid_request_error"}
            await self.json(send, 400, {"error": error | {"param": "messages", "code": None}})
            return
        if "max_tokens" in request and model == "bare":
            await self.json(send, 400, {"error": {"message": "Use 'max_completion_tokens' instead.", "code": "x"}})
            return
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await getattr(self, f"_{model}")(request, send, receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def say(self, send, *values: object) -> None:
        for value in values:
            text = value if isinstance(value, str) else "data: " + json.dumps(value) + "\n\n"
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def _good(self, request, send, receive) -> None:
        def chunk(delta, reason=None, **more):
            return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]}

        await self.say(send, ": ping\r\n\r\n", chunk({"role": "assistant", "content": ""}))
        if request.get("tools"):
            function = {"name": "get_weather", "arguments": ""}
            call = {"index": 0, "id": "call_1", "type": "function", "function": function}
            await self.say(send, chunk({"tool_calls": [call]}))
            for piece in ('{"city":', ' "Paris"}'):
                await self.say(send, chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))
            await self.say(send, chunk({}, "tool_calls"), "data: [DONE]\n\n")
            return
        alternatives = [{"token": "日", "logprob": -0.1, "bytes": [230, 151, 165]}, {"token": "x", "logprob": -3}]
        logprobs = {
            "content": [{"token": "日", "logprob": -0.1, "bytes": [230, 151, 165], "top_logprobs": alternatives}]
        }
        await self.say(send, chunk({"reasoning_content": "Hm."}), chunk({"content": "日"}, logprobs=logprobs))
        text = "data: " + json.dumps(chunk({"content": "新"}), ensure_ascii=False) + "\r\n\r\n"
        for byte in text.encode():
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await self.say(send, chunk({}, "length"))
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
        await self.say(send, {"id": "c", "choices": [], "usage": usage}, "data: [DONE]\n\n")

    async def _bare(self, request, send, receive) -> None:
        """No role, no usage, no [DONE], calls without an index: what small servers send."""
        call = {"function": {"name": "f", "arguments": {"a": 1}}}
        delta = {"content": "Hi", "tool_calls": [call, call]}
        await self.say(send, {"choices": [{"delta": delta}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]})

    async def _busy(self, request, send, receive) -> None:
        await self._good(request, send, receive)

    async def _cut(self, request, send, receive) -> None:
        await self.say(send, {"choices": [{"index": 0, "delta": {"content": "Half an ans"}}]})
        raise ConnectionAbortedError

    async def _half(self, request, send, receive) -> None:
        await self.say(send, {"choices": [{"index": 0, "delta": {"content": "Half an ans"}}]}, "data: [DONE]\n\n")

    async def _garbage(self, request, send, receive) -> None:
        await self.say(send, {"choices": [{"index": 0, "delta": {"content": "A"}}]}, "\x00data: {]\n\ndata: {\n\n")

    async def _failing(self, request, send, receive) -> None:
        await self.say(send, {"choices": [{"index": 0, "delta": {"content": "A"}}]})
        await self.say(send, {"error": {"message": "CUDA out of memory", "code": 500}})

    async def _silent(self, request, send, receive) -> None:
        await asyncio.sleep(1)

    async def _slow(self, request, send, receive) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()

        watcher = asyncio.create_task(watch())
        for _ in range(200):
            if self.left.is_set():
                break
            await self.say(send, {"choices": [{"index": 0, "delta": {"content": "tick "}}]})
            await asyncio.sleep(0.02)
        await watcher

    async def completions(self, request, send, receive) -> None:
        prompts = request["prompt"] if isinstance(request["prompt"][0], list) else [request["prompt"]]
        choices = []
        for index, prompt in enumerate(prompts):
            tokens = [f" t{token}" for token in prompt] if isinstance(prompt, list) else ["Hi", " there"]
            values = [None, *(-float(at) for at in range(1, len(tokens)))]
            tops = [None, *({token: value if at % 2 else value + 0.5} for at, (token, value)
                            in enumerate(zip(tokens[1:], values[1:], strict=True)))]  # fmt: skip
            logprobs = {"tokens": [*tokens, "!"], "token_logprobs": [*values, -9.0], "top_logprobs": [*tops, {"!": -9}]}
            choices.append(
                {"index": index, "text": "".join(tokens) + "!", "logprobs": logprobs, "finish_reason": "length"}
            )
        await self.json(send, 200, {"choices": choices[::-1], "usage": {"prompt_tokens": 2, "completion_tokens": 1}})

    async def embeddings(self, request, send, receive) -> None:
        rows = [{"index": at, "embedding": [float(at), 1.0]} for at in range(len(request["input"]))]
        await self.json(send, 200, {"data": rows[::-1], "usage": {"prompt_tokens": 3, "total_tokens": 3}})


@contextmanager
def running(app: object) -> Iterator[str]:
    """Serve an ASGI app on a free port; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
