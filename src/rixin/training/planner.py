"""From a recipe to a Plan: what the names mean, what a short trial found, what the run will take, whether it fits."""

import importlib.util
import re
from dataclasses import asdict
from pathlib import Path

import msgspec

from rixin.compute import Child
from rixin.data import Datasets, Kind
from rixin.errors import InvalidRequest, NotEnoughDisk, NotEnoughMemory, RixinError
from rixin.machine import free_disk, free_memory
from rixin.models import Registry, Version
from rixin.settings import Settings
from rixin.store import Database
from rixin.training.dial import OVERHEAD_SHARE, Facts, Wishes, settle
from rixin.training.ending import take_ending
from rixin.training.plan import (
    ASSIGNMENT_FILE,
    MEASURED_FILE,
    PLAN_FILE,
    Assignment,
    Base,
    Cost,
    Measured,
    Plan,
    Source,
    Values,
    load,
    save,
)
from rixin.training.recipe_file import RECIPE_FILE, check, recipe_toml, recipe_values
from rixin.training.recipes import Recipe, Tuning, kind_of
from rixin.training.run import RunTable

TRIAL_LOG = "trial.log"
TRIAL_TIMEOUT_S = 600.0
MEMORY_RESERVE = 1.1  # the run also validates and answers samples
EXPORT_S_PER_PARAMETER = 1.2e-7
EXPORT_S = 10.0
BYTES_PER_PARAMETER = 6.0  # bfloat16 weights, the int8 engine's and GGUF's, with room for one more
BYTES_PER_TRAINABLE = 3 * 12.0  # a checkpoint's masters and moments; two are kept and one is being written
_FILE = re.compile(r"file-[0-9a-f]{32}")
KINDS_OF_DATA: dict[str, Kind | None] = {
    "sft": "chat",
    "distill": "chat",
    "dpo": "preference",
    "reward": "preference",
    "kto": None,
    "grpo": None,
    "continue": "text",
    "pretrain": "text",
}


class Planner:
    """Plans runs of one Workspace."""

    def __init__(self, database: Database, settings: Settings, models: Registry) -> None:
        self._settings = settings
        self._models = models
        self._home = settings.home
        self._datasets = Datasets(database, settings.home)
        self._runs = RunTable(database, settings.home)

    def plan(self, recipe: Recipe, folder: Path) -> Plan:
        """Resolve, try and settle; `folder` gets `recipe.toml` and `plan.json`.

        Raises InvalidRequest for what can't be, ModelNotFound, NotFound, MalformedData, and NotEnoughMemory and
        NotEnoughDisk that say what would fit.
        """
        require_torch()
        check(recipe)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECIPE_FILE).write_text(recipe_toml(recipe), "utf-8")
        assignment = self._assignment(recipe)
        save(folder, ASSIGNMENT_FILE, assignment)
        self._require_least_memory(recipe, assignment)
        measured = self._measure(folder, recipe)
        plan = self._settled(recipe, assignment, measured)
        self._require_room(recipe, plan)
        save(folder, PLAN_FILE, plan)
        return plan

    def _assignment(self, recipe: Recipe) -> Assignment:
        kind = kind_of(recipe)
        bases = {
            role: self._base(name, role)
            for role in ("model", "teacher", "reward_model")
            if (name := getattr(recipe, role, None)) is not None
        }
        sources = {
            role: self._source(name, kind)
            for role in ("data", "validation", "replay")
            if (name := getattr(recipe, role, None)) is not None
        }
        return Assignment(kind, recipe_values(recipe), sources, bases, self._settings.threads)

    def _base(self, name: str, role: str) -> Base:
        from rixin.models import open_weights  # brings numpy, which the server's process does without

        version = self._version(name)
        if version.engine == "remote" and role == "teacher":
            return Base(version.id, version.model_name, "", "", version.context_length, remote=dict(version.config))
        path = Path(open_weights(version).where)
        assert version.folder is not None
        return Base(
            version=version.id,
            name=version.model_name,
            weights=str(path.relative_to(self._home)),
            folder=str(version.folder.relative_to(self._home)),
            context=version.context_length,
            parameters=version.parameters,
        )

    def _version(self, name: str) -> Version:
        if not name.startswith("run_"):
            return self._models.resolve(name)
        run = self._runs.get(name)
        if run.version_id is None:
            raise InvalidRequest(f"The run {name} has not made a model ({run.status}).", param="model")
        return self._models.get(run.version_id)

    def _source(self, name: str, kind: str) -> Source:
        path = self._home / "files" / name if _FILE.fullmatch(name) else Path(name).expanduser()
        if path.exists():
            files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
            found = self._datasets.add(_slug(path.stem), files, kind=KINDS_OF_DATA[kind])
        else:
            found = self._datasets.resolve(name)
        return Source(found.id, found.name, found.kind, found.rows, str(found.path.relative_to(self._home)))

    def _measure(self, folder: Path, recipe: Recipe) -> Measured:
        (folder / MEASURED_FILE).unlink(missing_ok=True)
        take_ending(folder)
        arguments = (str(folder), str(self._home))
        child = Child("rixin.training.measure", arguments, folder / TRIAL_LOG)
        try:
            status = child.wait(TRIAL_TIMEOUT_S)
        except BaseException:
            child.kill()
            raise
        if status is None:
            child.kill()
            raise RixinError(f"The trial did not end within {TRIAL_TIMEOUT_S:.0f} s.", where=str(folder / TRIAL_LOG))
        ending = take_ending(folder)
        if ending is not None and ending.failure is not None:
            raise ending.failure.raised()
        if status == -9:  # the kernel's way to say that memory ran out
            raise NotEnoughMemory("There is not enough memory for this training.", fix=_smaller(recipe))
        try:
            return load(folder, MEASURED_FILE, Measured)
        except FileNotFoundError:
            raise RixinError(
                f"The trial broke off with status {status}.", where=str(folder / TRIAL_LOG), fix="The file has more."
            ) from None

    def _settled(self, recipe: Recipe, assignment: Assignment, measured: Measured) -> Plan:
        names = [name for name in Wishes.__dataclass_fields__ if hasattr(recipe, name)]
        wishes = Wishes(**{name: getattr(recipe, name) for name in names})
        method = recipe.method if isinstance(recipe, Tuning) else "full"
        facts = Facts(
            kind=assignment.kind,
            hidden=measured.hidden,
            tokens=measured.tokens,
            rows=measured.rows,
            fill=measured.fill,
            method=method,
            tokens_per_second=measured.tokens_per_second,
        )
        settled = settle(wishes, facts)
        values = msgspec.convert(asdict(settled), Values)
        seconds = (
            measured.load_s
            + settled.tokens / measured.tokens_per_second * (1 + OVERHEAD_SHARE)
            + EXPORT_S
            + measured.parameters * EXPORT_S_PER_PARAMETER
        )
        return Plan(
            assignment=assignment,
            name=recipe.name or self._name(recipe, assignment),
            values=values,
            derived=tuple(name for name in Values.__struct_fields__ if getattr(recipe, name, None) is None),
            measured=measured,
            seconds=seconds,
            memory_bytes=measured.peak_bytes,
            disk_bytes=round(measured.parameters * BYTES_PER_PARAMETER + measured.trainable * BYTES_PER_TRAINABLE),
            cost=self._cost(seconds, measured.cores),
        )

    def _name(self, recipe: Recipe, assignment: Assignment) -> str:
        base = assignment.bases["model"].name if "model" in assignment.bases else assignment.sources["data"].name
        return f"{base}-{kind_of(recipe)}"[:96]

    def _cost(self, seconds: float, cores: int) -> Cost:
        hours = seconds * cores / 3600
        energy = hours * self._settings.watts_per_core / 1000
        price = hours * self._settings.core_hour_price or None
        basis = (
            f"{self._settings.core_hour_price:g} a core-hour (RIXIN_CORE_HOUR_PRICE)"
            if price is not None
            else f"{self._settings.watts_per_core:g} W a busy core (RIXIN_WATTS_PER_CORE)"
        )
        return Cost(seconds * cores, energy, price, basis)

    def _require_least_memory(self, recipe: Recipe, assignment: Assignment) -> None:
        """Before any trial: what the weights alone need."""
        parameters = assignment.bases["model"].parameters if "model" in assignment.bases else None
        free = free_memory()
        if parameters is None or free is None:
            return
        full = isinstance(recipe, Tuning) and recipe.method == "full"
        least = parameters * (2 + (16 if full else 0))
        if least > free:
            raise NotEnoughMemory(
                f"This training needs at least {least / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are free.",
                fix=_smaller(recipe),
            )

    def _require_room(self, recipe: Recipe, plan: Plan) -> None:
        free = free_memory()
        needed = plan.memory_bytes * MEMORY_RESERVE
        if free is not None and needed > free:
            raise NotEnoughMemory(
                f"This training needs about {needed / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are free.",
                fix=_smaller(recipe),
            )
        disk = free_disk(self._home)
        if plan.disk_bytes > disk:
            raise NotEnoughDisk(
                f"The run needs about {plan.disk_bytes / 1e9:.1f} GB on the disk; {disk / 1e9:.1f} GB are free.",
                where=str(self._home),
                fix="Free some space, or train an adapter (--method lora).",
            )


def require_torch() -> None:
    """Raises InvalidRequest saying what to install, where training's libraries are missing."""
    missing = [name for name in ("torch", "safetensors", "tensorboardX") if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidRequest(
            f"Training needs libraries that are not installed ({', '.join(missing)}).",
            fix="Run `make train`, or `pip install 'rixin[train]'`.",
        )


def _smaller(recipe: Recipe) -> str:
    ways = ["a smaller --batch-tokens or --context", "a smaller model"]
    if isinstance(recipe, Tuning) and recipe.method == "full":
        ways.insert(0, "--method lora (no optimizer state for the whole model)")
    return f"What may fit: {', '.join(ways)}."


def _slug(text: str) -> str:
    kept = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:96]
    return f"data-{kept}" if not kept or kept.startswith("d_") else kept
