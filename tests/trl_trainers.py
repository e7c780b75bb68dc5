"""TRL's trainers around a tiny model, on rows whose words are tokens; they train nothing, only compute losses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORDS = 97  # the tiny model's vocabulary
END = 1


def words(tokens: Sequence[int]) -> str:
    """A text of exactly these tokens, of which none is special."""
    return "".join(f" w{token}" for token in tokens)


def word_tokenizer() -> Any:
    """A tokenizer of `transformers` whose words are `w2` … `w96`; token 0 pads, token 1 ends."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<pad>": 0, "<end>": END} | {f"w{at}": at for at in range(2, WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"w\d+"), "removed", invert=True)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")


def settings(kind: Any, folder: Path, **given: object) -> Any:
    """A trainer's settings: on the CPU, float32, in `folder`, telling nobody."""
    return kind(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        report_to=[],
        gradient_checkpointing=False,
        per_device_train_batch_size=64,
        **given,
    )


def rows_of(columns: dict[str, list[Any]]) -> Any:
    """A dataset of these columns."""
    from datasets import Dataset

    return Dataset.from_dict(columns)


def batch_of(trainer: Any) -> Any:
    """All rows of the trainer's dataset, tokenised and collated as it does it."""
    return trainer.data_collator(list(trainer.train_dataset))
