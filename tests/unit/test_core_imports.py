"""What the server's process and the core do without."""

import subprocess
import sys

HEAVY = ("torch", "numpy", "scipy", "tokenizers", "gguf", "openvino", "pyarrow", "lm_eval", "matplotlib", "numba")
EXTRAS = ("torch", "safetensors", "pyarrow", "matplotlib", "tensorboardX", "numba", "scipy", "lm_eval")
MODULES = "rixin, rixin.workspace, rixin.http, rixin.training, rixin.evaluation, rixin.data, rixin.cli"

HOUSE = ("sqlalchemy", "alembic", "lancedb", "pydantic", "rixin.store", "rixin.models", "rixin.engines")


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def test_the_servers_process_carries_no_library_of_its_workers() -> None:
    found = run(f"import sys, {MODULES}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])")
    assert found == ""


def test_a_process_that_reads_documents_carries_nothing_of_the_house() -> None:
    imports = "import sys, rixin.knowledge.readers.worker"
    assert run(f"{imports}\nprint(*[name for name in {HOUSE!r} if name in sys.modules])") == ""


def test_the_core_needs_nothing_of_the_extras() -> None:
    code = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
import {MODULES}
from rixin.cli import main
for command in ("train", "runs", "data", "eval", "compare", "gate", "gap", "arena", "models", "library", "up"):
    try:
        main([command, "--help"])
    except SystemExit as end:
        assert not end.code, command
print("all")
"""
    assert run(code).endswith("all")
