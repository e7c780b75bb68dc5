"""A follow-up question made whole, so that it can be searched for without the conversation around it."""

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import msgspec
from msgspec import Struct

from rixin.assistants.evidence import han_share, terms
from rixin.engines.protocol import ChatPrompt, Delta, GenerateEvent, GenerateRequest, Message, Sampling
from rixin.errors import RixinError

Generate = Callable[[GenerateRequest], AsyncGenerator[GenerateEvent]]

MAX_TOKENS = 80
_LEANS = re.compile(
    r"^(那|那么|这|这样|它|他|她|还|如果|要是|假如|为什么|具体|继续|然后|而|但)|(呢|吗呢)[？?]?$|这(个|种|样|条|项)|那(个|种|样|条)|上述|前面|刚才|"
    r"^\W*(and|but|so|what about|how about|why|then|also|if so)\b|"
    r"\b(it|its|that|this|those|these|they|them|he|she|there)\b",
    re.I,
)
_SHORT_TERMS = 6
_SCHEMA = '{"type":"object","properties":{"question":{"type":"string","maxLength":200}},"required":["question"]}'
_TASK = {
    "zh": "把最后一个问题改写成一个不看对话也能看懂的完整问题，只补上对话里说过的内容。",
    "en": "Rewrite the last question as one that is understood without the conversation. Add only what was said in it.",
}


class _Rewritten(Struct, frozen=True):
    question: str


def language_of(text: str) -> str:
    """`zh` or `en`: in which language a text is answered."""
    return "zh" if han_share(text) >= 0.2 else "en"


def leans(question: str) -> bool:
    """Whether a question seems to need what was said before it."""
    return bool(_LEANS.search(question.strip())) or len(terms(question)) < _SHORT_TERMS


async def standalone(question: str, earlier: Sequence[Message], generate: Generate, request_id: str) -> str:
    """The question to search for. The model is asked only where there is something before it that it leans on.

    What the model writes must share words with the conversation; else the question before is put in front of it.
    """
    asked = [turn.content for turn in earlier if turn.role == "user" and turn.content.strip()]
    if not asked or not leans(question):
        return question
    fallback = f"{asked[-1].strip()[:300]} {question.strip()}"
    language = language_of(question)
    said = "\n".join(f"{turn.role}: {turn.content.strip()[:300]}" for turn in earlier[-4:])
    request = GenerateRequest(
        id=f"{request_id}-search",
        prompt=ChatPrompt(
            messages=(
                Message(role="system", content=_TASK[language]),
                Message(role="user", content=f"{said}\nuser: {question.strip()[:600]}"),
            )
        ),
        sampling=Sampling(max_tokens=MAX_TOKENS, temperature=0.0, json_schema=_SCHEMA),
    )
    try:
        made = (
            msgspec.json.decode(await whole_text(generate, request), type=_Rewritten)
            .question.replace("\0", " ")
            .strip()
        )
    except (msgspec.DecodeError, RixinError):
        return fallback  # an answer without the rewriting is better than none; a real fault shows when it answers
    made = made.replace("\0", " ").strip()
    known = terms(f"{asked[-1]} {question}")
    wanted = terms(made)
    if not wanted or len(wanted & known) < 0.6 * len(wanted) or not wanted & terms(asked[-1]):
        return fallback
    return made


async def whole_text(generate: Generate, request: GenerateRequest) -> str:
    """The text of a short answer, at its end."""
    async with aclosing(generate(request)) as events:
        return "".join([event.text async for event in events if isinstance(event, Delta)])
