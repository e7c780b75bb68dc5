"""Compiled work on rows [first, stop) of a pack: norms, the gate, heads and RoPE; and its gradients."""

from typing import Any

import numpy as np

from rixin.training.elements import ONE, ZERO, compiled, exp, inverse_rms, load, store


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
def _head_in(source: Any, bias: Any, weight: Any, epsilon: Any, cos: Any, sin: Any, out: Any) -> None:
    """One head of one token: bias, norm and RoPE, each where the model has it (`cos` empty: no RoPE)."""
    size = len(out)
    half = size // 2
    left, right, out_left, out_right = source[:half], source[half:], out[:half], out[half:]
    if len(bias) == 0 and len(weight) == 0 and len(cos) > 0:
        for j in range(half):
            a, b = load(left[j]), load(right[j])
            out_left[j] = store(out_left[j], a * cos[j] - b * sin[j])
            out_right[j] = store(out_right[j], b * cos[j] + a * sin[j])
        return
    line = np.empty(size, np.float32)
    for j in range(size):
        line[j] = load(source[j])
    if len(bias) > 0:
        for j in range(size):
            line[j] += load(bias[j])
    if len(weight) > 0:
        scale = inverse_rms(source, size, epsilon)
        for j in range(size):
            line[j] *= scale * load(weight[j])
    if len(cos) == 0:
        for j in range(size):
            out[j] = store(out[j], line[j])
        return
    line_left, line_right = line[:half], line[half:]
    for j in range(half):
        out_left[j] = store(out_left[j], line_left[j] * cos[j] - line_right[j] * sin[j])
        out_right[j] = store(out_right[j], line_right[j] * cos[j] + line_left[j] * sin[j])


@compiled
def split_heads(
    qkv: Any, bias: Any, q_norm: Any, k_norm: Any, none: Any, epsilon: Any, cos: Any, sin: Any, q: Any, k: Any, v: Any,
    first: int, stop: int,
) -> None:  # fmt: skip
    """Rows [T, q+k+v] to `q` [kv_heads, T, group, size] and `k`, `v` [kv_heads, T, size], turned by RoPE."""
    kv_heads, _, group, size = q.shape
    for i in range(first, stop):
        row, c, s = qkv[i], cos[i], sin[i]
        for h in range(kv_heads):
            for g in range(group):
                at = slice((h * group + g) * size, (h * group + g + 1) * size)
                _head_in(row[at], bias[at], q_norm, epsilon, c, s, q[h, i, g])
            at = slice((kv_heads * group + h) * size, (kv_heads * group + h + 1) * size)
            _head_in(row[at], bias[at], k_norm, epsilon, c, s, k[h, i])
            at = slice((kv_heads * group + kv_heads + h) * size, (kv_heads * group + kv_heads + h + 1) * size)
            _head_in(row[at], bias[at], none, epsilon, c[:0], s[:0], v[h, i])


@compiled
def _head_back(
    d: Any, raw: Any, weight: Any, epsilon: Any, cos: Any, sin: Any, target: Any, d_weight: Any
) -> None:  # fmt: skip
    """The way back of `_head_in`."""
    size = len(d)
    half = size // 2
    line = np.empty(size, np.float32)
    for j in range(size):
        line[j] = load(d[j])
    if len(cos) > 0:
        left, right = line[:half], line[half:]
        for j in range(half):
            a, b = left[j], right[j]
            left[j] = a * cos[j] + b * sin[j]
            right[j] = b * cos[j] - a * sin[j]
    if len(weight) > 0:
        r = inverse_rms(raw, size, epsilon)
        dot = ZERO
        for j in range(size):
            dot += line[j] * load(weight[j]) * load(raw[j])
        if len(d_weight) > 0:
            for j in range(size):
                d_weight[j] += line[j] * load(raw[j]) * r
        dot = dot * r * r / np.float32(size)
        for j in range(size):
            line[j] = r * (line[j] * load(weight[j]) - load(raw[j]) * dot)
    for j in range(size):
        target[j] = store(target[j], line[j])


@compiled
def join_heads(
    d_q: Any, d_k: Any, d_v: Any, qkv: Any, q_norm: Any, k_norm: Any, none: Any, epsilon: Any, cos: Any, sin: Any,
    d_qkv: Any, d_q_norm: Any, d_k_norm: Any, first: int, stop: int,
) -> None:  # fmt: skip
    """The way back of `split_heads`; `d_k` and `d_v` are float32. `qkv` is only looked at where heads have norms."""
    kv_heads, _, group, size = d_q.shape
    empty = d_q_norm[:0]
    for i in range(first, stop):
        raw, out, c, s = qkv[i], d_qkv[i], cos[i], sin[i]
        for h in range(kv_heads):
            for g in range(group):
                at = slice((h * group + g) * size, (h * group + g + 1) * size)
                _head_back(d_q[h, i, g], raw[at], q_norm, epsilon, c, s, out[at], d_q_norm)
            at = slice((kv_heads * group + h) * size, (kv_heads * group + h + 1) * size)
            _head_back(d_k[h, i], raw[at], k_norm, epsilon, c, s, out[at], d_k_norm)
            at = slice((kv_heads * group + kv_heads + h) * size, (kv_heads * group + kv_heads + h + 1) * size)
            _head_back(d_v[h, i], raw[at], none, epsilon, c[:0], s[:0], out[at], empty)


@compiled
def column_sums(x: Any, total: Any, first: int, stop: int) -> None:
    """Adds rows [first, stop) to float32 `total`."""
    for i in range(first, stop):
        row = x[i]
        for j in range(row.shape[0]):
            total[j] += load(row[j])
