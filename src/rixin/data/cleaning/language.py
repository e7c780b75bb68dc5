"""What language a text is in: by its script, and where many share one, by the letters."""

from functools import cache
from typing import TYPE_CHECKING

from rixin.data.checking import language_of

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_BY_SCRIPT = {"zh", "ja", "ko"}
SURE = 0.9
_SAMPLE = 2_000


def language(text: str) -> str | None:
    """A BCP 47 tag, or None where nothing is sure: a short text, a number, code, an unknown script.

    Chinese, Japanese and Korean are told by their script, so that a poem in classical Chinese is `zh`.
    """
    script = language_of(text)
    if script in _BY_SCRIPT:
        return script
    name, sure = _identifier().classify(text[:_SAMPLE])
    return str(name) if sure >= SURE else None


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
