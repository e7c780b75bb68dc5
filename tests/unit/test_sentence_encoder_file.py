"""The file of multilingual E5: read to the bit, refused where it is damaged, and its graph computes what BERT does."""

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel

from rixin.engines.openvino_encoder import OpenVinoEncoder
from rixin.errors import ContextLengthExceeded, InvalidRequest, MalformedModel, UnsupportedModel
from rixin.models.e5_file import E5File
from rixin.models.prepare import prepare_e5

HIDDEN, LAYERS, HEADS, WIDE, POSITIONS = 64, 2, 2, 128, 24
PIECES = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), ("▁", -2.0)]
PIECES += [(sign, -3.0 - at / 10) for at, sign in enumerate("abcdefgh法律")]
BEGIN, PADDING, END, UNKNOWN = 0, 1, 2, 3


def quantised(weight: np.ndarray) -> tuple[bytes, np.ndarray]:
    """In blocks of 32 numbers, and what they are after that."""
    groups = weight.astype(np.float32).reshape(-1, 32)
    scales = (np.abs(groups).max(1, keepdims=True) / 7).astype("<f2")
    numbers = np.clip(np.rint(groups / scales.astype(np.float32)), -8, 7)
    nibbles = (numbers + 8).astype(np.uint8)
    packed = nibbles[:, :16] | (nibbles[:, 16:] << 4)
    bits = np.concatenate([scales.view(np.uint8).reshape(-1, 2), packed], axis=1).tobytes()
    return bits, (numbers * scales.astype(np.float32)).reshape(weight.shape)


def small_file(path: Path) -> dict[str, np.ndarray]:
    """Writes a small encoder with random weights, and gives these."""
    drawn = np.random.default_rng(5)
    tensors: dict[str, np.ndarray] = {}
    body = b""
    directory = b""

    def put(name: str, values: np.ndarray, *, blocks: bool = False) -> None:
        nonlocal body, directory
        bits, kept = quantised(values) if blocks else (values.astype("<f4").tobytes(), values.astype(np.float32))
        tensors[name] = kept
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", int(blocks), values.size, len(body), len(bits))
        body += bits

    def normal(*shape: int) -> np.ndarray:
        return drawn.normal(0, 0.1, shape)

    put("emb.word", normal(len(PIECES), HIDDEN), blocks=True)
    put("emb.pos", normal(POSITIONS, HIDDEN))
    put("emb.type", normal(2, HIDDEN))
    put("emb.ln.w", 1 + normal(HIDDEN))
    put("emb.ln.b", normal(HIDDEN))
    for layer in range(LAYERS):
        for name, rows, columns in (
            *((part, HIDDEN, HIDDEN) for part in ("q", "k", "v", "ao")),
            ("fi", WIDE, HIDDEN),
            ("fo", HIDDEN, WIDE),
        ):
            put(f"l{layer}.{name}.w", normal(rows, columns), blocks=True)
            put(f"l{layer}.{name}.b", normal(rows))
        for name in ("aln", "oln"):
            put(f"l{layer}.{name}.w", 1 + normal(HIDDEN))
            put(f"l{layer}.{name}.b", normal(HIDDEN))
    texts = [piece.encode() for piece, _ in PIECES]
    starts = np.cumsum([0, *map(len, texts)])
    head = struct.pack("<8i", 1, HIDDEN, LAYERS, HEADS, WIDE, len(PIECES), POSITIONS, 2)
    head += struct.pack("<fi", 1e-6, 32) + struct.pack("<5i", len(PIECES), BEGIN, END, PADDING, UNKNOWN)
    words = starts.astype("<u4").tobytes() + np.array([score for _, score in PIECES], "<f4").tobytes()
    words += b"".join(texts)
    words += struct.pack("<iI", 1, 9) + struct.pack("<IBI", ord("Ａ"), 1, ord("a"))
    total = 4 + len(head) + 8 + len(words) + 4 + len(directory)
    shift = total + (-total % 4)
    moved = b""
    at = 0
    while at < len(directory):  # places are counted from the file's beginning
        (length,) = struct.unpack_from("<H", directory, at)
        kind, count, start, size = struct.unpack_from("<BIQQ", directory, at + 2 + length)
        moved += directory[at : at + 2 + length] + struct.pack("<BIQQ", kind, count, start + shift, size)
        at += 2 + length + 21
    count = struct.pack("<i", len(tensors))
    whole = b"E5S1" + head + struct.pack("<Q", sum(map(len, texts))) + words + count + moved
    path.write_bytes(whole.ljust(shift, b"\0") + body)
    return tensors


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("encoder")
    tensors = small_file(folder / "small.bin")
    (folder / "model").mkdir()
    facts = prepare_e5(folder / "small.bin", folder / "model")
    assert facts.dimensions == HIDDEN
    return folder / "small.bin", folder / "model", tensors


def test_tensors_are_read_to_the_bit(made: tuple[Path, Path, dict[str, np.ndarray]]) -> None:
    path, _, tensors = made
    file = E5File(path)
    assert np.array_equal(file.matrix("emb.word", len(PIECES), HIDDEN), tensors["emb.word"])
    assert np.array_equal(file.floats("l1.fo.b", HIDDEN), tensors["l1.fo.b"])
    assert file.tokens.characters == {"Ａ": "a"}


def test_the_graph_computes_what_bert_does(made: tuple[Path, Path, dict[str, np.ndarray]]) -> None:
    _, folder, tensors = made
    encoder = OpenVinoEncoder(folder, 1)
    tokens = encoder.tokens(["ab cd", "法律", "h", "abcdefgh  abcdefgh"])
    found = np.frombuffer(encoder.vectors(tokens), "<f4").reshape(len(tokens), HIDDEN)
    model = bert(tensors)
    for ids, vector in zip(tokens, found, strict=True):
        with torch.no_grad():
            mean = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
        expected = (mean / mean.norm()).numpy()
        assert float(expected @ vector) > 0.999  # the processor may compute in bfloat16


def bert(tensors: dict[str, np.ndarray]) -> BertModel:
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=WIDE,
        max_position_embeddings=POSITIONS,
        layer_norm_eps=1e-6,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    names = {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight",
        "emb.ln": "embeddings.LayerNorm",
    }
    parts = {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "ao": "attention.output.dense",
        "aln": "attention.output.LayerNorm",
        "fi": "intermediate.dense",
        "fo": "output.dense",
        "oln": "output.LayerNorm",
    }
    names |= {f"l{at}.{ours}": f"encoder.layer.{at}.{theirs}" for at in range(LAYERS) for ours, theirs in parts.items()}
    state = {}
    for name, values in tensors.items():
        stem, _, end = name.rpartition(".")
        key = names.get(name) or f"{names[stem]}.{'weight' if end == 'w' else 'bias'}"
        state[key] = torch.from_numpy(values.copy())
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    return model


def test_a_text_is_normalised_and_cut_as_its_tokenizer_was_trained(
    made: tuple[Path, Path, dict[str, np.ndarray]],
) -> None:
    encoder = OpenVinoEncoder(made[1], 1)
    assert encoder.tokens(["Ａb"]) == encoder.tokens(["ab"])
    assert encoder.tokens(["a  b"]) == encoder.tokens(["a b"])
    [ids] = encoder.tokens(["法"])
    assert (ids[0], ids[-1]) == (BEGIN, END)


def test_what_is_too_long_or_empty_is_refused_and_not_cut(made: tuple[Path, Path, dict[str, np.ndarray]]) -> None:
    encoder = OpenVinoEncoder(made[1], 1)
    with pytest.raises(ContextLengthExceeded, match=f"this model takes {POSITIONS}"):
        encoder.tokens(["a" * POSITIONS])
    with pytest.raises(InvalidRequest, match="empty"):
        encoder.tokens(["  "])


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_named_as_such(made: tuple[Path, Path, dict[str, np.ndarray]], data: st.DataObject) -> None:
    path, folder, _ = made
    whole = path.read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole) - 1))])
    if damaged:
        damaged[data.draw(st.integers(0, min(len(damaged), 600) - 1))] = data.draw(st.integers(0, 255))
    other = folder.parent / "damaged.bin"
    other.write_bytes(damaged)
    with suppress(MalformedModel, UnsupportedModel):
        E5File(other).floats("l1.oln.b", HIDDEN)
