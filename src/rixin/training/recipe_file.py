"""A recipe as TOML: read strictly, written whole."""

import dataclasses
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rixin.errors import InvalidRequest
from rixin.training.recipes import CHAINS, KINDS, Recipe, kind_of

RECIPE_FILE = "recipe.toml"
ALL_KINDS = {**KINDS, **CHAINS}


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file: `kind` and the recipe's fields.

    Raises InvalidRequest naming file and line for a key that the recipe lacks or a value that can't be.
    """
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise InvalidRequest(f"The recipe can't be read: {error.strerror}.", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The recipe is not TOML: {error}.", where=str(path)) from None
    kind = values.pop("kind", None)
    if kind not in ALL_KINDS:
        raise InvalidRequest(
            f"`kind` is {kind!r}.", where=_place(path, text, "kind"), fix=f"It is one of {', '.join(ALL_KINDS)}."
        )
    try:
        return recipe_of(kind, values)
    except InvalidRequest as error:
        where = _place(path, text, error.param or "")
        raise InvalidRequest(error.message, where=where, fix=error.fix, param=error.param) from None


def recipe_of(kind: str, values: Mapping[str, object]) -> Recipe:
    """The recipe of these fields. Raises InvalidRequest whose `param` is the field at fault."""
    recipe = ALL_KINDS[kind]
    fields = {field.name: field for field in dataclasses.fields(recipe)}
    for name in values:
        if name not in fields:
            raise InvalidRequest(
                f"A recipe of kind {kind} has no `{name}`.", fix=f"It has {', '.join(fields)}.", param=name
            )
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in values:
            raise InvalidRequest(f"`{name}` is missing.", fix=str(field.metadata["help"]), param=name)
    try:
        made = msgspec.convert(values, recipe)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise InvalidRequest(f"`{place.rstrip('`')}`: {reason}.", param=re.split(r"\W", place)[0]) from None
    check(made)
    return made


def check(recipe: Recipe) -> None:
    """Raises InvalidRequest whose `param` is a field with a value that can't be."""
    given = [name for name in ("minutes", "tokens", "epochs", "steps") if getattr(recipe, name) is not None]
    if len(given) > 1:
        raise InvalidRequest(
            f"{' and '.join(f'`{name}`' for name in given)} both say how long to train.",
            fix="Give one of them.",
            param=given[1],
        )
    for name, least, most in _LIMITS:
        value = getattr(recipe, name, None)
        if value is not None and not least <= value <= most:
            raise InvalidRequest(f"`{name}` is {value}; it has to be from {least:g} to {most:g}.", param=name)


_LIMITS = (
    ("minutes", 0.1, 60 * 24 * 365),
    ("tokens", 1, 1e13),
    ("epochs", 0.001, 10_000),
    ("steps", 1, 1e9),
    ("seed", 0, 2**31 - 1),
    ("context", 8, 1 << 20),
    ("batch_tokens", 1, 1 << 24),
    ("batch_rows", 1, 1 << 20),
    ("learning_rate", 1e-8, 1),
    ("learning_rate_factor", 1e-3, 1000),
    ("warmup_share", 0, 1),
    ("weight_decay", 0, 10),
    ("validation_share", 0, 0.5),
    ("validate_every", 1, 1e9),
    ("checkpoint_every_s", 1, 86400),
    ("lora_rank", 1, 1024),
    ("beta", 0, 10),
    ("sft_weight", 0, 10),
    ("replay_share", 0, 0.9),
    ("group", 2, 256),
    ("max_answer_tokens", 1, 1 << 16),
    ("temperature", 0.01, 10),
    ("vocabulary", 257, 1 << 18),
    ("layers", 1, 256),
    ("hidden", 16, 16384),
)


def recipe_values(recipe: Recipe) -> dict[str, object]:
    """Its fields, those left open too."""
    values: dict[str, object] = msgspec.to_builtins(recipe)
    return values


def recipe_toml(recipe: Recipe) -> str:
    """The recipe as TOML, which `read_recipe` reads back; what is left open is a comment."""
    lines = [f'kind = "{kind_of(recipe)}"']
    for name, value in recipe_values(recipe).items():
        lines.append(f"# {name} is derived" if value is None else f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    # JSON's text, numbers and lists are TOML's too, as long as nothing beyond the BMP is escaped by halves.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _place(path: Path, text: str, key: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
            return f"{path}:{number}"
    return str(path)
