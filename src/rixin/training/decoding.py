"""Sampling from the model that is being trained: for rollouts and for the samples of a validation.

A prompt is computed once for all of its answers. All answers of all prompts take each step together, so that the
products have many rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rixin.errors import ContextLengthExceeded, InvalidRequest
from rixin.training.batch import Pack, Segment
from rixin.training.layer import Layer
from rixin.training.transformer import Transformer, rms_norm, rope_table, rotate

LIKELY = 512


@dataclass(frozen=True, slots=True)
class Completion:
    """What was sampled, an end token included, and each token's log-probability under the model at temperature 1."""

    tokens: list[int]
    logprobs: list[float]


class Decoder:
    """The keys and values of prompts and of their answers.

    Keys and values of the prompts: [prompts, kv_heads, longest prompt, head_size], zeros behind shorter ones; of the
    answers: [prompts, samples, kv_heads, max_tokens, head_size].
    """

    def __init__(
        self, model: Transformer, prompts: Sequence[Sequence[int]], samples_per_prompt: int, max_tokens: int
    ) -> None:
        shape = model.shape
        self.model = model
        self.lengths = torch.tensor([len(prompt) for prompt in prompts])
        self.samples = samples_per_prompt
        self.step = 0
        longest = int(self.lengths.max())
        size = (len(prompts), shape.kv_heads, longest, shape.head_size)
        own = (len(prompts), samples_per_prompt, shape.kv_heads, max_tokens, shape.head_size)
        self.prompt_keys = [torch.zeros(size, dtype=model.dtype) for _ in range(shape.layers)]
        self.prompt_values = [torch.zeros(size, dtype=model.dtype) for _ in range(shape.layers)]
        self.own_keys = [torch.empty(own, dtype=model.dtype) for _ in range(shape.layers)]
        self.own_values = [torch.empty(own, dtype=model.dtype) for _ in range(shape.layers)]
        self.behind = torch.arange(longest)[None] >= self.lengths[:, None]
        self.hidden = self._prefill(prompts).repeat_interleave(samples_per_prompt, 0)

    def _prefill(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """The hidden state of each prompt's last token [prompts, hidden]."""
        nothing = torch.zeros(0, dtype=torch.int64)
        tokens = torch.tensor([token for prompt in prompts for token in prompt])
        pack = Pack(tokens, tuple(Segment(len(prompt)) for prompt in prompts), nothing, nothing, nothing)
        ends = self.lengths.cumsum(0)

        def take(index: int, keys: Tensor, values: Tensor) -> None:
            for place, (end, length) in enumerate(zip(ends.tolist(), self.lengths.tolist(), strict=True)):
                self.prompt_keys[index][place, :, :length] = keys[:, end - length : end]
                self.prompt_values[index][place, :, :length] = values[:, end - length : end]

        return self.model.prefill(pack, take)[ends - 1]

    def logits(self) -> Tensor:
        """Of the next token of every answer, float32 [prompts * samples, vocabulary]."""
        return (self.hidden @ self.model.head.T).float()

    def advance(self, tokens: Tensor) -> None:
        """Take one token for every answer, int64 [prompts * samples]."""
        model = self.model
        x = model.embedding[tokens]
        rope = rope_table(model.shape, (self.lengths + self.step).repeat_interleave(self.samples))
        for index, layer in enumerate(model.layers):
            assert isinstance(layer, Layer)
            q, k, v = _project(layer, x, rope, model.adapters_on)
            x = _finish(layer, x, self._attend(index, q, k, v), model.adapters_on)
        self.step += 1
        self.hidden = rms_norm(x, model.norm, model.shape.norm_epsilon)

    def _attend(self, index: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        shape, step = self.model.shape, self.step
        prompts, samples = len(self.lengths), self.samples
        group = shape.heads // shape.kv_heads
        keys, values = self.own_keys[index], self.own_values[index]
        keys[:, :, :, step] = k.view(prompts, samples, shape.kv_heads, shape.head_size)
        values[:, :, :, step] = v.view(prompts, samples, shape.kv_heads, shape.head_size)
        q = q.view(prompts, samples, shape.kv_heads, group, shape.head_size) * shape.head_size**-0.5
        shared_q = q.transpose(1, 2).reshape(prompts, shape.kv_heads, samples * group, shape.head_size)
        shared = (shared_q @ self.prompt_keys[index].transpose(2, 3)).float()
        shared.masked_fill_(self.behind[:, None, None], float("-inf"))
        shared = shared.view(prompts, shape.kv_heads, samples, group, -1).transpose(1, 2)
        own = (q @ keys[:, :, :, : step + 1].transpose(3, 4)).float()
        weights = torch.cat((shared, own), dim=-1).softmax(-1).to(q.dtype)
        longest = shared.shape[-1]
        from_prompt = weights[..., :longest].transpose(1, 2).reshape(prompts, shape.kv_heads, samples * group, longest)
        out = (from_prompt @ self.prompt_values[index]).view(prompts, shape.kv_heads, samples, group, -1)
        out = out.transpose(1, 2) + weights[..., longest:] @ values[:, :, :, : step + 1]
        return out.reshape(prompts * samples, shape.heads, shape.head_size)


def _project(layer: Layer, x: Tensor, rope: tuple[Tensor, Tensor], on: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [rows, heads, head_size], keys and values [rows, kv_heads, head_size]."""
    shape = layer.shape
    x = layer.qkv(rms_norm(x, layer.attention_norm, shape.norm_epsilon), on)
    q, k, v = (part.view(len(x), -1, shape.head_size) for part in torch.split(x, list(shape.qkv_rows), dim=1))
    if layer.q_norm is not None and layer.k_norm is not None:
        q = rms_norm(q, layer.q_norm, shape.norm_epsilon)
        k = rms_norm(k, layer.k_norm, shape.norm_epsilon)
    return rotate(q, rope), rotate(k, rope), v


def _finish(layer: Layer, x: Tensor, attended: Tensor, on: bool) -> Tensor:
    x = x + layer.output(attended.flatten(1), on)
    gate, up = layer.gate_up(rms_norm(x, layer.feed_forward_norm, layer.shape.norm_epsilon), on).chunk(2, dim=1)
    added: Tensor = layer.down(torch.nn.functional.silu(gate) * up, on)
    return x + added


@torch.no_grad()
def generate(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    *,
    samples_per_prompt: int,
    max_tokens: int,
    temperature: float,
    top_p: float,
    end_ids: Collection[int],
    generator: torch.Generator,
) -> list[list[Completion]]:
    """For each prompt so many answers, each up to an end token or `max_tokens`. Temperature 0 takes the likeliest.

    The same model, arguments and state of the generator give the same answers. Raises InvalidRequest for no or empty
    prompts and for values out of range, ContextLengthExceeded where a prompt and its answer can't fit.
    """
    _check(model, prompts, samples_per_prompt, max_tokens, temperature, top_p)
    decoder = Decoder(model, prompts, samples_per_prompt, max_tokens)
    rows = len(prompts) * samples_per_prompt
    tokens: list[list[int]] = [[] for _ in range(rows)]
    logprobs: list[list[float]] = [[] for _ in range(rows)]
    ended = [False] * rows
    for step in range(max_tokens):
        logits = decoder.logits()
        chosen = _sample(logits, temperature, top_p, torch.rand(rows, generator=generator))
        chances = logits.gather(1, chosen[:, None])[:, 0] - logits.logsumexp(1)
        for row, (token, chance) in enumerate(zip(chosen.tolist(), chances.tolist(), strict=True)):
            if not ended[row]:
                tokens[row].append(token)
                logprobs[row].append(chance)
                ended[row] = token in end_ids
        if all(ended) or step == max_tokens - 1:
            break
        decoder.advance(chosen)
    done = [Completion(t, p) for t, p in zip(tokens, logprobs, strict=True)]
    return [done[start : start + samples_per_prompt] for start in range(0, rows, samples_per_prompt)]


def _sample(logits: Tensor, temperature: float, top_p: float, drawn: Tensor) -> Tensor:
    """A token a row, where `drawn` (uniform in 0..1) of the summed chances of all tokens, or of the likeliest, lies.

    The likeliest are looked for among LIKELY only, unless those are too few: sorting all of the vocabulary took longer
    than the model.
    """
    likeliest = logits.argmax(1)
    if temperature == 0:
        return likeliest
    chances = (logits / temperature).softmax(1)
    if top_p == 1:
        return _at(chances.cumsum(1), drawn, likeliest)
    few = min(LIKELY, chances.shape[1])
    kept, order = chances.topk(few, dim=1)
    if float(kept.sum(1).min()) < top_p:
        kept, order = chances.sort(dim=1, descending=True, stable=True)
    before = kept.cumsum(1) - kept
    place = _at(kept.masked_fill(before >= top_p, 0).cumsum(1), drawn, torch.zeros_like(likeliest))
    return order.gather(1, place[:, None])[:, 0]


def _at(summed: Tensor, drawn: Tensor, otherwise: Tensor) -> Tensor:
    """The first column whose sum is above `drawn` of the whole; `otherwise` where rounding leaves none."""
    place = torch.searchsorted(summed, drawn[:, None] * summed[:, -1:], right=True)[:, 0]
    return torch.where(place < summed.shape[1], place, otherwise)


def _check(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    samples: int,
    max_tokens: int,
    temperature: float,
    top_p: float,
) -> None:
    if not prompts or not all(prompts):
        raise InvalidRequest("There is no prompt, or an empty one.", param="prompts")
    ranges = (
        ("samples_per_prompt", samples >= 1, "at least 1"),
        ("max_tokens", max_tokens >= 1, "at least 1"),
        ("temperature", temperature >= 0, "0 or more"),
        ("top_p", 0 < top_p <= 1, "above 0, at most 1"),
    )
    for name, holds, rule in ranges:
        if not holds:
            raise InvalidRequest(f"{name} is out of range.", fix=f"It is {rule}.", param=name)
    longest = max(map(len, prompts))
    if longest + max_tokens > model.shape.context:
        raise ContextLengthExceeded(
            f"A prompt of {longest} tokens and {max_tokens} more do not fit a context of {model.shape.context}."
        )
