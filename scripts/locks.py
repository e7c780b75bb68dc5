"""Make the hash-locked files in requirements/ from pyproject.toml; with --check, see offline that they belong to it."""

import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"

LOCKS = {
    "core": [],
    "build": ["--group", "build"],
    "node": ["--group", "node"],
    "train": ["--extra", "train"],
    "eval": ["--extra", "eval"],
    "ocr": ["--extra", "ocr"],
    "dev": ["--extra", "dev", "--extra", "train", "--extra", "eval", "--extra", "ocr"],
}
# What these pin, all later ones keep.
FIRST = ("core", "train")
# What depends on torch, and so has to leave it out.
WITH_TORCH = ("train", "dev")

# torch is pinned by version alone, in pyproject.toml. It comes in builds for the CPU and for each CUDA, from different
# indexes and with different hashes, and pip knows no "either of these hashes, each with its own dependencies". So
# train.txt and dev.txt hold all the rest by hash, and leave out torch and what only its CUDA builds bring.
TORCH = "torch"
CUDA = (
    "cuda-bindings",
    "cuda-toolkit",
    "nvidia-cudnn-cu13",
    "nvidia-cusparselt-cu13",
    "nvidia-nccl-cu13",
    "nvidia-nvshmem-cu13",
    "triton",
)
# Gigabytes that the core must never pull, whatever its libraries come to depend on.
NEVER_IN_CORE = re.compile(r"torch|triton|nvidia-|cuda-|onnxruntime|tensorflow|transformers|scipy|pandas")


def digest() -> str:
    """SHA-256 of all that the locks are made from."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = document["project"]
    inputs = [
        project["requires-python"],
        sorted(project["dependencies"]),
        sorted((name, sorted(wanted)) for name, wanted in project["optional-dependencies"].items()),
        sorted((name, sorted(wanted)) for name, wanted in document["dependency-groups"].items()),
        sorted(document["build-system"]["requires"]),
        list(LOCKS.items()),
        CUDA,
    ]
    return hashlib.sha256(repr(inputs).encode()).hexdigest()


def header() -> str:
    return f"# Made by `make lock` from pyproject.toml, whose requirements have the SHA-256\n# {digest()}\n"


def make(options: list[str]) -> None:
    """Resolve anew; pins that still fit are kept, unless `options` has uv's --upgrade."""
    for name, chosen in LOCKS.items():
        file = FOLDER / f"{name}.txt"
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--generate-hashes"]
        command += ["--universal", "--python-version", "3.11", "--fork-strategy", "fewest", "--no-config", *options]
        command += chosen if "--group" in chosen else ["pyproject.toml", *chosen]
        for first in FIRST:
            if list(LOCKS).index(first) < list(LOCKS).index(name):
                command += ["--constraints", str(FOLDER / f"{first}.txt")]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as excluded:
            if name in WITH_TORCH:
                excluded.write("\n".join(CUDA))
                excluded.flush()
                command += ["--excludes", excluded.name, "--no-emit-package", TORCH]
            subprocess.run([*command, "--output-file", str(file)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        file.write_text(header() + file.read_text("utf-8"), "utf-8")
        print(f"{file.relative_to(ROOT)}: {len(pins(file))} packages")


def pins(file: Path) -> dict[str, str]:
    """Name and version (with its marker) of every package in a lock file."""
    pairs = re.findall(r"^([a-z0-9-]+)==([^\\]+?) *\\?$", file.read_text("utf-8"), re.MULTILINE)
    return dict(pairs)


def number(pin: str) -> str:
    """The version of a pin, without its marker."""
    return pin.split(";")[0].strip()


def problems() -> Iterator[str]:
    """What is wrong with the lock files, a sentence each."""
    core, train = (pins(FOLDER / f"{name}.txt") for name in FIRST)
    for name in LOCKS:
        file = FOLDER / f"{name}.txt"
        text = file.read_text("utf-8")
        pinned = pins(file)
        if not text.startswith(header()):
            yield f"{file.name} was made from other requirements than pyproject.toml has now."
        if "://" in text:
            yield f"{file.name} names an address."
        for block in re.split(r"\n(?=\S)", text):
            if not block.startswith("#") and "--hash=sha256:" not in block:
                yield f"{file.name} has no hash for {block.splitlines()[0]}."
        for package, version in pinned.items():
            if package == TORCH or package in CUDA:
                yield f"{file.name} locks {package}, which has to be free."
            if package in core and number(version) != number(core[package]):
                yield f"{file.name} has {package} {version}, core.txt has {core[package]}."
            if name == "dev" and package in train and number(version) != number(train[package]):
                yield f"{file.name} has {package} {version}, train.txt has {train[package]}."
    for package in filter(NEVER_IN_CORE.match, core):
        yield f"core.txt pulls {package}."


def main(arguments: list[str]) -> int:
    if arguments != ["--check"]:
        make(arguments)
    found = list(problems())
    for problem in found:
        print(f"requirements/{problem} Run `make lock`.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
