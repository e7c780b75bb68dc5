"""Calls of tools that wait for a person's word."""

import asyncio
from dataclasses import dataclass, field

from rixin.assistants.tools.running import Asked
from rixin.errors import NotFound


@dataclass
class Consents:
    """The waiting calls of all answers that this process makes. Use it from one event loop."""

    _waiting: dict[tuple[str, str], asyncio.Future[bool]] = field(default_factory=dict)

    async def ask(self, message_id: str, call: Asked) -> bool:
        """What the person says to a call of this answer. The caller bounds the wait."""
        place = (message_id, call.id)
        said = self._waiting[place] = asyncio.get_running_loop().create_future()
        try:
            return await said is True
        finally:
            del self._waiting[place]

    def answer(self, message_id: str, call_id: str, *, allow: bool) -> None:
        """Say it. The caller checks first whose answer it is. Raises NotFound for a call that does not wait."""
        said = self._waiting.get((message_id, call_id))
        if said is None or said.done():
            raise NotFound("No call waits for this any more.", fix="Ask again.", param="call_id")
        said.set_result(allow)
