"""What the `metadata` of a stored completion says: feedback, under four keys; the rest is the program's own."""

from collections.abc import Mapping

import msgspec

from rixin.errors import InvalidRequest
from rixin.renewal import Rating, Reason, Said

MOST_PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
LONG = {"correction": 100_000, "comment": 8192}  # characters; the rest is as short as OpenAI's
RATINGS: dict[str, Rating] = {"up": 1, "down": -1}


def check(metadata: Mapping[str, str]) -> None:
    """Raises InvalidRequest for more, or longer, than can be kept, and for feedback that can't be understood."""
    if len(metadata) > MOST_PAIRS:
        raise InvalidRequest(f"There are {len(metadata)} pairs; {MOST_PAIRS} can be kept.", param="metadata")
    for key, value in metadata.items():
        if len(key) > LONGEST_KEY:
            raise InvalidRequest(f"A key has at most {LONGEST_KEY} characters.", param="metadata")
        longest = LONG.get(key, LONGEST_VALUE)
        if len(value) > longest:
            raise InvalidRequest(f"The value has at most {longest} characters.", param=f"metadata.{key}")
        if "\0" in key + value:
            raise InvalidRequest("Text must not contain the character U+0000.", param="metadata")
    said_of(metadata, {})


def said_of(metadata: Mapping[str, str], before: Mapping[str, str]) -> Said | None:
    """What the keys say of the answer; what `before` said and `metadata` does not is cleared. None: nothing."""
    keys = {"rating", "reason", "correction", "comment"}
    if not keys & (metadata.keys() | before.keys()):
        return None

    def said(key: str) -> str | None:
        return metadata.get(key, "" if key in before else None)

    rating, reason = said("rating"), said("reason")
    if rating not in (None, "", *RATINGS):
        raise InvalidRequest("The rating is `up` or `down`.", param="metadata.rating")
    return Said(
        rating=None if rating is None else RATINGS.get(rating, 0),
        reasons=None if reason is None else _reasons(reason),
        correction=said("correction"),
        comment=said("comment"),
    )


def _reasons(text: str) -> tuple[Reason, ...]:
    try:
        return msgspec.convert([part.strip() for part in text.split(",") if part.strip()], tuple[Reason, ...])
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"{str(error).partition(' - at')[0]}.", fix="docs/feedback.md lists the reasons.", param="metadata.reason"
        ) from None
