"""A hub's repository that has safetensors and no GGUF file: which of its files make a model."""

import re

from rixin.models.hubs import Hubs, list_files
from rixin.models.progress import Progress, Reporter, silent
from rixin.models.pull import REACH_SECONDS
from rixin.models.references import HubReference
from rixin.models.web import open_client, shown, within

_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_FOLDER_FILES = (
    "model.safetensors.index.json",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
    "README.md",
)


def safetensors_files(reference: HubReference, hubs: Hubs, report: Reporter = silent) -> list[str]:
    """The files that make a model of a repository without GGUF files; none if it has some, or a file was named.

    Raises SourceUnreachable.
    """
    if reference.file:
        return []
    where = shown(hubs.address(reference.hub))
    report(Progress("locating", note=f"Asking {where}."))
    with open_client() as client:
        listed = within(REACH_SECONDS, lambda: list_files(client, hubs, reference), where)
    names = [file.name for file in listed if "/" not in file.name]
    if any(name.lower().endswith(".gguf") for name in names):
        return []
    shards = [name for name in names if _SHARD.fullmatch(name)]
    weights = ["model.safetensors"] if "model.safetensors" in names else shards
    return [*weights, *(name for name in _FOLDER_FILES if name in names)] if weights else []
