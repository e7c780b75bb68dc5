"""A hub's repository of safetensors, in one file or in several, becomes a model; what is wrong with one is said."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from file_server import FileServer, serve_files
from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models import Registry, install, open_weights, remove, verify
from rixin.settings import Settings
from rixin.store import Database
from tiny_trained import CHATML, write_trained

HELD_BACK = ("held.json",)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = write_trained(tmp_path / "repository", tied=False)
    (folder / "README.md").write_text("---\nlanguage: zh\nlicense: apache-2.0\n---\n# Tiny\n")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["chat_template"]  # as newer writers keep it
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(CHATML)
    return folder


@pytest.fixture
def server(repository: Path) -> Iterator[FileServer]:
    with serve_files() as started:
        yield started


@pytest.fixture
def registry(tmp_path: Path, server: FileServer) -> Iterator[Registry]:
    home = tmp_path / "home"
    home.mkdir()
    with Database.open(home / "rixin.db") as database:
        yield Registry(database, Settings.model_validate({"home": home, "hf_endpoint": server.url}))


def publish(folder: Path, server: FileServer) -> None:
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in HELD_BACK}
    siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
    server.files["/api/models/o/tiny/revision/main"] = json.dumps({"siblings": siblings}).encode()
    for name, content in files.items():
        server.files[f"/o/tiny/resolve/main/{name}"] = content


def cut_in_two(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    halves = {}
    for number, names in enumerate((list(tensors)[::2], list(tensors)[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in names}, folder / file)
        halves |= dict.fromkeys(names, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": halves}))


@pytest.mark.parametrize("cut", [False, True], ids=["one file", "two files"])
def test_a_repository_of_safetensors_becomes_a_model(
    cut: bool, repository: Path, server: FileServer, registry: Registry
) -> None:
    values = open_weights(repository).tensor("model.layers.1.mlp.up_proj.weight")
    if cut:
        cut_in_two(repository)
    publish(repository, server)
    version = install(registry, "hf:o/tiny")
    assert (version.model_name, version.format, version.licence) == ("tiny", "safetensors", "apache-2.0")
    assert version.template_hash is not None
    weights = open_weights(version)
    assert len(weights.names()) == len(set(weights.names())) == 21
    np.testing.assert_array_equal(weights.tensor("model.layers.1.mlp.up_proj.weight"), values)
    assert not any(path.is_file() for path in (registry.home / "blobs" / "sha256").rglob("*")), "kept twice"
    assert verify(registry, "tiny") == version
    assert install(registry, "hf:o/tiny") == version
    remove(registry, "tiny")
    assert list((registry.home / "models").iterdir()) == []


def without(name: str) -> object:
    return lambda folder: (folder / name).unlink()


def configured(**changes: object) -> object:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


def indexed(value: object) -> object:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps(value))

    return change


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without("config.json"), "no config.json"),
        (without("tokenizer.json"), "no tokenizer.json"),
        (configured(model_type="mamba"), "'mamba' can't be run"),
        (configured(hidden_act="gelu"), "'gelu' can't be run"),
        (configured(num_hidden_layers=3), "is missing"),
        (configured(num_hidden_layers=1), "no use for"),
        (configured(hidden_size="64"), "hidden_size is '64'"),
        (configured(num_key_value_heads=3), "can't be of a decoder"),
        (configured(rope_parameters={"rope_type": "yarn"}), "'yarn' can't be run"),
        (configured(vocab_size=100), "more tokens than"),
        (indexed({"weight_map": {"x": "../../etc/passwd"}}), "no safetensors file of this folder"),
        (indexed([1]), "Not a JSON object"),
        (indexed({}), "weight_map is missing"),
    ],
)
def test_a_folder_that_can_not_be_one_is_refused(spoil: object, said: str, repository: Path, tmp_path: Path) -> None:
    from rixin.models.hugging_face import build_served, take_files

    assert callable(spoil)
    spoil(repository)
    (tmp_path / "folder").mkdir()
    with pytest.raises((MalformedModel, UnsupportedModel), match=said):
        build_served(take_files(repository, tmp_path / "folder"), tmp_path / "folder")
