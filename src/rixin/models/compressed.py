"""A matrix as OpenVINO keeps it compressed: rounded numbers, scales, and the arithmetic that undoes them.

Why int8, a scale for each row, is the default: on Qwen2.5-Coder-0.5B (Q4_K_M) the KL divergence to the same file in
float32 is 0.002 for int8 and 0.06-0.13 for every int4 form tried, since its weights were rounded once already.
"""

from typing import Literal

import numpy as np
import openvino as ov
from openvino import Node, opset13
from openvino.op import Constant

from rixin.models.safetensors_reader import Floats

Precision = Literal["int8", "int4"]

ROWS_AT_ONCE = 256
GROUPS = (64, 32)  # of int4; a row that neither divides stays in int8


def compressed(weight: Floats, precision: Precision) -> Node:
    """`weight` [rows, columns] as float32 again, from int8 or int4."""
    group = next((size for size in GROUPS if weight.shape[1] % size == 0), None)
    return int8(weight) if precision == "int8" or group is None else _int4(weight, group)


def int8(weight: Floats) -> Node:
    """Rows in int8 with a scale each, in the form that OpenVINO keeps compressed: convert, multiply, convert."""
    rounded = np.empty(weight.shape, np.int8)
    scales = np.empty((len(weight), 1), np.float16)
    for start in range(0, len(weight), ROWS_AT_ONCE):  # pieces that stay in the processor's cache
        rows = weight[start : start + ROWS_AT_ONCE]
        largest = np.maximum(rows.max(axis=1, keepdims=True), -rows.min(axis=1, keepdims=True))
        scale = (largest / 127).astype(np.float16)
        # A row whose scale is below float16's smallest is as good as zero.
        scale[scale == 0] = np.finfo(np.float16).tiny
        quotient = rows * (1 / scale.astype(np.float32))
        np.rint(quotient, out=quotient)
        rounded[start : start + ROWS_AT_ONCE] = np.clip(quotient, -127, 127, out=quotient)
        scales[start : start + ROWS_AT_ONCE] = scale
    return opset13.convert(opset13.multiply(opset13.convert(Constant(rounded), "f16"), Constant(scales)), "f32")


def _int4(weight: Floats, size: int) -> Node:
    """Groups of `size` numbers of a row in int4, with a scale each; the number farthest from zero becomes exactly -8.

    Source: llama.cpp's Q4_0, which has the same trick to use all sixteen values.
    """
    rows, columns = weight.shape
    groups = columns // size
    numbers = ov.Tensor(ov.Type.i4, ov.Shape([rows, groups, size]))  # owns its memory, as one made of an array does not
    packed = numbers.data.reshape(rows, columns // 2)
    scales = np.empty((rows, groups, 1), np.float16)
    for start in range(0, rows, ROWS_AT_ONCE):
        part = weight[start : start + ROWS_AT_ONCE].reshape(-1, groups, size)
        farthest = np.take_along_axis(part, np.abs(part).argmax(axis=2)[..., None], axis=2)
        scale = (farthest / -8).astype(np.float16)
        scale[scale == 0] = np.finfo(np.float16).tiny
        rounded = np.clip(np.rint(part / scale.astype(np.float32)), -8, 7).astype(np.int8).reshape(len(part), -1)
        low, high = rounded[:, 0::2] & 0xF, rounded[:, 1::2] & 0xF
        packed[start : start + ROWS_AT_ONCE] = low | (high << 4)
        scales[start : start + ROWS_AT_ONCE] = scale
    scaled = opset13.multiply(opset13.convert(Constant(numbers), "f16"), Constant(scales))
    whole = opset13.reshape(scaled, Constant(np.array([rows, columns], np.int64)), False)
    return opset13.convert(whole, "f32")
