"""The peer: llama.cpp's own HTTP server out of the xllamacpp wheel, with its best settings for this machine.

`python benchmarks/llama_cpp_server.py MODEL.gguf THREADS SLOTS CONTEXT` prints its address and serves until its
standard input is closed. CONTEXT is tokens a slot.
"""

import sys

import xllamacpp


def serve(model: str, threads: int, slots: int, context: int) -> None:
    """Continuous batching, flash attention and prompt cache on; what isn't named here is llama.cpp's default."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_parallel = slots
    params.n_ctx = context * slots
    params.cont_batching = True
    params.cache_prompt = True
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.n_batch = 2048
    params.n_ubatch = 512
    params.warmup = True
    params.verbosity = 1  # warnings and errors; a line for each request would cost the peer time
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], *map(int, sys.argv[2:5]))
