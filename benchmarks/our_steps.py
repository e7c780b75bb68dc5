"""What a step of our training takes on packs of given lengths, beside what their matrix products alone would take.

`python our_steps.py JOB`: JOB is JSON with `weights` (a GGUF file or folder), `rank`, `answer_share` (of the tokens go
through the head) and `cases`, a list of packs, each the lengths of its segments. One JSON line a case: `tokens`,
`seconds` of forward, backward and update (the median of `rounds`), `bound_seconds` (only with `bound`).
"""

import json
import statistics
import sys
import time

import torch

from rixin.models import open_weights
from rixin.training.batch import Pack, Segment
from rixin.training.head_loss import cross_entropy
from rixin.training.lora import add_lora
from rixin.training.optimizer import AdamW
from rixin.training.precision import choose_precision, gemm_bound
from rixin.training.threads import settle
from rixin.training.transformer import Transformer, load_transformer
from rixin.training.workshop import ADAM_BETAS

NO_RATE = 1e-12  # nothing is to be learnt from random tokens


def pack_of(lengths: list[int], vocabulary: int, answer_share: float) -> Pack:
    """Random tokens; in each segment the last `answer_share` is learnt."""
    generator = torch.Generator().manual_seed(len(lengths))
    tokens = torch.randint(vocabulary, (sum(lengths),), generator=generator)
    places: list[int] = []
    sequence: list[int] = []
    start = 0
    for number, length in enumerate(lengths):
        learnt = max(1, round((length - 1) * answer_share))
        places += range(start + length - 1 - learnt, start + length - 1)
        sequence += [number] * learnt
        start += length
    at = torch.tensor(places)
    return Pack(tokens, tuple(map(Segment, lengths)), at, tokens[at + 1], torch.tensor(sequence))


def seconds_of(model: Transformer, optimizer: AdamW, pack: Pack) -> float:
    """One step, as the loop makes it."""
    start = time.perf_counter()
    optimizer.clear()
    cross_entropy(model, model(pack), pack).backward()  # type: ignore[no-untyped-call]
    optimizer.norm()
    optimizer.update(NO_RATE, 1.0 / len(pack.targets))
    return time.perf_counter() - start


def main() -> None:
    """Measure the cases in turns, so that a slow moment of the machine hits all of them."""
    job = json.loads(sys.argv[1])
    settle()
    dtype = choose_precision().dtype
    model = load_transformer(open_weights(job["weights"]), dtype=dtype)
    add_lora(model, rank=job["rank"], alpha=2 * job["rank"], seed=0)
    optimizer = AdamW(model.trainable(), betas=ADAM_BETAS, weight_decay=0.0)
    packs = [pack_of(lengths, model.shape.vocabulary, job["answer_share"]) for lengths in job["cases"]]
    taken: list[list[float]] = [[] for _ in packs]
    for number in range(job["rounds"] + 1):
        for pack, times in zip(packs, taken, strict=True):
            seconds = seconds_of(model, optimizer, pack)
            if number:  # the first one warms up
                times.append(seconds)
    optimizer.close()
    for pack, times in zip(packs, taken, strict=True):
        line = {"tokens": len(pack.tokens), "seconds": statistics.median(times)}
        if job["bound"]:
            predicted = len(pack.targets)
            bound = gemm_bound(model.shape, rank=job["rank"], tokens=len(pack.tokens), predicted=predicted, dtype=dtype)
            line["bound_seconds"] = bound.seconds
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
