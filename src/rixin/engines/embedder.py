"""The `embedder` engine: sentence embeddings by a worker process of its own, so that numpy stays out of the server."""

from pathlib import Path

from rixin.engines.wire import Load
from rixin.engines.worker_client import WorkerClient


class EmbedderEngine(WorkerClient):
    """An encoder on this machine's CPU: the one in `folder`, else multilingual USE. It embeds and does nothing else."""

    def __init__(self, name: str = "the embedder", folder: Path | None = None, *, threads: int = 0) -> None:
        super().__init__(Load(kind="embedder", folder=str(folder or ""), threads=threads), name=name)
