"""A prepared folder's tokens: text to token ids, token ids to bytes, and which tokens end an answer.

Serving and training both read them here, so that a text has the same ids in both.
"""

import json
import re
from pathlib import Path

from tokenizers import Tokenizer

from rixin.errors import InvalidRequest, MalformedModel
from rixin.text.template import ChatTemplate

# Tokens that end a turn in the known chat formats; a model file does not always name its own.
END_OF_TURN = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<end_of_turn>",
    "</s>",
)
SPACE_MARK = "▁"
BYTE_TOKEN = re.compile("<0x[0-9A-F]{2}>")


class Tokens:
    """The tokenizer, chat template and end tokens of a prepared folder.

    `eos` is the token that ends a text, None where the folder names none; `end_tokens` are all that end an answer.
    """

    def __init__(self, folder: Path, size: int = 0) -> None:
        """`size` is the model's vocabulary where it is larger than the tokenizer's. Raises MalformedModel."""
        path = folder / "tokenizer.json"
        try:
            self._source = path.read_text(encoding="utf-8")
            self._tokenizer = Tokenizer.from_str(self._source)
        except Exception as error:  # the library raises bare Exception
            raise MalformedModel(f"The tokenizer can't be read: {error}", where=str(path)) from None
        config = _json(folder / "tokenizer_config.json")
        bos, eos = (_token_text(config.get(name)) for name in ("bos_token", "eos_token"))
        template = config.get("chat_template")
        self.template = (
            ChatTemplate(template, bos_token=bos, eos_token=eos) if isinstance(template, str) and template else None
        )
        # Some model files do not mark the token that ends a turn as special.
        self.special = {
            token.content: id
            for id, token in self._tokenizer.get_added_tokens_decoder().items()
            if token.special or token.content in END_OF_TURN
        }
        self.end_tokens = self._end_tokens(folder, eos)
        self.eos = self._tokenizer.token_to_id(eos) if eos else None
        self.size = max(size, self._tokenizer.get_vocab_size())
        self._bytes = _token_bytes(self._tokenizer, json.loads(self._source), self.size)
        self._special_ids = frozenset(self.special.values())

    def encode(self, text: str, *, add_bos: bool) -> list[int]:
        """Token ids; special tokens written in the text are themselves. Raises InvalidRequest for what is no text."""
        # A batch of one, since `encode` holds Python's lock: a prompt of 8 MB would stop every stream for 8 s.
        [tokens] = self.encode_all([text], add_bos=add_bos)
        return tokens

    def encode_all(self, texts: list[str], *, add_bos: bool) -> list[list[int]]:
        """As `encode`, of several texts at once and in parallel."""
        try:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=add_bos)
        except TypeError:
            raise InvalidRequest("The text has half of a surrogate pair, which is no character.") from None
        return [list(encoding.ids) for encoding in encodings]

    def bytes_of(self, token: int) -> bytes:
        """What the token writes; a special token writes its own name."""
        return self._bytes[token] if token < len(self._bytes) else b""

    def is_special(self, token: int) -> bool:
        return token in self._special_ids

    def neutralised(self, text: str) -> str:
        """The text with every special token's name broken by a zero-width space, so that it can't end a turn."""
        for name in self.special:
            if name in text:
                text = text.replace(name, f"{name[:1]}\u200b{name[1:]}")
        return text

    def _end_tokens(self, folder: Path, eos: str) -> frozenset[int]:
        found = {self.special[name] for name in (*END_OF_TURN, eos) if name in self.special}
        for name in ("config.json", "generation_config.json"):
            value = _json(folder / name).get("eos_token_id")
            found |= {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)}
        return frozenset(found)


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise MalformedModel(f"Not valid JSON: {error}.", where=str(path)) from None
    return value if isinstance(value, dict) else {}


def _token_text(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _token_bytes(tokenizer: Tokenizer, source: dict[str, object], size: int) -> list[bytes]:
    added = {id: token.content for id, token in tokenizer.get_added_tokens_decoder().items()}
    is_byte_level = '"ByteLevel"' in json.dumps(source.get("decoder"))
    alphabet = _byte_alphabet()
    table = [b""] * max(size, tokenizer.get_vocab_size())
    for text, id in tokenizer.get_vocab(with_added_tokens=True).items():
        if id >= len(table):
            continue
        if id in added:
            table[id] = added[id].encode()
        elif is_byte_level:
            table[id] = bytes(alphabet[letter] for letter in text if letter in alphabet)
        elif BYTE_TOKEN.fullmatch(text):
            table[id] = bytes([int(text[3:5], 16)])
        else:
            table[id] = text.replace(SPACE_MARK, " ").encode()
    return table


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's letters for the 256 bytes. Source: https://github.com/openai/gpt-2, encoder.py (the mapping)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in plain}
    others = [byte for byte in range(256) if byte not in set(plain)]
    return letters | {chr(256 + number): byte for number, byte in enumerate(others)}
