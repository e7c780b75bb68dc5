"""Causal attention over a pack, tile by tile: no mask over the whole, little work on what no token may see.

Heads: queries [kv_heads, T, group, head_size], keys and values [kv_heads, T, head_size].
"""

import numpy as np
import torch
from numpy.typing import NDArray

from rixin.training import attention_kernels
from rixin.training.buffers import Buffer, Scratch
from rixin.training.tiles import Share, Tile

MULTIPLE = 32  # of a tile's tokens and keys


def attend(share: Share, q: Buffer, k: Buffer, v: Buffer, out: Buffer, lse: Buffer, scratch: Scratch) -> None:
    """A member's share. `out` [T, heads * head_size or more], `lse` float32 [kv_heads, T * group] are filled."""
    group, size = q.tensor.shape[2:]
    for tile in share.tiles:
        queries, keys, values, sums = _operands(share, tile, q, k, v, lse, scratch)
        scores = _scores(queries, keys, scratch)
        attention_kernels.softmax_tile(scores.array, group, tile.shared, tile.begins, tile.behind, size**-0.5, sums)
        attended = scratch.take("attended", *queries.shape, dtype=queries.dtype)
        torch.bmm(scores.tensor, values, out=attended.tensor)
        attention_kernels.heads_to_rows(attended.array, group, size, out.array, tile.first, tile.stop, share.head)


def attend_backward(
    share: Share, q: Buffer, k: Buffer, v: Buffer, lse: Buffer, d_out: Buffer, d_q: Buffer, d_k: Buffer, d_v: Buffer,
    scratch: Scratch,
) -> None:  # fmt: skip
    """A member's share. `d_q` is filled; to `d_k` and `d_v`, float32 and zero at first, is added."""
    group, size = q.tensor.shape[2:]
    heads = slice(share.head, share.head_stop)
    for tile in share.tiles:
        queries, keys, values, sums = _operands(share, tile, q, k, v, lse, scratch)
        d = scratch.take("d_attended", *queries.shape, dtype=queries.dtype)
        attention_kernels.rows_to_heads(d_out.array, group, size, d.array, tile.first, tile.stop, share.head)
        scores = _scores(queries, keys, scratch)
        d_scores = scratch.take("d_scores", *scores.tensor.shape, dtype=queries.dtype)
        torch.bmm(d.tensor, values.transpose(1, 2), out=d_scores.tensor)
        attention_kernels.softmax_tile_backward(
            scores.array, d_scores.array, group, tile.shared, tile.begins, tile.behind, size**-0.5, sums
        )
        grown = scratch.take("d_keys", *keys.shape, dtype=queries.dtype)
        torch.bmm(scores.tensor.transpose(1, 2), d.tensor, out=grown.tensor)
        attention_kernels.accumulate(grown.array, tile.keys, d_v.array, share.head, tile.prefix, tile.shared, tile.own)
        torch.bmm(d_scores.tensor.transpose(1, 2), queries, out=grown.tensor)
        attention_kernels.accumulate(grown.array, tile.keys, d_k.array, share.head, tile.prefix, tile.shared, tile.own)
        torch.bmm(d_scores.tensor, keys, out=d.tensor)
        target = d_q.tensor[heads, tile.first : tile.stop].flatten(1, 2)
        target.copy_(d.tensor[:, : target.shape[1]])


_Operands = tuple[torch.Tensor, torch.Tensor, torch.Tensor, NDArray[np.float32]]


def _scores(queries: torch.Tensor, keys: torch.Tensor, scratch: Scratch) -> Buffer:
    scores = scratch.take("scores", len(queries), queries.shape[1], keys.shape[1], dtype=queries.dtype)
    torch.bmm(queries, keys.transpose(1, 2), out=scores.tensor)
    return scores


def _operands(share: Share, tile: Tile, q: Buffer, k: Buffer, v: Buffer, lse: Buffer, scratch: Scratch) -> _Operands:
    """Queries, keys and values of a tile, in sizes that come again, and the place of its rows' sums.

    The library that multiplies compiles a kernel for every size that it meets. With sizes as they fall, a step took an
    eighth longer, and each left some 40 MB of kernels behind.
    """
    heads = slice(share.head, share.head_stop)
    group, size = q.tensor.shape[2:]
    rows, padded = (tile.stop - tile.first) * group, _padded(tile.stop - tile.first) * group
    queries = scratch.take("queries", share.head_stop - share.head, padded, size, dtype=q.tensor.dtype).tensor
    queries[:, :rows] = q.tensor[heads, tile.first : tile.stop].flatten(1, 2)
    queries[:, rows:] = 0
    keys, values = (_keys(heads, tile, x, name, scratch) for x, name in ((k, "keys"), (v, "values")))
    return queries, keys, values, lse.array[heads, tile.first * group : tile.stop * group]


def _keys(heads: slice, tile: Tile, x: Buffer, name: str, scratch: Scratch) -> torch.Tensor:
    own = x.tensor[heads, tile.own : tile.stop]
    whole = scratch.take(name, len(own), _padded(tile.keys), own.shape[2], dtype=own.dtype).tensor
    if tile.shared:
        whole[:, : tile.shared] = x.tensor[heads, tile.prefix : tile.prefix + tile.shared]
    whole[:, tile.shared : tile.keys] = own
    whole[:, tile.keys :] = 0
    return whole


def _padded(size: int) -> int:
    return -(-size // MULTIPLE) * MULTIPLE
