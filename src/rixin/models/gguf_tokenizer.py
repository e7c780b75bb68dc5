"""From a Hugging Face tokenizer to the tokenizer metadata of a GGUF file: the way back of `tokenizer.py`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gguf import GGUFWriter
from gguf.constants import TokenType
from tokenizers import Tokenizer

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.hugging_face import token_text
from rixin.models.pretokenizers import RULES
from rixin.models.weights import read_json

BYTE_TOKEN = re.compile("<0x[0-9A-F]{2}>")
# Where the known rules differ from each other: digits, punctuation, marks, blank space, letters of many scripts.
PROBES = (
    "Hello world, it's I'LL DON'T 12345 3.14159 2024年5月",
    "你好，世界！ 「引用」——…　全角",
    "  two  spaces\n\n\ttabs\r\n ends ",
    "def f(x):\n    return x**2  # comment;\n\nclass A: pass/**/",
    "Größe naïve ΑΒΓ Кириллица हिन्दी العربية 한국어 ひらがなカタカナ",
    "CamelCase HTMLParser snake_case x=1;y+=2 a/b\\c <|x|> @me #tag 😀👨‍👩‍👧",
    "Ⅷ²½① 1.000.000,50 -7 +8 %",
)


@dataclass(frozen=True)
class GgufTokenizer:
    """What `tokenizer.ggml.*` says. `model` is `gpt2` (byte-level, with `merges`) or `llama` (with `scores`)."""

    model: str
    pre: str
    tokens: Sequence[str]
    types: Sequence[int]
    merges: Sequence[str]
    scores: Sequence[float]
    bos: int | None
    eos: int
    eot: int | None
    pad: int | None
    adds_bos: bool
    adds_eos: bool
    adds_space: bool
    template: str | None

    def write(self, writer: GGUFWriter) -> None:
        """Put it into the file that `writer` is about to write."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(list(self.tokens))
        writer.add_token_types(list(self.types))
        if self.model == "llama":
            writer.add_token_scores(list(self.scores))
            writer.add_add_space_prefix(self.adds_space)
        else:
            writer.add_token_merges(list(self.merges))
        writer.add_eos_token_id(self.eos)
        for id, add in (
            (self.bos, writer.add_bos_token_id),
            (self.eot, writer.add_eot_token_id),
            (self.pad, writer.add_pad_token_id),
        ):
            if id is not None:
                add(id)
        writer.add_add_bos_token(self.adds_bos)
        writer.add_add_eos_token(self.adds_eos)
        if self.template:
            writer.add_chat_template(self.template)


def gguf_tokenizer(folder: Path, vocabulary: int) -> GgufTokenizer:
    """The tokenizer of a model folder, for a model of `vocabulary` embeddings.

    Raises UnsupportedModel for one that llama.cpp has no equal of, MalformedModel.
    """
    path = folder / "tokenizer.json"
    source, config = read_json(path), read_json(folder / "tokenizer_config.json")
    model = source.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE":
        raise _unsupported(path, "Only BPE tokenizers have a form in GGUF.")
    tokenizer = Tokenizer.from_file(str(path))
    ids = tokenizer.get_vocab(with_added_tokens=True)
    if max(ids.values()) >= vocabulary:
        raise MalformedModel(f"There are more tokens than the {vocabulary} embeddings.", where=str(path))
    tokens = [f"[PAD{id}]" for id in range(vocabulary)]
    types = [int(TokenType.UNUSED)] * vocabulary
    for text, id in ids.items():
        tokens[id], types[id] = text, TokenType.NORMAL
    for id, added in tokenizer.get_added_tokens_decoder().items():
        types[id] = TokenType.CONTROL if added.special else TokenType.USER_DEFINED
    merges = [(one[0], one[1]) if isinstance(one, list) else tuple(one.split(" ", 1)) for one in model["merges"]]
    byte_level = not model.get("byte_fallback")
    scores: Sequence[float] = ()
    if not byte_level:
        scores = _scores(tokens, merges)
        for id, text in enumerate(tokens):
            if BYTE_TOKEN.fullmatch(text):
                types[id] = TokenType.BYTE
        if model.get("unk_token") in ids:
            types[ids[model["unk_token"]]] = TokenType.UNKNOWN
    ends = _ends(folder, config, ids)
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    wrapped = tokenizer.encode("a", add_special_tokens=True).ids
    return GgufTokenizer(
        model="gpt2" if byte_level else "llama",
        pre=_rule_name(path, tokenizer, model) if byte_level else "default",
        tokens=tokens,
        types=types,
        merges=[f"{left} {right}" for left, right in merges] if byte_level else (),
        scores=scores,
        bos=ids.get(token_text(config, "bos_token")),
        eos=ends[0],
        eot=ends[1] if len(ends) > 1 else None,
        pad=ids.get(token_text(config, "pad_token")),
        adds_bos=wrapped[: len(wrapped) - len(plain)] == [ids.get(token_text(config, "bos_token"))],
        adds_eos=wrapped[-1:] == [ends[0]] and wrapped != plain,
        adds_space='"Prepend"' in str(source.get("normalizer")).replace("'", '"'),
        template=template_text(config),
    )


def template_text(config: Mapping[str, object]) -> str | None:
    """The chat template that a tokenizer_config.json holds, if any."""
    value = config.get("chat_template")
    return value if isinstance(value, str) and value else None


def _ends(folder: Path, config: Mapping[str, object], ids: Mapping[str, int]) -> list[int]:
    """The tokens that end an answer, the tokenizer's own EOS first."""
    found: list[object] = [ids.get(token_text(config, "eos_token"))]
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            value = read_json(folder / name).get("eos_token_id")
            found += value if isinstance(value, list) else [value]
    ends = list(dict.fromkeys(one for one in found if type(one) is int and 0 <= one < len(ids)))
    if not ends:
        raise _unsupported(folder / "tokenizer_config.json", "It names no eos_token: an answer would never end.")
    return ends


def _rule_name(path: Path, tokenizer: Tokenizer, model: Mapping[str, object]) -> str:
    """llama.cpp's name for how this tokenizer cuts a text: the rule that cuts every probe the same way."""
    cutter, normalizer = tokenizer.pre_tokenizer, tokenizer.normalizer
    if cutter is None:
        raise _unsupported(path, "It does not cut a text before merging.")
    nfc = normalizer is not None and "NFC" in repr(normalizer)
    if normalizer is not None and not nfc:
        raise _unsupported(path, f"Its normalizer has no form in GGUF: {normalizer!r}.")
    cuts = [cutter.pre_tokenize_str(text) for text in PROBES]
    for name, rule in RULES.items():
        same = (rule.normalises_to_nfc, rule.ignores_merges) == (nfc, bool(model.get("ignore_merges")))
        if same and all(
            rule.pre_tokenizer.pre_tokenize_str(text) == cut for text, cut in zip(PROBES, cuts, strict=True)
        ):
            return name
    raise _unsupported(path, "It cuts texts in a way that llama.cpp has no name for.")


def _scores(tokens: Sequence[str], merges: Sequence[tuple[str, ...]]) -> list[float]:
    """Scores that make SentencePiece merge in the order of the list: a token's is its first merge's rank, negative."""
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault("".join(pair), rank)
    return [-float(ranks.get(token, 0)) for token in tokens]


def _unsupported(path: Path, message: str) -> UnsupportedModel:
    return UnsupportedModel(message, where=str(path), fix="The model can be exported in its other forms.")
