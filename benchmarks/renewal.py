"""Whether the circle closes: people of an office correct a model, a Cycle learns from it, and the gate decides.

`python benchmarks/renewal.py --only format,preference,poisoned,no_news,three --repeats 3` prints a JSON line a figure.
Everything is as an office has it: `rixin up`, ten accounts that ask over HTTP and say what they think of the answers,
Cycles that the server executes. What people ask and say follows from fixed seeds, one for each repeat
(`renewal_clauses`, `renewal_users`, `renewal_law`).
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from renewal_clauses import Clause, circle, held_out, write_suite
from renewal_law import BEST, law_questions, pleases, write_brief_suite
from renewal_office import Office, Person, Sampled, base_home, gathered, office, tell
from renewal_users import User, people_of, swapped, wrong_values
from rixin.evaluation.checks import JsonFields
from rixin.renewal import Cycle
from rixin.renewal.steps.values import Annotated, Evaluated

MODEL = "qwen2.5-coder-0.5b-instruct"
REPLAY = "alpaca-zh-demo"
CORRECTED = 150
LIKED = 60
CYCLES, IN_A_CYCLE = 3, 50
QUESTIONS, TRIES, BRIEF = 400, 5, 60
LIVELY: Sampled = {"temperature": 1.0, "max_tokens": 256}
CHECK = JsonFields(equals="truth", fields=["parties", "dates", "amounts", "duties"])
SFT = """\
suites = ["contracts"]
guards = ["everyday"]
guard_margin = 0.1
held_out = 0.05
minutes = 30
[replay]
dataset = "alpaca-zh-demo"
share = 0.2
[training]
epochs = 2
learning_rate_factor = 0.2
seed = {seed}
"""
DPO = """\
suites = ["brief"]
guards = ["law-zh"]
guard_margin = 0.1
held_out = 0.05
minutes = 30
[training]
epochs = 3
seed = {seed}
"""
Figures = Mapping[str, float]
S = TypeVar("S", bound=msgspec.Struct)


async def format_needed(seed: int) -> Figures:
    """150 answers are corrected; one Cycle."""
    async with office(f"format-{seed}", MODEL) as place:
        write_suite(place.suite("contracts"), held_out())
        await correct(place, drawn(seed, CORRECTED), people_of(), seed)
        return measured(await place.cycle(SFT.format(seed=seed)))


async def preference(seed: int) -> Figures:
    """People ask again until an answer is short and names a source, and prefer it to the first; one Cycle."""
    async with office(f"preference-{seed}", MODEL) as place:
        ask, judge = law_questions(place.house.models.blobs, QUESTIONS, BRIEF, seed=seed)
        write_brief_suite(place.suite("brief"), judge)

        async def choose(at: int, prompt: str) -> bool:
            person = place.people[at % len(place.people)]
            first = await person.ask(prompt, **LIVELY)
            best = first
            for _ in range(TRIES):
                if pleases(best.content) == BEST:
                    break
                again = await person.ask_again(first, **LIVELY)
                best = max(best, again, key=lambda one: pleases(one.content))
            if best is first:
                return False
            await person.prefer(first, best, "second")
            return True

        chosen = await gathered([choose(at, one.prompt) for at, one in enumerate(ask)])
        tell(f"preference: for {sum(chosen)} of {len(chosen)} questions people preferred another answer to the first")
        return measured(await place.cycle(DPO.format(seed=seed)))


async def poisoned(seed: int) -> Figures:
    """150 answers are corrected, 15% of them wrongly on purpose, by two people: wrong values, swapped parties."""
    async with office(f"poisoned-{seed}", MODEL) as place:
        write_suite(place.suite("contracts"), held_out())
        users = people_of(harms=(wrong_values, swapped))
        wrong = await correct(place, drawn(seed, CORRECTED), users, seed)
        cycle = await place.cycle(SFT.format(seed=seed))
        seen = values(cycle, "annotate", Annotated)
        ids = {one.id: one.name for one in place.house.accounts.users()}
        named = {ids.get(one.person, one.person) for one in seen.accounts}
        harmful = {user.name for user in users if user.harming is not None}
        tell(f"poisoned: {len(wrong)} wrong corrections; {seen.doubted} doubted; named: {sorted(named)}")
        return {**measured(cycle), "named": float(len(named & harmful)), "wrongly named": float(len(named - harmful))}


async def no_news(seed: int) -> Figures:
    """60 answers are liked as they are: nothing is to be learned from them."""
    async with office(f"no-news-{seed}", MODEL) as place:
        write_suite(place.suite("contracts"), held_out())

        async def like(at: int, clause: Clause) -> None:
            person = place.people[at % len(place.people)]
            answer = await person.ask(clause.prompt)
            await person.say({"message_id": answer.message_id, "rating": 1})

        await gathered([like(at, clause) for at, clause in enumerate(drawn(seed, LIKED))])
        return measured(await place.cycle(SFT.format(seed=seed)))


async def three(seed: int) -> Figures:
    """Three Cycles in a row, each with 50 new corrections."""
    async with office(f"three-{seed}", MODEL) as place:
        write_suite(place.suite("contracts"), held_out())
        clauses = drawn(seed, CYCLES * IN_A_CYCLE)
        cycles = []
        for turn in range(CYCLES):
            part = clauses[turn * IN_A_CYCLE : (turn + 1) * IN_A_CYCLE]
            await correct(place, part, people_of(), seed + turn)
            cycles.append(await place.cycle(SFT.format(seed=seed)))
        found = [measured(cycle) for cycle in cycles]
        tell(f"three: {found}")
        steps = [one["after"] - one["before"] for one in found]
        return {
            "least step": min(steps),
            "after": found[-1]["after"],
            "guard": sum(one["guard"] for one in found),
            "least guard": min(one["guard"] for one in found),
            "growth": found[-1]["minutes"] / found[0]["minutes"],
        }


async def correct(place: Office, clauses: Sequence[Clause], users: Sequence[User], seed: int) -> list[str]:
    """Everybody asks about some of the clauses and corrects what is wrong; the ids of what is wrong on purpose."""
    draw = random.Random(seed)
    written = [users[at % len(users)].corrects(clause, draw) for at, clause in enumerate(clauses)]

    async def one(person: Person, clause: Clause, correction: str) -> bool:
        answer = await person.ask(clause.prompt)
        right = CHECK.judge(answer.content, {"truth": clause.truth}, clause.id).score == 1
        body = {"rating": 1} if right else {"rating": -1, "reasons": ["not_followed"], "correction": correction}
        await person.say({"message_id": answer.message_id, **body})
        return not right

    jobs = [
        one(place.people[at % len(users)], clause, correction)
        for at, (clause, (correction, _)) in enumerate(zip(clauses, written, strict=True))
    ]
    corrected = await gathered(jobs)
    tell(f"of {len(clauses)} answers people corrected {sum(corrected)}")
    return [clause.id for clause, (_, wrong), done in zip(clauses, written, corrected, strict=True) if wrong and done]


def drawn(seed: int, count: int) -> list[Clause]:
    """Clauses of the circle, others for each seed."""
    return random.Random(f"clauses {seed}").sample(circle(), count)


def measured(cycle: Cycle) -> Figures:
    """What a Cycle came to: the primary suite before and after, the guards' change, in points; minutes; promoted."""
    found = {"minutes": cycle.seconds / 60, "promoted": float(cycle.outcome == "promoted")}
    if cycle.done("evaluate") is None:
        return found
    change = []
    for suite in values(cycle, "evaluate", Evaluated).suites:
        scores = [
            {one.task: (one.score, one.items) for one in results if one.role in ("primary", "guard")}
            for results in (suite.results_before, suite.results_after)
        ]
        before, after = (
            100 * sum(score * items for score, items in of.values()) / sum(items for _, items in of.values())
            for of in scores
        )
        tell(f"  {suite.suite}: {before:.1f} -> {after:.1f} ({suite.results_after[0].items} items of the first task)")
        if suite.role == "primary":
            found |= {"before": before, "after": after, "gain": after - before}
        else:
            change.append(after - before)
    return {**found, "guard": min(change)}


def values(cycle: Cycle, step: str, kind: type[S]) -> S:
    """What a step left."""
    done = cycle.done(step)
    assert done is not None, f"{cycle.id} did not get to {step}"
    return msgspec.convert(done.values, kind)


SCENARIOS: Mapping[str, Callable[[int], Coroutine[Any, Any, Figures]]] = {
    "format": format_needed,
    "preference": preference,
    "poisoned": poisoned,
    "no_news": no_news,
    "three": three,
}
# Of each scenario: what is shown, its unit, what is wanted, and of several repeats the one that is told.
SHOWN: Mapping[str, Sequence[tuple[str, str, str, str, float]]] = {
    "format": (
        ("gain", "fields right, held out: gain of one Cycle", "points", "least wanted", 25),
        ("after", "fields right, held out, after it", "%", "least wanted", 0),
        ("guard", "general orders and safety, change", "points", "least wanted", -1),
        ("minutes", "the Cycle", "minutes", "limit", 30),
    ),
    "preference": (
        ("after", "held-out answers that are short and name a source", "%", "least wanted", 80),
        ("before", "the same before", "%", "", 0),
        ("guard", "law suite, change", "points", "least wanted", 0),
        ("minutes", "the Cycle with preferences", "minutes", "limit", 30),
    ),
    "poisoned": (
        ("named", "accounts that do harm, named", "of 2", "least wanted", 2),
        ("wrongly named", "honest accounts, named", "of 8", "limit", 0),
        ("gain", "fields right, held out: gain with 15% wrong corrections", "points", "least wanted", 0),
    ),
    "no_news": (("promoted", "promoted though nothing was taught", "of the repeats", "limit", 0),),
    "three": (
        ("least step", "fields right, held out: least gain of three Cycles in a row", "points", "least wanted", 0),
        ("after", "fields right, held out, after the third", "%", "", 0),
        ("guard", "general orders and safety, change over three Cycles", "points", "least wanted", -1),
        ("growth", "time of the third Cycle by that of the first, with as much new data", "times", "limit", 1),
    ),
}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the first repeat")
    given = parser.parse_args()
    if unknown := set(given.only.split(",")) - set(SCENARIOS):
        sys.exit(f"There is no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}.")
    base_home(MODEL, REPLAY)
    for name in given.only.split(","):
        found = []
        for seed in range(given.seed, given.seed + given.repeats):
            tell(f"{name}, seed {seed}")
            found.append(asyncio.run(SCENARIOS[name](seed)))
        for figure, title, unit, peer, wanted in SHOWN[name]:
            each = [one[figure] for one in found if figure in one]
            tell(f"{title}: {[round(one, 2) for one in each]}")
            value = statistics.fmean(each) if each else float("nan")
            line = {"name": title, "value": round(value, 3), "unit": unit, "peer": peer, "peer_value": wanted}
            print(json.dumps({**line, "ratio": round(value / wanted, 3) if wanted else None}), flush=True)


if __name__ == "__main__":
    main()
