"""Causal attention, segment by segment: no mask over the whole pack, no work on what no token may see."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from rixin.training.batch import Segment


def positions(segments: Sequence[Segment]) -> Tensor:
    """RoPE's position of each token, int64 [T]: from 0, or from where the prefix ends."""
    starts = [0 if s.prefix is None else segments[s.prefix].length for s in segments]
    return torch.cat([torch.arange(start, start + s.length) for start, s in zip(starts, segments, strict=True)])


def attention(queries: Tensor, keys: Tensor, values: Tensor, segments: Sequence[Segment]) -> Tensor:
    """[T, heads, head_size] from queries of that shape and keys and values [T, kv_heads, head_size].

    Each token sees its segment up to itself and all of the segment's prefix.
    """
    starts, total = [], 0
    for segment in segments:
        starts.append(total)
        total += segment.length
    outputs = []
    for start, segment in zip(starts, segments, strict=True):
        own = slice(start, start + segment.length)
        q, k, v = queries[own], keys[own], values[own]
        mask = None
        if segment.prefix is not None:
            length = segments[segment.prefix].length
            shared = slice(starts[segment.prefix], starts[segment.prefix] + length)
            k, v = torch.cat((keys[shared], k)), torch.cat((values[shared], v))
            mask = torch.ones(segment.length, length + segment.length, dtype=torch.bool).tril(length)
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
        out = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True)
        outputs.append(out[0].transpose(0, 1))
    return torch.cat(outputs)
