"""What a finished run leaves in `out/`: whole weights, the adapter, the tokenizer, and figures to check exports by."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import torch
from safetensors.torch import save_file

from rixin.training.batch import Pack
from rixin.training.head_loss import target_logprobs
from rixin.training.lora import ALL_LINEAR, adapter_state
from rixin.training.objectives import branch, save_reward_head, tree
from rixin.training.objectives.trees import pack
from rixin.training.shape import config_of
from rixin.training.transformer import Transformer, hf_state

OUT = "out"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
HELD_SEQUENCES = 8
HELD_TOKENS = 256


def hand_over(
    model: Transformer, folder: Path, *, name: str, base_folder: Path, base_name: str, held: Sequence[Sequence[int]]
) -> None:
    """Write `out/` of the run in `folder`, whole or not at all. `base_folder` has the tokenizer.

    `held` are sequences of tokens on which exports are compared with the trained model.
    """
    draft, target = folder / f".{OUT}", folder / OUT
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    whole = {name: value.bfloat16().contiguous() for name, value in hf_state(model)}
    # The name is in the file, so that the same weights under another name are another Version.
    save_file(whole, draft / "model.safetensors", {**_METADATA, "name": name})
    old = _json(base_folder / "config.json")
    kept = {name: old[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in old}
    _write(draft / "config.json", config_of(model.shape) | kept | {"torch_dtype": "bfloat16"})
    for name in TOKENIZER_FILES:
        if (base_folder / name).is_file():
            shutil.copy(base_folder / name, draft / name)
    adapter = {name: value.contiguous() for name, value in adapter_state(model)}
    if adapter:
        (draft / "adapter").mkdir()
        save_file(adapter, draft / "adapter" / "adapter_model.safetensors", _METADATA)
        _write(draft / "adapter" / "adapter_config.json", _adapter_config(model, base_name))
    if "reward_head" in dict(model.named_parameters()):
        save_reward_head(model, draft)
    _write(draft / "held.json", list(_held(model, held)))
    shutil.rmtree(target, ignore_errors=True)
    draft.replace(target)


_METADATA: dict[str, str] = {"format": "pt"}


def _held(model: Transformer, sequences: Sequence[Sequence[int]]) -> Iterator[dict[str, object]]:
    """The trained model's log-probabilities of each next token."""
    for tokens in sequences[:HELD_SEQUENCES]:
        kept = list(tokens[:HELD_TOKENS])
        if len(kept) > 1:
            part: Pack = pack([tree((), branch(kept))])
            with torch.no_grad():
                logprobs = target_logprobs(model, model(part), part)
            # In bfloat16 what is as good as certain may come out a little above 0.
            yield {"tokens": kept, "logprobs": logprobs.clamp(max=0.0).tolist()}


def _adapter_config(model: Transformer, base_name: str) -> dict[str, object]:
    adapter = next(linear.adapter for linear in model.linears() if linear.adapter is not None)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": adapter.rank,
        "lora_alpha": adapter.scale * adapter.rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(ALL_LINEAR),
    }


def _json(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _write(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value)))
