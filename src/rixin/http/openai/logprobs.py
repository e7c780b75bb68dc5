"""Token log-probabilities in the two forms of the API: chat's objects, and the parallel lists of completions."""

import codecs
from collections.abc import Iterable

from rixin.engines import TokenLogprob
from rixin.http.openai.wire import ChatLogprobs, ContentLogprob, TextLogprobs, TopLogprob

# JSON has no −∞; OpenAI writes an impossible token this way.
FLOOR = -9999.0


def chat_logprobs(tokens: Iterable[TokenLogprob]) -> ChatLogprobs:
    return ChatLogprobs(
        content=[
            ContentLogprob(
                token=token.token.decode(errors="replace"),
                logprob=_finite(token.logprob),
                bytes=list(token.token),
                top_logprobs=[
                    TopLogprob(
                        token=other.token.decode(errors="replace"),
                        logprob=_finite(other.logprob),
                        bytes=list(other.token),
                    )
                    for other in token.top
                ],
            )
            for token in tokens
        ]
    )


class TextLogprobsWriter:
    """Parallel lists of one answer; `text_offset` counts characters of its whole text, over all its chunks."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def write(self, tokens: Iterable[TokenLogprob]) -> TextLogprobs:
        written = TextLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
        for token in tokens:
            written.tokens.append(name := _name(token.token))
            written.text_offset.append(self._offset)
            self._offset += len(self._decoder.decode(token.token))
            if token.logprob is None:
                written.token_logprobs.append(None)
                written.top_logprobs.append(None)
                continue
            logprob = _finite(token.logprob)
            top = {_name(other.token): _finite(other.logprob) for other in token.top}
            # The chosen token is always among them: lm-eval reads from it whether it was the likeliest.
            written.token_logprobs.append(logprob)
            written.top_logprobs.append({**top, name: logprob})
        return written


def _name(token: bytes) -> str:
    try:
        return token.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)


def _finite(logprob: float | None) -> float:
    return FLOOR if logprob is None else max(logprob, FLOOR)
