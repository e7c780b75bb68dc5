"""The worker's two threads: one reads and prepares requests, the other computes; neither waits for the other."""

import gc
import logging
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

from rixin.engines.openvino.batch import Batch
from rixin.engines.openvino.prepare import Prepared, prepare
from rixin.engines.openvino.runner import Runner, context_length
from rixin.engines.openvino.vocabulary import Vocabulary
from rixin.engines.protocol import Capabilities
from rixin.engines.toolcalls import detect_format
from rixin.engines.wire import (
    Cancel,
    Command,
    Failed,
    Generate,
    Load,
    Loaded,
    Outbox,
    ScoreAll,
    Tokenize,
    Tokens,
    failed,
)
from rixin.errors import ContextLengthExceeded, InvalidRequest, RixinError

log = logging.getLogger(__name__)

Work = Prepared | ScoreAll | Cancel | None


def serve(load: Load, commands: Iterator[Command], outbox: Outbox) -> None:
    """Load the folder and answer until `commands` end. Raises MalformedModel, UnsupportedModel."""
    folder = Path(load.folder)
    context = context_length(folder)
    runner = Runner(
        folder,
        threads=load.threads,
        kv_cache_bytes=load.kv_cache_bytes,
        most_tokens=context * load.max_parallel,
    )
    vocabulary = Vocabulary(folder, runner.vocabulary)
    batch = Batch(runner, vocabulary, max_parallel=load.max_parallel)
    work: queue.SimpleQueue[Work] = queue.SimpleQueue()
    reader = _Reader(vocabulary, context, runner.blocks * runner.block_size, work, outbox)
    gc.collect()
    gc.freeze()  # the vocabulary has 150,000 entries that no collection needs to look at again
    outbox.send(
        Loaded(
            Capabilities(
                generate=True,
                score=True,
                tools=vocabulary.template is not None and detect_format(vocabulary.template.source) is not None,
                json_schema=True,
                context_length=context,
                parallel=load.max_parallel,
            )
        )
    )
    threading.Thread(target=reader.run, args=(commands,), name="reader", daemon=True).start()
    _compute(batch, work, outbox)


def _compute(batch: Batch, work: "queue.SimpleQueue[Work]", outbox: Outbox) -> None:
    while True:
        while not (batch.busy and work.empty()):
            item = work.get()
            if item is None:
                return
            if isinstance(item, Cancel):
                batch.cancel(item.id)
                continue
            replies = batch.score(item.id, item.requests) if isinstance(item, ScoreAll) else batch.generate(item)
            for reply in replies:
                outbox.send(reply)
        for reply in batch.step():
            outbox.send(reply)


class _Reader:
    def __init__(
        self,
        vocabulary: Vocabulary,
        context: int,
        cache_tokens: int,
        work: "queue.SimpleQueue[Work]",
        outbox: Outbox,
    ) -> None:
        self._vocabulary = vocabulary
        self._context = context
        self._cache_tokens = cache_tokens
        self._work = work
        self._outbox = outbox

    def run(self, commands: Iterator[Command]) -> None:
        try:
            for command in commands:
                self._take(command)
        finally:
            self._work.put(None)

    def _take(self, command: Command) -> None:
        if isinstance(command, Cancel):
            self._work.put(command)
            return
        id = command.request.id if isinstance(command, Generate) else getattr(command, "id", "")
        try:
            if isinstance(command, Generate):
                self._work.put(prepare(command.request, self._vocabulary, self._context, self._cache_tokens))
            elif isinstance(command, ScoreAll):
                self._work.put(self._checked(command))
            elif isinstance(command, Tokenize):
                tokens = self._vocabulary.encode(command.text, add_bos=False)
                self._outbox.send(Tokens(command.id, tuple(tokens)))
            else:
                raise InvalidRequest("This model does not embed.", param="model")
        except RixinError as error:
            self._outbox.send(failed(id, error))
        except Exception as error:  # one request's fault must not end the others
            log.exception("A request could not be prepared")
            self._outbox.send(Failed(id=id, error="EngineUnavailable", message=f"The request failed: {error}"))

    def _checked(self, command: ScoreAll) -> ScoreAll:
        room = min(self._context, self._cache_tokens)
        for request in command.requests:
            length = len(request.context) + len(request.continuation)
            if not request.context or not request.continuation:
                raise InvalidRequest(
                    "Scoring needs a context and a continuation, each of a token or more.",
                    fix="Where there is no context, the token that begins every text (BOS, else EOS) can stand for it.",
                    param="continuation" if request.context else "context",
                )
            if length > room:
                raise ContextLengthExceeded(f"{length} tokens are more than the {room} that can be scored at once.")
            if any(not 0 <= one < self._vocabulary.size for one in (*request.context, *request.continuation)):
                raise InvalidRequest(f"A token id is not within 0…{self._vocabulary.size - 1}.", param="context")
        return command
