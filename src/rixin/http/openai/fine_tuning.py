"""`/v1/fine_tuning/jobs`: trainings, as OpenAI's clients start and watch them."""

import re
import time
from typing import Annotated, Any

import msgspec
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from rixin.errors import InvalidRequest
from rixin.gateway import Principal
from rixin.http.body import JsonBody
from rixin.http.describe import describe
from rixin.http.identity import program
from rixin.http.openai.fine_tuning_wire import (
    CheckpointMetrics,
    CreateJob,
    Hyperparameters,
    Job,
    JobCheckpoint,
    JobCheckpointList,
    JobError,
    JobEvent,
    JobEventList,
    JobList,
    Method,
)
from rixin.http.openai.pages import page_of
from rixin.http.reply import json_answer
from rixin.http.serving import Serving, ignored_header, serving
from rixin.training import Event, Recipe, Run, in_force, recipe_of
from rixin.workspace import Workspace

router = APIRouter()

ORGANISATION = "rixin"
KINDS = {"supervised": "sft", "dpo": "dpo", "reinforcement": "grpo", "kto": "kto", "reward": "reward"}
STATUSES = {"finished": "succeeded"}
BODY = JsonBody(CreateJob)

Who = Annotated[Principal, Depends(program)]
Server = Annotated[Serving, Depends(serving)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post("/v1/fine_tuning/jobs", summary="Start a training", openapi_extra=describe(body=CreateJob, answer=Job))
async def create_fine_tuning_job(request: Request, who: Who, server: Server) -> Response:
    body, ignored = await BODY.read(request)
    job = await run_sync(_create, server.workspace, body, who)
    return json_answer(job, headers=ignored_header(ignored))


@router.get("/v1/fine_tuning/jobs", summary="Your trainings, the newest first", openapi_extra=describe(answer=JobList))
async def list_fine_tuning_jobs(who: Who, server: Server, limit: Limit = 20, after: str | None = None) -> Response:
    def listed() -> JobList:
        runs, more = page_of(server.workspace.runs.listed(who), after=after, limit=limit)
        return JobList(data=[_job(server.workspace, run) for run in runs], has_more=more)

    return json_answer(await run_sync(listed))


@router.get("/v1/fine_tuning/jobs/{job}", summary="One of them", openapi_extra=describe(answer=Job))
async def retrieve_fine_tuning_job(job: str, who: Who, server: Server) -> Response:
    return json_answer(await run_sync(lambda: _job(server.workspace, server.workspace.runs.get(job, who))))


@router.post("/v1/fine_tuning/jobs/{job}/cancel", summary="End it for good", openapi_extra=describe(answer=Job))
async def cancel_fine_tuning_job(job: str, who: Who, server: Server) -> Response:
    runs = server.workspace.runs
    return json_answer(await run_sync(lambda: _job(server.workspace, runs.cancel(runs.get(job, who)))))


@router.post("/v1/fine_tuning/jobs/{job}/pause", summary="Have it save and wait", openapi_extra=describe(answer=Job))
async def pause_fine_tuning_job(job: str, who: Who, server: Server) -> Response:
    runs = server.workspace.runs
    return json_answer(await run_sync(lambda: _job(server.workspace, runs.pause(runs.get(job, who)))))


@router.post("/v1/fine_tuning/jobs/{job}/resume", summary="Go on with it", openapi_extra=describe(answer=Job))
async def resume_fine_tuning_job(job: str, who: Who, server: Server) -> Response:
    runs = server.workspace.runs
    return json_answer(await run_sync(lambda: _job(server.workspace, runs.resume(runs.get(job, who)))))


@router.get(
    "/v1/fine_tuning/jobs/{job}/events",
    summary="What it reported, the newest first",
    openapi_extra=describe(answer=JobEventList),
)
async def list_fine_tuning_events(
    job: str, who: Who, server: Server, limit: Limit = 20, after: str | None = None
) -> Response:
    def listed() -> JobEventList:
        run = server.workspace.runs.get(job, who)
        events = [_event(run, event) for event in server.workspace.runs.events(run, limit=1_000_000)]
        data, more = page_of(events[::-1], after=after, limit=limit)
        return JobEventList(data=list(data), has_more=more)

    return json_answer(await run_sync(listed))


@router.get(
    "/v1/fine_tuning/jobs/{job}/checkpoints",
    summary="Its checkpoints, the newest first",
    openapi_extra=describe(answer=JobCheckpointList),
)
async def list_fine_tuning_checkpoints(
    job: str, who: Who, server: Server, limit: Limit = 10, after: str | None = None
) -> Response:
    def listed() -> JobCheckpointList:
        run = server.workspace.runs.get(job, who)
        found = _checkpoints(run, in_force(server.workspace.runs.events(run, limit=1_000_000)))
        data, more = page_of(found[::-1], after=after, limit=limit)
        return JobCheckpointList(data=list(data), has_more=more)

    return json_answer(await run_sync(listed))


def _create(workspace: Workspace, body: CreateJob, who: Principal) -> Job:
    if body.integrations:
        raise InvalidRequest(
            "Integrations are not served: nothing leaves this machine.",
            fix="The run's folder has TensorBoard files, and result_files a table.",
            param="integrations",
        )
    base = workspace.models.resolve(body.model)
    for field in ("training_file", "validation_file"):
        name = getattr(body, field)
        if name is not None:
            workspace.runs.files.get(who, name, param=field)
    request = msgspec.to_builtins(body)
    run = workspace.runs.create(_recipe(body, base.model_name), owner_id=who.user_id, request=request)
    return _job(workspace, run)


def _recipe(body: CreateJob, base: str) -> Recipe:
    method = _method(body)
    settings = getattr(method, method.type)
    if settings is not None and settings.grader is not None:
        raise InvalidRequest(
            "Graders are not served.",
            fix="Each row of the training file says how its answer is checked: answer, regex, schema or tests.",
            param="method.reinforcement.grader",
        )
    given = (settings.hyperparameters if settings is not None else None) or Hyperparameters()
    values: dict[str, Any] = {
        "model": body.model,
        "data": body.training_file,
        "validation": body.validation_file,
        "epochs": _said(given.n_epochs),
        "batch_rows": _said(given.batch_size),
        "learning_rate_factor": _said(given.learning_rate_multiplier),
        "beta": _said(given.beta),
        "seed": body.seed,
        "name": None if body.suffix is None else _name(base, body.suffix),
    }
    kind = KINDS[method.type]
    if values["beta"] is not None and kind not in ("dpo", "kto", "grpo"):
        raise InvalidRequest(
            f"A {method.type} training has no beta.", param=f"method.{method.type}.hyperparameters.beta"
        )
    return recipe_of(kind, {name: value for name, value in values.items() if value is not None})


def _method(body: CreateJob) -> Method:
    if body.method is not None:
        return body.method
    return msgspec.convert(
        {"type": "supervised", "supervised": {"hyperparameters": msgspec.to_builtins(body.hyperparameters)}}, Method
    )


def _said(value: Any) -> Any:
    return None if value == "auto" else value


def _name(base: str, suffix: str) -> str:
    kept = re.sub(r"[^a-z0-9._-]+", "-", suffix.lower()).strip("._-")
    if not kept:
        raise InvalidRequest("The suffix has no letter or digit.", param="suffix")
    return f"{base}-{kept}"[:96]


def _job(workspace: Workspace, run: Run) -> Job:
    body = msgspec.convert(run.request, CreateJob) if run.request else None
    method = _method(body) if body else Method(type=_type_of(run.kind))
    settings = getattr(method, method.type)
    result = workspace.runs.files.result_of(run) if run.status == "finished" else None
    progress = workspace.runs.progress(run)
    finished_at = int(run.finished_at.timestamp()) if run.finished_at else None
    left = progress.get("seconds_left") if run.status == "running" else None
    validating = run.status == "queued" and not run.plan
    return Job(
        id=run.id,
        created_at=int(run.created_at.timestamp()),
        finished_at=finished_at,
        estimated_finish=int(time.time() + left) if isinstance(left, int | float) else None,
        model=str(run.recipe.get("model") or ""),
        fine_tuned_model=run.version_id,
        organization_id=ORGANISATION,
        status="validating_files" if validating else STATUSES.get(run.status, run.status),  # type: ignore[arg-type]
        training_file=str(run.recipe.get("data") or ""),
        validation_file=body.validation_file if body else None,
        result_files=[result.id] if result else [],
        trained_tokens=_whole(progress.get("tokens")) if run.status == "finished" else None,
        seed=_whole(run.recipe.get("seed")) or 0,
        hyperparameters=(settings.hyperparameters if settings else None) or Hyperparameters(),
        method=method,
        error=_error(run),
        integrations=[],
        metadata=body.metadata if body else None,
    )


def _type_of(kind: str) -> Any:
    return next((name for name, ours in KINDS.items() if ours == kind), "supervised")


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _error(run: Run) -> JobError | None:
    if run.error is None:
        return None
    parts = [run.error.get(name) for name in ("where", "message", "fix")]
    where, message, fix = (str(part) if part else "" for part in parts)
    text = f"{where + ': ' if where else ''}{message} {fix}".strip()
    param = {"data": "training_file", "validation": "validation_file"}.get(str(run.error.get("param")))
    return JobError(code=str(run.error.get("error", "error")), message=text, param=param)


def _event(run: Run, event: Event) -> JobEvent:
    values = dict(event.values)
    metrics = event.kind in ("step", "validation")
    level = {"skipped": "warn", "rolled_back": "warn", "note": "warn", "paused": "warn", "failed": "error"}
    return JobEvent(
        id=f"ftevent-{run.id}-{event.seq}",
        created_at=int(event.time),
        level=level.get(event.kind, "info"),  # type: ignore[arg-type]
        message=_message(event),
        type="metrics" if metrics else "message",
        data={"step": event.step, **values} if metrics else values,
    )


def _message(event: Event) -> str:
    loss = event.values.get("loss")
    shown = f"{loss:.4f}" if isinstance(loss, int | float) else "unknown"
    match event.kind:
        case "step":
            return f"Step {event.step}: training loss={shown}"
        case "validation":
            return f"Step {event.step}: validation loss={shown}"
    said = event.values.get("reason") or event.values.get("message")
    words = event.kind.replace("_", " ")
    return f"Step {event.step}: {words}" + (f": {said}" if said else "")


def _checkpoints(run: Run, events: list[Event]) -> list[JobCheckpoint]:
    losses: dict[str, dict[int, float]] = {"step": {}, "validation": {}}
    for event in events:
        loss = event.values.get("loss")
        if event.kind in losses and isinstance(loss, int | float):
            losses[event.kind][event.step] = float(loss)
    made = [event for event in events if event.kind == "checkpoint"]
    return [
        JobCheckpoint(
            id=f"ftckpt-{run.id}-{event.step}",
            created_at=int(event.time),
            fine_tuning_job_id=run.id,
            fine_tuned_model_checkpoint=(run.version_id or "") if event is made[-1] else "",
            step_number=event.step,
            metrics=CheckpointMetrics(
                step=event.step,
                train_loss=losses["step"].get(event.step),
                valid_loss=losses["validation"].get(event.step),
            ),
        )
        for event in made
    ]
