"""From what a Cycle kept to its Story: steps, feedback, Reports, the canary, and what all of it took."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar, cast

import msgspec
from msgspec import Struct
from sqlalchemy import select

from rixin.errors import RixinError
from rixin.evaluation import Evaluations, Result
from rixin.models import Registry
from rixin.renewal.canary import Canaries
from rixin.renewal.cycle import Cycle, CycleStep
from rixin.renewal.occasion import occasion
from rixin.renewal.opinions import PRAISE, FeedbackItem
from rixin.renewal.standing import PAUSED, PAUSED_ZH
from rixin.renewal.steps.turn import Learnable
from rixin.renewal.steps.values import (
    STEPS,
    Annotated,
    Built,
    Cleaned,
    Collected,
    Evaluated,
    Gated,
    StepName,
    SuiteReports,
    Trained,
    Watched,
)
from rixin.renewal.story import (
    CheckKind,
    ComplaintExample,
    Complaints,
    DoubtedAccount,
    Learned,
    ReasonCount,
    Role,
    ScoreChange,
    StepState,
    Story,
    StoryCanary,
    StoryCheck,
    StoryCost,
    StoryDataset,
    StoryGate,
    StoryRole,
    StoryStep,
    StoryVersion,
)
from rixin.renewal.wording import headline, next_steps, summary
from rixin.settings import Settings
from rixin.store import Database, UserRow

EXAMPLES = 5
EXAMPLE_CHARACTERS = 400

S = TypeVar("S", bound=Struct)


class Stories:
    """Synchronous; safe between threads. A comparison of two Reports is made once a process: they never change."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        models: Registry,
        evaluations: Evaluations,
        canaries: Canaries,
        feedback: Learnable,
    ) -> None:
        self._database = database
        self._settings = settings
        self._models = models
        self._evaluations = evaluations
        self._canaries = canaries
        self._feedback = feedback
        self._compared: dict[tuple[str, str], tuple[ScoreChange, ...]] = {}

    def tell(self, cycle: Cycle) -> Story:
        """The story so far; what the Cycle has not come to is None or empty."""
        why = occasion(cycle.why)
        story = Story(
            id=cycle.id,
            alias=cycle.alias,
            why=why.en,
            why_zh=why.zh,
            status=cycle.status,
            step=cycle.step,
            outcome=cycle.outcome,
            reason=None if cycle.reason is None else cycle.reason.en,
            reason_zh=None if cycle.reason is None else cycle.reason.zh,
            created_at=cycle.created_at,
            started_at=cycle.started_at,
            finished_at=cycle.finished_at,
            headline=headline(cycle),
            steps=tuple(_step(cycle, name) for name in STEPS),
            complaints=self._complaints(cycle),
            learned=self._learned(cycle),
            scores=self._scores(cycle),
            gate=_gate(cycle),
            canary=self._canary(cycle),
            cost=self._cost(cycle),
            versions=self._versions(cycle),
        )
        return msgspec.structs.replace(story, summary=summary(story), next=next_steps(story, cycle))

    def _complaints(self, cycle: Cycle) -> Complaints | None:
        found = _values(cycle, "collect", Collected)
        if found is None:
            return None
        return Complaints(
            items=found.items,
            liked=found.liked,
            disliked=found.disliked,
            corrections=found.corrections,
            preferences=found.preferences,
            people=found.people,
            reasons=_counts({name: count for name, count in found.reasons.items() if name not in PRAISE}),
            examples=self._examples(cycle, found),
        )

    def _examples(self, cycle: Cycle, found: Collected) -> tuple[ComplaintExample, ...]:
        """Corrected answers first. Only what may be learned from is shown, and it comes masked."""
        until = cycle.made.until
        since = None if found.since is None else datetime.fromisoformat(found.since)
        bad = [
            item
            for item in self._feedback.learnable(after=since)
            if until is not None and item.updated_at <= until and (item.correction or item.rating == -1)
        ]
        bad.sort(key=lambda item: (not item.correction, -len(item.reasons), item.id))
        return tuple(_example(item) for item in bad[:EXAMPLES])

    def _learned(self, cycle: Cycle) -> Learned | None:
        collected, cleaned = _values(cycle, "collect", Collected), _values(cycle, "clean", Cleaned)
        annotated, built = _values(cycle, "annotate", Annotated), _values(cycle, "dataset", Built)
        if collected is None or cleaned is None:
            return None
        return Learned(
            corrections=collected.corrections,
            liked=collected.liked,
            preferences=collected.preferences,
            earlier=collected.earlier,
            held_out=collected.held_out,
            replay=built.replay if built else None,
            replay_share=built.replay_share if built else 0.0,
            queued=annotated.queued if annotated else 0,
            datasets=tuple(
                StoryDataset(role=one.role, version_id=one.version_id, name=one.name, rows=one.rows)
                for one in (built.datasets if built else ())
            ),
            dropped=_counts(cleaned.dropped),
            doubted=self._doubted(annotated),
        )

    def _doubted(self, annotated: Annotated | None) -> tuple[DoubtedAccount, ...]:
        if annotated is None or not annotated.accounts:
            return ()
        ids = [one.person for one in annotated.accounts]
        with self._database.read() as session:
            found = session.execute(select(UserRow.id, UserRow.name).where(UserRow.id.in_(ids)))
            names = dict(found.all())
        return tuple(
            DoubtedAccount(
                person=one.person,
                name=names.get(one.person, one.person),
                corrections=one.corrections,
                doubted=one.doubted,
                p_value=one.p_value,
            )
            for one in annotated.accounts
        )

    def _scores(self, cycle: Cycle) -> tuple[ScoreChange, ...]:
        found = _values(cycle, "evaluate", Evaluated)
        return tuple(one for suite in (found.suites if found else ()) for one in self._changes(suite))

    def _changes(self, suite: SuiteReports) -> tuple[ScoreChange, ...]:
        key = (suite.before, suite.after)
        if key not in self._compared:
            self._compared[key] = self._compare(suite)
        return self._compared[key]

    def _compare(self, suite: SuiteReports) -> tuple[ScoreChange, ...]:
        """Each result with its paired difference; without intervals where the Reports are gone."""
        try:
            from rixin.evaluation import compare_reports

            before, after = (self._evaluations.find(one) for one in (suite.before, suite.after))
            pairs = {(one.task, one.metric): one for one in compare_reports(self._evaluations, before, after).pairs}
        except (RixinError, ImportError):
            pairs = {}
        earlier = {(one.task, one.metric): one for one in suite.results_before}
        changes = []
        for now in suite.results_after:
            then = earlier.get((now.task, now.metric))
            if then is None:
                continue
            pair = pairs.get((now.task, now.metric))
            sign = 1 if now.higher_is_better else -1
            changes.append(
                ScoreChange(
                    suite=suite.suite,
                    suite_title=suite.title,
                    task=now.task,
                    metric=now.metric,
                    role=_role(suite, now),
                    before=then.score,
                    after=now.score,
                    difference=pair.difference if pair else sign * (now.score - then.score),
                    low=pair.low if pair else None,
                    high=pair.high if pair else None,
                    p_better=pair.p_better if pair else None,
                    items=now.items,
                    gained=pair.gained if pair else 0,
                    lost=pair.lost if pair else 0,
                    higher_is_better=now.higher_is_better,
                )
            )
        return tuple(changes)

    def _canary(self, cycle: Cycle) -> StoryCanary | None:
        if cycle.made.canary is None:
            return None
        try:
            found = self._canaries.get(cycle.made.canary)
        except RixinError:
            return None
        standing = found.standing
        said, said_zh = (standing.said, standing.said_zh) if standing else ("", "")
        if found.paused:
            said, said_zh = PAUSED, PAUSED_ZH
        said, said_zh = found.reason or said, found.reason_zh or said_zh
        return StoryCanary(
            id=found.id,
            share=found.share,
            started_at=found.started_at,
            ended_at=found.ended_at,
            outcome=found.outcome,
            said=said,
            said_zh=said_zh,
            standing=standing,
        )

    def _cost(self, cycle: Cycle) -> StoryCost:
        trained = _values(cycle, "train", Trained)
        accounted = sum(run.core_hours for run in trained.runs) if trained else 0.0
        cores = self._settings.threads or os.cpu_count() or 1
        others = sum(step.seconds for step in cycle.steps if step.name != "train") * cores / 3600
        hours = accounted + others
        return StoryCost(
            seconds=cycle.seconds,
            core_hours=hours,
            kilowatt_hours=hours * self._settings.watts_per_core / 1000,
            price=hours * self._settings.core_hour_price or None,
        )

    def _versions(self, cycle: Cycle) -> tuple[StoryVersion, ...]:
        found = _values(cycle, "evaluate", Evaluated)
        alias = self._models.alias(cycle.alias)
        known = {version.id: version for version in self._models.versions()}
        versions = []
        for role, version_id in (("before", cycle.made.base), ("after", cycle.made.version)):
            if version_id is None:
                continue
            version = known.get(version_id)
            versions.append(
                StoryVersion(
                    role=cast("StoryRole", role),
                    id=version_id,
                    model=version.model_name if version else "",
                    title=version.title if version else "",
                    current=alias is not None and alias.version_id == version_id,
                    there=version is not None,
                    report_ids=tuple(
                        one.before if role == "before" else one.after for one in (found.suites if found else ())
                    ),
                )
            )
        return tuple(versions)


def _values(cycle: Cycle, name: StepName, type: type[S]) -> S | None:
    done = cycle.done(name)
    # A step that ended the Cycle has said why, and found nothing to keep.
    return None if done is None or not done.values else msgspec.convert(done.values, type)


def _step(cycle: Cycle, name: str) -> StoryStep:
    found = next((one for one in cycle.steps if one.name == name), None)
    return StoryStep(
        name=cast(StepName, name),
        state=_state(cycle, name, found),
        said=found.said.en if found else "",
        said_zh=found.said.zh if found else "",
        seconds=found.seconds if found else 0.0,
        attempts=found.attempts if found else 0,
        finished=found is not None and found.finished_at is not None,
    )


def _state(cycle: Cycle, name: str, found: CycleStep | None) -> StepState:
    if found is not None and found.finished_at is not None:
        watched = _values(cycle, "canary", Watched) if name == "canary" else None
        return "skipped" if watched is not None and watched.decision == "none" else "done"
    if cycle.status == "failed" and cycle.step == name:
        return "failed"
    if cycle.status == "running" and cycle.step == name:
        return "running"
    return "skipped" if cycle.ended else "waiting"


def _gate(cycle: Cycle) -> StoryGate | None:
    found = _values(cycle, "gate", Gated)
    if found is None:
        return None
    return StoryGate(
        promote=found.promote,
        said=found.said,
        said_zh=found.said_zh,
        checks=tuple(
            StoryCheck(
                suite=line.suite,
                name=line.name,
                kind=cast("CheckKind", line.kind),
                passed=line.passed,
                said=line.said,
                said_zh=line.said_zh,
            )
            for line in found.lines
        ),
    )


def _role(suite: SuiteReports, result: Result) -> Role:
    return "guard" if suite.role == "guard" and result.role == "primary" else result.role


def _counts(found: Mapping[str, int]) -> tuple[ReasonCount, ...]:
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return tuple(ReasonCount(reason=name, count=count) for name, count in ordered if count)


def _example(item: FeedbackItem) -> ComplaintExample:
    question = next((turn.content for turn in reversed(item.messages) if turn.role == "user"), "")
    return ComplaintExample(
        question=_cut(question),
        answer=_cut(item.answer),
        correction=_cut(item.correction) if item.correction else None,
        reasons=_bad(item.reasons),
    )


def _bad(reasons: Sequence[str]) -> tuple[str, ...]:
    return tuple(reason for reason in reasons if reason not in PRAISE)


def _cut(text: str) -> str:
    """The beginning; of a question with passages in front, what a person wrote is at the end, so both ends stay."""
    if len(text) <= EXAMPLE_CHARACTERS:
        return text
    half = EXAMPLE_CHARACTERS // 2
    return f"{text[:half]} […] {text[-half:]}"
