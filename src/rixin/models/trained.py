"""From the folder that a training left to a Version: every form of it, checked, or nothing at all."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from rixin.errors import Conflict, MalformedModel, ModelNotFound
from rixin.models.blobs import hash_file
from rixin.models.facts import Facts, read_facts
from rixin.models.importer import prepare
from rixin.models.progress import Reporter, silent
from rixin.models.registry import Registry, check_name
from rixin.models.version import NewModel, NewVersion, Version

# What a trained model is known by; the other files follow from these.
CONTENT = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "reward_head.safetensors",
    "adapter/adapter_model.safetensors",
)
SERVED = "openvino"
REWARD = "reward"


def register_trained(
    registry: Registry,
    out: Path,
    *,
    name: str,
    base: Version | None,
    card: Mapping[str, object],
    parents: Sequence[str] = (),
    precision: Literal["int8", "int4"] = "int8",
    report: Reporter = silent,
) -> Version:
    """Make, check and register the Version of a finished training. Doing it again gives the same Version.

    `out` has model.safetensors (merged, bfloat16), config.json, tokenizer.json, tokenizer_config.json with the chat
    template, generation_config.json, held.json (see held.py), and maybe adapter/ (PEFT) or reward_head.safetensors.
    `card` is kept and shown as it is, with `base`, the licence and the checks added; `card["run"]` names the run.
    The weights' files are shared with `out` where the disk can, so nobody may write into them later.

    Raises ExportMismatch if a form does not say what the trained model says, MalformedModel, UnsupportedModel,
    TemplateError, NotEnoughDisk, InvalidRequest, Conflict; then nothing is registered and no file is left.
    """
    check_name(name)
    if registry.alias(name):
        raise Conflict(f"{name!r} is an alias.", fix="Choose another name for the model.")
    digest = _digest(out, precision, report)
    version_id = f"v_{digest[:12]}"
    folder = registry.home / "models" / version_id
    with registry.blobs.lock(version_id, report):
        if found := _registered(registry, version_id):
            if found.model_name != name:
                raise Conflict(
                    f"These weights are {found.model_name} ({version_id}) already.",
                    fix=f"Use that name, or remove it first: `rixin models remove {found.model_name}`.",
                )
            if read_facts(folder):
                return found
        # A folder without a registration is what a killed process left; its card may be another.
        shutil.rmtree(folder, ignore_errors=True)
        licence = str(card.get("licence") or (base.licence if base else "unknown"))
        whole = _card(base, card, parents)
        request = {"name": name, "licence": licence, "card": whole, "precision": precision}
        facts = prepare(out, folder, report, request=msgspec.json.encode(request, enc_hook=str))
        try:
            return registry.register(
                NewModel(name, str(card.get("title") or name), languages=base.languages if base else ()),
                _version(version_id, digest, out, licence, whole, facts, parents or ([base.id] if base else [])),
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _registered(registry: Registry, version_id: str) -> Version | None:
    try:
        return registry.get(version_id)
    except ModelNotFound:
        return None


def _digest(out: Path, precision: str, report: Reporter) -> str:
    digest = hashlib.sha256(f"{precision}\n".encode())
    if not (out / CONTENT[0]).is_file():
        raise MalformedModel(f"The folder has no {CONTENT[0]}.", where=str(out))
    for file in CONTENT:
        if (out / file).is_file():
            digest.update(f"{hash_file(out / file, report)}  {file}\n".encode())
    return digest.hexdigest()


def _card(base: Version | None, card: Mapping[str, object], parents: Sequence[str]) -> dict[str, object]:
    whole: dict[str, object] = dict(card)
    if base is not None:
        whole["base"] = {"name": base.model_name, "version": base.id, "sha256": base.sha256, "licence": base.licence}
    if parents:
        whole["parents"] = list(parents)
    whole.setdefault("created", datetime.now(UTC).isoformat(timespec="seconds"))
    return whole


def _version(
    version_id: str,
    digest: str,
    out: Path,
    licence: str,
    card: Mapping[str, object],
    facts: Facts,
    parents: Sequence[str],
) -> NewVersion:
    is_reward = (out / "reward_head.safetensors").is_file()
    shown = {**card, "architecture": facts.architecture, "checks": facts.checks, "notes": facts.notes}
    return NewVersion(
        id=version_id,
        source=f"run:{card['run']}" if "run" in card else f"file:{out}",
        engine=REWARD if is_reward else SERVED,
        format="safetensors",
        licence=licence,
        context_length=facts.context_length,
        sha256=digest,
        bytes=(out / CONTENT[0]).stat().st_size,
        parameters=facts.parameters,
        template_hash=facts.template_hash,
        parents=tuple(parents),
        card=msgspec.to_builtins(shown, enc_hook=str),
        folder=f"models/{version_id}",
    )
