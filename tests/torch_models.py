"""Tiny random models of `transformers`, and the same weights as Rixin reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rixin.training.batch import Pack, Segment


@dataclass(frozen=True)
class HeldWeights:
    """A `Weights` whose tensors are in memory."""

    config: dict[str, Any]
    tensors: dict[str, NDArray[np.float32]]

    def names(self) -> Iterator[str]:
        """All tensors' names."""
        return iter(self.tensors)

    def tensor(self, name: str) -> NDArray[np.float32]:
        """One of them."""
        return self.tensors[name]


def reference_model(architecture: str, *, tied: bool, seed: int = 0) -> Any:
    """A `transformers` model of two layers with random weights, norms and biases too, float32."""
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

    kinds = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}
    config = kinds[architecture](
        num_hidden_layers=2,
        hidden_size=64,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=112,
        vocab_size=97,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        tie_word_embeddings=tied,
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in name else 0.0, 0.1)
    return model.eval()


def weights_of(reference: Any) -> HeldWeights:
    """The weights of a `transformers` model."""
    config = reference.config.to_dict()
    config["architectures"] = [type(reference).__name__]
    tensors = {name: value.detach().float().numpy().copy() for name, value in reference.state_dict().items()}
    if config["tie_word_embeddings"]:
        tensors.pop("lm_head.weight", None)
    return HeldWeights(config, tensors)


def pack_of(sequences: Sequence[Sequence[int]]) -> Pack:
    """A pack in which every token but the first of each sequence is predicted."""
    at, targets, owner, start = [], [], [], 0
    for number, sequence in enumerate(sequences):
        at += range(start, start + len(sequence) - 1)
        targets += sequence[1:]
        owner += [number] * (len(sequence) - 1)
        start += len(sequence)
    return Pack(
        tokens=torch.tensor([token for sequence in sequences for token in sequence]),
        segments=tuple(Segment(len(sequence)) for sequence in sequences),
        predict_at=torch.tensor(at, dtype=torch.int64),
        targets=torch.tensor(targets, dtype=torch.int64),
        sequence=torch.tensor(owner, dtype=torch.int64),
    )
