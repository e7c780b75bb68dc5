"""Our engine without a process boundary and without HTTP: what the server's speed is measured against.

`python benchmarks/in_process_engine.py FOLDER` reads lines of JSON `{"questions": [...], "max_tokens": N}` and prints,
for each, the tokens per second of answering all of them at once.
"""

import io
import json
import queue
import sys
import threading
import time
from collections.abc import Iterator

from rixin.engines import ChatPrompt, Finished, GenerateRequest, Message, Sampling
from rixin.engines.openvino.serve import serve
from rixin.engines.wire import Command, Events, Failed, Generate, Load, Loaded, Outbox, Reply


class Inbox(Outbox):
    """Takes the engine's replies in memory instead of writing them to a pipe."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())
        self.loaded = threading.Event()
        self.finished: queue.SimpleQueue[Finished | Failed] = queue.SimpleQueue()

    def send(self, reply: Reply) -> None:
        if isinstance(reply, Loaded):
            self.loaded.set()
        elif isinstance(reply, Failed):
            self.finished.put(reply)
        elif isinstance(reply, Events):
            for _, event in reply.items:
                if isinstance(event, Finished):
                    self.finished.put(event)


def main(folder: str) -> None:
    """Load the model, then answer the lines on standard input."""
    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    inbox = Inbox()
    load = Load(kind="openvino", folder=folder, max_parallel=64)
    threading.Thread(target=serve, args=(load, _taken(commands), inbox), daemon=True).start()
    inbox.loaded.wait()
    print("ready", flush=True)
    for line in sys.stdin:
        print(_speed(json.loads(line), commands, inbox), flush=True)


def _taken(commands: "queue.SimpleQueue[Command]") -> Iterator[Command]:
    while True:
        yield commands.get()


def _speed(work: dict[str, object], commands: "queue.SimpleQueue[Command]", inbox: Inbox) -> float:
    questions, max_tokens = work["questions"], work["max_tokens"]
    assert isinstance(questions, list)
    assert isinstance(max_tokens, int)
    began = time.perf_counter()
    for number, question in enumerate(questions):
        commands.put(
            Generate(
                GenerateRequest(
                    id=str(number),
                    prompt=ChatPrompt(messages=(Message(role="user", content=question),)),
                    sampling=Sampling(max_tokens=max_tokens, temperature=0, ignore_eos=True),
                )
            )
        )
    tokens = 0
    for _ in questions:
        end = inbox.finished.get()
        if isinstance(end, Failed):
            raise RuntimeError(end.message)
        tokens += end.completion_tokens
    return tokens / (time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1])
