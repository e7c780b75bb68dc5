"""Tiny random cross-encoders of `transformers`, saved with a tokenizer as a hub has them."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["<s>", "<pad>", "</s>", "<unk>", *"abcdefghijklmnop", "法", "律", "猫"]
POSITIONS = 48


def write_tokenizer(folder: Path, *, xlm: bool) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pair = "<s> $A </s> </s> $B:1 </s>:1" if xlm else "<s> $A </s> $B:1 </s>:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair=pair, special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def cross_encoder(folder: Path, kind: str, **changes: Any) -> Any:
    """A tiny random model of transformers, saved into the folder with a tokenizer."""
    from transformers import (
        AutoModelForSequenceClassification,
        BertConfig,
        RobertaConfig,
        XLMRobertaConfig,
    )

    configs = {"bert": BertConfig, "roberta": RobertaConfig, "xlm-roberta": XLMRobertaConfig}
    sizes = {
        "vocab_size": len(WORDS),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 96,
        "max_position_embeddings": POSITIONS if kind == "bert" else POSITIONS + 2,
        "type_vocab_size": 2 if kind == "bert" else 1,
        "pad_token_id": 1,
        "num_labels": 1,
    }
    torch.manual_seed(3)
    config = configs[kind](**{**sizes, **changes})
    model: Any = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "LayerNorm.weight" in name else 0.0, 0.15)
    folder.mkdir(exist_ok=True)
    model.save_pretrained(folder)
    write_tokenizer(folder, xlm=kind != "bert")
    return model
