"""The tools that every Rixin has and that reach nothing outside: calculator, library search, Python."""

import asyncio
import json

from rixin.assistants.tools.numbers import calculate, written
from rixin.assistants.tools.tool import Arguments, ToolContext, ToolResult
from rixin.compute.sandbox import Limits, run_python

MAX_PASSAGES = 10
PASSAGE_CHARACTERS = 2000
PYTHON_LIMITS = Limits(seconds=20.0, memory_bytes=512 << 20, output_bytes=64 << 10)

# Models forget to print: the value of a last line that is an expression is shown, as in a notebook.
_RUNNER = """
import ast as _ast
_tree = _ast.parse(_code)
if _tree.body and isinstance(_tree.body[-1], _ast.Expr):
    _last = _ast.Expression(_tree.body.pop().value)
else:
    _last = None
_names = {"__name__": "__main__"}
exec(compile(_tree, "code", "exec"), _names)
if _last is not None:
    _value = eval(compile(_last, "code", "eval"), _names)
    if _value is not None:
        print(repr(_value) if not isinstance(_value, str) else _value)
"""


class Calculator:
    """Exact arithmetic; see `numbers`."""

    name = "calculator"
    description = (
        "Calculates exactly: + - * / ^ % ! mod, parentheses, sqrt, round, min, max, sum, mean, ln, log, sin. "
        "精确计算算式。"
    )
    parameters = (
        '{"type":"object","properties":{"expression":{"type":"string","maxLength":1000,'
        '"description":"such as (1280 * 13% + 35.5) / 2"}},"required":["expression"],"additionalProperties":false}'
    )
    side_effects = False

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:  # noqa: ARG002
        expression = str(arguments["expression"])
        return ToolResult(text=f"{expression} = {written(calculate(expression))}".replace("= ≈", "≈"))


class LibrarySearch:
    """Looks up the assistant's Libraries with the rights of who asks; both are bound into the context's `search`."""

    name = "search_library"
    description = "Searches the organisation's documents and gives the passages that fit best. 在单位的资料库中检索。"
    parameters = (
        '{"type":"object","properties":{"question":{"type":"string","minLength":1,"maxLength":1000},'
        '"limit":{"type":"integer","minimum":1,"maximum":10}},"required":["question"],"additionalProperties":false}'
    )
    side_effects = False

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        if context.search is None:
            return ToolResult(error="This assistant has no library to search.")
        limit = arguments.get("limit", 5)
        passages = await context.search(str(arguments["question"]), limit if isinstance(limit, int) else 5)
        found = tuple(passages[:MAX_PASSAGES])
        if not found:
            return ToolResult(text="Nothing was found.")
        texts = []
        for passage in found:
            page = "" if passage.hit.page is None else f", page {passage.hit.page}"
            texts.append(f"[{passage.number}] {passage.label()}{page}\n{passage.hit.text[:PASSAGE_CHARACTERS]}")
        return ToolResult(text="\n\n".join(texts), passages=found)


class Python:
    """Runs the model's code in the sandbox: no network, no files, no processes; nothing is left of it."""

    name = "python"
    description = (
        "Runs Python 3 (standard library only, no files, no network, 20 seconds) and gives what it prints. "
        "运行 Python 代码并返回其输出。"
    )
    parameters = (
        '{"type":"object","properties":{"code":{"type":"string","maxLength":20000}},'
        '"required":["code"],"additionalProperties":false}'
    )
    side_effects = False

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:  # noqa: ARG002
        code = str(arguments["code"])
        # JSON text, whose escapes Python reads alike, also where the code has half a surrogate pair.
        program = f"_code = {json.dumps(code)}\n{_RUNNER}"
        ended = await asyncio.to_thread(run_python, program, limits=PYTHON_LIMITS)
        output = ended.stdout + (f"\n{_own(ended.stderr)}" if ended.stderr else "")
        if ended.status == "ok":
            return ToolResult(text=output.strip() or "(The code printed nothing.)")
        said = {
            "timeout": f"It took longer than {PYTHON_LIMITS.seconds:g} seconds.",
            "memory": "It needed too much memory.",
            "output": "It printed too much.",
            "denied": "It tried what the sandbox does not allow.",
        }.get(ended.status, "It failed.")
        return ToolResult(text=output.strip(), error=said)


def _own(traceback: str) -> str:
    """The traceback without the lines of what ran the code."""
    lines = traceback.strip().splitlines()
    at = next((at for at, line in enumerate(lines) if '"code"' in line), None)
    return "\n".join(lines if at is None else [lines[0], *lines[at:]])
