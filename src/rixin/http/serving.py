"""From a model's name to the events of its engine: what the `/v1` routes share."""

import re
import secrets
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from anyio.to_thread import run_sync
from fastapi import Request

from rixin.assistants import PREFIX, AskEvent, Question, SavedAssistant, Threads
from rixin.assistants import ask as ask_assistant
from rixin.assistants.tools import Ask, Sheet, refuse
from rixin.engines import GenerateEvent, GenerateRequest
from rixin.errors import InvalidRequest
from rixin.gateway import Principal
from rixin.http.stepping_in import Ways, with_baseline
from rixin.knowledge import Reader
from rixin.models import Version
from rixin.workspace import Workspace

_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class Target:
    """The name that was asked for, the Version behind it, and the assistant that asks it, if it is one's name.

    Where the Version is a canary's, `baseline` answers if its engine can't.
    """

    model: str
    version: Version
    assistant: SavedAssistant | None = None
    canary_id: str | None = None
    baseline: Version | None = None


class Serving:
    """The `/v1` routes' view of the Workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.heartbeat_s = workspace.settings.heartbeat_s
        self._threads = Threads()

    async def target(self, model: str, conversation: str | None = None) -> Target:
        """What answers `conversation`, always the same while a canary goes on. Raises ModelNotFound."""
        found = await run_sync(self.workspace.models.route, model, conversation)
        return Target(model, found.version, canary_id=found.canary_id, baseline=found.baseline)

    async def partner(self, model: str, who: Principal, conversation: str | None = None) -> Target:
        """A model, or the assistant of `assistant:<name>`, to talk to. Raises ModelNotFound, NotFound."""
        if not model.startswith(PREFIX):
            return await self.target(model, conversation)
        assistants = self.workspace.assistants
        saved = await run_sync(lambda: assistants.get(model, reader=reader_of(who)))
        found = await self.target(saved.assistant.model, conversation)
        return replace(found, model=model, assistant=saved)

    def ask(
        self,
        target: Target,
        question: Question,
        who: Principal,
        *,
        consent: Ask = refuse,
        conversation_id: str | None = None,
        sheets: Sequence[Sheet] = (),
    ) -> AsyncGenerator[AskEvent]:
        """The events of an assistant's answer; a program is nobody who could consent to anything."""
        assert target.assistant is not None, "only an assistant is asked so"
        assistant = target.assistant.assistant
        house = self.workspace

        def answered(version: Version) -> AsyncGenerator[AskEvent]:
            return ask_assistant(
                assistant,
                question,
                reader=reader_of(who),
                searcher=house.libraries,
                lease=lambda: house.engines.lease(version),
                acting=house.acting(assistant, consent=consent, conversation_id=conversation_id, sheets=sheets),
                threads=self._threads,
            )

        return self._answered(target, answered)

    def converse(self, target: Target, work: GenerateRequest) -> AsyncGenerator[AskEvent]:
        """A turn of a conversation with a model: as `generate`, with a SteppedIn where a canary's engine fails."""
        return self._answered(target, lambda version: self.generate(replace(target, version=version), work))

    def _answered(self, target: Target, ask: Ways) -> AsyncGenerator[AskEvent]:
        if target.canary_id is None or target.baseline is None:
            return ask(target.version)
        return with_baseline(self.workspace.canaries, target.canary_id, target.version, target.baseline, ask)

    async def generate(self, target: Target, work: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        """The engine's events; leaving the generator frees the engine's slot and the pool's place."""
        async with self.workspace.engines.lease(target.version) as engine, aclosing(engine.generate(work)) as events:
            if not engine.capabilities().generate:
                raise InvalidRequest(f"The model {target.model!r} makes no text.", param="model")
            async for one in events:
                yield one


def reader_of(who: Principal) -> Reader:
    """The person or program as Libraries and assistants know them."""
    return Reader(user_id=who.user_id, admin=who.role == "admin")


def serving(request: Request) -> Serving:
    server: Serving = request.app.state.serving
    return server


def new_completion_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(12)}"


def now_s() -> int:
    return int(time.time())


def ignored_header(fields: Iterable[str]) -> dict[str, str]:
    """Fields that nobody here knows are named to the caller: a misspelt one must not vanish silently."""
    names = [_PLAIN.sub("_", field)[:64] for field in list(fields)[:32]]
    return {"x-rixin-ignored": ", ".join(names)} if names else {}
