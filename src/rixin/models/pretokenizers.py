"""How byte-level BPE tokenizers cut a text before merging, by the name that GGUF keeps in `tokenizer.ggml.pre`.

The patterns are those of the models' own `tokenizer.json`; llama.cpp's source says which name stands for which.
Source: https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split

from rixin.errors import UnsupportedModel

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+{end}"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*{end}"
)
_QWEN2 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_QWEN35 = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
_LLAMA3 = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_TEKKEN = rf"{_CASED_WORDS.replace('{end}', '')}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
_GPT4O = (
    rf"{_CASED_WORDS.replace('{end}', _CONTRACTIONS + '?')}"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
)
_DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
    + _SPACES
)


@dataclass(frozen=True)
class PreTokenizerRule:
    """What a name of `tokenizer.ggml.pre` stands for: the cutting, and what the model's tokenizer adds to it."""

    pre_tokenizer: PreTokenizer
    normalises_to_nfc: bool = False
    ignores_merges: bool = False
    adds_bos: bool = False


def _split(*patterns: str) -> PreTokenizer:
    pieces: list[PreTokenizer] = [Split(Regex(pattern), "isolated") for pattern in patterns]
    return Sequence([*pieces, ByteLevel(add_prefix_space=False, use_regex=False)])


_GPT2 = PreTokenizerRule(ByteLevel(add_prefix_space=False, use_regex=True))
_DIGITS = PreTokenizerRule(Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]))
_LLAMA_3 = PreTokenizerRule(_split(_LLAMA3), ignores_merges=True, adds_bos=True)
_QWEN_2 = PreTokenizerRule(_split(_QWEN2), normalises_to_nfc=True)

RULES: Mapping[str, PreTokenizerRule] = {
    "gpt-2": _GPT2,
    "phi-2": _GPT2,
    "smollm": _DIGITS,
    "starcoder": _DIGITS,
    "refact": _DIGITS,
    "codeshell": _DIGITS,
    "llama-bpe": _LLAMA_3,
    "llama3": _LLAMA_3,
    "llama-v3": _LLAMA_3,
    "qwen2": _QWEN_2,
    "deepseek-r1-qwen": _QWEN_2,
    "qwen35": PreTokenizerRule(_split(_QWEN35), normalises_to_nfc=True),
    "glm4": PreTokenizerRule(_split(_LLAMA3)),
    "chatglm-bpe": PreTokenizerRule(_split(_LLAMA3)),
    "tekken": PreTokenizerRule(_split(_TEKKEN), ignores_merges=True, adds_bos=True),
    "gpt-4o": PreTokenizerRule(_split(_GPT4O)),
    "deepseek-v3": PreTokenizerRule(_split(r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK3)),
}


def rule_for(name: str, where: str) -> PreTokenizerRule:
    """The rule called `name`. Raises UnsupportedModel naming it and the known ones; `where` is the model's file."""
    try:
        return RULES[name]
    except KeyError:
        raise UnsupportedModel(
            f"The pre-tokenizer {name!r} is unknown.", where=where, fix=f"Known are: {', '.join(RULES)}."
        ) from None
