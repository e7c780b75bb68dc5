"""What a training left, made into every form that a Version has, each compared with the trained model.

The comparison is the point: an export that is wrong (another order of rows, another template, a token that is cut
otherwise) still answers, and badly; it must not be registered.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from gguf.constants import TokenType
from msgspec import Struct

from rixin.errors import ExportMismatch, TemplateError, UnsupportedModel
from rixin.models.card import write_card
from rixin.models.compressed import Precision
from rixin.models.facts import HELD_FILE, Distance, Facts
from rixin.models.gguf_reader import read_gguf
from rixin.models.gguf_tokenizer import PROBES, gguf_tokenizer
from rixin.models.gguf_writer import GgufType, write_gguf
from rixin.models.held import Held, distance, openvino_logprobs, read_held, require_near
from rixin.models.hugging_face import build_served, copy, take_files
from rixin.models.lines import Step, write_line
from rixin.models.llamacpp import LlamaCppMissing, ask_llamacpp
from rixin.models.tokenizer import build_tokenizer
from rixin.models.weights import Weights, gguf_weights
from rixin.text import Tokens

GGUF_FILE = "model-Q8_0.gguf"
REWARD_FILE = "reward_head.safetensors"
ADAPTER = "adapter"
CARD_FILE = "card.json"
CARD_PAGE = "README.md"
STEPS = 6

# |Δ log p| that is allowed on average and at most. Measured from float32 (docs/models.md): int8 0.12 and 0.8, Q8_0 0.08
# and 0.8, int4 0.8 and 12.5, on SmolLM2-135M, where it is largest; rows in a wrong order give 3 and more on average.
BOUNDS: Mapping[str, Distance] = {
    "int8": Distance(0.4, 4.0, 0),
    "int4": Distance(1.6, 20.0, 0),
    "Q8_0": Distance(0.4, 4.0, 0),
    "Q4_0": Distance(1.6, 20.0, 0),
}
# From 0 to a block's largest number; a number is never rounded by more than a step.
STEPS_TO_LARGEST: Mapping[GgufType, int] = {"Q8_0": 127, "Q4_0": 8}
HELD_TOKENS = 2048
LLAMACPP_TOKENS = 256  # it is asked token by token

_CONVERSATIONS: Sequence[Sequence[Mapping[str, object]]] = (
    [{"role": "user", "content": "你好，who are you?"}],
    [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "1+1=?\n\n"}],
    [
        {"role": "user", "content": " What is\tRixin? "},
        {"role": "assistant", "content": "日新。A model…"},
        {"role": "user", "content": "<|im_end|> </s> go on"},
    ],
)


class TrainedRequest(Struct, frozen=True):
    """What a training's folder is made into: `card` is shown with it, `precision` is that of the served form."""

    name: str
    licence: str
    card: dict[str, object]
    precision: Precision = "int8"


def prepare_trained(source: Path, folder: Path, request: TrainedRequest) -> Facts:
    """Every form of the model in `source`. Raises ExportMismatch, MalformedModel, UnsupportedModel, TemplateError."""
    write_line(Step(0, STEPS, "Taking over the trained weights."))
    weights = take_files(source, folder, link=True)
    take_exports(source, folder)
    if (source / REWARD_FILE).is_file():
        facts = Facts(
            architecture=weights.shape.architecture,
            parameters=sum(int(np.prod(weights.checked(name).shape)) for name in weights.names()),
            context_length=weights.shape.context,
            template_hash=None,
            weights="safetensors",
            notes=["A reward model: it scores answers in trainings and is served to nobody."],
        )
    else:
        held = within(read_held(source / HELD_FILE, weights.shape.vocabulary), HELD_TOKENS, weights.shape.context)
        facts = _forms(folder, weights, held, request)
    write_card(folder, request.name, request.licence, request.card, facts)
    return facts


def take_exports(source: Path, folder: Path) -> None:
    """Bring what a folder may have besides the model: the adapter, the held set, the GGUF file, the card."""
    for name in (HELD_FILE, GGUF_FILE, REWARD_FILE, CARD_FILE, CARD_PAGE):
        if (source / name).is_file() and not (folder / name).exists():
            copy(source / name, folder / name, link=True)
    if (source / ADAPTER).is_dir():
        (folder / ADAPTER).mkdir(exist_ok=True)
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            copy(source / ADAPTER / name, folder / ADAPTER / name, link=True)


def _forms(folder: Path, weights: Weights, held: Sequence[Held], request: TrainedRequest) -> Facts:
    checks, notes = {}, []
    write_line(Step(1, STEPS, "Building the graph."))
    facts = build_served(weights, folder, request.precision)
    texts = trial_texts(Tokens(folder), held)
    write_line(Step(2, STEPS, "Comparing the graph with the trained model."))
    trained = [one.logprobs for one in held]
    found = distance(trained, openvino_logprobs(folder, [one.tokens for one in held]))
    checks[f"OpenVINO {request.precision}"] = found
    require_near(f"OpenVINO {request.precision}", found, BOUNDS[request.precision], str(folder))
    write_line(Step(3, STEPS, "Writing the GGUF file."))
    try:
        tokenizer = gguf_tokenizer(folder, weights.shape.vocabulary)
    except UnsupportedModel as error:
        notes.append(f"There is no GGUF file: {error.message}")
    else:
        path = folder / GGUF_FILE
        write_gguf(path, weights, tokenizer, "Q8_0", name=request.name, licence=request.licence)
        write_line(Step(4, STEPS, "Comparing the GGUF file with the trained model."))
        notes.append(check_gguf(path, weights, "Q8_0", texts))
        few = within(held, LLAMACPP_TOKENS, weights.shape.context)
        try:
            checks["GGUF Q8_0"] = check_with_llamacpp(path, texts, few, BOUNDS["Q8_0"])
        except LlamaCppMissing as error:
            notes.append(f"llama.cpp was not asked about the GGUF file: {error}")
    return msgspec.structs.replace(facts, checks=checks, notes=notes)


def check_gguf(path: Path, weights: Weights, type: GgufType, texts: Mapping[str, Sequence[int]]) -> str:
    """Read a GGUF file back and compare its weights, its tokens and its template with the model's.

    Returns one sentence about it. Raises ExportMismatch.
    """
    gguf = read_gguf(path)
    read = gguf_weights(gguf)
    if set(read.names()) != set(weights.names()):
        raise ExportMismatch("The GGUF file has other tensors than the model.", where=str(path))
    for name in weights.names():
        ours = weights.tensor(name)
        step = float(np.abs(ours).max()) / STEPS_TO_LARGEST[type]
        if float(np.abs(read.tensor(name, ours.shape) - ours).max()) > step:
            raise ExportMismatch(f"The tensor {name!r} of the GGUF file is not the model's.", where=str(path))
    tokenizer = build_tokenizer(gguf).tokenizer
    for text, tokens in texts.items():
        _require_tokens(
            "the GGUF file, as Rixin reads it", text, tokens, tokenizer.encode(text, add_special_tokens=False).ids
        )
    return f"The GGUF file was read back: {len(weights.names())} tensors, and the tokens of {len(texts)} texts."


def check_with_llamacpp(
    path: Path, texts: Mapping[str, Sequence[int]], held: Sequence[Held], bound: Distance
) -> Distance:
    """What llama.cpp itself makes of the file. Raises ExportMismatch, LlamaCppMissing."""
    marks = _taken_for_special(path)
    texts = {text: tokens for text, tokens in texts.items() if not any(mark in text for mark in marks)}
    answer = ask_llamacpp(path, list(texts), [one.tokens for one in held])
    for (text, tokens), theirs in zip(texts.items(), answer.tokens, strict=True):
        _require_tokens("llama.cpp, with the GGUF file,", text, tokens, theirs)
    found = distance([one.logprobs for one in held], answer.logprobs)
    require_near("GGUF", found, bound, str(path))
    return found


def _taken_for_special(path: Path) -> list[str]:
    """Ordinary tokens of the file that llama.cpp takes for special ones, by their names, in whatever text.

    Qwen2.5 has an ordinary token </s>. So a text that has such a name in it is other tokens for llama.cpp, with
    anybody's file of the model.
    """
    gguf = read_gguf(path)
    kinds = gguf.numbers("tokenizer.ggml.token_type").tolist()
    tokens = zip(gguf.strings("tokenizer.ggml.tokens"), kinds, strict=True)
    return [text for text, kind in tokens if kind == TokenType.NORMAL and text in _LLAMACPP_SPECIAL]


def trial_texts(tokens: Tokens, held: Sequence[Held]) -> dict[str, Sequence[int]]:
    """Texts with the token ids that every form must give. Raises ExportMismatch if training had other ones."""
    texts: dict[str, Sequence[int]] = {text: tokens.encode(text, add_bos=False) for text in PROBES}
    if tokens.template is not None:
        for messages in _CONVERSATIONS:
            try:
                text = tokens.template.render(messages)
            except TemplateError:  # it takes no system message, say; one that takes nothing was refused before
                continue
            texts[text] = tokens.encode(text, add_bos=False)
    for one in held:
        if one.text is not None:
            texts[one.text] = tokens.encode(one.text, add_bos=False)
            _require_tokens("training", one.text, texts[one.text], one.tokens)
    return texts


def _require_tokens(who: str, text: str, served: Sequence[int], theirs: Sequence[int]) -> None:
    if list(served) == list(theirs):
        return
    place = next(
        (at for at, (a, b) in enumerate(zip(served, theirs, strict=False)) if a != b), min(len(served), len(theirs))
    )
    raise ExportMismatch(
        f"{text[:60]!r} has other tokens for {who} than where it is served, from token {place} on:"
        f" {list(theirs[place : place + 4])} and not {list(served[place : place + 4])}."
    )


# Source: llama.cpp's src/llama-vocab.cpp, where it looks for the tokens that end a text or mark what to fill in.
_LLAMACPP_SPECIAL = frozenset(
    [
        "</s>",
        "<s>",
        "<eos>",
        "<EOT>",
        "_<EOT>",
        "[EOT]",
        "[EOS]",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|flush|>",
        "<|calls|>",
        "<end_of_turn>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<end_of_utterance>",
        "<PRE>",
        "<SUF>",
        "<MID>",
        "<PAD>",
        "<REPO>",
        "<SEP>",
        "<|file_sep|>",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<fim_prefix>",
        "<fim_suffix>",
        "<fim_middle>",
        "<fim-prefix>",
        "<fim-suffix>",
        "<fim-middle>",
        "<fim-pad>",
        "<fim_pad>",
        "<fim_repo>",
        "<fim_sep>",
        "<reponame>",
    ]
)


def within(held: Sequence[Held], tokens: int, context: int) -> list[Held]:
    """The beginning of the held set: of at most so many tokens, and no sequence longer than the context."""
    kept: list[Held] = []
    for one in held:
        room = min(tokens, context)
        if room < 2:
            break
        whole = len(one.tokens) <= room
        kept.append(Held(one.tokens[:room], one.logprobs[: room - 1], one.text if whole else None))
        tokens -= len(kept[-1].tokens)
    return kept
