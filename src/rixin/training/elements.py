"""What compiled kernels are made of: how they are compiled, elements of either precision, lines of float32.

Torch does element-wise work an operation at a time; each reads and writes everything, and together they took longer
than the products. So it is compiled by numba, each piece one pass over memory. bfloat16 is held as its bits (uint16)
and computed in float32; float32 passes through the same code. Kernels let go of the interpreter's lock and use one
thread: a team (`team.py`) calls them on rows of its own.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# Sums may be taken in any order; NaN and infinity keep their meaning, since the loop watches for them.
FAST = {"contract", "arcp", "nsz", "reassoc"}

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile it at its first call; kept on disk for the next process."""
    made = njit(nogil=True, fastmath=FAST, error_model="numpy", cache=True)(function)
    return cast("Function", made)


def inlined(function: Function) -> Function:
    """For use inside compiled functions."""
    made = njit(nogil=True, fastmath=FAST, error_model="numpy", cache=True, inline="always")(function)
    return cast("Function", made)


def element(function: Callable[..., Any]) -> Any:
    """For use inside compiled functions: writes the machine's instructions itself."""
    return intrinsic(function)


@element
def load(_context: Any, value: Any) -> Any:
    """float32 of an element."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        if value == types.float32:
            return values[0]
        wide = builder.shl(builder.zext(values[0], ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
        return builder.bitcast(wide, ir.FloatType())

    return types.float32(value), code


@element
def store(_context: Any, like: Any, _value: Any) -> Any:
    """An element of the kind that `like` is, from float32; rounded to nearest, ties to even."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        if like == types.float32:
            return values[1]
        i32 = ir.IntType(32)
        bits = builder.bitcast(values[1], i32)
        odd = builder.and_(builder.lshr(bits, ir.Constant(i32, 16)), ir.Constant(i32, 1))
        rounded = builder.add(bits, builder.add(odd, ir.Constant(i32, 0x7FFF)))
        return builder.trunc(builder.lshr(rounded, ir.Constant(i32, 16)), ir.IntType(16))

    return like(like, types.float32), code


@element
def _power_of_two(_context: Any, _exponent: Any) -> Any:
    """2**exponent for a whole float32, by its bits."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        i32 = ir.IntType(32)
        whole = builder.fptosi(values[0], i32)
        bits = builder.shl(builder.add(whole, ir.Constant(i32, 127)), ir.Constant(i32, 23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.float32), code


ZERO = np.float32(0)
ONE = np.float32(1)
HALF = np.float32(0.5)
LOWEST = np.float32(-87)
HIGHEST = np.float32(88)
LEAST = np.float32(-1e30)  # what may not be seen
BLOCK = 64
LOG2_E = np.float32(1.44269504)
LN2_HIGH = np.float32(0.693359375)
LN2_LOW = np.float32(-2.12194440e-4)
C0, C1, C2, C3, C4 = (
    np.float32(c) for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1)
)


@inlined
def exp(x: Any) -> Any:
    """e**x to float32's precision. Source: the Cephes library's expf, a polynomial on [-ln 2 / 2, ln 2 / 2]."""
    x = min(max(x, LOWEST), HIGHEST)
    n = np.floor(x * LOG2_E + HALF)
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = ((((C0 * r + C1) * r + C2) * r + C3) * r + C4) * r + HALF
    return (p * r * r + r + ONE) * _power_of_two(n)


@inlined
def inverse_rms(row: Any, width: Any, epsilon: Any) -> Any:
    total = ZERO
    for j in range(width):
        value = load(row[j])
        total += value * value
    return ONE / np.sqrt(total / np.float32(width) + epsilon)


@inlined
def largest(line: Any, tops: Any) -> Any:
    """Of a line whose length is a multiple of BLOCK; `tops` float32 [BLOCK] is used up.

    A plain loop of `max` would go an element at a time, and so would its end: halves are laid on each other instead.
    """
    for j in range(BLOCK):
        tops[j] = line[j]
    for c in range(1, len(line) // BLOCK):
        at = c * BLOCK
        for j in range(BLOCK):
            tops[j] = max(tops[j], line[at + j])
    half = BLOCK // 2
    while half > 0:
        for j in range(half):
            tops[j] = max(tops[j], tops[half + j])
        half //= 2
    return tops[0]


@compiled
def widened(row: Any, scale: Any, line: Any) -> None:
    for j in range(len(row)):
        line[j] = load(row[j]) * scale


@compiled
def narrowed(line: Any, factor: Any, row: Any) -> None:
    for j in range(len(row)):
        row[j] = store(row[j], line[j] * factor)


@compiled
def exp_sum(line: Any, top: Any) -> Any:
    """Each value to e**(value - top); their sum."""
    total = ZERO
    for j in range(len(line)):
        value = exp(line[j] - top)
        line[j] = value
        total += value
    return total
