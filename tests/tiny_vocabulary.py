"""A model folder's tokenizer that is small enough to read: a token for each byte, some longer ones, and marks."""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from rixin.engines.openvino.vocabulary import Vocabulary

# Each is one token; every other text is a token a byte.
WORDS = ("he", "ll", "hell", "hello", "wo", "rld", "world")
MARKS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>")
TEMPLATE = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }} Answer with <tool_call>{...}</tool_call>"
    "<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls or [] %}<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_tokenizer(folder: Path, *, template: str | None = TEMPLATE, special: bool = True) -> None:
    """tokenizer.json, tokenizer_config.json and config.json; not `special`: the marks are added tokens like any."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *WORDS, "wor"]
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("w", "o"), ("r", "l"), ("rl", "d"), ("wo", "rld")]
    pieces = list(dict.fromkeys([*pieces, *("".join(pair) for pair in merges)]))
    tokenizer = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(pieces)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(mark, special=special, normalized=False) for mark in MARKS])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 128}))


def tiny_vocabulary(folder: Path, *, template: str | None = TEMPLATE, special: bool = True) -> Vocabulary:
    write_tiny_tokenizer(folder, template=template, special=special)
    return Vocabulary(folder, 320)
