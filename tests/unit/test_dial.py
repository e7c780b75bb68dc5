"""One dial derives the rest, and what a person says wins."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.training.dial import Facts, Wishes, settle

KINDS = st.sampled_from(["sft", "dpo", "kto", "reward", "grpo", "continue", "distill", "pretrain"])
FACTS = st.builds(
    Facts,
    kind=KINDS,
    hidden=st.integers(32, 8192),
    tokens=st.integers(10, 10**9),
    rows=st.integers(1, 10**6),
    fill=st.floats(0.1, 1.0),
    method=st.sampled_from(["lora", "full"]),
    tokens_per_second=st.floats(1, 1e5),
)


@settings(deadline=None)
@given(FACTS, st.integers(1, 10**10))
def test_tokens_are_what_was_asked_for_within_half_a_step(facts: Facts, tokens: int) -> None:
    made = settle(Wishes(tokens=tokens), facts)
    step = made.batch_tokens * facts.fill
    assert abs(made.tokens - tokens) <= max(step, 1)
    assert made.steps >= 1
    assert made.batch_tokens == made.parts_per_step * made.part_tokens
    assert 0 < made.learning_rate < 0.1
    assert 1 <= made.validate_every <= made.steps


@settings(deadline=None)
@given(FACTS, st.floats(0.1, 10_000))
def test_minutes_are_kept_at_the_measured_speed(facts: Facts, minutes: float) -> None:
    made = settle(Wishes(minutes=minutes), facts)
    assert facts.tokens_per_second is not None
    step_s = made.batch_tokens * facts.fill / facts.tokens_per_second
    assert made.tokens / facts.tokens_per_second <= max(minutes * 60, step_s * 1.01)


@settings(deadline=None)
@given(FACTS)
def test_what_is_said_wins(facts: Facts) -> None:
    wishes = Wishes(
        steps=7, batch_tokens=512, learning_rate=0.5, warmup_share=0.4, lora_rank=3, validate_every=2, minutes=None
    )
    made = settle(wishes, facts)
    assert (made.steps, made.learning_rate, made.warmup_share, made.lora_rank, made.validate_every) == (
        7,
        0.5,
        0.4,
        3,
        2,
    )
    assert abs(made.batch_tokens - 512) <= made.parts_per_step


def test_rates_follow_method_width_and_kind() -> None:
    def rate(kind: str = "sft", hidden: int = 576, **more: object) -> float:
        return settle(Wishes(tokens=10_000), Facts(kind, hidden, 10_000, **more)).learning_rate  # type: ignore[arg-type]

    assert rate(method="full") < rate() / 5
    assert rate(hidden=4096) < rate()
    assert rate("dpo") < rate()
    assert (
        settle(Wishes(tokens=10_000, learning_rate_factor=2.0), Facts("sft", 576, 10_000)).learning_rate == 2 * rate()
    )
