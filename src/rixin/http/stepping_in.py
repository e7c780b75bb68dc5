"""A canary's question that its engine can't answer: the version that the alias means answers it instead."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from anyio.to_thread import run_sync

from rixin.assistants import AskEvent, Recording, Sources, SteppedIn
from rixin.engines import Delta, Started
from rixin.errors import (
    EngineDied,
    EngineUnavailable,
    MalformedModel,
    NotEnoughMemory,
    RateLimited,
    RixinError,
    UnsupportedModel,
    UpstreamError,
)
from rixin.models import Version
from rixin.renewal import Canaries

# The engine's faults; a question that can't be asked (too long, a missing Library) is nobody's.
FAULTS = (EngineDied, EngineUnavailable, UpstreamError, MalformedModel, UnsupportedModel, NotEnoughMemory)

Ways = Callable[[Version], AsyncGenerator[AskEvent]]

log = logging.getLogger(__name__)


async def with_baseline(
    canaries: Canaries, canary_id: str, canary: Version, baseline: Version, ask: Ways
) -> AsyncGenerator[AskEvent]:
    """The canary's events; where its engine fails before anything was said, SteppedIn and the baseline's.

    Only a fault after which the baseline could answer is held against the canary: the other kind is the machine's, as
    it is the machine's that there is no place for a second engine just now.
    """
    begun = False
    fault: RixinError
    try:
        async with aclosing(ask(canary)) as events:
            async for one in events:
                if not begun and not isinstance(one, Started | Sources | Recording):
                    begun = True
                    canaries.answered(canary_id)
                yield one
        return
    except (*FAULTS, RateLimited) as error:
        if begun:
            raise
        fault = error
    log.warning("The canary %s could not answer, %s does: %s", canary_id, baseline.id, fault)
    yield SteppedIn(version_id=baseline.id)
    async with aclosing(ask(baseline)) as events:
        async for one in events:
            if not begun and isinstance(one, Delta):
                begun = True
                if not isinstance(fault, RateLimited):
                    await run_sync(canaries.stepped_in, canary_id, str(fault))
            yield one
