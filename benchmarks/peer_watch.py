"""What both peers are measured by: a callback of transformers' Trainer. Runs in the peer's own virtual environment."""
# mypy: ignore-errors
# ruff: noqa: ARG002

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from transformers import TrainerCallback


class Watch(TrainerCallback):
    """Counts the real tokens (no padding) that go through the model, and times the steps after the first."""

    def __init__(self) -> None:
        self.seen = {"outer": 0, "inner": 0}
        self.ends: list[tuple[float, int]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        # Which of the two is called, and not only its forward(), depends on the version of PEFT.
        for name, module in (("outer", model), ("inner", model.get_base_model())):
            module.register_forward_pre_hook(partial(self._count, name), with_kwargs=True)

    def _count(self, name: str, module: Any, positional: Any, named: Any) -> None:
        mask = named.get("attention_mask")
        self.seen[name] += int(named["input_ids"].numel() if mask is None else (mask != 0).sum())

    @property
    def tokens(self) -> int:
        return max(self.seen.values())

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ends.append((time.perf_counter(), self.tokens))

    def say(self) -> None:
        """One JSON line: tokens a second after the first step, and the most memory the process ever held."""
        (start, before), (end, after) = self.ends[0], self.ends[-1]
        status = Path("/proc/self/status").read_text()
        line = {
            "tokens_per_second": (after - before) / (end - start),
            "tokens": self.tokens,
            "steps": len(self.ends),
            "peak_bytes": int(status.partition("VmHWM:")[2].split()[0]) * 1024,
        }
        print(json.dumps(line), flush=True)
