"""`rixin doctor`: what machine this is, what is used of it, and what would make it faster. Changes nothing."""

import os
import sys
import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct
from pydantic import SecretStr

from rixin.cli.diagnosis import advice, problems, size, usage
from rixin.cli.machine import Machine, look
from rixin.errors import RixinError, SettingsInvalid
from rixin.models import Registry
from rixin.settings import SETTINGS_FILE, Settings, default_home, load_settings
from rixin.store import Database, DatabaseState, inspect_database
from rixin.workspace import DATABASE_FILE


class SettingLine(Struct, frozen=True):
    """`origin` is `default`, the environment variable, or the settings file."""

    name: str
    value: str
    origin: str
    meaning: str


class ModelLine(Struct, frozen=True):
    """A Version in the registry; `aliases` are the names that mean it."""

    name: str
    version: str
    engine: str
    bytes: int
    aliases: list[str]


class Diagnosis(Struct, frozen=True, kw_only=True):
    """All that doctor found; `problems` is what keeps Rixin from working."""

    home: str
    machine: Machine
    settings: list[SettingLine]
    database: str
    models: list[ModelLine]
    usage: list[str]
    advice: list[str]
    problems: list[str]


def doctor(*, json: bool = False) -> None:
    """Look at this machine, the settings, the database and the models; exit status 1 if something is broken.

    Parameters
    ----------
    json
        Print everything as one JSON object.
    """
    found = diagnose()
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        print(_page(found))
    if found.problems:
        sys.exit(1)


def diagnose() -> Diagnosis:
    """Everything there is to say, also where parts are broken."""
    home = default_home().resolve()
    machine = look(home)
    broken: list[str] = []
    settings: Settings | None = None
    database: DatabaseState | None = None
    models: list[ModelLine] = []
    try:
        settings = load_settings()
        database = inspect_database(_where(settings))
        if database.current:
            models = _models(settings, broken)
    except RixinError as error:
        broken.append(str(error))
    return Diagnosis(
        home=str(home),
        machine=machine,
        settings=[] if settings is None else _settings(settings),
        database=_database(database),
        models=models,
        usage=[] if settings is None else usage(machine, settings),
        advice=[] if settings is None else advice(machine, settings),
        problems=[*broken, *problems(machine, home, database)],
    )


def _where(settings: Settings) -> str | Path:
    url = settings.database_url
    return settings.home / DATABASE_FILE if url is None else url.get_secret_value()


def _database(state: DatabaseState | None) -> str:
    if state is None:
        return "It can't be read; see the problems."
    if not state.exists:
        return f"{state.where} is not there yet; the first start makes it."
    if state.current:
        return f"{state.where} is up to date (schema {state.revision})."
    return f"{state.where} has schema {state.revision or 'none'}; the next start brings it to {state.newest}."


def _models(settings: Settings, broken: list[str]) -> list[ModelLine]:
    with Database.open(_where(settings)) as database:
        registry = Registry(database, settings)
        versions, aliases = registry.versions(), registry.aliases()
    broken.extend(
        f"The folder of {version.model_name} ({version.id}) is gone: {version.folder}. "
        f"`rixin models pull {version.source}` makes it again."
        for version in versions
        if version.folder is not None and not version.folder.is_dir()
    )
    return [
        ModelLine(
            version.model_name,
            version.id,
            version.engine,
            version.bytes,
            [alias.name for alias in aliases if alias.version_id == version.id],
        )
        for version in versions
    ]


def _settings(settings: Settings) -> list[SettingLine]:
    file = settings.home / SETTINGS_FILE
    try:
        in_file = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except ValueError as error:  # load_settings has read it a moment ago
        raise SettingsInvalid(str(error), where=str(file)) from None
    lines = []
    for name, field in type(settings).model_fields.items():
        variable = f"RIXIN_{name.upper()}"
        value = getattr(settings, name)
        shown = "(hidden)" if isinstance(value, SecretStr) else "" if value is None else str(value)
        origin = variable if variable in os.environ else str(file) if name in in_file else "default"
        lines.append(SettingLine(name, shown, origin, field.description or ""))
    return lines


def _page(found: Diagnosis) -> str:
    machine = found.machine
    parts = [
        _section("Machine", _machine(machine)),
        _section("What is used of it", found.usage),
        _section("What would make it faster", found.advice or ["Nothing that could be seen."]),
        _section(
            "Settings",
            [f"{line.name} = {line.value or '-'}  ({line.origin}) {line.meaning}" for line in found.settings],
        ),
        _section("Database", [found.database]),
        _section("Models", [_model(line) for line in found.models] or ["None yet; `rixin up` pulls one."]),
        _section("Problems", found.problems or ["None."]),
    ]
    return "\n\n".join(parts)


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _model(line: ModelLine) -> str:
    names = f", also called {', '.join(line.aliases)}" if line.aliases else ""
    return f"{line.name} {line.version}: {line.engine}, {size(line.bytes)}{names}"


def _machine(machine: Machine) -> list[str]:
    cores = f"{machine.logical_cores} logical cores"
    if machine.physical_cores:
        cores = f"{machine.physical_cores} physical cores, {cores}"
    if machine.usable_cores != machine.logical_cores:
        cores += f", {machine.usable_cores} of them usable here"
    if machine.cpu_quota:
        cores += f", the container may use {machine.cpu_quota:g}"
    memory = f"{size(machine.memory or 0)} of memory, {size(machine.memory_free or 0)} free"
    if machine.memory_limit:
        memory += f", the container may use {size(machine.memory_limit)}"
    return [
        machine.system,
        f"{machine.cpu or 'unknown processor'}: {cores}",
        f"Instruction sets: {', '.join(machine.flags) or 'none known'}",
        *([memory] if machine.memory else []),
        f"{size(machine.disk_free)} of disk free for RIXIN_HOME",
        "Versions: " + ", ".join(f"{name} {found or 'missing'}" for name, found in machine.versions.items()),
    ]
