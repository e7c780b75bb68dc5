"""Which precision to train in, by measurement; and how fast the products of a job could be at best.

Half precision is not a flag: on some processors it is many times slower than float32, on a few it is wrong.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rixin.training.shape import Shape
from rixin.training.team import team

PROBE = (512, 768, 2048)
ROUNDS = 12
WORTH_IT = 1.2
TOLERANCE = 0.02


@dataclass(frozen=True)
class Precision:
    """The dtype to train in, why, and the measured rate of products in each dtype (1e9 operations a second)."""

    dtype: torch.dtype
    reason: str
    gflops: Mapping[str, float]


@dataclass(frozen=True)
class Product:
    """`count` matrix products [rows, inner] x [inner, columns]."""

    rows: int
    inner: int
    columns: int
    count: int

    @property
    def operations(self) -> float:
        """Multiplications and additions of all of them."""
        return 2.0 * self.rows * self.inner * self.columns * self.count


@dataclass(frozen=True)
class GemmBound:
    """What a step's products with weights need: operations, and seconds at the measured rates."""

    operations: float
    seconds: float


def choose_precision() -> Precision:
    """bfloat16 where it is right and clearly faster than float32, else float32. Takes about a tenth of a second."""
    rows, inner, columns = PROBE
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(rows, inner, generator=generator)
    b = torch.randn(inner, columns, generator=generator)
    half_a, half_b = a.bfloat16(), b.bfloat16()
    seconds = {
        "bfloat16": best_time(lambda: half_a @ half_b, ROUNDS),
        "float32": best_time(lambda: a @ b, ROUNDS),
    }
    gflops = {name: 2e-9 * rows * inner * columns / taken for name, taken in seconds.items()}
    if wrong := _fault_of_bfloat16(half_a, half_b):
        return Precision(torch.float32, f"float32: bfloat16 is not to be trusted here ({wrong})", gflops)
    gain = gflops["bfloat16"] / gflops["float32"]
    figures = f"{gflops['bfloat16']:,.0f} and {gflops['float32']:,.0f} GFLOP/s"
    if gain < WORTH_IT:
        return Precision(torch.float32, f"float32: bfloat16 is {gain:.2g} times as fast here ({figures})", gflops)
    return Precision(torch.bfloat16, f"bfloat16: {gain:.2g} times as fast as float32 here ({figures})", gflops)


def _fault_of_bfloat16(a: Tensor, b: Tensor) -> str | None:
    exact = a.float() @ b.float()
    for name, result in (("product", a @ b), ("transposed product", (b.T.contiguous() @ a.T.contiguous()).T)):
        if not bool(torch.isfinite(result).all()):
            return f"a {name} gave NaN"
        if float((result.float() - exact).norm() / exact.norm()) > TOLERANCE:
            return f"a {name} was off by more than {TOLERANCE:.0%}"
    return None


def best_time(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of so many calls, after one to warm up: what it takes when nobody else is at work."""
    work()
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def products_of(shape: Shape, *, rank: int | None, tokens: int, predicted: int) -> list[Product]:
    """The products of one forward and backward with the layers' weights and the head.

    With adapters of `rank` the weights get no gradient; without (None) they all do. The adapters' own products and
    attention's are left out: they are work of this method, not of the model.
    """
    queries = shape.qkv_rows[0]
    merged = (
        (shape.hidden, sum(shape.qkv_rows)),
        (queries, shape.hidden),
        (shape.hidden, 2 * shape.feed_forward),
        (shape.feed_forward, shape.hidden),
    )
    weights = [(inputs, outputs, tokens, shape.layers) for inputs, outputs in merged]
    weights.append((shape.hidden, shape.vocabulary, predicted, 1))
    products = []
    for inputs, outputs, rows, count in weights:
        products.append(Product(rows, inputs, outputs, count))
        products.append(Product(rows, outputs, inputs, count))
        if rank is None:
            products.append(Product(outputs, rows, inputs, count))
    return products


def gemm_bound(
    shape: Shape, *, rank: int | None, tokens: int, predicted: int, dtype: torch.dtype, rounds: int = 5
) -> GemmBound:
    """What one step over `tokens`, `predicted` of them through the head, would take if it were these products alone.

    Each product is timed in its own size, once by torch with all its threads and once by the team with rows for each
    member; the faster counts. So the bound is this machine's, not a data sheet's. Takes about 2 * `rounds` times a
    layer's part of the step.
    """
    crew = team()
    operations = seconds = 0.0
    for product in products_of(shape, rank=rank, tokens=tokens, predicted=predicted):
        if product.rows == 0 or product.columns == 0:
            continue
        a = torch.randn(product.rows, product.inner).to(dtype)
        b = torch.randn(product.inner, product.columns).to(dtype)
        out = torch.empty(product.rows, product.columns, dtype=dtype)

        def together(a: Tensor = a, b: Tensor = b, out: Tensor = out) -> None:
            torch.mm(a, b, out=out)

        def by_rows(a: Tensor = a, b: Tensor = b, out: Tensor = out) -> None:
            def work(member: int) -> None:
                first, stop = crew.rows(member, len(a))
                torch.mm(a[first:stop], b, out=out[first:stop])

            crew.run(work)

        seconds += product.count * min(best_time(together, rounds), best_time(by_rows, rounds))
        operations += product.operations
    return GemmBound(operations, seconds)
