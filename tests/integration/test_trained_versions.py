"""What a training leaves becomes a Version in every form, if each says what the trained model says; else nothing."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from engine_talk import Talk
from rixin.engines.openvino import OpenVinoEngine
from rixin.engines.protocol import TextPrompt
from rixin.errors import Conflict, ExportMismatch, HashMismatch, MalformedModel, ModelNotFound
from rixin.models import NewModel, NewVersion, Registry, Version, install, register_trained, remove, restore, verify
from rixin.models.facts import FACTS_FILE, read_facts
from rixin.models.trained_forms import TrainedRequest, prepare_trained
from rixin.settings import Settings
from rixin.store import Database
from tiny_trained import write_trained

CARD = {"run": "r_1", "recipe": {"kind": "sft", "seed": 7}, "licence": "MIT", "metrics": {"loss": 1.5}}
ASK = TrainedRequest(name="x", licence="MIT", card={})


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    (tmp_path / "home").mkdir()
    with Database.open(tmp_path / "rixin.db") as database:
        yield Registry(database, Settings.model_validate({"home": tmp_path / "home"}))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training's folder with an adapter; copy it before changing it."""
    folder = write_trained(tmp_path_factory.mktemp("left") / "out")
    (folder / "adapter").mkdir()
    save_file(
        {"base_model.model.x.lora_A.weight": np.ones((2, 2), np.float32)}, folder / "adapter/adapter_model.safetensors"
    )
    (folder / "adapter/adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2}))
    return folder


@pytest.fixture
def out(left: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left, tmp_path / "out"))


def base_of(registry: Registry) -> Version:
    version = NewVersion(
        id="v_000000000001", source="x", engine="none", format="none", licence="Apache-2.0", context_length=8
    )
    return registry.register(NewModel("base", "Base", languages=("zh",)), version)


def folders(registry: Registry) -> list[str]:
    return sorted(path.name for path in (registry.home / "models").glob("*"))


def test_a_finished_training_is_registered_checked_served_and_removed(registry: Registry, out: Path) -> None:
    base = base_of(registry)
    version = register_trained(registry, out, name="mine", base=base, card=CARD)
    assert (version.model_name, version.format, version.engine, version.licence) == (
        "mine",
        "safetensors",
        "openvino",
        "MIT",
    )
    assert (version.parents, version.source, version.languages) == ((base.id,), "run:r_1", ("zh",))
    checks = version.card["checks"]
    assert isinstance(checks, dict)
    assert set(checks) == {"OpenVINO int8", "GGUF Q8_0"}
    assert all(0 < one["mean"] < 0.4 for one in checks.values())
    assert version.folder is not None
    assert {path.name for path in version.folder.iterdir()} >= {
        "model.safetensors",
        "model-Q8_0.gguf",
        "adapter",
        "card.json",
    }
    page = (version.folder / "README.md").read_text("utf-8")
    assert all(text in page for text in ("# mine", "seed", "OpenVINO int8", "v_000000000001", "MIT"))
    assert register_trained(registry, out, name="mine", base=base, card=CARD) == version
    with pytest.raises(Conflict, match="are mine"):
        register_trained(registry, out, name="other", base=base, card=CARD)
    serves_what_was_trained(version.folder, out)
    assert verify(registry, "mine") == version
    (version.folder / "adapter/adapter_config.json").write_text("{}")
    with pytest.raises(HashMismatch):
        verify(registry, "mine")
    remove(registry, "mine")
    assert folders(registry) == []
    assert (out / "model.safetensors").is_file()


def serves_what_was_trained(folder: Path, out: Path) -> None:
    """Its engine gives training's tokens for training's texts, and nearly training's log-probabilities."""
    held = json.loads((out / "held.json").read_text())
    with asyncio.Runner() as runner:
        talk = Talk(OpenVinoEngine(folder, name="mine"), runner)
        talk.run(talk.engine.start())
        for one in held:
            heard = talk.ask(TextPrompt(one["text"]), logprobs=1, max_tokens=0, echo=True)
            assert heard.started.prompt_tokens == len(one["tokens"])
            assert heard.started.prompt_logprobs is not None
            served = [each.logprob for each in heard.started.prompt_logprobs][1:]
            assert np.abs(np.subtract(served, one["logprobs"])).mean() < 0.4
        talk.run(talk.engine.close())


@pytest.mark.parametrize(
    "made",
    [
        {"architecture": "qwen2", "tied": False},
        {"architecture": "qwen3", "rule": "llama-bpe"},
        {"template": None, "rule": "gpt-2", "padding": 0},
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
    ],
    ids=["qwen2", "qwen3", "base", "llama3-rope"],
)
def test_every_architecture_is_the_same_in_openvino_and_llama_cpp(made: dict[str, object], tmp_path: Path) -> None:
    out = write_trained(tmp_path / "out", **made)  # type: ignore[arg-type]
    (tmp_path / "folder").mkdir()
    facts = prepare_trained(out, tmp_path / "folder", ASK)
    assert set(facts.checks) == {"OpenVINO int8", "GGUF Q8_0"}
    assert facts.checks["OpenVINO int8"].tokens > 30
    assert all(one.mean < 0.3 for one in facts.checks.values())


def shift_logprobs(out: Path) -> None:
    held = json.loads((out / "held.json").read_text())
    for one in held:
        one["logprobs"] = [each - 1.0 for each in one["logprobs"]]
    (out / "held.json").write_text(json.dumps(held))


def swap_a_token(out: Path) -> None:
    held = json.loads((out / "held.json").read_text())
    held[0]["tokens"][2] += 1
    (out / "held.json").write_text(json.dumps(held))


def other_weights(out: Path) -> None:
    """As if adapters were merged wrongly: the held set is that of other weights."""
    held = (out / "held.json").read_bytes()
    write_trained(out, seed=1)
    (out / "held.json").write_bytes(held)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(shift_logprobs, "log-probabilities"), (swap_a_token, "other tokens for training"), (other_weights, "log-prob")],
)
def test_an_export_that_says_something_else_is_not_registered(
    spoil: object, said: str, registry: Registry, out: Path
) -> None:
    assert callable(spoil)
    spoil(out)
    with pytest.raises(ExportMismatch, match=said):
        register_trained(registry, out, name="mine", base=None, card=CARD)
    assert registry.versions() == []
    assert folders(registry) == []


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("held.json", None),
        ("held.json", "[]"),
        ("held.json", '[{"tokens": [1, 2], "logprobs": []}]'),
        ("held.json", '[{"tokens": [1, 99999], "logprobs": [-1]}]'),
        ("held.json", '[{"tokens": [1, 2], "logprobs": [1]}]'),
        ("tokenizer.json", "{}"),
        ("config.json", "{"),
        ("model.safetensors", "too short"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(file: str, content: str | None, out: Path, tmp_path: Path) -> None:
    (out / file).unlink()
    if content is not None:
        (out / file).write_text(content)
    (tmp_path / "folder").mkdir()
    with pytest.raises(MalformedModel):
        prepare_trained(out, tmp_path / "folder", ASK)


def test_a_tokenizer_that_llama_cpp_has_no_name_for_costs_only_the_gguf_file(out: Path, tmp_path: Path) -> None:
    path = out / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    path.write_text(json.dumps(tokenizer))
    held = [{key: one[key] for key in ("tokens", "logprobs")} for one in json.loads((out / "held.json").read_text())]
    (out / "held.json").write_text(json.dumps(held))
    (tmp_path / "folder").mkdir()
    facts = prepare_trained(out, tmp_path / "folder", ASK)
    assert set(facts.checks) == {"OpenVINO int8"}
    assert facts.notes == ["There is no GGUF file: It cuts texts in a way that llama.cpp has no name for."]


def test_a_reward_model_is_kept_and_never_served(registry: Registry, out: Path) -> None:
    save_file({"weight": np.ones((1, 64), np.float32)}, out / "reward_head.safetensors")
    (out / "held.json").unlink()
    version = register_trained(registry, out, name="judge", base=None, card=CARD)
    assert (version.engine, version.format) == ("reward", "safetensors")
    assert version.folder is not None
    assert (version.folder / "reward_head.safetensors").is_file()
    assert not (version.folder / "openvino_model.xml").exists()


def test_a_process_killed_while_it_registers_leaves_nothing_and_the_next_one_finishes(
    registry: Registry, out: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from rixin.models import Registry, register_trained;"
        "from rixin.settings import Settings; from rixin.store import Database;"
        "home, out = map(Path, sys.argv[1:]);"
        "registry = Registry(Database.open(home.parent / 'rixin.db'), Settings.model_validate({'home': home}));"
        "register_trained(registry, out, name='mine', base=None, card={}, report=lambda p: print(p.note, flush=True))"
    )
    command = [sys.executable, "-c", program, str(registry.home), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "GGUF" in line:
                os.killpg(process.pid, signal.SIGKILL)
                break
    time.sleep(0.1)
    assert registry.versions() == []
    assert all(name.startswith(".") for name in folders(registry))
    version = register_trained(registry, out, name="mine", base=None, card=CARD)
    assert folders(registry) == [version.id]


def test_a_folder_of_an_older_recipe_is_made_again_from_its_weights(registry: Registry, out: Path) -> None:
    version = install(registry, f"file:{out}", name="taken")
    assert (version.format, version.licence, version.engine) == ("safetensors", "unknown", "openvino")
    assert version.folder is not None
    (version.folder / FACTS_FILE).unlink()
    (version.folder / "openvino_model.bin").unlink()
    restore(registry, version)
    assert read_facts(version.folder) is not None
    verify(registry, "taken")
    shutil.rmtree(version.folder)
    with pytest.raises(ModelNotFound, match="came from"):
        restore(registry, version)
