"""`rixin tools`: what assistants may call, and what they have called."""

import sys
from typing import Annotated

import msgspec
from anyio import run
from cyclopts import App, Parameter

from rixin.assistants.tools import BUILT_IN, Tool
from rixin.assistants.tools.configured import TOOLS_FILE
from rixin.cli.paint import printable
from rixin.cli.tables import print_json, print_table
from rixin.errors import InvalidRequest
from rixin.workspace import Workspace, open_workspace

app = App(name="tools", help="What assistants may call, and every call that they made.")

SHOWN = 80


@app.command(name="list")
def show_all(*, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the tools that an assistant's file may name: those built in, and those of tools.toml, which are asked now.

    Parameters
    ----------
    as_json
        As JSON, with the JSON Schemas of their arguments, for programs.
    """
    with open_workspace() as workspace:
        tools, problems = run(_tools, workspace)
    if as_json:
        print_json({"data": [_facts(tool) for tool in tools], "problems": problems})
        return
    rows = [(tool.name, "asks first" if tool.side_effects else "runs", _short(tool.description)) for tool in tools]
    print_table(("TOOL", "CONSENT", "DOES"), rows)
    for name, problem in problems.items():
        print(f"{name} offers nothing: {printable(problem)}", file=sys.stderr)
    if len(tools) == len(BUILT_IN) and not problems:
        print(f"More are added in {workspace.settings.home / TOOLS_FILE}.", file=sys.stderr)


@app.command
def audit(*, limit: int = 50, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the calls that assistants made, the newest first, those that were refused too.

    Parameters
    ----------
    limit
        How many.
    as_json
        As JSON, for programs.
    """
    if limit < 1:
        raise InvalidRequest("--limit is at least 1.")
    with open_workspace() as workspace:
        records = workspace.tool_audit.list(limit=limit)
    if as_json:
        print_json(msgspec.to_builtins(records))
        return
    rows = [
        (
            f"{one.at:%Y-%m-%d %H:%M:%S}",
            one.user_id or "-",
            one.assistant or "-",
            one.tool,
            one.outcome,
            one.consent,
            f"{one.milliseconds} ms",
            _short(one.arguments),
        )
        for one in records
    ]
    print_table(("AT", "WHO", "ASSISTANT", "TOOL", "OUTCOME", "CONSENT", "TOOK", "ARGUMENTS"), rows)


async def _tools(workspace: Workspace) -> tuple[list[Tool], dict[str, str]]:
    async with workspace.running():
        tools = await workspace.tools.tools(workspace.tools.names())
        return tools, workspace.tools.problems()


def _facts(tool: Tool) -> dict[str, object]:
    return {
        "name": tool.name,
        "description": tool.description,
        "side_effects": tool.side_effects,
        "parameters": msgspec.json.decode(tool.parameters),
    }


def _short(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
