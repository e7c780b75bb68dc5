"""A model is taken out in every form, whole and checked, and other programs read it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import rixin.models.exports as exports
from rixin.errors import Conflict, NotEnoughDisk, UnsupportedModel
from rixin.models import (
    NewModel,
    NewVersion,
    Registry,
    Target,
    Version,
    export,
    install,
    open_weights,
    register_trained,
)
from rixin.models.gguf_reader import read_gguf
from rixin.models.held import distance
from rixin.models.llamacpp import ask_llamacpp
from rixin.settings import Settings
from rixin.store import Database
from tiny_gguf import write_tiny_gguf
from tiny_trained import write_trained

PROMPTS = ("The capital of France is Paris.", "def add(a, b):\n    return a + b", "<|im_start|>user\nWhy?<|im_end|>\n")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    home = tmp_path_factory.mktemp("home")
    with Database.open(home / "rixin.db") as database:
        yield Registry(database, Settings.model_validate({"home": home}))


@pytest.fixture(scope="module")
def trained(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Version:
    out = write_trained(tmp_path_factory.mktemp("out"), architecture="qwen2", tied=False)
    (out / "adapter").mkdir()
    (out / "adapter/adapter_model.safetensors").write_bytes((out / "model.safetensors").read_bytes())
    (out / "adapter/adapter_config.json").write_text('{"peft_type": "LORA"}')
    return register_trained(registry, out, name="mine", base=None, card={"licence": "MIT", "recipe": {"kind": "sft"}})


@pytest.fixture(scope="module")
def pulled(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Version:
    return install(registry, f"file:{write_tiny_gguf(tmp_path_factory.mktemp('gguf') / 'tiny.gguf')}")


@pytest.mark.parametrize(
    ("to", "files"),
    [
        ("gguf", {"mine-Q8_0.gguf"}),
        ("ollama", {"mine-Q8_0.gguf", "Modelfile"}),
        ("openvino", {"openvino_model.xml", "openvino_model.bin", "tokenizer.json", "config.json"}),
        ("openvino-int4", {"openvino_model.xml", "openvino_model.bin", "tokenizer.json", "config.json"}),
        ("safetensors", {"model.safetensors", "tokenizer.json", "config.json", "generation_config.json"}),
        ("adapter", {"adapter_model.safetensors", "adapter_config.json"}),
        ("phone", {"mine-Q4_0.gguf"}),
    ],
)
def test_a_trained_model_is_taken_out_in_every_form(
    to: Target, files: set[str], trained: Version, tmp_path: Path
) -> None:
    done = export(trained, to, tmp_path / "deep" / "out")
    assert files | {"README.md"} <= set(done.files)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["out"]
    page = (done.folder / "README.md").read_text("utf-8")
    assert all(text in page for text in (f"{to}: ", trained.id, "Licence: MIT", "sft"))
    if to in ("phone", "openvino-int4"):
        assert any("log-probabilities are" in note for note in done.notes)


def test_a_pulled_model_is_taken_out_as_it_came_and_in_other_forms(pulled: Version, tmp_path: Path) -> None:
    done = export(pulled, "gguf", tmp_path / "gguf")
    assert (done.folder / "tiny.gguf").read_bytes() == Path(pulled.source.removeprefix("file:")).read_bytes()
    done = export(pulled, "phone", tmp_path / "phone")
    types = {tensor.type.name for tensor in read_gguf(done.folder / "tiny-Q4_0.gguf").tensors.values()}
    assert types == {"Q4_0", "Q8_0", "F32"}
    with pytest.raises(UnsupportedModel, match="no adapter"):
        export(pulled, "adapter", tmp_path / "adapter")


def test_what_is_there_is_replaced_only_by_force(pulled: Version, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    export(pulled, "gguf", folder)  # an empty folder is no loss
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(Conflict, match="already"):
        export(pulled, "gguf", folder)
    assert (folder / "mine.txt").is_file()
    done = export(pulled, "gguf", folder, force=True)
    assert done.files == ("README.md", "tiny.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_export_that_fails_leaves_nothing(trained: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise NotEnoughDisk("9 MB are needed and 1 MB are free.")

    monkeypatch.setattr(exports, "require_disk", full)
    with pytest.raises(NotEnoughDisk):
        export(trained, "phone", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_weights_here_is_refused(registry: Registry, tmp_path: Path) -> None:
    fields = {"source": "x", "licence": "MIT", "context_length": 8}
    remote = registry.register(
        NewModel("far", "Far"),
        NewVersion(id="v_far", engine="remote", format="remote", **fields),  # type: ignore[arg-type]
    )
    with pytest.raises(UnsupportedModel, match="not a model of this machine"):
        export(remote, "gguf", tmp_path / "out")
    reward = NewVersion(id="v_rm", engine="reward", format="safetensors", folder="models/v_rm", **fields)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedModel, match="reward model"):
        export(registry.register(NewModel("judge", "Judge"), reward), "ollama", tmp_path / "out")


def test_the_command_says_where_the_files_are(trained: Version, registry: Registry, tmp_path: Path) -> None:
    environment = {"RIXIN_HOME": str(registry.home), "PATH": "", "HOME": str(tmp_path)}

    def rixin(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rixin", "models", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)

    done = rixin("export", "mine", "out", "--to", "ollama")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "out" / one) for one in ("Modelfile", "README.md", "mine-Q8_0.gguf")]
    assert "ChatML" in done.stderr
    again = rixin("export", "mine", "out")
    assert again.returncode != 0
    assert "--force" in again.stderr
    child = NewVersion(
        id="v_child",
        source="x",
        engine="x",
        format="x",
        licence="MIT",
        context_length=8,
        parents=(trained.id, "v_gone"),
    )
    registry.register(NewModel("child", "Child"), child)
    shown = json.loads(rixin("show", "child", "--json").stdout)
    assert shown["lineage"] == [f"mine ({trained.id})", "v_gone (removed)"]


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_weights_of_a_float_gguf_give_llama_cpps_own_log_probabilities(architecture: str, tmp_path: Path) -> None:
    """No rounding on either side, so a wrong order of rows or a wrong size can't hide."""
    path = write_tiny_gguf(tmp_path / "tiny.gguf", architecture=architecture)
    sequence = [1, 40, 41, 259, 70, 3, 99, 200, 2]
    model = transformers_model(path)
    with torch.no_grad():
        rows = model(torch.tensor([sequence])).logits[0].log_softmax(-1)
    ours = rows[np.arange(len(sequence) - 1), sequence[1:]].tolist()
    theirs = ask_llamacpp(path, [], [sequence]).logprobs
    assert distance([ours], theirs).tokens > 3
    assert distance([ours], theirs).most < 2e-3


def transformers_model(path: Path) -> torch.nn.Module:
    from transformers import AutoConfig

    weights = open_weights(path)
    config = {key: value for key, value in weights.config.items() if key != "model_type"}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(str(weights.config["model_type"]), **config))
    state = {name: torch.from_numpy(np.array(weights.tensor(name))) for name in weights.names()}
    missing = model.load_state_dict(state, strict=False)
    # transformers begins with biases of 0, and the tiny file has none
    assert all(name == "lm_head.weight" or name.endswith("bias") for name in missing.missing_keys)
    assert not missing.unexpected_keys
    model.tie_weights()
    return model.eval()


def test_smollm2_goes_out_as_safetensors_and_comes_back_the_same(smollm2_home: Path, tmp_path: Path) -> None:
    """Q4_1 → bfloat16 folder → transformers, our graph of it, and llama.cpp on the file say nearly the same."""
    with Database.open(smollm2_home / "rixin.db") as database:
        version = Registry(database, Settings.model_validate({"home": smollm2_home})).resolve("chat")
    done = export(version, "safetensors", tmp_path / "out")
    assert any("ChatML" in note for note in export(version, "ollama", tmp_path / "ollama").notes)
    tokenizer = AutoTokenizer.from_pretrained(done.folder)
    model = AutoModelForCausalLM.from_pretrained(done.folder, dtype=torch.float32).eval()
    sequences = [tokenizer.encode(text) for text in PROMPTS]
    ours = []
    with torch.no_grad():
        for tokens in sequences:
            rows = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
            ours.append(rows[np.arange(len(tokens) - 1), tokens[1:]].tolist())
    blob = smollm2_home / "blobs" / "sha256" / str(version.sha256)[:2] / str(version.sha256)
    answer = ask_llamacpp(blob, PROMPTS, sequences)
    assert answer.tokens == sequences
    assert distance(ours, answer.logprobs).mean < 0.15  # llama.cpp rounds activations to int8
    home = tmp_path / "home"
    home.mkdir()
    with Database.open(home / "rixin.db") as database:
        back = install(Registry(database, Settings.model_validate({"home": home})), f"file:{done.folder}", name="back")
    assert back.template_hash == version.template_hash
    assert back.folder is not None
    assert version.folder is not None
    first, second = (constants(folder) for folder in (version.folder, back.folder))
    assert first.keys() == second.keys()
    # int8 of float32 and of its bfloat16: a number may fall to the other side of a rounding.
    assert max(np.abs(first[name] - second[name]).max() for name in first) <= 2


def constants(folder: Path) -> dict[int, np.ndarray]:
    model = openvino.Core().read_model(folder / "openvino_model.xml")
    found = [node for node in model.get_ordered_ops() if node.get_type_name() == "Constant"]
    return {
        at: node.data.astype(np.int16) for at, node in enumerate(found) if node.get_element_type() == openvino.Type.i8
    }
