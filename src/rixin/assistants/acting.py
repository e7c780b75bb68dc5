"""An assistant's tools in an answer: which there are, with whose rights they look things up, and what they gave."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from rixin.assistants.assistant import Assistant
from rixin.assistants.budget import CountTokens
from rixin.assistants.passages import Passage
from rixin.assistants.searching import Searcher
from rixin.assistants.tools.choosing import choosing
from rixin.assistants.tools.running import Ask, Audit, Generate, ToolEvent, refuse, run_tools
from rixin.assistants.tools.tool import Search, Sheet, Tool, ToolContext
from rixin.assistants.tools.toolbox import Toolbox
from rixin.engines.protocol import Capabilities, GenerateRequest
from rixin.errors import InvalidRequest
from rixin.knowledge import Hit, Reader

RESULT_TOKENS = 1024  # kept free for what tools say, where the context is that large


@dataclass(frozen=True, kw_only=True)
class Acting:
    """What an assistant acts with, and for whom. `consent` is asked before a call that may change something outside.

    `sheets` are the tables that were uploaded to the conversation.
    """

    toolbox: Toolbox
    audit: Audit
    consent: Ask = refuse
    conversation_id: str | None = None
    sheets: Sequence[Sheet] = ()


class Shown:
    """The passages that a model was shown, each under its number: found for the question, or looked up by a tool."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = list(passages)

    def number(self, hits: Sequence[Hit]) -> list[Passage]:
        """The hits as passages; one that was shown before keeps its number."""
        known = {passage.hit.chunk_id: passage for passage in self.passages}
        found = []
        for hit in hits:
            passage = known.get(hit.chunk_id)
            if passage is None:
                passage = known[hit.chunk_id] = Passage(number=len(self.passages) + 1, hit=hit)
                self.passages.append(passage)
            found.append(passage)
        return found


async def tools_of(assistant: Assistant, acting: Acting | None) -> list[Tool]:
    """The tools that the assistant has now; servers that can't be reached offer none. Raises NotFound."""
    if not assistant.tools:
        return []
    if acting is None:
        raise InvalidRequest(f"The assistant {assistant.name!r} needs tools, and there are none here.", param="model")
    return await acting.toolbox.tools(assistant.tools)


async def reserved(tools: Sequence[Tool], context_tokens: int, count: CountTokens) -> int:
    """Tokens that tools need of a context: their descriptions, and room for what they say."""
    if not tools:
        return 0
    described = [await count(f"{tool.name} {tool.description} {tool.parameters}") for tool in tools]
    return min(sum(described) + RESULT_TOKENS, context_tokens // 2)


def search_of(
    assistant: Assistant, reader: Reader, searcher: Searcher | None, shown: Shown, clean: Callable[[Hit], Hit]
) -> Search | None:
    """A search of the assistant's Libraries with the reader's rights. What it is not sure of, it does not give."""
    if not assistant.libraries or searcher is None:
        return None

    async def search(question: str, limit: int) -> list[Passage]:
        found = await searcher.search(
            assistant.libraries, question, reader=reader, limit=limit, filters=assistant.filters
        )
        sure = found.confidence >= assistant.policy.refuse_below
        return shown.number([clean(hit) for hit in found.hits]) if sure else []

    return search


def act(
    generate: Generate,
    able: Capabilities,
    request: GenerateRequest,
    tools: Sequence[Tool],
    context: ToolContext,
    acting: Acting,
    shown: Shown,
) -> AsyncGenerator[ToolEvent]:
    """The events of an answer that is made with tools, by an engine that is so `able`.

    Raises InvalidRequest for a model that can't choose a tool.
    """
    if not able.tools and not able.json_schema:
        raise InvalidRequest("The model can neither call tools nor be held to a schema.", param="model")
    return run_tools(
        generate if able.tools else choosing(generate),
        request,
        tools,
        context,
        audit=acting.audit,
        consent=acting.consent,
        data=[passage.hit.text for passage in shown.passages],
    )
