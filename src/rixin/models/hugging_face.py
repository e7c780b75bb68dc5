"""A Hugging Face folder (config.json, tokenizer.json, safetensors) made a model folder: its files, and a graph."""

import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.blobs import require_disk
from rixin.models.compressed import Precision
from rixin.models.facts import Facts
from rixin.models.graph import build
from rixin.models.weights import Weights, folder_weights, read_json, weight_files
from rixin.text import ChatTemplate
from rixin.text.probe import Template, probe_template

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
TEMPLATE_FILE = "chat_template.jinja"
README = "README.md"
_LICENCE = re.compile(r"""^license:\s*["']?([\w.+-]{1,100})["']?\s*$""", re.MULTILINE)
BLOCK_BYTES = 1 << 20


def has_safetensors(folder: Path) -> bool:
    """Whether the folder holds safetensors, and is not only a prepared graph."""
    return (folder / "model.safetensors").is_file() or (folder / "model.safetensors.index.json").is_file()


def take_files(source: Path, folder: Path, *, link: bool = False) -> Weights:
    """Bring the files of `source` that make a model into `folder`, and open its weights there.

    `link` shares the weights' bytes instead of copying them, for folders that nobody else writes to. The chat template
    is put into tokenizer_config.json, wherever the source keeps it. Raises MalformedModel, UnsupportedModel.
    """
    weights = folder_weights(source)
    files = weight_files(source)
    require_disk(folder, sum(math.prod(weights.checked(name).shape) * (2 if link else 4) for name in weights.names()))
    for file in files:
        copy(file, folder / file.name, link=link)
    if len(files) > 1:
        copy(source / "model.safetensors.index.json", folder / "model.safetensors.index.json")
    copy(source / "config.json", folder / "config.json")
    copy(_there(source, "tokenizer.json"), folder / "tokenizer.json")
    tokens = dict(read_json(_there(source, "tokenizer_config.json")))
    tokens["chat_template"] = _template_source(source, tokens)
    write_json(folder / "tokenizer_config.json", tokens)
    if (source / README).is_file():
        copy(source / README, folder / README)
    ends = weights.config.get("eos_token_id")
    generation = source / "generation_config.json"
    write_json(
        folder / "generation_config.json", read_json(generation) if generation.is_file() else {"eos_token_id": ends}
    )
    return folder_weights(folder)


def build_served(weights: Weights, folder: Path, precision: Precision = "int8") -> Facts:
    """Try tokenizer and template, and build the graph, in a folder that `take_files` filled.

    Raises MalformedModel, UnsupportedModel, TemplateError.
    """
    _tokenizer(folder / "tokenizer.json", weights.shape.vocabulary)
    template = read_template(folder)
    build(weights, folder, precision)
    return Facts(
        architecture=weights.shape.architecture,
        parameters=sum(math.prod(weights.checked(name).shape) for name in weights.names()),
        context_length=weights.shape.context,
        template_hash=template.hash if template else None,
        licence=licence_of(folder),
        weights="safetensors",
    )


def pair_tokenizer(path: Path, vocabulary: int) -> None:
    """See that a tokenizer has no token beyond the embeddings and knows how two texts are put together.

    Raises MalformedModel, UnsupportedModel.
    """
    if _tokenizer(path, vocabulary).num_special_tokens_to_add(is_pair=True) < 2:
        raise UnsupportedModel(
            "The tokenizer does not say how a question and a passage are put together.",
            where=str(path),
            fix="Save it with its post-processor (transformers' `save_pretrained` of a fast tokenizer).",
        )


def _tokenizer(path: Path, vocabulary: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise MalformedModel(f"The tokenizer can't be read: {error}", where=str(path)) from None
    if max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0) >= vocabulary:
        raise MalformedModel(f"There are more tokens than the {vocabulary} embeddings.", where=str(path))
    return tokenizer


def read_template(folder: Path) -> ChatTemplate | None:
    """The chat template of a model folder, tried; None for a base model. Raises TemplateError, UnsupportedModel."""
    path = folder / "tokenizer_config.json"
    config = read_json(path)
    source = config.get("chat_template")
    if not source:
        return None
    if not isinstance(source, str):
        raise UnsupportedModel("The chat template is not one text.", where=str(path))
    bos, eos = token_text(config, "bos_token"), token_text(config, "eos_token")
    probe_template(Template(source, bos, eos), str(path))
    return ChatTemplate(source, bos_token=bos, eos_token=eos)


def token_text(config: Mapping[str, object], key: str) -> str:
    """A special token, which Hugging Face writes as a text or as an object with `content`; empty if there is none."""
    value = config.get(key)
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def copy(source: Path, target: Path, *, link: bool = False) -> None:
    """Copy a file, or share its bytes where the disk can."""
    if link:
        try:
            os.link(source, target)
        except OSError:  # another disk, or one without links
            pass
        else:
            return
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, BLOCK_BYTES)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write a JSON object for people and programs."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2), encoding="utf-8")


def licence_of(folder: Path) -> str | None:
    """What the head of the folder's README.md says, as the hubs keep it."""
    path = folder / README
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(1 << 16).decode(errors="replace")
    match = _LICENCE.search(head.split("\n---", 1)[0]) if head.startswith("---") else None
    return match[1] if match else None


def _there(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise MalformedModel(
            f"The folder has no {name}.", where=str(folder), fix="Save it with transformers' `save_pretrained`."
        )
    return folder / name


def _template_source(folder: Path, config: Mapping[str, object]) -> object:
    """The one template: of its own file, as newer writers keep it, or in the config, alone or the default of some."""
    path = folder / TEMPLATE_FILE
    if path.is_file():
        return path.read_text(encoding="utf-8")
    value = config.get("chat_template")
    if not isinstance(value, list):
        return value
    named = {one.get("name"): one.get("template") for one in value if isinstance(one, dict)}
    return named.get("default")
