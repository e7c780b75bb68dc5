"""Rerankers: a folder of Hugging Face becomes a graph that computes what transformers does, or is refused with why."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import torch
from tokenizers import Tokenizer

from cross_encoders import POSITIONS, cross_encoder
from rixin.engines.openvino_reranker import OpenVinoReranker, Pair
from rixin.errors import MalformedModel, RixinError, UnsupportedModel
from rixin.models.cross_encoder import is_cross_encoder
from rixin.models.prepare import prepare_reranker

QUESTION = "a b c 法 律"
PASSAGES = ["法 律", "d e f g", "a", "a b c " * 20, "猫 h i j k l m n o p", "q unknown"]


def expected(model: Any, folder: Path, passages: Sequence[str], *, types: bool) -> list[float]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(POSITIONS)
    scores = []
    for passage in passages:  # one at a time: nothing is padded
        one = tokenizer.encode(QUESTION, passage)
        inputs = {"input_ids": torch.tensor([one.ids])} | (
            {"token_type_ids": torch.tensor([one.type_ids])} if types else {}
        )
        with torch.no_grad():
            scores.append(float(model(**inputs).logits[0, 0]))
    return scores


def in_float32(folder: Path, pairs: Sequence[Pair]) -> list[float]:
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(folder / "openvino_model.xml", "CPU", options)
    names = {name for node in compiled.inputs for name in node.get_names()}
    scores = []
    for pair in pairs:
        inputs = {"input_ids": pair.ids, "attention_mask": [1] * len(pair), "token_type_ids": pair.types}
        made = compiled({name: np.array([value], np.int64) for name, value in inputs.items() if name in names})
        scores.append(float(made[0][0, 0]))
    return scores


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
def test_the_graph_gives_the_scores_of_transformers(tmp_path: Path, kind: str) -> None:
    model = cross_encoder(tmp_path / "source", kind)
    (tmp_path / "model").mkdir()
    facts = prepare_reranker(tmp_path / "source", tmp_path / "model")
    assert (facts.reranks, facts.architecture, facts.context_length) == (True, kind, POSITIONS)
    assert facts.parameters == sum(one.numel() for one in model.state_dict().values() if one.is_floating_point())
    reranker = OpenVinoReranker(tmp_path / "model", 1)
    pairs = reranker.pairs(QUESTION, PASSAGES)
    assert max(map(len, pairs)) == POSITIONS
    right = expected(model, tmp_path / "source", PASSAGES, types=kind == "bert")
    spread = max(right) - min(right)
    found = np.frombuffer(reranker.scores(pairs), "<f4")
    assert np.abs(found - right).max() < 0.08 * spread  # the processor may compute in bfloat16
    exact = in_float32(tmp_path / "model", pairs)
    assert np.abs(np.subtract(exact, right)).max() < 0.01 * spread


def test_what_is_no_reranker_is_told_apart(tmp_path: Path) -> None:
    cross_encoder(tmp_path / "bert", "bert")
    assert is_cross_encoder(tmp_path / "bert")
    (tmp_path / "config.json").write_text('{"architectures": ["Qwen2ForCausalLM"]}')
    assert not is_cross_encoder(tmp_path)


def of_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return change


def without_processor(folder: Path) -> None:
    tokens = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**tokens, "post_processor": None}))


def cut(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (of_config(model_type="deberta-v2"), UnsupportedModel, "'deberta-v2' can't be run"),
        (of_config(hidden_act="gelu_new"), UnsupportedModel, "hidden_act"),
        (of_config(num_attention_heads=7), MalformedModel, "don't fit"),
        (of_config(num_hidden_layers=1), UnsupportedModel, "has no place"),
        (of_config(num_hidden_layers=3), MalformedModel, "is missing"),
        (of_config(hidden_size="64"), MalformedModel, "hidden_size"),
        (of_config(intermediate_size=64), MalformedModel, "should be"),
        (of_config(vocab_size=3), MalformedModel, "more tokens"),
        (without_processor, UnsupportedModel, "put together"),
        (lambda folder: (folder / "tokenizer.json").unlink(), MalformedModel, "no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), MalformedModel, "tokenizer can't be read"),
        (cut, MalformedModel, "model.safetensors"),
    ],
)
def test_a_folder_that_can_not_be_run_is_refused(
    tmp_path: Path, change: Callable[[Path], None], error: type[RixinError], told: str
) -> None:
    cross_encoder(tmp_path / "source", "bert")
    change(tmp_path / "source")
    (tmp_path / "model").mkdir()
    with pytest.raises(error, match=told):
        prepare_reranker(tmp_path / "source", tmp_path / "model")


def test_a_classifier_of_three_kinds_is_no_reranker(tmp_path: Path) -> None:
    cross_encoder(tmp_path / "source", "xlm-roberta", num_labels=3)
    (tmp_path / "model").mkdir()
    with pytest.raises(UnsupportedModel, match="sorts into 3 kinds"):
        prepare_reranker(tmp_path / "source", tmp_path / "model")
