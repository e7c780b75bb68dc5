"""What a training leaves, of a model that is small enough to make anew for every test."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, trainers
from transformers import AutoConfig, AutoModelForCausalLM

from rixin.models import rule_for

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEXTS = (
    "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
    "Hello world, 12 + 34 = 46.\n\nHello again; hello!",
    "白日依山尽",
)
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def write_tokenizer(
    folder: Path, *, template: str | None = CHATML, rule: str = "smollm", texts: Sequence[str] = TEXTS
) -> int:
    """A byte-level tokenizer trained on `texts`; returns how many tokens it has."""
    tokenizer = Tokenizer(models.BPE())
    known = rule_for(rule, "test")
    tokenizer.pre_tokenizer = known.pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    from tokenizers.pre_tokenizers import ByteLevel

    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=ByteLevel.alphabet(), special_tokens=list(MARKS), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in MARKS])
    tokenizer.save(str(folder / "tokenizer.json"))
    end = MARKS[2] if template else MARKS[0]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": end,
        "pad_token": MARKS[0],
        "add_bos_token": False,
        "model_max_length": 128,
        "chat_template": template,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [tokenizer.token_to_id(end)]}))
    return tokenizer.get_vocab_size()


def write_trained(
    folder: Path,
    *,
    architecture: str = "llama",
    tied: bool = True,
    template: str | None = CHATML,
    rule: str = "smollm",
    seed: int = 0,
    padding: int = 5,
    **changes: object,
) -> Path:
    """model.safetensors (bfloat16), config, tokenizer and held set of a model of two layers with random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(folder, template=template, rule=rule) + padding
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        architecture,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        vocab_size=vocabulary,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=2,
        initializer_range=0.25,
        **changes,
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight")):  # so that a forgotten one shows
                parameter.add_(0.3 * torch.randn_like(parameter))
    model = model.bfloat16()
    model.save_pretrained(folder)
    write_held(folder, model.float())
    return folder


def write_held(folder: Path, model: torch.nn.Module, texts: Sequence[str] = TEXTS) -> None:
    """held.json, as a training writes it."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    held = []
    for text in texts:
        tokens = tokenizer.encode(text, add_special_tokens=False).ids
        with torch.no_grad():
            rows = model(torch.tensor([tokens])).logits[0].float().log_softmax(-1)
        logprobs = rows[np.arange(len(tokens) - 1), tokens[1:]].tolist()
        held.append({"tokens": tokens, "logprobs": logprobs, "text": text})
    (folder / "held.json").write_text(json.dumps(held))
