"""Reports with as many samples as a test wants, for what shows them."""

import random
from collections.abc import Sequence

from rixin.evaluation import Cost, Report, Result, Sample

TEXT = (
    "the price of a train ticket rises when fewer people travel than last year and nobody asked them why because "
    "three boxes hold twelve apples each so there are thirty six of them before breakfast while 小明 有 苹果 合同 法院 "
    "认定 当事人 违约 责任 应当 赔偿 损失 first second therefore answer explain reason count total minutes hours"
)
WORDS = TEXT.split()
EXAMPLES = "\n\n".join(f"Question: what is {n} times {n + 1}?\nAnswer: it is {n * (n + 1)}." for n in range(40))
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"><!--"


def make_samples(count: int, *, seed: int = 0, right: float = 0.6, words: int = 60) -> list[Sample]:
    """Two tasks, one with examples before each question. Every 50th item is contaminated; item 7 is hostile."""
    chance = random.Random(seed)
    texts = random.Random(0)
    samples = []
    for number in range(count):
        task = ("sums", "orders")[number % 2]
        question = " ".join(texts.choices(WORDS, k=words))
        answer = " ".join(chance.choices(WORDS, k=words))
        score = float(chance.random() < right)
        samples.append(
            Sample(
                task=task,
                item=f"item-{number}",
                cluster=f"{task}/{number}",
                prompt=f"{EXAMPLES}\n\nQuestion: {question}?\nAnswer:"
                if task == "sums"
                else f"user\n{question}\nassistant\n",
                answer=HOSTILE if number == 7 else answer,
                expected=HOSTILE if number == 7 else str(texts.randrange(1000)),
                scores={"right": score, "tidy": round(chance.random(), 3)},
                verdict="as wanted" if score else f"wanted another number, found {chance.randrange(1000)}",
                contaminated=number % 50 == 0,
                prompt_tokens=800,
                answer_tokens=80,
                seconds=1.5,
            )
        )
    return samples


def make_report(name: str, samples: Sequence[Sample], *, suite_hash: str = "5" * 64) -> Report:
    """A Report of these samples; its intervals are round about right."""
    results = []
    for task in dict.fromkeys(one.task for one in samples):
        for metric in ("right", "tidy"):
            own = [one for one in samples if one.task == task]
            clean = [one.scores[metric] for one in own if not one.contaminated]
            mean = sum(one.scores[metric] for one in own) / len(own)
            results.append(
                Result(
                    task=task,
                    metric=metric,
                    score=mean,
                    low=max(0.0, mean - 0.04),
                    high=min(1.0, mean + 0.04),
                    items=len(own),
                    role="shown" if metric == "tidy" else "primary" if task == "sums" else "guard",
                    clean=sum(clean) / len(clean) if clean else None,
                    clean_items=len(clean),
                )
            )
    return Report(
        id=f"e_{name}".ljust(14, "0"),
        suite="office",
        suite_title="Office <b>questions</b>",
        suite_hash=suite_hash,
        model=name,
        version=f"v_{name}",
        family=name,
        created_at="2026-11-22T06:00:00+00:00",
        seed=1234,
        settings={"engine": "openvino"},
        results=results,
        cost=Cost(seconds=120.4, prompt_tokens=812_345, answer_tokens=70_123, memory_bytes=734_003_200),
        command=f"rixin eval run office --model v_{name}",
        machine="x86_64, 2 processors, Linux",
        notes=["3 items are in d_0123456789ab, which the Version learned from; the clean scores leave them out."],
    )
