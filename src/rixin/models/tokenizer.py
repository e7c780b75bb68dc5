"""From a GGUF file's vocabulary to a Hugging Face `tokenizers` Tokenizer that gives the same token ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gguf.constants import TokenType
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from tokenizers.processors import TemplateProcessing

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.gguf_reader import GgufFile
from rixin.models.pretokenizers import rule_for

SUPPORTED_TOKENIZERS = ("gpt2", "llama")
MAX_TOKENS = 1_000_000
MAX_CHARACTERS = 16_000_000  # of all tokens together; the largest vocabulary in use has about 2,000,000
MAX_PIECE_CHARACTERS = 256

# Tokens that end a turn, besides the one that the file calls EOS. Only control tokens of these names count.
_END_OF_TURN = frozenset(
    [
        "<|eot_id|>",
        "<|eom_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "<｜end▁of▁sentence｜>",
        "[EOT]",
        "[EOS]",
    ]
)


@dataclass(frozen=True)
class BuiltTokenizer:
    """A tokenizer and the special tokens that a model folder's config files name."""

    tokenizer: Tokenizer
    bos_token: str | None
    bos_token_id: int | None
    eos_token: str
    eos_token_ids: tuple[int, ...]
    pad_token: str | None
    adds_bos: bool


def build_tokenizer(gguf: GgufFile) -> BuiltTokenizer:
    """Build the tokenizer that `tokenizer.ggml.*` describes.

    Raises UnsupportedModel for a tokenizer or pre-tokenizer that is not known here, MalformedModel where the
    vocabulary contradicts itself.
    """
    kind = gguf.text("tokenizer.ggml.model")
    vocabulary = _Vocabulary.read(gguf)
    if kind == "gpt2":
        return _byte_level(gguf, vocabulary)
    if kind == "llama":
        return _sentence_piece(gguf, vocabulary)
    raise UnsupportedModel(
        f"The tokenizer {kind!r} can't be read.",
        where=str(gguf.path),
        fix=f"Supported are: {', '.join(SUPPORTED_TOKENIZERS)}.",
    )


@dataclass(frozen=True)
class _Vocabulary:
    """The tokens by id, their ids by text, and the type of each."""

    tokens: Sequence[str]
    ids: Mapping[str, int]
    types: Sequence[int]

    @classmethod
    def read(cls, gguf: GgufFile) -> "_Vocabulary":
        tokens = gguf.strings("tokenizer.ggml.tokens")
        if not 0 < len(tokens) <= MAX_TOKENS:
            raise _malformed(gguf, f"The vocabulary has {len(tokens)} tokens; 1 to {MAX_TOKENS} can be.")
        if sum(map(len, tokens)) > MAX_CHARACTERS:
            raise _malformed(gguf, f"The tokens have more than {MAX_CHARACTERS} characters.")
        ids = {token: index for index, token in enumerate(tokens)}
        if len(ids) != len(tokens):
            twice = next(token for index, token in enumerate(tokens) if ids[token] != index)
            raise _malformed(gguf, f"The vocabulary has the token {twice!r} twice.")
        if "tokenizer.ggml.token_type" not in gguf.metadata:
            return cls(tokens, ids, [TokenType.NORMAL] * len(tokens))
        types = gguf.numbers("tokenizer.ggml.token_type").tolist()
        if len(types) != len(tokens):
            raise _malformed(gguf, f"There are {len(tokens)} tokens and {len(types)} token types.")
        return cls(tokens, ids, types)

    def of_type(self, kind: TokenType) -> list[str]:
        return [token for token, its in zip(self.tokens, self.types, strict=True) if its == kind]


def _byte_level(gguf: GgufFile, vocabulary: _Vocabulary) -> BuiltTokenizer:
    rule = rule_for(gguf.text("tokenizer.ggml.pre", "missing"), str(gguf.path))
    merges = [_merge(gguf, vocabulary, line) for line in gguf.strings("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(dict(vocabulary.ids), merges, ignore_merges=rule.ignores_merges))
    if rule.normalises_to_nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = rule.pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return _finish(gguf, vocabulary, tokenizer, adds_bos=rule.adds_bos)


def _merge(gguf: GgufFile, vocabulary: _Vocabulary, line: str) -> tuple[str, str]:
    left, _, right = line.partition(" ")
    if left in vocabulary.ids and right in vocabulary.ids and left + right in vocabulary.ids:
        return left, right
    raise _malformed(gguf, f"The merge {line!r} is not of two tokens to a third.")


def _sentence_piece(gguf: GgufFile, vocabulary: _Vocabulary) -> BuiltTokenizer:
    """SentencePiece's BPE: merges follow the scores, unknown characters fall back to bytes.

    Source: transformers' conversion of LlamaTokenizer to `tokenizers`.
    """
    scores = gguf.numbers("tokenizer.ggml.scores").tolist()
    if len(scores) != len(vocabulary.tokens):
        raise _malformed(gguf, f"There are {len(vocabulary.tokens)} tokens and {len(scores)} scores.")
    unknown = gguf.integer("tokenizer.ggml.unknown_token_id", 0)
    tokenizer = Tokenizer(
        models.BPE(
            dict(vocabulary.ids),
            _merges_from_scores(vocabulary, scores),
            unk_token=_token(gguf, vocabulary, unknown),
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefixed = gguf.flag("tokenizer.ggml.add_space_prefix", True)
    spaces = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if prefixed else spaces
    cleaned = [decoders.Strip(" ", 1, 0)] if prefixed else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *cleaned]
    )
    return _finish(gguf, vocabulary, tokenizer, adds_bos=True)


def _merges_from_scores(vocabulary: _Vocabulary, scores: Sequence[float]) -> list[tuple[str, str]]:
    """Every way to make a normal token of two, the highest score first; among equals, the smaller ids first."""
    mergeable = {
        token: index
        for token, index in vocabulary.ids.items()
        if vocabulary.types[index] in (TokenType.NORMAL, TokenType.USER_DEFINED)
    }
    ways = [
        (-scores[index], mergeable[token[:cut]], mergeable[token[cut:]])
        for token, index in mergeable.items()
        if len(token) <= MAX_PIECE_CHARACTERS
        for cut in range(1, len(token))
        if token[:cut] in mergeable and token[cut:] in mergeable
    ]
    return [(vocabulary.tokens[left], vocabulary.tokens[right]) for _, left, right in sorted(ways)]


def _finish(gguf: GgufFile, vocabulary: _Vocabulary, tokenizer: Tokenizer, *, adds_bos: bool) -> BuiltTokenizer:
    """Add the special tokens, and the BOS in front where the model wants one."""
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in vocabulary.of_type(TokenType.CONTROL)]
    )
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in vocabulary.of_type(TokenType.USER_DEFINED)])
    bos = _special(gguf, vocabulary, "bos")
    eos = _special(gguf, vocabulary, "eos")
    pad = _special(gguf, vocabulary, "padding")
    if eos is None:
        raise _malformed(gguf, "The key 'tokenizer.ggml.eos_token_id' is missing: an answer would never end.")
    adds_bos = gguf.flag("tokenizer.ggml.add_bos_token", adds_bos)
    if adds_bos and bos is None:
        raise _malformed(gguf, "The tokenizer adds a BOS token, and 'tokenizer.ggml.bos_token_id' is missing.")
    if adds_bos and bos is not None:
        text = vocabulary.tokens[bos]
        tokenizer.post_processor = TemplateProcessing(
            single=[text, "$A"], pair=[text, "$A", text, "$B"], special_tokens=[(text, bos)]
        )
    return BuiltTokenizer(
        tokenizer=tokenizer,
        bos_token=None if bos is None else vocabulary.tokens[bos],
        bos_token_id=bos,
        eos_token=vocabulary.tokens[eos],
        eos_token_ids=_end_tokens(gguf, vocabulary, eos),
        pad_token=None if pad is None else vocabulary.tokens[pad],
        adds_bos=adds_bos,
    )


def _end_tokens(gguf: GgufFile, vocabulary: _Vocabulary, eos: int) -> tuple[int, ...]:
    """The tokens that end an answer: EOS first, then those the file or their names call an end of turn."""
    named = [_special(gguf, vocabulary, kind) for kind in ("eot", "eom")]
    control = vocabulary.of_type(TokenType.CONTROL)
    kept = {"<|end|>"} if "<|return|>" in control else set()  # there, <|end|> only ends a channel
    known = [vocabulary.ids[token] for token in control if token in _END_OF_TURN - kept]
    return tuple(dict.fromkeys([eos, *(token for token in named if token is not None), *known]))


def _special(gguf: GgufFile, vocabulary: _Vocabulary, kind: str) -> int | None:
    key = f"tokenizer.ggml.{kind}_token_id"
    if key not in gguf.metadata:
        return None
    index = gguf.integer(key)
    _token(gguf, vocabulary, index)
    return index


def _token(gguf: GgufFile, vocabulary: _Vocabulary, index: int) -> str:
    if 0 <= index < len(vocabulary.tokens):
        return vocabulary.tokens[index]
    raise _malformed(gguf, f"The special token {index} is outside the vocabulary of {len(vocabulary.tokens)}.")


def _malformed(gguf: GgufFile, message: str) -> MalformedModel:
    return MalformedModel(message, where=str(gguf.path))
