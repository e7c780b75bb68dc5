"""One organisation's Rixin, opened: its settings, its database and every service on it."""

import threading
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from anyio import CancelScope, to_thread
from anyio.from_thread import BlockingPortal

from rixin.assistants import Acting, Answers, Assistant, Assistants, Consents, Conversations
from rixin.assistants.packs import Packs
from rixin.assistants.tools import Ask, Sheet, ToolAudit, Toolbox, refuse
from rixin.data import Datasets
from rixin.data.annotation import Annotations
from rixin.engines import Engine, EngineKind, EnginePool
from rixin.errors import MalformedModel
from rixin.evaluation import Evaluations
from rixin.gateway import Accounts, Keys
from rixin.knowledge import AliasEmbedder, EngineReranker, Libraries
from rixin.models import Registry, Version
from rixin.renewal import Agreement, Canaries, Completions, Cycles, FeedbackService, Stories, Withdrawing
from rixin.settings import Settings, load_settings
from rixin.store import Database
from rixin.training import Runs

DATABASE_FILE = "rixin.db"
DEFAULT_ALIAS = "chat"
ANSWERS_GRACE_S = 5.0


class Workspace:
    """Everything in it can be used at once; answers and engines need `running()` in an event loop."""

    def __init__(self, settings: Settings, *, kinds: Mapping[str, EngineKind[Version]] | None = None) -> None:
        """`kinds` are the engines by name; None takes all that Rixin has."""
        settings.home.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.default_alias = DEFAULT_ALIAS
        url = settings.database_url
        self.database = Database.open(settings.home / DATABASE_FILE if url is None else url.get_secret_value())
        self.models = Registry(self.database, settings)
        self.canaries = Canaries(self.database, self.models)
        self.datasets = Datasets(self.database, settings.home)
        self.annotations = Annotations(self.database, self.datasets, settings.home)
        self.runs = Runs(self.database, settings, self.models)
        self.datasets.on_withdrawal.append(self.runs.forget_rows)
        self.evaluations = Evaluations(self.database, self.models, self.datasets)
        self.keys = Keys(self.database)
        self.accounts = Accounts(self.database, self.keys)
        self.conversations = Conversations(self.database)
        self.answers = Answers(self.database)
        self.feedback = FeedbackService(
            self.database, Agreement(self.database, settings), Withdrawing(self.database, self.datasets)
        )
        self.completions = Completions(self.database, days=settings.stored_completion_days)
        self.assistants = Assistants(self.database, lambda names: self.tools.check(names))
        self.tool_audit = ToolAudit(self.database)
        self.consents = Consents()
        self.cycles = Cycles(
            self.database,
            settings,
            self.models,
            self.datasets,
            self.runs,
            self.evaluations,
            self.feedback,
            self.canaries,
            self.annotations,
        )
        self.datasets.on_withdrawal += [self.cycles.forget_held_out, self.cycles.forget_copies]
        self.stories = Stories(self.database, settings, self.models, self.evaluations, self.canaries, self.feedback)
        self._tools: Toolbox | None = None
        self._tools_lock = threading.Lock()
        self.engines = EnginePool(engine_kinds(settings) if kinds is None else kinds, max_engines=settings.max_engines)
        self.libraries = Libraries(
            self.database,
            settings.home,
            AliasEmbedder(self.models, self.engines),
            EngineReranker(self.models, self.engines),
        )
        self.packs = Packs(self.libraries, self.assistants, self.models)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Self]:
        """Answers can be made and engines be loaded within; at its end answers under way are saved, engines closed."""
        await self.answers.start()
        try:
            yield self
        finally:
            await self.answers.close(grace_s=ANSWERS_GRACE_S)
            if self._tools is not None:
                await self._tools.close()
                self._tools = None
            await self.engines.close()

    @property
    def tools(self) -> Toolbox:
        """What assistants may call, as tools.toml says when it is first needed. Raises SettingsInvalid, with the line.

        Used only for names, it needs no `running()`.
        """
        with self._tools_lock:
            if self._tools is None:
                self._tools = Toolbox(self.settings.home)
            return self._tools

    def acting(
        self,
        assistant: Assistant,
        *,
        consent: Ask = refuse,
        conversation_id: str | None = None,
        sheets: Sequence[Sheet] = (),
    ) -> Acting | None:
        """What the assistant acts with, None where it has no tools; raises SettingsInvalid.

        `consent` is asked before a call that may change something outside.
        """
        if not assistant.tools:
            return None
        return Acting(
            toolbox=self.tools,
            audit=self.tool_audit,
            consent=consent,
            conversation_id=conversation_id,
            sheets=sheets,
        )

    @asynccontextmanager
    async def working(self, only: Collection[str] | None = None) -> AsyncGenerator[bool]:
        """Runs and Cycles (or `only` these Cycles, with their Runs) are executed within, beside `running()`.

        Yields whether this process does that; else another one does, until it ends. At the end those under way save,
        and wait.
        """
        async with BlockingPortal() as portal:
            executing = self.cycles.executing(portal, self.engines, only=only)
            held = await to_thread.run_sync(executing.__enter__)
            try:
                yield held
            finally:
                with CancelScope(shield=True):
                    await to_thread.run_sync(executing.__exit__, None, None, None)

    def exact(self, version: Version) -> Engine:
        """An engine, not yet started, that scores with the version's weights as they are, not as they are served.

        Raises InvalidRequest where training's libraries are missing.
        """
        from rixin.training.planner import require_torch

        require_torch()
        from rixin.training.exact import ExactEngine

        return ExactEngine(version, threads=self.settings.threads)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def engine_kinds(settings: Settings) -> dict[str, EngineKind[Version]]:
    """Every engine that Rixin has. Each is imported when the first Version needs it."""

    def openvino(version: Version) -> Engine:
        from rixin.engines.openvino import OpenVinoEngine

        if version.folder is None:
            raise MalformedModel("The version has no folder.", where=version.id, fix="Pull the model again.")
        return OpenVinoEngine(
            version.folder,
            threads=settings.threads,
            kv_cache_bytes=settings.kv_cache_bytes,
            max_parallel=settings.max_parallel,
            name=version.model_name,
        )

    def embedder(version: Version) -> Engine:
        from rixin.engines.embedder import EmbedderEngine

        return EmbedderEngine(version.model_name, version.folder, threads=settings.threads)

    def reranker(version: Version) -> Engine:
        from rixin.engines.reranker import RerankerEngine

        if version.folder is None:
            raise MalformedModel("The version has no folder.", where=version.id, fix="Pull the model again.")
        return RerankerEngine(version.folder, threads=settings.threads, name=version.model_name)

    return {
        "openvino": EngineKind(openvino),
        "embedder": EngineKind(embedder, counted=False),
        "reranker": EngineKind(reranker, counted=False),
        "remote": EngineKind(_remote, counted=False),
    }


def _remote(version: Version) -> Engine:
    from rixin.engines.remote import RemoteConfig, RemoteEngine

    return RemoteEngine(msgspec.convert(version.config, RemoteConfig))


def open_workspace(home: Path | str | None = None) -> Workspace:
    """Open the Workspace at `home` (default: RIXIN_HOME, then ~/.rixin), creating it if it isn't there.

    Use it as a context manager. Raises SettingsInvalid, StoreUnavailable, MigrationFailed.
    """
    return Workspace(load_settings(home))
