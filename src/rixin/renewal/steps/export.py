"""Export: the candidate, whose forms its Run has checked, is loaded, answers, and is timed beside what is served."""

import time

from rixin.engines import ChatPrompt, GenerateRequest, Message, Sampling
from rixin.errors import EngineUnavailable
from rixin.evaluation import Answered, Asker
from rixin.renewal.cycle import Words
from rixin.renewal.steps.collect import items_of
from rixin.renewal.steps.turn import Done, Turn
from rixin.renewal.steps.values import Exported
from rixin.store import new_id

ROUNDS = 5  # the fastest of so many: other work on the machine only ever slows
TOKENS = 32
# Timed are tokens drawn nearly at random: of what repeats itself the engine guesses several at once, so a version that
# had learned to be brief was "slower by a third" than one that went round in circles.
RANDOM = 2.0
GREETING = (Message(role="user", content="你好！请用一句话介绍你自己。"),)


def export(turn: Turn) -> Done:
    """Raises what its engine raises, and EngineUnavailable where it says nothing."""
    registry = turn.house.models
    base, made = registry.get(turn.made.base or ""), registry.get(turn.made.version or "")
    started = time.monotonic()
    turn.bench.load(made)
    load_seconds = time.monotonic() - started
    new, _, held_out = items_of(turn)
    prompt = next((item.messages for item in (*held_out, *new)), GREETING)
    askers = {version.id: turn.bench.asker(version) for version in (base, made)}
    fastest = dict.fromkeys(askers, 0.0)
    text = _answered(askers[made.id], prompt, temperature=0.0).text
    if not text.strip():
        raise EngineUnavailable(f"{made.model_name} ({made.id}) answers with nothing.")
    order = ROUNDS * [base.id, made.id]
    if turn.house.settings.max_engines < 2:
        order.sort(key=[base.id, made.id].index)  # else each would be loaded anew for each answer
    for version_id in order:
        turn.look()
        answer = _answered(askers[version_id], prompt, temperature=RANDOM)
        fastest[version_id] = max(fastest[version_id], answer.answer_tokens / max(answer.seconds, 1e-6))
    values = Exported(
        version_id=made.id,
        model=made.model_name,
        load_seconds=load_seconds,
        tokens_per_second=fastest[made.id],
        tokens_per_second_before=fastest[base.id],
        answer=text,
    )
    return Done(
        Words(
            f"{made.model_name} loads in {load_seconds:.1f} s and answers: {values.tokens_per_second:.0f} tokens a "
            f"second, {values.tokens_per_second_before:.0f} before.",
            f"{made.model_name} 用 {load_seconds:.1f} 秒装入并能回答：每秒 {values.tokens_per_second:.0f} 个词元，"
            f"此前 {values.tokens_per_second_before:.0f} 个。",
        ),
        values,
    )


def _answered(asker: Asker, messages: tuple[Message, ...], *, temperature: float) -> Answered:
    """One answer of so many tokens, whatever they say."""
    sampling = Sampling(max_tokens=TOKENS, min_tokens=1, temperature=temperature, seed=0, ignore_eos=True)
    heard: list[Answered] = []
    asker.generate(
        [GenerateRequest(id=new_id("cycle"), prompt=ChatPrompt(messages=messages), sampling=sampling)],
        lambda _, answer: heard.append(answer),
    )
    [answer] = heard
    return answer
