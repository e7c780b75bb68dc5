"""The loop on a tiny model: what it computes, how it stops and goes on, what it shows."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from rixin.errors import CheckpointMismatch, NotEnoughMemory
from rixin.training.batch import Pack
from rixin.training.events import Event, in_force, read_events
from rixin.training.guard import BACK
from rixin.training.head_loss import cross_entropy
from rixin.training.loop import train
from rixin.training.loop_settings import LoopSettings
from rixin.training.objective import Batch, Loss
from rixin.training.recorder import Recorder
from rixin.training.sampling import Samples
from rixin.training.stop import StopSignal
from rixin.training.transformer import Transformer
from trainee import Counting, run_tiny, tiny_model, weights_hex


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads would only wait for each other with so little to do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def events(folder: Path, *kinds: str) -> list[Event]:
    return [event for event in in_force(read_events(folder / "events.jsonl")) if not kinds or event.kind in kinds]


def losses(folder: Path) -> dict[int, object]:
    return {event.step: event.values["loss"] for event in events(folder, "step")}


class StopAt(Counting):
    """Asks to stop in the middle of a step, as a signal would."""

    def __init__(self, steps: int, at: int, stop: StopSignal) -> None:
        super().__init__(steps)
        self.at = at
        self.stop = stop

    def loss(self, model: Transformer, part: Pack) -> Loss:
        if self.step == self.at:
            self.stop.request("enough")
        return super().loss(model, part)


@pytest.mark.parametrize("kind", [{}, {"lora": True}, {"bfloat16": True}])
def test_the_model_learns_and_the_losses_say_so(tmp_path: Path, kind: Mapping[str, Any]) -> None:
    outcome, model, _ = run_tiny(tmp_path, steps=60, learning_rate=1e-2, **kind)
    assert (outcome.status, outcome.step, outcome.reason) == ("finished", 60, None)
    before, after = (event.values["loss"] for event in events(tmp_path, "validation"))
    assert isinstance(before, float)
    assert isinstance(after, float)
    assert after < before - 0.3
    assert outcome.metrics["validation_loss"] == after
    assert outcome.metrics["tokens"] == 60 * 72
    with torch.no_grad():
        assert Counting(1).validate(model)["loss"] == after


def test_how_a_batch_is_cut_into_parts_does_not_matter(tmp_path: Path) -> None:
    """Parts of 1 and of 3 predictions: a mean of means would be off."""

    class Cut(Counting):
        def __init__(self, together: bool) -> None:
            super().__init__(8)
            self.together = together

        def batch(self, step: int, model: Transformer) -> Batch[Pack]:
            whole = super().batch(step, model).parts[0]
            count = len(whole.targets)
            cuts = [slice(0, count)] if self.together else [slice(0, 1), slice(1, 4), slice(4, count)]
            parts = [
                Pack(whole.tokens, whole.segments, whole.predict_at[cut], whole.targets[cut], whole.sequence[cut])
                for cut in cuts
            ]
            return Batch(parts, weight=count, tokens=len(whole.tokens))

        def loss(self, model: Transformer, part: Pack) -> Loss:
            return Loss(cross_entropy(model, model(part), part))

    shown = []
    for together in (True, False):
        folder = tmp_path / str(together)
        train(tiny_model(), Cut(together), LoopSettings(learning_rate=1e-2), folder, Recorder(folder))
        shown.append([value for value in losses(folder).values() if isinstance(value, float)])
    assert shown[0] == pytest.approx(shown[1], rel=1e-5)


@pytest.mark.parametrize("kind", [{}, {"lora": True}, {"bfloat16": True}])
def test_stopped_and_resumed_it_ends_with_the_same_bits(tmp_path: Path, kind: Mapping[str, Any]) -> None:
    _, through, _ = run_tiny(tmp_path / "through", **kind)
    stop = StopSignal()
    model = tiny_model(dtype=torch.bfloat16 if "bfloat16" in kind else torch.float32, lora="lora" in kind)
    settings = LoopSettings(learning_rate=3e-3, seed=5)
    folder = tmp_path / "stopped"
    outcome = train(model, StopAt(12, 7, stop), settings, folder, Recorder(folder), stop=stop)
    assert (outcome.status, outcome.step, outcome.reason) == ("stopped", 7, "enough")
    resumed, again, objective = run_tiny(folder, **kind)
    assert (resumed.status, objective.seen) == ("finished", [7, 8, 9, 10, 11])
    assert weights_hex(again) == weights_hex(through)
    assert losses(folder) == losses(tmp_path / "through")
    assert not events(folder, "note")


def test_how_often_is_saved_validated_and_sampled_changes_no_bit(tmp_path: Path) -> None:
    _, one, _ = run_tiny(tmp_path / "one")
    _, two, _ = run_tiny(tmp_path / "two", checkpoint_every_s=0, keep_checkpoints=1, validate_every=1)
    assert weights_hex(one) == weights_hex(two)


def test_a_run_that_was_done_is_done_again_at_once(tmp_path: Path) -> None:
    first, model, _ = run_tiny(tmp_path)
    again, other, objective = run_tiny(tmp_path)
    assert objective.seen == []
    assert weights_hex(other) == weights_hex(model)
    assert again.metrics["validation_loss"] == first.metrics["validation_loss"]
    assert len(events(tmp_path, "validation")) == 2


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    _, model, _ = run_tiny(tmp_path)
    fresh = tiny_model()
    objective = Counting(12)
    train(fresh, objective, LoopSettings(learning_rate=3e-3, seed=5), tmp_path, Recorder(tmp_path), resume=False)
    assert objective.seen == list(range(12))
    assert weights_hex(fresh) == weights_hex(model)
    assert list(losses(tmp_path)) == list(range(1, 13))


def test_the_time_limit_ends_it_well(tmp_path: Path) -> None:
    outcome, _, _ = run_tiny(tmp_path, steps=10_000, time_limit_s=0.5)
    assert outcome.status == "finished"
    assert outcome.reason == "The time limit of 0.5 s was reached."
    assert outcome.step < 10_000
    assert events(tmp_path, "validation")[-1].step == outcome.step


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 1e30, 40.0])
def test_a_poisoned_batch_is_skipped_and_the_rest_is_learnt(tmp_path: Path, factor: float) -> None:
    outcome, model, _ = run_tiny(tmp_path, steps=24, poison={20: factor})
    assert outcome.status == "finished"
    (skipped,) = events(tmp_path, "skipped")
    assert skipped.step == 21
    assert skipped.values["reason"]
    assert list(losses(tmp_path)) == [step for step in range(1, 25) if step != 21]
    assert all(bool(torch.isfinite(weight).all()) for weight in model.trainable().values())


def test_a_skipped_batch_stays_skipped_when_it_is_good_the_next_time(tmp_path: Path) -> None:
    """A fault of memory, say: the uninterrupted run skipped it, so the resumed one does."""
    _, through, _ = run_tiny(tmp_path / "through", poison={5: float("nan")})
    run_tiny(tmp_path / "cut", poison={5: float("nan")})
    for path in (tmp_path / "cut" / "checkpoints").glob("step-12/*"):
        path.write_bytes(b"")
    outcome, model, objective = run_tiny(tmp_path / "cut")
    assert objective.seen == [0, 1, 2, 3, 4, *range(6, 12)]
    assert outcome.status == "finished"
    assert weights_hex(model) == weights_hex(through)
    (note,) = events(tmp_path / "cut", "note")
    assert "The checkpoint of step 12 is damaged and was not used" in str(note.values["message"])
    assert len(events(tmp_path / "cut", "skipped")) == 1


class Broken(Counting):
    """From step 20 on the loss is no number until the rate was lowered `cured_by` times: the weights are the cause."""

    cured_by = 1

    def batch(self, step: int, model: Transformer) -> Batch[Pack]:
        back = any(later > step for later in self.seen)
        self.rollbacks = getattr(self, "rollbacks", 0) + (back and self.seen[-1] > step)
        bad = step >= 20 and self.rollbacks < self.cured_by
        self.poison = {step: float("nan")} if bad else {}
        return super().batch(step, model)


def test_a_row_of_bad_batches_rolls_back_to_good_weights_and_a_lower_rate(tmp_path: Path) -> None:
    settings = LoopSettings(learning_rate=3e-3, schedule="constant", warmup_share=0, checkpoint_every_s=0)
    objective = Broken(30)
    outcome = train(tiny_model(), objective, settings, tmp_path, Recorder(tmp_path))
    assert outcome.status == "finished"
    (back,) = events(tmp_path, "rolled_back")
    assert back.step <= 20 - BACK
    assert back.values["slower_from"] == 20 - BACK
    assert back.values["rate_factor"] == 0.5
    steps = events(tmp_path, "step")
    assert [event.step for event in steps] == [step for step in range(1, 31) if step not in (20, 21)]
    assert {event.step for event in events(tmp_path, "skipped")} == {20, 21}
    rates = [event.values["learning_rate"] for event in steps]
    assert rates == [3e-3 if event.step <= 20 - BACK else 1.5e-3 for event in steps]


def test_a_run_that_can_not_be_saved_ends_with_a_typed_reason(tmp_path: Path) -> None:
    settings = LoopSettings(learning_rate=3e-3)
    objective = Broken(30)
    objective.cured_by = 99
    outcome = train(tiny_model(), objective, settings, tmp_path, Recorder(tmp_path))
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error.code == "training_diverged"
    assert "It came again after 4 rollbacks to lower rates." in str(outcome.reason)
    assert events(tmp_path)[-1].kind == "failed"


def test_a_batch_without_parts_changes_no_weight(tmp_path: Path) -> None:
    class Empty(Counting):
        def batch(self, step: int, model: Transformer) -> Batch[Pack]:
            return Batch([], weight=0, tokens=10, figures={"reward": 0.5})

    model = tiny_model()
    before = weights_hex(model)
    train(model, Empty(3), LoopSettings(learning_rate=1.0), tmp_path, Recorder(tmp_path))
    assert weights_hex(model) == before
    assert [event.values["reward"] for event in events(tmp_path, "step")] == [0.5] * 3


def test_other_circumstances_at_a_resumption_are_noted(tmp_path: Path) -> None:
    run_tiny(tmp_path, steps=3)
    run_tiny(tmp_path, steps=4, learning_rate=1e-3)
    (note,) = events(tmp_path, "note")
    assert "learning_rate 0.003 → 0.001" in str(note.values["message"])
    assert "steps 3 → 4" in str(note.values["message"])


def test_the_checkpoints_of_another_model_are_refused(tmp_path: Path) -> None:
    run_tiny(tmp_path, steps=3)
    with pytest.raises(CheckpointMismatch, match="other weights than this model"):
        run_tiny(tmp_path, steps=3, lora=True)
    assert events(tmp_path)[-1].kind == "failed"


@pytest.mark.parametrize(
    "error", [RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), MemoryError()]
)
def test_too_little_memory_says_what_to_do(tmp_path: Path, error: Exception) -> None:
    class Large(Counting):
        def loss(self, model: Transformer, part: Pack) -> Loss:
            raise error

    with pytest.raises(NotEnoughMemory, match="smaller parts"):
        train(tiny_model(), Large(3), LoopSettings(learning_rate=1.0), tmp_path, Recorder(tmp_path))
    assert events(tmp_path)[-1].values["error"] == "NotEnoughMemory"


def test_a_real_allocation_that_fails_is_explained(tmp_path: Path) -> None:
    class Huge(Counting):
        def loss(self, model: Transformer, part: Pack) -> Loss:
            return Loss(torch.empty(1 << 50).sum())

    with pytest.raises(NotEnoughMemory):
        train(tiny_model(), Huge(3), LoopSettings(learning_rate=1.0), tmp_path, Recorder(tmp_path))


def test_every_step_shows_its_figures(tmp_path: Path) -> None:
    model = tiny_model()
    settings = LoopSettings(learning_rate=1e-3)
    train(model, Counting(3), settings, tmp_path, Recorder(tmp_path), bound_tokens_per_second=1e6)
    *_, last = events(tmp_path, "step")
    values = last.values
    assert values["half"] == pytest.approx(float(values["loss"] or 0) / 2)
    assert values["bound_share"] == pytest.approx(float(values["tokens_per_second"] or 0) / 1e6)
    assert int(values["memory"] or 0) > 50e6
    assert int(values["peak_memory"] or 0) >= 0.9 * int(values["memory"] or 0)
    assert (values["tokens"], values["seconds_left"]) == (216, 0.0)
    assert float(values["gradient_norm"] or 0) > 0
    assert (tmp_path / "loss.png").exists()


def test_samples_are_answers_to_fixed_prompts_at_each_validation_and_never_twice(tmp_path: Path) -> None:
    samples = Samples(
        prompts=[("3 4", [3, 4]), ("5", [5])],
        decode=lambda tokens: " ".join(map(str, tokens)),
        end_ids=[0],
        max_tokens=6,
    )
    settings = LoopSettings(learning_rate=1e-2, validate_every=2)
    shown = []
    for _ in range(2):
        train(tiny_model(), Counting(4), settings, tmp_path, Recorder(tmp_path), samples=samples)
        lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
        assert [(line["step"], line["prompt"]) for line in lines] == [
            (step, prompt) for step in (0, 2, 4) for prompt in ("3 4", "5")
        ]
        shown.append(lines)
        for path in (tmp_path / "checkpoints").glob("step-4/*"):
            path.unlink()  # so that the end happens again
    assert shown[0] == shown[1]
    assert any(line["text"] for line in shown[0])


def test_the_first_signal_asks_and_is_heard(tmp_path: Path) -> None:
    class Signalled(Counting):
        def loss(self, model: Transformer, part: Pack) -> Loss:
            if self.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().loss(model, part)

    stop = StopSignal()
    with stop.on_signals():
        outcome = train(
            tiny_model(), Signalled(9), LoopSettings(learning_rate=1.0), tmp_path, Recorder(tmp_path), stop=stop
        )
    assert (outcome.status, outcome.step, outcome.reason) == ("stopped", 2, "SIGTERM was received")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
