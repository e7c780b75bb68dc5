"""Memory that torch and the compiled kernels both see, and that is used again instead of allocated."""

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def array_of(tensor: Tensor) -> NDArray[Any]:
    """The tensor's memory as numpy has it: bfloat16 as its bits (uint16)."""
    tensor = tensor.detach()
    return tensor.view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


@dataclass(frozen=True, slots=True)
class Buffer:
    """A tensor and, over the same memory, the array that kernels take."""

    tensor: Tensor
    array: NDArray[Any]


def buffer_of(tensor: Tensor) -> Buffer:
    """This tensor, for both."""
    return Buffer(tensor, array_of(tensor))


def new_buffer(*size: int, dtype: torch.dtype) -> Buffer:
    """Fresh memory, of undefined contents."""
    return buffer_of(torch.empty(size, dtype=dtype))


class Scratch:
    """Named buffers whose contents last until the name is taken again. Memory grows to the largest that was asked."""

    def __init__(self) -> None:
        self._memory: dict[tuple[str, torch.dtype], Tensor] = {}
        self._views: dict[tuple[str, torch.dtype, tuple[int, ...]], Buffer] = {}

    def take(self, name: str, *size: int, dtype: torch.dtype) -> Buffer:
        """A buffer of this name and size, of undefined contents."""
        key = (name, dtype, size)
        found = self._views.get(key)
        if found is not None:
            return found
        elements = 1
        for side in size:
            elements *= side
        memory = self._memory.get((name, dtype))
        if memory is None or len(memory) < elements:
            memory = torch.empty(elements, dtype=dtype)
            self._memory[name, dtype] = memory
            self._views = {k: v for k, v in self._views.items() if k[:2] != (name, dtype)}
        elif len(self._views) > 10_000:
            self._views.clear()
        self._views[key] = buffer_of(memory[:elements].view(size))
        return self._views[key]
