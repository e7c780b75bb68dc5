"""Token ids are those of llama.cpp on the same file, for every pre-tokenizer that is supported."""

import json
import random
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gguf
import numpy as np
import pytest
import xllamacpp
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.gguf_reader import GgufFile, read_gguf
from rixin.models.pretokenizers import RULES
from rixin.models.tokenizer import build_tokenizer
from tiny_gguf import write_tiny_gguf

TEXTS = [
    "",
    " ",
    "   ",
    "\n",
    "Hello world",
    "你好，世界！今天天气怎么样？",
    "　全角　空格，“引号”——破折号……",
    "  leading and   inner  spaces ",
    "tabs\tand\nnewlines\r\n\r\n\n  x",
    "1234567890 3.14159 2024年5月 Ⅷ²½①",
    "I'm he'LL they've DON'T l'été",
    "def f(x):\n    return x**2  # comment\n\n\nclass A:\n\tpass",
    '{"a": [1, 2.5, null], "b": {"c": "\\n"}}',
    "😀👨‍👩‍👧‍👦 émoji ñ Ünïcode 🇨🇳🏳️‍🌈",
    "العربية עברית हिन्दी ไทย 한국어 日本語ひらがなカタカナ Ελληνικά Кириллица",
    "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n",
    "a<|im_end|>b <|im_end|> c<|im_en|>",
    "https://example.com/a?b=c&d=e#f",
    "\x01\x7fA\u200bB\ufeffC",
    "x" * 200,
]
_random = random.Random(20261122)
TEXTS += ["".join(_random.choices("ab Z09\n\t'.,!你好😀é　<|>_", k=_random.randrange(1, 40))) for _ in range(80)]


class LlamaCpp:
    """The reference: llama.cpp's own server on the same file."""

    def __init__(self, path: Path) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = 64, 1, False
        self._server = xllamacpp.Server(parameters)

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        body = json.dumps({"content": text, "add_special": add_special, "parse_special": True}).encode()
        request = urllib.request.Request(
            f"{self._server.listening_address}/tokenize", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            tokens: list[int] = json.load(answer)["tokens"]
        return tokens


@contextmanager
def llama_cpp(path: Path) -> Iterator[LlamaCpp]:
    reference = LlamaCpp(path)
    yield reference
    del reference


def assert_same_tokens(path: Path, *, texts: list[str] = TEXTS) -> None:
    built = build_tokenizer(read_gguf(path))
    saved = Tokenizer.from_str(built.tokenizer.to_str())
    with llama_cpp(path) as reference:
        for text in texts:
            for special in (False, True):
                expected = reference.tokenize(text, add_special=special)
                assert saved.encode(text, add_special_tokens=special).ids == expected, repr(text)


@pytest.fixture(scope="module")
def smollm2(smollm2_home: Path) -> Path:
    [path] = (smollm2_home / "blobs" / "sha256" / "b1").glob("b179c9523d0e*")
    return path


@pytest.fixture(scope="module")
def smollm2_gguf(smollm2: Path) -> GgufFile:
    return read_gguf(smollm2)


def test_smollm2_is_tokenised_as_llama_cpp_does(smollm2: Path) -> None:
    assert_same_tokens(smollm2)


def test_smollm2_ends_where_it_should(smollm2: Path) -> None:
    built = build_tokenizer(read_gguf(smollm2))
    names = [built.tokenizer.id_to_token(token) for token in built.eos_token_ids]
    assert names == ["<|im_end|>", "<|endoftext|>"]
    assert not built.adds_bos


@pytest.mark.parametrize("pre", sorted({id(rule): name for name, rule in RULES.items()}.values()))
def test_each_pre_tokenizer_cuts_as_llama_cpp_does(pre: str, tmp_path: Path, smollm2_gguf: GgufFile) -> None:
    path = write_tiny_gguf(
        tmp_path / "tiny.gguf",
        pre=pre,
        tokens=smollm2_gguf.strings("tokenizer.ggml.tokens"),
        types=smollm2_gguf.numbers("tokenizer.ggml.token_type").tolist(),
        merges=smollm2_gguf.strings("tokenizer.ggml.merges"),
    )
    assert_same_tokens(path)


@pytest.mark.parametrize("prefixed", [True, False])
def test_sentence_piece_is_tokenised_as_llama_cpp_does(tmp_path: Path, prefixed: bool) -> None:
    path = tmp_path / "tiny.gguf"
    write_sentence_piece(path, prefixed=prefixed)
    assert_same_tokens(path)


def write_sentence_piece(path: Path, *, prefixed: bool) -> None:
    """A small vocabulary in SentencePiece's manner: bytes, pieces by merge order, single characters last."""
    trained = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    first = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256))]
    text = [*Path(__file__).read_text().splitlines(), *TEXTS]
    trained.train_from_iterator(text, trainers.BpeTrainer(vocab_size=1500, show_progress=False, special_tokens=first))
    pieces = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)[len(first) :]
    last = ["<|im_start|>", "<|im_end|>", "▁▁▁▁"]
    pieces = [piece for piece in pieces if piece not in last]
    pieces = [piece for piece in pieces if len(piece) > 1] + [piece for piece in pieces if len(piece) == 1]
    kinds = gguf.TokenType
    write_tiny_gguf(
        path,
        tokenizer="llama",
        tokens=[*first, *pieces, *last],
        types=[kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL]
        + [kinds.BYTE] * 256
        + [kinds.NORMAL] * len(pieces)
        + [kinds.CONTROL] * 2
        + [kinds.USER_DEFINED],
        scores=[0.0] * len(first) + [-float(rank) for rank in range(len(pieces))] + [0.0, 0.0, -1e4],
        prefixed=prefixed,
    )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"tokenizer": "rwkv"}, UnsupportedModel, "'rwkv'.*Supported are: gpt2, llama"),
        ({"pre": "klingon"}, UnsupportedModel, "'klingon' is unknown.*qwen2"),
        ({"merges": ["h é"]}, MalformedModel, "merge 'h é'"),
        ({"merges": ["he"]}, MalformedModel, "merge 'he'"),
        ({"tokens": ["a", "b", "c", "a"], "merges": []}, MalformedModel, "token 'a' twice"),
        ({"types": [1]}, MalformedModel, "261 tokens and 1 token types"),
        ({"eos": 10_000}, MalformedModel, "10000 is outside"),
        ({"eos": None}, MalformedModel, "would never end"),
        ({"tokenizer": "llama", "scores": [0.0]}, MalformedModel, "261 tokens and 1 scores"),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf", **change)  # type: ignore[arg-type]
    with pytest.raises(error, match=message):
        build_tokenizer(read_gguf(path))


def test_numbers_of_tokens_and_vectors_agree(smollm2_gguf: GgufFile) -> None:
    assert smollm2_gguf.tensors["token_embd.weight"].shape[0] == len(smollm2_gguf.strings("tokenizer.ggml.tokens"))
    assert np.isfinite(smollm2_gguf.tensors["output_norm.weight"].dequantize()).all()
