"""What all trainers of a comparison are given: the same weights as a Hugging Face folder, and the same rows."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import rixin
from rixin.data.catalogue import archive_of, dataset_catalogue
from rixin.models import Version, install, open_weights
from rixin.models.archives import read_members
from rixin.models.blobs import BlobStore
from rixin.models.pull import pull_archive
from rixin.models.safetensors_reader import NewTensor, write_safetensors

TRAINING_ROWS = 96
HELD_OUT_ROWS = 32


ROWS_IN_ARCHIVE = "alpaca_en_demo.json"


@dataclass(frozen=True)
class Material:
    """A model and rows. `folder` holds bfloat16 weights, tokenizer and template as transformers reads them.

    `training` and `held_out` are JSON files: a list of {"question", "answer"}.
    """

    version: Version
    folder: Path
    training: Path
    held_out: Path


def material(home: Path, name: str, to: Path) -> Material:
    """Everything, made once and kept in `to`."""
    to.mkdir(parents=True, exist_ok=True)
    version, folder = hugging_face_folder(home, name, to)
    training, held_out = to / "training.json", to / "held_out.json"
    if not (training.is_file() and held_out.is_file()):
        _write_rows(home, training, held_out)
    return Material(version, folder, training, held_out)


def hugging_face_folder(home: Path, name: str, to: Path) -> tuple[Version, Path]:
    """The catalogue's GGUF, dequantised to bfloat16, with its tokenizer and template. Made once."""
    with rixin.open(home) as workspace:
        version: Version = install(workspace.models, name)
    folder = to / version.id
    if folder.is_dir():
        return version, folder
    assert version.folder is not None
    weights = open_weights(version)
    temporary = folder.with_suffix(".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    (temporary / "config.json").write_text(json.dumps({**weights.config, "dtype": "bfloat16"}))
    for file in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(version.folder / file, temporary)
    tensors = (NewTensor(each, weights.tensors[each].shape, weights.tensors[each].bits) for each in weights.names())
    write_safetensors(temporary / "model.safetensors", tensors)
    temporary.rename(folder)
    return version, folder


def _write_rows(home: Path, training: Path, held_out: Path) -> None:
    """The first 96 rows of LLaMA-Factory's `alpaca_en_demo.json` (20,000 tokens) to learn, its last 32 to judge by."""
    with rixin.open(home) as workspace:
        endpoint = workspace.settings.npm_endpoint
    archive = archive_of(dataset_catalogue()["alpaca-zh-demo"])  # the same archive
    pulled = pull_archive(archive, BlobStore(home), endpoint)
    [(_, _, file)] = [
        (name, size, file.read())
        for name, size, file in read_members(pulled.path, lambda name: name.endswith(ROWS_IN_ARCHIVE))
    ]
    rows = [
        {"question": "\n".join(filter(None, (row["instruction"], row.get("input")))), "answer": row["output"]}
        for row in json.loads(file)
    ]
    for path, part in ((training, rows[:TRAINING_ROWS]), (held_out, rows[-HELD_OUT_ROWS:])):
        path.write_text(json.dumps(part, ensure_ascii=False), encoding="utf-8")
