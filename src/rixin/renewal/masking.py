"""An item of feedback without personal data: its prompt, answers, correction and comment masked together."""

from collections.abc import Iterator, Sequence

import msgspec

from rixin.engines import Message
from rixin.renewal.opinions import FeedbackItem
from rixin.safety import mask_all


def masked(item: FeedbackItem) -> FeedbackItem:
    """The item with stand-ins; the same value has the same one in all its texts."""
    said = [item.answer, item.other_answer or "", item.correction or "", item.comment or ""]
    clean = iter([one.text for one in mask_all([*_texts(item.messages), *said])])
    return msgspec.structs.replace(
        item,
        messages=tuple(_with(message, clean) for message in item.messages),
        answer=next(clean),
        other_answer=next(clean) or item.other_answer,
        correction=next(clean) or item.correction,
        comment=next(clean) or item.comment,
    )


def _texts(messages: Sequence[Message]) -> Iterator[str]:
    for message in messages:
        yield message.content
        for call in message.tool_calls:
            yield call.arguments


def _with(message: Message, clean: Iterator[str]) -> Message:
    content = next(clean)
    calls = tuple(msgspec.structs.replace(call, arguments=next(clean)) for call in message.tool_calls)
    return msgspec.structs.replace(message, content=content, tool_calls=calls)
