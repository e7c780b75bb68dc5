"""The `embedder` engine: sentence embeddings by a worker process of its own, so that numpy stays out of the server."""

from rixin.engines.wire import Load
from rixin.engines.worker_client import WorkerClient


class EmbedderEngine(WorkerClient):
    """Multilingual USE on this machine's CPU; it embeds and does nothing else."""

    def __init__(self, name: str = "the embedder") -> None:
        super().__init__(Load(kind="embedder"), name=name)
