"""Causal attention over a pack, tile by tile: no mask over the whole, little work on what no token may see.

Heads: queries [kv_heads, T, group, head_size], keys and values [kv_heads, T, head_size].
"""

import numpy as np
import torch
from numpy.typing import NDArray

from rixin.training import attention_kernels
from rixin.training.buffers import Buffer, Scratch
from rixin.training.tiles import Share, Tile


def attend(share: Share, q: Buffer, k: Buffer, v: Buffer, out: Buffer, lse: Buffer, scratch: Scratch) -> None:
    """A member's share. `out` [T, heads * head_size or more], `lse` float32 [kv_heads, T * group] are filled."""
    size = q.tensor.shape[3]
    for tile in share.tiles:
        queries, keys, values, sums = _views(share, tile, q, k, v, lse, scratch)
        scores = _scores(queries, keys, scratch)
        tokens = tile.stop - tile.first
        group = queries.shape[1] // tokens
        attention_kernels.softmax_tile(scores.array, group, tile.shared, tile.begins, tile.behind, size**-0.5, sums)
        attended = scratch.take("attended", *queries.shape, dtype=queries.dtype)
        torch.bmm(scores.tensor, values, out=attended.tensor)
        attention_kernels.heads_to_rows(attended.array, group, size, out.array, tile.first, share.head)


def attend_backward(
    share: Share, q: Buffer, k: Buffer, v: Buffer, lse: Buffer, d_out: Buffer, d_q: Buffer, d_k: Buffer, d_v: Buffer,
    scratch: Scratch,
) -> None:  # fmt: skip
    """A member's share. `d_q` is filled; to `d_k` and `d_v`, float32 and zero at first, is added."""
    size = q.tensor.shape[3]
    heads = slice(share.head, share.head_stop)
    for tile in share.tiles:
        queries, keys, values, sums = _views(share, tile, q, k, v, lse, scratch)
        tokens = tile.stop - tile.first
        group = queries.shape[1] // tokens
        d = scratch.take("d_attended", *queries.shape, dtype=queries.dtype)
        attention_kernels.rows_to_heads(d_out.array, group, size, d.array, tile.first, share.head)
        scores = _scores(queries, keys, scratch)
        d_scores = scratch.take("d_scores", *scores.tensor.shape, dtype=queries.dtype)
        torch.bmm(d.tensor, values.transpose(1, 2), out=d_scores.tensor)
        attention_kernels.softmax_tile_backward(
            scores.array, d_scores.array, group, tile.shared, tile.begins, tile.behind, size**-0.5, sums
        )
        grown = scratch.take("d_keys", *keys.shape, dtype=queries.dtype)
        torch.bmm(scores.tensor.transpose(1, 2), d.tensor, out=grown.tensor)
        attention_kernels.accumulate(grown.array, d_v.array, share.head, tile.prefix, tile.shared, tile.own)
        torch.bmm(d_scores.tensor.transpose(1, 2), queries, out=grown.tensor)
        attention_kernels.accumulate(grown.array, d_k.array, share.head, tile.prefix, tile.shared, tile.own)
        torch.bmm(d_scores.tensor, keys, out=d_q.tensor[heads, tile.first : tile.stop].flatten(1, 2))


_Views = tuple[torch.Tensor, torch.Tensor, torch.Tensor, NDArray[np.float32]]


def _scores(queries: torch.Tensor, keys: torch.Tensor, scratch: Scratch) -> Buffer:
    scores = scratch.take("scores", len(queries), queries.shape[1], keys.shape[1], dtype=queries.dtype)
    torch.bmm(queries, keys.transpose(1, 2), out=scores.tensor)
    return scores


def _views(share: Share, tile: Tile, q: Buffer, k: Buffer, v: Buffer, lse: Buffer, scratch: Scratch) -> _Views:
    heads = slice(share.head, share.head_stop)
    group = q.tensor.shape[2]
    queries = q.tensor[heads, tile.first : tile.stop].flatten(1, 2)
    keys, values = (_keys(heads, tile, x, name, scratch) for x, name in ((k, "keys"), (v, "values")))
    return queries, keys, values, lse.array[heads, tile.first * group : tile.stop * group]


def _keys(heads: slice, tile: Tile, x: Buffer, name: str, scratch: Scratch) -> torch.Tensor:
    own = x.tensor[heads, tile.own : tile.stop]
    if tile.shared == 0:
        return own
    both = scratch.take(name, len(own), tile.keys, own.shape[2], dtype=own.dtype).tensor
    both[:, : tile.shared] = x.tensor[heads, tile.prefix : tile.prefix + tile.shared]
    both[:, tile.shared :] = own
    return both
