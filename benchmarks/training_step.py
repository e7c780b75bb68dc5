"""How much of the products' bound a training step reaches, and how its cost per token changes with the pack's length.

`make bench NAME=training_step`, or `python benchmarks/training_step.py [--models …] [--tokens …] [--rounds N]`.
Each figure is a process of its own and one JSON line on standard output: tokens a second of the fastest of N steps
(forward, loss, backward; no optimizer), the seconds that the step's products with weights alone would take here, each
at its measured rate (`rixin.training.precision.gemm_bound`), their ratio, the processor's time, and the peak of
resident memory. Packs are of chat-like segments of 100 to 319 tokens whose second halves are learned. Weights are
random: speed does not
depend on them, and so nothing is fetched.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b", "small-30m")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description="A training step beside the bound of its products.")
    parser.add_argument("--models", default=",".join(MODELS[:2]), help=f"of {', '.join(MODELS)}")
    parser.add_argument("--tokens", default="256,512,1024,2048,4096")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--full", action="store_true", help="all weights learn, instead of LoRA of rank 16")
    parser.add_argument("--float32", action="store_true", help="instead of the precision that suits this machine")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_measure(arguments)))
        return
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"load average {load:.2f}: other programs are at work, the figures will be worse", file=sys.stderr)
    options = [flag for flag in ("--full", "--float32") if getattr(arguments, flag[2:])]
    for model in arguments.models.split(","):
        for tokens in arguments.tokens.split(","):
            command = [sys.executable, __file__, "--one", "--models", model, "--tokens", tokens, *options]
            subprocess.run([*command, "--rounds", str(arguments.rounds)], check=True)


def _measure(arguments: argparse.Namespace) -> dict[str, object]:
    import torch

    from rixin.training.batch import Pack, Segment
    from rixin.training.head_loss import cross_entropy
    from rixin.training.lora import add_lora
    from rixin.training.precision import choose_precision, gemm_bound
    from rixin.training.shape import Shape
    from rixin.training.threads import settle
    from rixin.training.transformer import new_transformer

    shapes = dict(
        zip(
            MODELS,
            (
                Shape("llama", 30, 576, 9, 3, 64, 1536, 49152, 8192, 1e-5, 1e5, tied=True),
                Shape("qwen2", 24, 896, 14, 2, 64, 4864, 151936, 32768, 1e-6, 1e6, tied=True),
                Shape("llama", 8, 512, 8, 8, 64, 1408, 8192, 1024, 1e-5, 1e4, tied=True),
            ),
            strict=True,
        )
    )
    threads = settle()
    precision = choose_precision()
    dtype = torch.float32 if arguments.float32 else precision.dtype
    tokens = int(arguments.tokens)
    model = new_transformer(shapes[arguments.models], seed=0, dtype=dtype)
    if not arguments.full:
        add_lora(model, rank=16, alpha=32, seed=0)
    drawn = np.random.default_rng(0)
    lengths: list[int] = []
    while (left := tokens - sum(lengths)) > 0:
        lengths.append(min(left, int(drawn.integers(100, 320))))
    starts = np.cumsum([0, *lengths[:-1]])
    at = [np.arange(start + n // 2, start + n - 1) for start, n in zip(starts, lengths, strict=True)]
    numbers = torch.from_numpy(drawn.integers(0, model.shape.vocabulary, tokens))
    predict_at = torch.from_numpy(np.concatenate(at))
    pack = Pack(
        tokens=numbers,
        segments=tuple(Segment(n) for n in lengths),
        predict_at=predict_at,
        targets=numbers[predict_at + 1],
        sequence=torch.from_numpy(np.repeat(np.arange(len(lengths)), [len(part) for part in at])),
    )
    best = best_processor = float("inf")
    for _ in range(arguments.rounds + 1):
        for parameter in model.trainable().values():
            parameter.grad = None
        start, processor = time.perf_counter(), time.process_time()
        cross_entropy(model, model(pack), pack).backward()  # type: ignore[no-untyped-call]
        best = min(best, time.perf_counter() - start)
        best_processor = min(best_processor, time.process_time() - processor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rank = None if arguments.full else 16
    bound = gemm_bound(model.shape, rank=rank, tokens=tokens, predicted=len(predict_at), dtype=dtype)
    return {
        "name": f"training step, {arguments.models}, {'all weights' if arguments.full else 'LoRA 16'}, {tokens} tokens",
        "value": round(tokens / best, 1),
        "unit": "tokens/s",
        "peer": f"products alone ({round(bound.operations / bound.seconds / 1e9):,} GFLOP/s)",
        "peer_value": round(tokens / bound.seconds, 1),
        "ratio": round(bound.seconds / best, 3),
        "predicted": len(predict_at),
        "processor_s": round(best_processor, 3),
        "peak_mb": round(peak / 1e6),
        "precision": str(dtype).removeprefix("torch."),
        "threads": threads,
    }


if __name__ == "__main__":
    main()
