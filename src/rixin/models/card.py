"""A model's card: what it was made of and how far it can be trusted, as JSON and as a page for a person."""

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rixin.models.facts import Facts

# The order in which a person wants to read it; what else a card says comes after.
_FIRST = (
    "intended_use",
    "base",
    "parents",
    "data",
    "recipe",
    "metrics",
    "seed",
    "commit",
    "run",
    "created",
)
_IN_HEAD = ("title", "licence")


def write_card(folder: Path, name: str, licence: str, card: Mapping[str, object], facts: Facts) -> None:
    """Write `card.json` and `README.md` into the folder."""
    checks = {form: msgspec.to_builtins(found) for form, found in facts.checks.items()}
    whole = {"name": name, "licence": licence, **card, "checks": checks, "notes": facts.notes}
    text = json.dumps(whole, ensure_ascii=False, indent=2, default=str)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_page(name, licence, card, facts), encoding="utf-8")


def _page(name: str, licence: str, card: Mapping[str, object], facts: Facts) -> str:
    head = {"license": licence.lower(), "library_name": "transformers", "tags": ["rixin"]}
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---", "", f"# {name}", ""]
    size = f"{facts.parameters:,} parameters" if facts.parameters else "a size that nobody states"
    lines += [f"A {facts.architecture} of {size}, trained with Rixin. Licence: {licence}.", ""]
    for key in (*(key for key in _FIRST if key in card), *(key for key in card if key not in _FIRST)):
        if key not in _IN_HEAD and card[key] not in (None, "", [], {}, ()):
            lines += [f"## {key.replace('_', ' ').capitalize()}", *_shown(card[key]), ""]
    if facts.checks:
        lines += [
            "## Checked",
            "How far each form's log-probabilities are from the trained model's, on a held set.",
            "",
        ]
        lines += ["| form | mean | most | tokens |", "|---|---|---|---|"]
        lines += [f"| {form} | {d.mean:.3f} | {d.most:.2f} | {d.tokens} |" for form, d in facts.checks.items()]
        lines.append("")
    lines += [f"- {note}" for note in facts.notes]
    return "\n".join(lines) + "\n"


def _shown(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [f"- {key}: {_inline(one)}" for key, one in value.items()]
    if isinstance(value, list | tuple):
        return [f"- {_inline(one)}" for one in value]
    return [str(value)]


def _inline(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
