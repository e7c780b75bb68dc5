"""Asks llama.cpp itself about a GGUF file: `python -m rixin.models.llamacpp`, a process that may die for itself.

Standard input is a Question, standard output the Answer, both JSON. llama.cpp comes with the package xllamacpp, which
the extra `train` brings; its wheels need AVX2 on x86, so a machine without it gets no answer.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx2
import msgspec
from msgspec import Struct

from rixin.errors import ExportMismatch

FORCED = 1e5  # a bias that makes llama.cpp take the token that is asked about; its log-probability is without the bias
WALL_SECONDS = 1800.0
SMALLEST_CONTEXT = 256
NOT_INSTALLED = 3
PARENT = os.getppid()


class LlamaCppMissing(Exception):
    """llama.cpp can't be asked on this machine; the text says why."""


class Question(Struct, frozen=True):
    """What is asked about the file at `path`: the tokens of `texts`, the log-probabilities of `sequences`."""

    path: str
    texts: list[str]
    sequences: list[list[int]]


class Answer(Struct, frozen=True):
    """`tokens` of each text; `logprobs` of each sequence's tokens but the first.

    A token that is only a part of a character has None: llama.cpp's server says nothing of it.
    """

    tokens: list[list[int]]
    logprobs: list[list[float | None]]


def ask_llamacpp(path: Path, texts: Sequence[str], sequences: Sequence[Sequence[int]]) -> Answer:
    """llama.cpp's view of the file.

    Raises LlamaCppMissing if it is not installed or its build can't run here, ExportMismatch if it refuses the file.
    """
    question = Question(str(path), list(texts), [list(tokens) for tokens in sequences])
    command = [sys.executable, "-m", "rixin.models.llamacpp"]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(question), capture_output=True, timeout=WALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise LlamaCppMissing(f"llama.cpp did not answer within {WALL_SECONDS:g} seconds.") from None
    if done.returncode == NOT_INSTALLED:
        raise LlamaCppMissing("llama.cpp (the package xllamacpp of the extra `train`) is not installed.")
    if done.returncode == -signal.SIGILL:
        raise LlamaCppMissing("xllamacpp's build of llama.cpp needs instructions that this processor lacks.")
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        reason = " ".join(said[-3:]) if said else f"its process ended with {done.returncode}"
        raise ExportMismatch(f"llama.cpp refused the exported file: {reason}", where=str(path))
    return msgspec.json.decode(done.stdout.strip().rpartition(b"\n")[2], type=Answer)


def main() -> None:
    try:
        import xllamacpp
    except ImportError:
        sys.exit(NOT_INSTALLED)
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    longest = max((len(tokens) for tokens in question.sequences), default=0)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = question.path
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = max(longest + 8, SMALLEST_CONTEXT), 1, False
    parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 2) // 2)
    server = xllamacpp.Server(parameters)
    with httpx2.Client(base_url=server.listening_address, timeout=600) as client:
        tokens = [_tokens(client, text) for text in question.texts]
        logprobs = [_logprobs(client, sequence) for sequence in question.sequences]
    sys.stdout.write("\n" + msgspec.json.encode(Answer(tokens, logprobs)).decode() + "\n")
    sys.stdout.flush()
    os._exit(0)  # its server takes a second to say good-bye


class _Tokens(Struct):
    tokens: list[int]


class _Probability(Struct):
    id: int
    logprob: float


class _Completion(Struct):
    completion_probabilities: list[_Probability] = []


def _tokens(client: httpx2.Client, text: str) -> list[int]:
    asked = {"content": text, "add_special": False, "parse_special": True}
    return msgspec.json.decode(_post(client, "/tokenize", asked), type=_Tokens).tokens


def _logprobs(client: httpx2.Client, tokens: Sequence[int]) -> list[float | None]:
    """One request a token; llama.cpp keeps what it has read, so each costs one step."""
    found: list[float | None] = []
    for place in range(1, len(tokens)):
        asked = {
            "prompt": list(tokens[:place]),
            "n_predict": 1,
            "temperature": 0,
            "n_probs": 1,
            "cache_prompt": True,
            "logit_bias": [[tokens[place], FORCED]],
        }
        told = msgspec.json.decode(_post(client, "/completion", asked), type=_Completion).completion_probabilities
        found.append(told[0].logprob if told and told[0].id == tokens[place] else None)
    return found


def _post(client: httpx2.Client, path: str, asked: dict[str, object]) -> bytes:
    if os.getppid() != PARENT:  # whoever asked was killed
        os._exit(1)
    answer = client.post(path, json=asked)
    answer.raise_for_status()
    return answer.content


if __name__ == "__main__":
    main()
