"""What `/v1/fine_tuning/jobs` takes and gives, as OpenAI's clients know it."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Auto = Literal["auto"]
Text = Annotated[str, Meta(min_length=1, max_length=512)]


class Hyperparameters(Struct, frozen=True, kw_only=True):
    """`batch_size` is in rows. What is `auto`, or left out, the dial derives."""

    n_epochs: Annotated[int, Meta(ge=1, le=10_000)] | Auto | None = None
    batch_size: Annotated[int, Meta(ge=1, le=1 << 20)] | Auto | None = None
    learning_rate_multiplier: Annotated[float, Meta(gt=0, le=1000)] | Auto | None = None
    beta: Annotated[float, Meta(ge=0, le=10)] | Auto | None = None


class MethodSettings(Struct, frozen=True, kw_only=True):
    """`grader` is not used: each row says how its answer is checked."""

    hyperparameters: Hyperparameters | None = None
    grader: dict[str, Any] | None = None


class Method(Struct, frozen=True, kw_only=True):
    """`kto` and `reward` are Rixin's own."""

    type: Literal["supervised", "dpo", "reinforcement", "kto", "reward"]
    supervised: MethodSettings | None = None
    dpo: MethodSettings | None = None
    reinforcement: MethodSettings | None = None
    kto: MethodSettings | None = None
    reward: MethodSettings | None = None


class CreateJob(Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/fine_tuning/jobs`."""

    model: Text
    training_file: Text
    validation_file: Text | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    suffix: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    integrations: list[dict[str, Any]] | None = None
    metadata: Annotated[dict[str, Annotated[str, Meta(max_length=512)]], Meta(max_length=16)] | None = None


class JobError(Struct, frozen=True, kw_only=True):
    code: str
    message: str
    param: str | None = None


class Job(Struct, frozen=True, kw_only=True):
    """`fine_tuned_model` is the id of the Version that came of it: it can be asked at once."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]
    training_file: str
    validation_file: str | None
    result_files: list[str]
    trained_tokens: int | None
    seed: int
    hyperparameters: Hyperparameters
    method: Method
    error: JobError | None
    integrations: list[dict[str, Any]]
    metadata: dict[str, str] | None


class JobList(Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Job]
    has_more: bool


class JobEvent(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any]


class JobEventList(Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[JobEvent]
    has_more: bool


class CheckpointMetrics(Struct, frozen=True, kw_only=True):
    step: int
    train_loss: float | None = None
    valid_loss: float | None = None


class JobCheckpoint(Struct, frozen=True, kw_only=True):
    """Only of the last one there is a model to ask; others are what the run resumes from."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuning_job_id: str
    fine_tuned_model_checkpoint: str
    step_number: int
    metrics: CheckpointMetrics


class JobCheckpointList(Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[JobCheckpoint]
    has_more: bool
