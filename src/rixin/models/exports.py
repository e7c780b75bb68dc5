"""A Version taken out of Rixin, in the form that another program wants: whole, checked, or not at all."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rixin.errors import Conflict, ModelNotFound, UnsupportedModel
from rixin.models.blobs import full_disk_named, hash_file, megabytes, mismatch, require_disk, sync
from rixin.models.compressed import Precision
from rixin.models.export_checks import Reference, reference_of, require_same_bits
from rixin.models.facts import read_facts
from rixin.models.gguf_tokenizer import gguf_tokenizer
from rixin.models.gguf_writer import GgufType, gguf_bytes, write_gguf
from rixin.models.graph import build
from rixin.models.hugging_face import copy, write_json
from rixin.models.modelfile import write_modelfile
from rixin.models.progress import Progress, Reporter, silent
from rixin.models.safetensors_reader import NewTensor, write_safetensors
from rixin.models.trained_forms import ADAPTER, GGUF_FILE, REWARD_FILE
from rixin.models.version import Version
from rixin.models.weights import Weights, open_weights, read_json, weights_path

Target = Literal["gguf", "ollama", "openvino", "openvino-int4", "safetensors", "adapter", "phone"]

TARGETS: Mapping[Target, str] = {
    "gguf": "one GGUF file for llama.cpp, LM Studio and what else is built on it (Q8_0, or as it was pulled)",
    "ollama": "the same with a Modelfile: `ollama create NAME -f Modelfile`",
    "openvino": "the OpenVINO folder that Rixin itself serves from (int8), for OpenVINO GenAI",
    "openvino-int4": "the same in int4: half the size, for laptops; less true",
    "safetensors": "a Hugging Face folder in bfloat16, for transformers and vLLM",
    "adapter": "the LoRA adapter alone, in PEFT's format",
    "phone": "one small GGUF file (Q4_0, which llama.cpp runs fastest on ARM) for phones' apps",
}
TOKEN_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
WORTH_SAYING = 50 << 20
SMALL_BITS = 6.5  # a GGUF file of so few bits a number is not rounded a second time for a phone


@dataclass(frozen=True)
class Exported:
    """What was written: files below `folder`, and what a person should know of them."""

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    version: Version
    folder: Path
    report: Reporter

    @property
    def prepared(self) -> Path:
        assert self.version.folder is not None
        return self.version.folder


def export(version: Version, to: Target, folder: Path, *, force: bool = False, report: Reporter = silent) -> Exported:
    """Write `version` into `folder`, which appears when everything is in it and was checked.

    A folder that is there, and not empty, is replaced with `force` only. Raises Conflict, UnsupportedModel for a form
    that the Version does not have, ModelNotFound if its files are gone, ExportMismatch, NotEnoughDisk.
    """
    _require_form(version, to)
    folder = folder.absolute()
    if folder.exists() and not force and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict("There is something already.", where=str(folder), fix="Choose another folder, or use --force.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with full_disk_named(folder.parent):
            notes = _WRITERS[to](_Job(version, temporary, report))
            _explain(version, to, temporary, notes)
            for path in temporary.rglob("*"):
                sync(path)
        temporary.chmod(0o755)
        _swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return Exported(folder, tuple(files), tuple(notes))


def _require_form(version: Version, to: Target) -> None:
    reward = version.engine == "reward"
    if version.folder is None or (reward and to not in ("safetensors", "adapter")):
        raise UnsupportedModel(
            f"{version.model_name} is {'a reward model' if reward else 'not a model of this machine'}.",
            fix="A reward model can be exported as safetensors." if reward else None,
        )
    if version.format == "openvino" and to != "openvino":
        raise UnsupportedModel(
            f"{version.model_name} came as an OpenVINO folder, without the weights that {to} is made from.",
            fix="Pull its GGUF file or its safetensors, or export it with --to openvino.",
        )
    if to == "adapter" and not (version.folder / ADAPTER).is_dir():
        raise UnsupportedModel(f"{version.model_name} has no adapter; only trainings with LoRA leave one.")


def _gguf(job: _Job) -> list[str]:
    return _gguf_file(job)[1]


def _gguf_file(job: _Job) -> tuple[str, list[str]]:
    """The Version's GGUF file: the one it came from, the one that was made and checked when it was trained, or new."""
    version = job.version
    if version.format == "gguf":
        name = f"{version.model_name}.gguf"
        path = weights_path(version)
        _copy_checked(job, path, name, version.sha256)
        return name, [f"The file that was pulled, byte for byte ({version.card.get('weights', 'GGUF')})."]
    name = f"{version.model_name}-Q8_0.gguf"
    if (job.prepared / GGUF_FILE).is_file():
        _copy_checked(job, job.prepared / GGUF_FILE, name, _recorded(version, GGUF_FILE))
        return name, []
    return name, _new_gguf(job, name, "Q8_0")


def _ollama(job: _Job) -> list[str]:
    name, notes = _gguf_file(job)
    context, licence = job.version.context_length, job.version.licence
    said = write_modelfile(job.folder / "Modelfile", name, job.prepared, context=context, licence=licence)
    return [*notes, *said]


def _phone(job: _Job) -> list[str]:
    version = job.version
    if version.format == "gguf" and version.parameters and version.bytes * 8 / version.parameters <= SMALL_BITS:
        name, _ = _gguf_file(job)
        return [f"{name} is small as it was pulled, so it was not rounded a second time."]
    return _new_gguf(job, f"{version.model_name}-Q4_0.gguf", "Q4_0")


def _new_gguf(job: _Job, name: str, type: GgufType) -> list[str]:
    weights = open_weights(job.version)
    _require_disk(job, gguf_bytes(weights, type))
    tokenizer = gguf_tokenizer(job.prepared, weights.shape.vocabulary)
    path, licence = job.folder / name, job.version.licence
    write_gguf(path, weights, tokenizer, type, name=job.version.model_name, licence=licence, report=job.report)
    return _reference(job, weights).check_gguf(path, weights, type)


def _openvino(job: _Job) -> list[str]:
    names = ("openvino_model.xml", "openvino_model.bin", "config.json", *TOKEN_FILES)
    for name in names:
        if (job.prepared / name).is_file():
            _copy_checked(job, job.prepared / name, name, _recorded(job.version, name))
    return []


def _openvino_int4(job: _Job) -> list[str]:
    precision: Precision = "int4"
    weights = open_weights(job.version)
    _require_disk(job, gguf_bytes(weights, "Q4_0"))
    job.report(Progress("exporting", note="Building the graph in int4."))
    build(weights, job.folder, precision)
    _copy_tokens(job)
    copy(job.prepared / "config.json", job.folder / "config.json")
    return _reference(job, weights).check_openvino(job.folder, precision)


def _safetensors(job: _Job) -> list[str]:
    if job.version.format == "safetensors":
        for path in [*sorted(job.prepared.glob("*.safetensors")), *job.prepared.glob("*.safetensors.index.json")]:
            _copy_checked(job, path, path.name, _recorded(job.version, path.name))
        copy(job.prepared / "config.json", job.folder / "config.json")
        _copy_tokens(job)
        return ["It has a reward head beside the model."] if (job.prepared / REWARD_FILE).is_file() else []
    weights = open_weights(job.version)
    _require_disk(job, 2 * (job.version.parameters or 0))
    job.report(Progress("exporting", note="Writing the weights in bfloat16."))
    tensors = [NewTensor(name, weights.checked(name).shape, weights.checked(name).bits) for name in weights.names()]
    write_safetensors(job.folder / "model.safetensors", tensors)
    # The prepared folder's config has every token that ends an answer.
    write_json(job.folder / "config.json", {**weights.config, **read_json(job.prepared / "config.json")})
    _copy_tokens(job)
    return [require_same_bits(job.folder / "model.safetensors", weights)]


def _adapter(job: _Job) -> list[str]:
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        _copy_checked(job, job.prepared / ADAPTER / name, name, _recorded(job.version, f"{ADAPTER}/{name}"))
    base = job.version.card.get("base")
    return [f"It belongs on {base['name']} ({base['version']})."] if isinstance(base, dict) else []


_WRITERS: Mapping[Target, Callable[[_Job], list[str]]] = {
    "gguf": _gguf,
    "ollama": _ollama,
    "openvino": _openvino,
    "openvino-int4": _openvino_int4,
    "safetensors": _safetensors,
    "adapter": _adapter,
    "phone": _phone,
}


def _reference(job: _Job, weights: Weights) -> Reference:
    job.report(Progress("exporting", note="Comparing it with the model."))
    return reference_of(job.prepared, weights)


def _copy_tokens(job: _Job) -> None:
    for name in TOKEN_FILES:
        if (job.prepared / name).is_file():
            copy(job.prepared / name, job.folder / name)


def _copy_checked(job: _Job, source: Path, name: str, sha256: str | None) -> None:
    """Copy a file whose hash is known, and see that the copy has it."""
    if not source.is_file():
        raise ModelNotFound(f"The file {source.name} of {job.version.model_name} is gone.", where=str(source))
    _require_disk(job, source.stat().st_size)
    if source.stat().st_size > WORTH_SAYING:
        job.report(Progress("exporting", note=f"Copying {name} ({megabytes(source.stat().st_size)})."))
    copy(source, job.folder / name)
    found = hash_file(job.folder / name, job.report)
    if sha256 and found != sha256:
        raise mismatch(sha256, found, str(source))


def _recorded(version: Version, file: str) -> str | None:
    facts = read_facts(version.folder) if version.folder else None
    return facts.files.get(file) if facts else None


def _require_disk(job: _Job, needed: int) -> None:
    require_disk(
        job.folder, needed + (needed >> 4) + (8 << 20), fix="Free some disk, or choose a folder on another one."
    )


def _explain(version: Version, to: Target, folder: Path, notes: Sequence[str]) -> None:
    """README.md: the model's card, if it has one, and what this export is."""
    card = version.folder / "README.md" if version.folder else None
    head = card.read_text(encoding="utf-8") if card and card.is_file() else f"# {version.title}\n"
    lines = [head.rstrip(), "", "## This export", f"{to}: {TARGETS[to]}.", ""]
    lines += [f"- {version.model_name} ({version.id}), from {version.source}", f"- Licence: {version.licence}"]
    lines += [f"- {note}" for note in notes]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _swap(temporary: Path, folder: Path) -> None:
    """Put the new folder where the old one was, which goes."""
    if folder.is_dir() and any(folder.iterdir()):
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
        folder.replace(old)
        temporary.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        if folder.exists() and not folder.is_dir():
            folder.unlink()
        temporary.replace(folder)
    sync(folder.parent)
