"""The real SmolLM2: rows become lessons with its template, and short runs have the losses that they had."""

import copy
from pathlib import Path

import pytest
import torch

from rixin.data import ChatExample, LabelledExample, PreferenceExample, TaskExample, TextExample, Turn
from rixin.errors import InvalidRequest, TemplateError
from rixin.models import open_weights
from rixin.text import Tokens
from rixin.training.loop import train
from rixin.training.loop_settings import LoopSettings
from rixin.training.lora import add_lora
from rixin.training.objectives import (
    DirectPreference,
    Mixture,
    Pace,
    PairwiseReward,
    Reader,
    SupervisedFineTuning,
    add_reward_head,
)
from rixin.training.objectives.trees import Tree
from rixin.training.recorder import Recorder
from rixin.training.reward_model import RewardModel
from rixin.training.transformer import Transformer, load_transformer

QUESTIONS = ("What does a heron eat?", "Name a prime number above ten.", "Who wrote Faust?", "Where is Lima?")
GOOD = ("Fish, frogs and insects.", "Eleven.", "Goethe.", "In Peru, on the coast of the Pacific.")
BAD = ("Stones.", "Twelve is the best prime number there is.", "Schiller, I think.", "On the Moon.")


def user(text: str) -> tuple[Turn, ...]:
    return (Turn(role="user", content=text),)


def said(text: str) -> tuple[Turn, ...]:
    return (Turn(role="assistant", content=text),)


CHATS = [
    ChatExample(messages=user(q) + said(a), source=f"chats:{at}")
    for at, (q, a) in enumerate(zip(QUESTIONS, GOOD, strict=True))
]
PAIRS = [
    PreferenceExample(prompt=user(q), chosen=said(a), rejected=said(b), source="pairs:1")
    for q, a, b in zip(QUESTIONS, GOOD, BAD, strict=True)
]


@pytest.fixture(scope="module")
def tokens(smollm2_folder: Path) -> Tokens:
    return Tokens(smollm2_folder)


def text(tokens: Tokens, ids: object) -> str:
    return b"".join(tokens.bytes_of(int(one)) for one in ids).decode()  # type: ignore[attr-defined]


def learned(tokens: Tokens, made: Tree, branch: int = 0) -> str:
    one = made.branches[branch]
    return text(tokens, one.tokens[one.predict])


def test_a_conversation_is_learned_where_the_model_speaks_and_ends_there(tokens: Tokens) -> None:
    [made] = Reader(tokens, 128).conversations(CHATS[:1]).trees
    assert learned(tokens, made) == "Fish, frogs and insects.<|im_end|>"
    assert made.branches[0].predict[-1]
    assert not len(made.prefix)


def test_a_pair_shares_its_prompt(tokens: Tokens) -> None:
    made = Reader(tokens, 128).pairs(PAIRS).trees[0]
    assert text(tokens, made.prefix).endswith("<|im_start|>assistant\n")
    assert [learned(tokens, made, at) for at in (0, 1)] == [f"{GOOD[0]}<|im_end|>", f"{BAD[0]}<|im_end|>"]
    assert all(one.predict.all() for one in made.branches)


def test_labelled_answers_keep_their_labels_and_a_pair_is_one_good_and_one_bad(tokens: Tokens) -> None:
    row = LabelledExample(prompt=user("?"), completion=said("No."), label=False, source="x:1")
    made = Reader(tokens, 128).labelled([row, PAIRS[0]])
    assert made.good == [False, True, False]
    assert [learned(tokens, one) for one in made.trees] == [
        "No.<|im_end|>",
        f"{GOOD[0]}<|im_end|>",
        f"{BAD[0]}<|im_end|>",
    ]
    assert str(made.fit) == "3 rows: 3 to learn from"


def test_rows_that_are_too_long_are_left_out_and_counted(tokens: Tokens) -> None:
    long = ChatExample(messages=user("Count.") + said("one two three " * 100), source="long:1")
    made = Reader(tokens, 64).conversations([*CHATS, long])
    assert len(made.trees) == 4
    assert str(made.fit) == "5 rows: 4 to learn from (1 left out, longer than 64 tokens)"
    cut = Reader(tokens, 64, too_long="cut").conversations([*CHATS, long])
    assert cut.trees[-1].length == 64
    assert str(cut.fit) == "5 rows: 5 to learn from (1 cut to 64 tokens)"


def test_when_no_row_is_left_it_is_said_where_they_went(tokens: Tokens) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Reader(tokens, 12).conversations(CHATS)
    assert str(caught.value) == (
        "0 of 4 rows are left: 4 longer than the context of 12 tokens. Raise `--context`, or shorten the rows."
    )
    same = PreferenceExample(prompt=user("?"), chosen=said("a b c d"), rejected=said("a b c e"), source="s:1")
    asked = len(Reader(tokens, 128).pairs([PAIRS[0], same]).trees[1].prefix)
    with pytest.raises(InvalidRequest, match="0 of 1 rows are left: 1 with both sides alike"):
        Reader(tokens, asked + 2, too_long="cut").pairs([same])
    unlearned = ChatExample(messages=(*user("?"), Turn(role="assistant", content="a", learn=False)), source="u:1")
    with pytest.raises(InvalidRequest, match="0 of 1 rows are left: 1 without anything to learn"):
        Reader(tokens, 128).conversations([unlearned])


def test_of_what_is_held_out_all_may_be_left_out(tokens: Tokens) -> None:
    made = Reader(tokens, 12).for_held_out().conversations(CHATS)
    assert made.trees == []
    assert made.fit.too_long == 4
    assert len(Reader(tokens, 12).for_held_out().texts([]).windows) == 0


@pytest.mark.parametrize(
    ("method", "needed"),
    [("conversations", "chat"), ("pairs", "preference"), ("labelled", "labelled"), ("texts", "text")],
)
def test_a_row_of_another_kind_is_refused_with_what_is_needed(tokens: Tokens, method: str, needed: str) -> None:
    row = TaskExample(prompt=user("?"), answer="1", source="tasks.jsonl:3")
    with pytest.raises(
        InvalidRequest, match=rf"tasks\.jsonl:3: .*rows of the kind '{needed}'.*kind 'task'.*--kind {needed}"
    ):
        getattr(Reader(tokens, 128), method)([row])
    with pytest.raises(InvalidRequest, match=r"chats:0: .*rows of the kind 'task'"):
        Reader(tokens, 128).tasks(CHATS, answer_tokens=16)


def test_any_prompt_will_do_for_a_reward_that_needs_no_more(tokens: Tokens) -> None:
    made = Reader(tokens, 128).tasks([*CHATS[:1], *PAIRS[:1]], answer_tokens=16, any_prompt=True).prompts
    assert made[0].tokens == made[1].tokens
    assert text(tokens, made[0].tokens).endswith("What does a heron eat?<|im_end|>\n<|im_start|>assistant\n")
    with pytest.raises(InvalidRequest, match="longer than the context"):
        Reader(tokens, 20).tasks(PAIRS, answer_tokens=16, any_prompt=True)


def test_a_row_that_the_template_refuses_is_named(tokens: Tokens) -> None:
    row = ChatExample(messages=user("Only a question."), source="rows.jsonl:9")
    with pytest.raises(TemplateError, match=r"rows\.jsonl:9"):
        Reader(tokens, 128).conversations([row])


def test_long_texts_are_cut_into_pieces_of_which_none_is_lost(tokens: Tokens) -> None:
    rows = [
        TextExample(text="The river renews itself every day. " * 9, source="t:1"),
        TextExample(text="Yes.", source="t:2"),
    ]
    made = Reader(tokens, 32).texts(rows)
    assert made.characters == sum(len(row.text) for row in rows)
    assert len(made.windows) > 2
    assert max(one.length for one in made.windows) == 32


@pytest.fixture(scope="module")
def base(smollm2_home: Path) -> Transformer:
    [file] = (smollm2_home / "blobs" / "sha256" / "b1").glob("b179c9523d0e*")
    return load_transformer(open_weights(file), dtype=torch.float32)


@pytest.fixture
def model(base: Transformer) -> Transformer:
    """The real model in float32, with an adapter of this test's own."""
    own = copy.deepcopy(base)
    add_lora(own, rank=4, alpha=8, seed=1)
    return own


PACE = Pace(steps=2, parts_per_step=1, part_tokens=256, seed=0)


def losses(model: Transformer, objective: object, folder: Path) -> tuple[float, float]:
    recorder = Recorder(folder)
    outcome = train(model, objective, LoopSettings(learning_rate=1e-3, warmup_share=0.0), folder, recorder)  # type: ignore[arg-type]
    return outcome.metrics["validation_loss"], outcome.metrics.get("validation_margin", 0.0)


def test_two_steps_of_sft_have_the_loss_they_had(model: Transformer, tokens: Tokens, tmp_path: Path) -> None:
    trees = Reader(tokens, 128).conversations(CHATS).trees
    objective = SupervisedFineTuning(Mixture(trees, PACE), trees, PACE)
    with torch.no_grad():
        assert objective.validate(model)["loss"] == pytest.approx(3.3847, rel=1e-3)
    assert losses(model, objective, tmp_path)[0] == pytest.approx(2.4467, rel=1e-2)


def test_two_steps_of_dpo_have_the_loss_they_had(model: Transformer, tokens: Tokens, tmp_path: Path) -> None:
    pairs = Reader(tokens, 128).pairs(PAIRS).trees
    objective = DirectPreference(pairs, pairs, PACE, model=model, folder=tmp_path)
    assert losses(model, objective, tmp_path) == pytest.approx((0.3997, 0.7273), rel=3e-2)


def test_a_reward_model_learns_to_tell_and_then_judges(model: Transformer, tokens: Tokens, tmp_path: Path) -> None:
    add_reward_head(model, seed=1)
    pairs = Reader(tokens, 128).pairs(PAIRS).trees
    pace = Pace(steps=6, parts_per_step=1, part_tokens=256, seed=0)
    losses(model, PairwiseReward(pairs, pairs, pace), tmp_path)
    judge = RewardModel(model, tokens, context=128, part_tokens=256)
    tasks = [TaskExample(prompt=user(question)) for question in QUESTIONS]
    good, bad = judge.score(tasks, GOOD), judge.score(tasks, BAD)
    assert all(one.value > other.value for one, other in zip(good, bad, strict=True))
    assert {score.passed for score in good} == {None}
