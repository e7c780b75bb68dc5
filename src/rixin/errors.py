"""Every error that Rixin raises on purpose: what was wrong, where, and what to do about it.

`status`, `type` and `code` are the HTTP status and the OpenAI error object of the same error, so that a
room can raise one error and both the command line and the API show it faithfully.
"""

from typing import ClassVar


class RixinError(Exception):
    """Base of all typed errors.

    `message` is one sentence for a person. `where` names the place (`file:line`, a field, a source), `fix` the
    way out, `param` the request field that is at fault (OpenAI's `error.param`).
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None

    def __init__(
        self, message: str, *, where: str | None = None, fix: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix
        self.param = param

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        way_out = f" {self.fix}" if self.fix else ""
        return f"{place}{self.message}{way_out}"


class InvalidRequest(RixinError):
    """A request field has a value that can't be used."""

    status = 400
    type = "invalid_request_error"


class ContextLengthExceeded(InvalidRequest):
    """The prompt and the tokens asked for do not fit the model's context."""

    code = "context_length_exceeded"


class AuthenticationFailed(RixinError):
    """No key or session, or one that is unknown, expired or revoked."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class LoginFailed(AuthenticationFailed):
    """The name or the password is wrong, or the account is disabled; which of them is not said."""

    code = "login_failed"


class PermissionDenied(RixinError):
    """Known, but not allowed."""

    status = 403
    type = "invalid_request_error"
    code = "permission_denied"


class NotFound(RixinError):
    """The thing named does not exist, or belongs to someone else."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class Withdrawn(NotFound):
    """Somebody took back rows of this dataset's version, so it is gone for good; the fix names what replaces it."""

    status = 410
    code = "withdrawn"


class ModelNotFound(NotFound):
    """No model, version or alias has this name."""

    code = "model_not_found"


class Conflict(RixinError):
    """The thing is there already, in use, or being changed by someone else."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class TooLarge(RixinError):
    """A body or a file passes its limit."""

    status = 413
    type = "invalid_request_error"
    code = "too_large"


class RateLimited(RixinError):
    """Too many requests; `retry_after_s` says when to come back."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float = 1.0,
        where: str | None = None,
        fix: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, where=where, fix=fix, param=param)
        self.retry_after_s = retry_after_s


class EngineUnavailable(RixinError):
    """The engine is not running, or stopped for a stated reason."""

    status = 503
    code = "engine_unavailable"


class EngineDied(RixinError):
    """The engine's process ended while it worked on this request."""

    status = 502
    code = "engine_died"


class UpstreamError(RixinError):
    """A remote engine answered with an error, or not at all; `status` is the upstream's where it gave one."""

    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        where: str | None = None,
        fix: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, where=where, fix=fix, param=param)
        self.upstream_status = status


class ToolFailed(RixinError):
    """A tool's server died, did not answer in time, or broke its protocol; `where` names it."""

    status = 502
    code = "tool_failed"


class SourceUnreachable(RixinError):
    """No source of a model or file could be reached."""

    status = 502
    code = "source_unreachable"


class HashMismatch(RixinError):
    """Bytes are not what their hash says; both hashes are in the message."""

    code = "hash_mismatch"


class NotEnoughDisk(RixinError):
    """The disk has, or had, no room for the file."""

    status = 507
    code = "not_enough_disk"


class NotEnoughMemory(RixinError):
    """The machine's memory does not hold what was asked for."""

    status = 507
    code = "not_enough_memory"


class TrainingDiverged(RixinError):
    """The loss left the usual, and neither leaving out batches nor lower rates brought it back."""

    code = "training_diverged"


class CheckpointMismatch(Conflict):
    """A checkpoint belongs to another model or recipe."""

    code = "checkpoint_mismatch"


class MalformedModel(RixinError):
    """A model file breaks its own format; `where` names the file and the byte offset or key."""

    status = 422
    type = "invalid_request_error"
    code = "malformed_model"


class UnsupportedModel(RixinError):
    """A well-formed model of an architecture, tensor type or tokenizer that Rixin can't run."""

    status = 422
    type = "invalid_request_error"
    code = "unsupported_model"


class MalformedData(RixinError):
    """Rows of a dataset can't be used; the message says how many, and what is wrong with the first."""

    status = 422
    type = "invalid_request_error"
    code = "malformed_data"


class UnreadableDocument(RixinError):
    """A document can't be read; `where` names it.

    `reason` is one of `encrypted`, `broken`, `too_large`, `too_slow`, `empty`, `needs_ocr`, `unsupported`, `missing`.
    """

    status = 422
    type = "invalid_request_error"
    code = "unreadable_document"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "broken",
        where: str | None = None,
        fix: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, where=where, fix=fix, param=param)
        self.reason = reason


class TemplateError(RixinError):
    """A chat template failed, tried what the sandbox forbids, or took too long."""

    status = 422
    type = "invalid_request_error"
    code = "template_error"


class SettingsInvalid(RixinError):
    """A setting in `rixin.toml` or the environment can't be used."""

    code = "settings_invalid"


class AddressInUse(RixinError):
    """Another program listens on the address already."""

    code = "address_in_use"


class MigrationFailed(RixinError):
    """The database could not be brought to this version's schema; the old one is untouched."""

    code = "migration_failed"


class StoreUnavailable(RixinError):
    """The database is busy for too long, damaged, or can't be reached; nothing was changed."""

    status = 503
    code = "store_unavailable"


class SandboxUnavailable(RixinError):
    """This machine can't keep untrusted code from files, network and processes; nothing was run."""

    status = 503
    code = "sandbox_unavailable"


class ExportMismatch(RixinError):
    """An exported form of a model does not say what the trained one says; nothing was registered or written."""

    code = "export_mismatch"
