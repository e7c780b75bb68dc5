"""Which model the alias `chat` means when a server starts, and one sentence about why."""

from dataclasses import dataclass
from typing import Literal

from rixin.errors import HashMismatch, ModelNotFound, NotEnoughDisk, RixinError, SourceUnreachable
from rixin.models.catalogue import CatalogueEntry, catalogue
from rixin.models.install import install, restore
from rixin.models.progress import Reporter, silent
from rixin.models.registry import Registry
from rixin.models.version import Version

DEFAULT_ALIAS = "chat"
FALLBACK = "smollm2-135m-instruct"


@dataclass(frozen=True)
class DefaultChoice:
    """The version behind the alias, and how it came to be: `kept` from before, `asked` for by the setting, the
    catalogue's `default`, or the `fallback` because of `failure`."""

    version: Version
    reason: Literal["kept", "asked", "default", "fallback"]
    failure: RixinError | None = None

    @property
    def sentence(self) -> str:
        """For a person, in English; the fields are for other languages."""
        name = self.version.model_name
        if self.reason == "kept":
            return f"The model is {name}, as before."
        if self.reason == "asked":
            return f"The model is {name}, as RIXIN_MODEL asks."
        if self.reason == "default":
            return f"The model is {name}, the default."
        said = self.failure.message if self.failure else ""
        return f"The model is {name}, since the default can't be had: {said}"


def ensure_default(registry: Registry, report: Reporter = silent) -> DefaultChoice:
    """See that the alias `chat` points at a model, fetching one if need be.

    With `auto` what the alias means stays; where there is none, the catalogue's default is taken, or the small
    fallback if that can't be had. Raises what `install` raises when neither can.
    """
    setting = registry.settings.model
    if setting != "auto":
        return _asked(registry, setting, report)
    if registry.alias(DEFAULT_ALIAS):
        version = registry.resolve(DEFAULT_ALIAS)
        restore(registry, version, report)
        return DefaultChoice(version, "kept")
    entry: CatalogueEntry = next(iter(catalogue().values()))
    failure: RixinError | None = None
    try:
        version = install(registry, entry.name, report)
    except (SourceUnreachable, HashMismatch, NotEnoughDisk) as error:
        failure = error
        version = install(registry, FALLBACK, report)
    registry.set_alias(DEFAULT_ALIAS, version.id)
    return DefaultChoice(version, "fallback" if failure else "default", failure)


def _asked(registry: Registry, setting: str, report: Reporter) -> DefaultChoice:
    """What is registered under this name, or what the reference fetches; the alias moves there."""
    try:
        version = registry.resolve(setting)
        restore(registry, version, report)
    except ModelNotFound:
        version = install(registry, setting, report)
    alias = registry.alias(DEFAULT_ALIAS)
    if alias is None or alias.version_id != version.id:
        registry.set_alias(DEFAULT_ALIAS, version.id)
    return DefaultChoice(version, "asked")
