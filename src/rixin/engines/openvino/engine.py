"""The `openvino` engine: a prepared model folder, run by a worker process of its own."""

from pathlib import Path

from rixin.engines.wire import Load
from rixin.engines.worker_client import WorkerClient


class OpenVinoEngine(WorkerClient):
    """Runs the model in `folder` (see docs/models.md for what it holds) on this machine's CPU."""

    def __init__(
        self, folder: Path, *, threads: int = 0, kv_cache_bytes: int = 0, max_parallel: int = 64, name: str = ""
    ) -> None:
        super().__init__(
            Load(
                kind="openvino",
                folder=str(folder),
                threads=threads,
                kv_cache_bytes=kv_cache_bytes,
                max_parallel=max_parallel,
            ),
            name=name or folder.name,
        )
