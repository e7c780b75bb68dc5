"""Bodies and answers of `/api`, beside those that the gateway and the assistants define themselves."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from rixin.assistants import Conversation, Message
from rixin.engines import EngineState
from rixin.gateway import Key, Role, User

Secret = Annotated[str, Meta(max_length=4096)]
ShortText = Annotated[str, Meta(max_length=512)]


class SessionState(Struct, frozen=True, kw_only=True):
    """Who is logged in here, if anyone; `csrf` goes into the `X-CSRF-Token` header of what changes something."""

    user: User | None
    setup_needed: bool
    csrf: str | None
    version: str


class SetupBody(Struct, frozen=True, kw_only=True):
    token: Secret
    name: ShortText
    password: Secret


class LoginBody(Struct, frozen=True, kw_only=True):
    name: ShortText
    password: Secret


class LoggedIn(Struct, frozen=True, kw_only=True):
    user: User
    csrf: str


class UserList(Struct, frozen=True, kw_only=True):
    data: list[User]


class NewUserBody(Struct, frozen=True, kw_only=True):
    name: ShortText
    password: Secret
    role: Role = "member"


class UserChanges(Struct, frozen=True, kw_only=True):
    """What is given is changed."""

    role: Role | None = None
    password: Secret | None = None
    disabled: bool | None = None


class PasswordBody(Struct, frozen=True, kw_only=True):
    old: Secret
    new: Secret


class KeyList(Struct, frozen=True, kw_only=True):
    data: list[Key]


class NewKeyBody(Struct, frozen=True, kw_only=True):
    name: ShortText
    expires_in_days: Annotated[int, Meta(ge=1, le=3650)] | None = None


class CreatedKey(Struct, frozen=True, kw_only=True):
    """`key` is the secret; it is shown only here."""

    key: str
    id: str
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model that can be asked; `reason` says why its state is `failed`."""

    id: str
    title: str
    description: str
    context_length: int
    state: EngineState
    reason: str | None
    default: bool
    licence: str
    languages: list[str]


class ModelInfoList(Struct, frozen=True, kw_only=True):
    data: list[ModelInfo]


class NewConversation(Struct, frozen=True, kw_only=True):
    model: ShortText | None = None


class ConversationChanges(Struct, frozen=True, kw_only=True):
    title: ShortText | None = None
    model: ShortText | None = None


class WholeConversation(Struct, frozen=True, kw_only=True):
    """A conversation with its whole tree of messages, in the order in which they were made."""

    id: str
    title: str
    model: str | None
    created_at: datetime
    updated_at: datetime
    messages: list[Message]


class Question(Struct, frozen=True, kw_only=True):
    """`parent_id` is the answer it follows, null for a first question; a sibling is an edit."""

    parent_id: ShortText | None
    content: str
    model: ShortText | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1 << 31)] | None = None


class Asked(Struct, frozen=True, kw_only=True):
    user: Message
    answer: Message


class AnotherAnswer(Struct, frozen=True, kw_only=True):
    """Which model shall answer again, and how; null for the one of the conversation, and its usual settings."""

    model: ShortText | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1 << 31)] | None = None


class AnswerOf(Struct, frozen=True, kw_only=True):
    answer: Message


class Consent(Struct, frozen=True, kw_only=True):
    """What the person says to the call `call_id` (a ToolUse's `id`) of the answer `message_id`."""

    message_id: ShortText
    call_id: ShortText
    allow: bool


class Health(Struct, frozen=True, kw_only=True):
    status: Literal["ok"] = "ok"


class Readiness(Struct, frozen=True, kw_only=True):
    """Whether the default model can answer, and if not, why."""

    ready: bool
    model: str | None
    reason: str | None


def whole(conversation: Conversation, messages: list[Message]) -> WholeConversation:
    return WholeConversation(
        id=conversation.id,
        title=conversation.title,
        model=conversation.model,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        messages=messages,
    )
