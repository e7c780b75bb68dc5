"""Compiled work on rows [first, stop) of a pack: norms, the gate, heads and RoPE; and its gradients."""

from typing import Any

import numpy as np

from rixin.training.elements import ONE, ZERO, compiled, exp, inverse_rms, load, narrowed, store, widened

STEP = 16


@compiled
def norm(x: Any, weight: Any, epsilon: Any, out: Any, first: int, stop: int) -> None:
    """Root-mean-square norm of rows [first, stop) of `x` [T, H] into the first H columns of `out`."""
    width = x.shape[1]
    for i in range(first, stop):
        source, target = x[i], out[i]
        r = inverse_rms(source, width, epsilon)
        for j in range(width):
            target[j] = store(target[j], load(source[j]) * r * load(weight[j]))


@compiled
def add_norm(x: Any, added: Any, total: Any, weight: Any, epsilon: Any, out: Any, first: int, stop: int) -> None:
    """`total = x + added`, and its norm into the first H columns of `out`."""
    width = x.shape[1]
    for i in range(first, stop):
        left, right, both, target = x[i], added[i], total[i], out[i]
        for j in range(width):
            both[j] = store(both[j], load(left[j]) + load(right[j]))
        r = inverse_rms(both, width, epsilon)
        for j in range(width):
            target[j] = store(target[j], load(both[j]) * r * load(weight[j]))


@compiled
def add(x: Any, added: Any, total: Any, first: int, stop: int) -> None:
    """`total = x + added`."""
    width = x.shape[1]
    for i in range(first, stop):
        left, right, both = x[i], added[i], total[i]
        for j in range(width):
            both[j] = store(both[j], load(left[j]) + load(right[j]))


@compiled
def norm_backward(
    x: Any, weight: Any, epsilon: Any, d_out: Any, d_rest: Any, d_x: Any, d_weight: Any, first: int, stop: int
) -> None:
    """`d_x = d_rest +` the norm's gradient; `d_weight` (float32 [H], or empty where it does not learn) grows."""
    width = x.shape[1]
    learns = d_weight.shape[0] > 0
    for i in range(first, stop):
        source, d, rest, target = x[i], d_out[i], d_rest[i], d_x[i]
        r = inverse_rms(source, width, epsilon)
        dot = ZERO
        for j in range(width):
            dot += load(d[j]) * load(weight[j]) * load(source[j])
        if learns:
            for j in range(width):
                d_weight[j] += load(d[j]) * load(source[j]) * r
        dot = dot * r * r / np.float32(width)
        for j in range(width):
            value = r * (load(d[j]) * load(weight[j]) - load(source[j]) * dot)
            target[j] = store(target[j], load(rest[j]) + value)


@compiled
def silu_mul(gate_up: Any, out: Any, first: int, stop: int) -> None:
    """`silu(gate) * up` of rows [T, 2F] into the first F columns of `out`."""
    width = gate_up.shape[1] // 2
    for i in range(first, stop):
        gate, up, target = gate_up[i, :width], gate_up[i, width:], out[i]
        for j in range(width):
            a = load(gate[j])
            target[j] = store(target[j], a / (ONE + exp(-a)) * load(up[j]))


@compiled
def silu_mul_backward(gate_up: Any, d_out: Any, out: Any, first: int, stop: int) -> None:
    """The gradient takes the place of `gate_up`; what the forward gave goes to `out` again."""
    width = gate_up.shape[1] // 2
    for i in range(first, stop):
        gate, up, d, target = gate_up[i, :width], gate_up[i, width:], d_out[i], out[i]
        for j in range(width):
            a, b, c = load(gate[j]), load(up[j]), load(d[j])
            s = ONE / (ONE + exp(-a))
            swish = a * s
            target[j] = store(target[j], swish * b)
            gate[j] = store(gate[j], c * b * (s + swish * (ONE - s)))
            up[j] = store(up[j], c * swish)


@compiled
def _turn(line: Any, cos: Any, sin: Any, heads: int) -> None:
    """RoPE on the first `heads` heads of a line, in place; with `-sin` it turns back.

    In steps of a fixed length, which compile to whole vectors; heads are too short for a loop of unknown length.
    """
    half = len(cos)
    steps = half // STEP
    for h in range(heads):
        left, right = line[2 * h * half : (2 * h + 1) * half], line[(2 * h + 1) * half : (2 * h + 2) * half]
        for c in range(steps):
            for j in range(STEP):
                at = c * STEP + j
                a, b = left[at], right[at]
                left[at] = a * cos[at] - b * sin[at]
                right[at] = b * cos[at] + a * sin[at]
        for at in range(steps * STEP, half):
            a, b = left[at], right[at]
            left[at] = a * cos[at] - b * sin[at]
            right[at] = b * cos[at] + a * sin[at]


@compiled
def _norm_heads(line: Any, weight: Any, epsilon: Any, first: int, stop: int) -> None:
    """The norm of heads [first, stop) of a line, in place."""
    size = len(weight)
    for h in range(first, stop):
        head = line[h * size : (h + 1) * size]
        r = inverse_rms(head, size, epsilon)
        for j in range(size):
            head[j] *= r * load(weight[j])


@compiled
def _norm_heads_backward(
    d_line: Any, raw: Any, weight: Any, epsilon: Any, first: int, stop: int, d_weight: Any
) -> None:  # fmt: skip
    size = len(weight)
    for h in range(first, stop):
        d, x = d_line[h * size : (h + 1) * size], raw[h * size : (h + 1) * size]
        r = inverse_rms(x, size, epsilon)
        dot = ZERO
        for j in range(size):
            dot += d[j] * load(weight[j]) * load(x[j])
        if len(d_weight) > 0:
            for j in range(size):
                d_weight[j] += d[j] * load(x[j]) * r
        dot = dot * r * r / np.float32(size)
        for j in range(size):
            d[j] = r * (d[j] * load(weight[j]) - load(x[j]) * dot)


@compiled
def split_heads(
    qkv: Any, bias: Any, q_norm: Any, k_norm: Any, epsilon: Any, cos: Any, sin: Any, q: Any, k: Any, v: Any,
    first: int, stop: int,
) -> None:  # fmt: skip
    """Rows [T, q+k+v] to `q` [kv_heads, T, group * size] and `k`, `v` [kv_heads, T, size].

    With the bias, the heads' norms (each may be empty: there is none) and RoPE.
    """
    kv_heads, size = k.shape[0], k.shape[2]
    group = q.shape[2] // size
    heads = kv_heads * group
    line = np.empty(qkv.shape[1], np.float32)
    for i in range(first, stop):
        widened(qkv[i], ONE, line)
        for j in range(len(bias)):
            line[j] += load(bias[j])
        if len(q_norm) > 0:
            _norm_heads(line, q_norm, epsilon, 0, heads)
            _norm_heads(line, k_norm, epsilon, heads, heads + kv_heads)
        _turn(line, cos[i], sin[i], heads + kv_heads)
        for h in range(kv_heads):
            at = heads + h
            narrowed(line[h * group * size : (h + 1) * group * size], ONE, q[h, i])
            narrowed(line[at * size : (at + 1) * size], ONE, k[h, i])
            narrowed(line[(at + kv_heads) * size : (at + kv_heads + 1) * size], ONE, v[h, i])


@compiled
def join_heads(
    d_q: Any, d_k: Any, d_v: Any, qkv: Any, q_norm: Any, k_norm: Any, epsilon: Any, cos: Any, back: Any,
    d_qkv: Any, d_q_norm: Any, d_k_norm: Any, first: int, stop: int,
) -> None:  # fmt: skip
    """The way back of `split_heads`; `back` is `-sin`, `d_k` and `d_v` are float32.

    `qkv` is only looked at where heads have norms.
    """
    kv_heads, size = d_k.shape[0], d_k.shape[2]
    group = d_q.shape[2] // size
    heads = kv_heads * group
    line = np.empty(d_qkv.shape[1], np.float32)
    for i in range(first, stop):
        for h in range(kv_heads):
            at = heads + h
            widened(d_q[h, i], ONE, line[h * group * size : (h + 1) * group * size])
            widened(d_k[h, i], ONE, line[at * size : (at + 1) * size])
            widened(d_v[h, i], ONE, line[(at + kv_heads) * size : (at + kv_heads + 1) * size])
        _turn(line, cos[i], back[i], heads + kv_heads)
        if len(q_norm) > 0:
            _norm_heads_backward(line, qkv[i], q_norm, epsilon, 0, heads, d_q_norm)
            _norm_heads_backward(line, qkv[i], k_norm, epsilon, heads, heads + kv_heads, d_k_norm)
        narrowed(line, ONE, d_qkv[i])


@compiled
def column_sums(x: Any, total: Any, first: int, stop: int) -> None:
    """Adds rows [first, stop) to float32 `total`."""
    for i in range(first, stop):
        row = x[i]
        for j in range(row.shape[0]):
            total[j] += load(row[j])
