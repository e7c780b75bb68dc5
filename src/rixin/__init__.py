"""Rixin: an organisation's own ChatGPT. `rixin.open()` is the way in from Python."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rixin.workspace import Workspace as Workspace
    from rixin.workspace import open_workspace as open

# Nothing leaves the machine. `import openvino` (2026.4) reports each import to its makers through this package,
# unasked; it does without where that can't be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

__version__ = "0.1.0"
__all__ = ["Workspace", "__version__", "open"]


def __getattr__(name: str) -> object:
    # Lazy, so that the engine's worker and the small commands don't load the database and the web framework.
    if name == "open":
        from rixin.workspace import open_workspace

        return open_workspace
    if name == "Workspace":
        from rixin.workspace import Workspace

        return Workspace
    raise AttributeError(f"module 'rixin' has no attribute {name!r}")
