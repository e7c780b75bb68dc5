"""A GGUF file of a few kilobytes that a whole import takes, and ways to make it bad."""

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

HIDDEN = 32
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write_tiny_gguf(
    path: Path,
    *,
    architecture: str = "llama",
    tokenizer: str = "gpt2",
    pre: str = "smollm",
    tokens: Sequence[str] | None = None,
    merges: Sequence[str] = ("h e", "l l"),
    types: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    template: str | None = TEMPLATE,
    eos: int | None = 2,
    prefixed: bool = True,
    seed: int = 0,
) -> Path:
    """A decoder of one layer with random weights and a byte-level vocabulary."""
    alphabet = sorted(ByteLevel.alphabet())
    tokens = [*SPECIAL, *alphabet, "he", "ll"] if tokens is None else tokens
    types = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(tokens) - 3) if types is None else types
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_license("apache-2.0")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN)
    writer.add_tokenizer_model(tokenizer)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(list(tokens))
    writer.add_token_types(list(types))
    if scores is None:
        writer.add_token_merges(list(merges))
    else:
        writer.add_token_scores(list(scores))
        writer.add_add_space_prefix(prefixed)
    writer.add_bos_token_id(1)
    if eos is not None:
        writer.add_eos_token_id(eos)
    if template is not None:
        writer.add_chat_template(template)
    random = np.random.default_rng(seed)
    writer.add_tensor("token_embd.weight", random.normal(0, 0.1, (len(tokens), HIDDEN)).astype(np.float32))
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, np.float32))
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", np.ones(HIDDEN, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", random.normal(0, 0.1, (HIDDEN, HIDDEN)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
