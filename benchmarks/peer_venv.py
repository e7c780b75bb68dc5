"""A virtual environment for a peer, made when first needed."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def python_in(folder: Path, installs: Sequence[Sequence[str]]) -> Path:
    """Its Python; each of `installs` is what one call of `pip install` gets. One that was not finished is made anew."""
    python = folder / "bin" / "python"
    if (folder / ".complete").is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for arguments in installs:
        subprocess.run([*pip, *arguments], check=True, stdout=sys.stderr)
    (folder / ".complete").touch()
    return python
