"""A follow-up question made whole, so that it can be searched for without the conversation around it.

By rule and not by a model: asked to rewrite, one of 1.5B repeated the question before or wrote what shared too little
with the conversation to be used, and took seconds for it.
"""

import re
from collections.abc import Sequence

from rixin.assistants.evidence import han_share, terms
from rixin.engines.protocol import Message

MOST_QUESTIONS = 4
MOST_CHARACTERS = 300
_LEANS = re.compile(
    r"^(那|那么|这|这样|它|他|她|还|如果|要是|假如|为什么|具体|继续|然后|而|但)|(呢|吗呢)[？?]?$|这(个|种|样|条|项)|那(个|种|样|条)|上述|前面|刚才|"
    r"^\W*(and|but|so|what about|how about|why|then|also|if so)\b|"
    r"\b(it|its|that|this|those|these|they|them|he|she|there)\b",
    re.I,
)
_SHORT_TERMS = 6


def language_of(text: str) -> str:
    """`zh` or `en`: in which language a text is answered."""
    return "zh" if han_share(text) >= 0.2 else "en"


def leans(question: str) -> bool:
    """Whether a question seems to need what was said before it."""
    return bool(_LEANS.search(question.strip())) or len(terms(question)) < _SHORT_TERMS


def standalone(question: str, earlier: Sequence[Message]) -> str:
    """The question to search for: behind those before it that it leans on, back to one that stands alone."""
    whole = [question.strip()]
    asked = [turn.content.strip() for turn in earlier if turn.role == "user" and turn.content.strip()]
    while asked and leans(whole[0]) and len(whole) < MOST_QUESTIONS:
        whole.insert(0, asked.pop()[:MOST_CHARACTERS])
    return " ".join(whole)
