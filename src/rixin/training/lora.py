"""Low-rank adapters: putting them beside a frozen model, taking them off, naming them.

Source: Hu et al., LoRA, https://arxiv.org/abs/2106.09685; names and semantics as in the `peft` library.
"""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from rixin.errors import InvalidRequest
from rixin.training.linear import Adapter
from rixin.training.transformer import Transformer

ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def add_lora(model: Transformer, *, rank: int, alpha: float, targets: Collection[str] = ALL_LINEAR, seed: int) -> None:
    """Freeze the model and put adapters beside its linear layers. A is drawn from `seed`, B is zero.

    `targets` are the last parts of Hugging Face names. Raises InvalidRequest for a rank below 1 or an unknown target.
    """
    if rank < 1:
        raise InvalidRequest(
            f"A LoRA rank of {rank} is not possible.", fix="Take 1 or more; 16 is usual.", param="rank"
        )
    if unknown := set(targets) - set(ALL_LINEAR):
        raise InvalidRequest(
            f"There is no layer {', '.join(sorted(unknown))}.",
            fix=f"Choose from {', '.join(ALL_LINEAR)}.",
            param="targets",
        )
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for linear in model.linears():
        adapter = Adapter(linear.parts, linear.weight.shape[1], targets, rank, alpha)
        if not adapter.parts:
            continue
        bound = 1 / math.sqrt(linear.weight.shape[1])  # kaiming_uniform with a = sqrt(5), as PEFT does
        with torch.no_grad():
            adapter.a.uniform_(-bound, bound, generator=generator)
        linear.adapt(adapter)


@contextmanager
def adapter_off(model: Transformer) -> Iterator[None]:
    """The model without its adapters: the reference model of DPO, KTO and GRPO. Gradients are off as well."""
    before = model.adapters_on
    model.adapters_on = False
    try:
        with torch.no_grad():
            yield
    finally:
        model.adapters_on = before


def adapter_state(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    """The adapters' weights, float32, under the names PEFT gives them in `adapter_model.safetensors`."""
    for linear in model.linears():
        if linear.adapter is not None:
            a, b = linear.adapter.a.detach(), linear.adapter.b.detach()
            for name, _, of_a, of_b in linear.adapter.pieces():
                yield f"base_model.model.{name}.lora_A.weight", a[of_a]
                yield f"base_model.model.{name}.lora_B.weight", b[of_b]
