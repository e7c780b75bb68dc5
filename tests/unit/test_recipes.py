"""A recipe is one thing, whether typed, written down or shown in the docs."""

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.errors import InvalidRequest
from rixin.training import CHAINS, KINDS, read_recipe, recipe_of
from rixin.training.recipe_file import recipe_toml

ROOT = Path(__file__).parents[2]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None)
@given(name=TEXT, data=TEXT, sample=st.lists(TEXT, max_size=3), rate=st.floats(1e-8, 1), steps=st.integers(1, 10**6))
def test_what_is_written_down_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: str, sample: list[str], rate: float, steps: int
) -> None:
    values = {"model": name, "data": data, "sample": sample, "learning_rate": rate, "steps": steps}
    recipe = recipe_of("sft", values)
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(recipe_toml(recipe), "utf-8")
    assert read_recipe(path) == recipe


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'kind = "sft"\nmodel = "m"\ndata = "d"\nlearningrate = 1',
            r"recipe\.toml:4: A recipe of kind sft has no `learningr",
        ),
        ('kind = "sft"\nmodel = "m"\ndata = "d"\nsteps = "many"', r"recipe\.toml:4: `steps`: Expected `int \| null`"),
        ('kind = "sft"\nmodel = "m"\ndata = "d"\ntokens = 5\nminutes = 1', r"`minutes` and `tokens` both say how long"),
        ('kind = "sft"\nmodel = "m"', r"`data` is missing"),
        ('kind = "magic"', r"recipe\.toml:1: `kind` is 'magic'"),
        (
            'kind = "sft"\nmodel = "m"\ndata = "d"\nlora_rank = 0',
            r"recipe\.toml:4: `lora_rank` is 0; it has to be from 1",
        ),
        ("kind = ", r"recipe\.toml: The recipe is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InvalidRequest) as refused:
        read_recipe(path)
    assert re.search(said, str(refused.value)), refused.value


@pytest.mark.parametrize("kind", [*KINDS, *CHAINS])
def test_the_docs_have_every_field(kind: str) -> None:
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    for field in dataclasses.fields({**KINDS, **CHAINS}[kind]):
        name, said = field.name, field.metadata["help"]
        flag = "DATA" if name == "data" else f"--{name.replace('_', '-')}"
        row = f"| `{flag}` | {said}"
        assert row in page, f"{kind}: {row}"
