"""A tokenizer made from the text that a new model is to learn: byte-level BPE, whose ids every engine can reproduce."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from rixin.errors import InvalidRequest
from rixin.models import rule_for

END_OF_TEXT = "<|endoftext|>"
# A pretrained model learns only the first; the others wait for the fine-tuning that makes it talk.
SPECIAL_TOKENS = (END_OF_TEXT, "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>")
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)
LARGEST_VOCABULARY = 262_144
PRE_TOKENIZER = "deepseek-v3"
# What a model of plain text can do for a question: go on with it.
CONTINUATION = (
    END_OF_TEXT
    + "{% for message in messages %}{{ message['content'] }}"
    + "{% if message['role'] == 'assistant' and not continue_final_message %}"
    + END_OF_TEXT
    + "{% endif %}{% endfor %}"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A tokenizer of at most `vocabulary` tokens: the special ones first, then the 256 bytes, then what was merged.

    The same texts in the same order give the same tokenizer. Text is cut as DeepSeek-V3's is, which GGUF has a name
    for, so that llama.cpp cuts it alike: Chinese apart from punctuation, punctuation together with the break after it,
    digits in threes. On poems GPT-2's way takes 5% more tokens (a break is one of its own), Qwen's glues commas to the
    words behind them and so has many words twice. Every text can be written: what was not merged is bytes.

    `<|endoftext|>` stands before and after each text: the model is asked to begin a text as it is asked to go on.
    Raises InvalidRequest for a vocabulary that can't be, or if there is no text.
    """
    if not SMALLEST_VOCABULARY <= vocabulary <= LARGEST_VOCABULARY:
        raise InvalidRequest(
            f"A vocabulary of {vocabulary} tokens is not from {SMALLEST_VOCABULARY} to {LARGEST_VOCABULARY}.",
            param="vocabulary",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = rule_for(PRE_TOKENIZER, "tokenizer.json").pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_some(texts), trainer=trainer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{END_OF_TEXT} $A",
        pair=f"{END_OF_TEXT} $A {END_OF_TEXT} $B",
        special_tokens=[(END_OF_TEXT, tokenizer.token_to_id(END_OF_TEXT))],
    )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, context: int) -> None:
    """Write tokenizer.json, tokenizer_config.json and generation_config.json into `folder`.

    The chat template lets a question be continued as text; `context` is the model's, in tokens.
    """
    end = tokenizer.token_to_id(END_OF_TEXT)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "add_bos_token": True,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": CONTINUATION,
    }
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, value in (
        ("tokenizer_config.json", config),
        ("generation_config.json", {"bos_token_id": end, "eos_token_id": [end]}),
    ):
        (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=2), encoding="utf-8")


def _some(texts: Iterable[str]) -> Iterator[str]:
    there = False
    for text in texts:
        there = there or bool(text)
        yield text
    if not there:
        raise InvalidRequest("There is no text to make a tokenizer from.", param="data")


def thinned(texts: Sequence[str], characters: int) -> Sequence[str]:
    """Every n-th text, so that about `characters` are left: rare words apart, they tell as much as all."""
    total = sum(map(len, texts))
    step = max(1, round(total / characters))
    return texts[::step]
