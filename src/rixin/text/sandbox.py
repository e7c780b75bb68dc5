"""A Jinja environment for chat templates from strangers: what they may reach, and how much they may do.

Jinja's own sandbox keeps a template away from Python's internals. It does not keep it from eating the machine:
`'x' * 10**12`, doubling a string in a loop, nested ranges. So here every loop step, call, filter and test ticks a
meter, and every value that could have grown is weighed before it goes on.
"""

import functools
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from jinja2 import nodes, pass_context, pass_environment
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.ext import Extension
from jinja2.filters import do_indent
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

MAX_CHARACTERS = 16 << 20
MAX_WORK = 256 << 20
MAX_ITEMS = 1 << 20
MAX_STEPS = 2_000_000
MAX_CPU_SECONDS = 5.0
MAX_INTEGER_BITS = 4096
MAX_INDENT = 64

_FILTERS = (
    "abs capitalize count d default dictsort e escape first float groupby int items last length list lower map max min "
    "reject rejectattr reverse round safe select selectattr sort string title trim unique upper urlencode wordcount"
)
_STRING_METHODS = (
    "capitalize casefold count endswith find index isalnum isalpha isdigit islower isnumeric isspace isupper join "
    "lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split splitlines "
    "startswith strip swapcase title upper"
)
_CONTAINERS: tuple[type[Collection[object]], ...] = (
    list,
    tuple,
    set,
    frozenset,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
)

Function = TypeVar("Function", bound=Callable[..., Any])


class LimitExceeded(TemplateRuntimeError):
    """The template did, or was about to do, more than any honest template does."""


class Meter:
    """What one rendering has used so far."""

    def __init__(self) -> None:
        self.steps = 0
        self.work = 0
        self.started = time.thread_time()

    def tick(self) -> None:
        """Count one step, and look at the clock now and then (CPU time of this thread: a busy machine is no crime)."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise LimitExceeded(f"The template took more than {MAX_STEPS} steps.")
        if self.steps & 63 == 0:
            self._look_at_the_clock()

    def admit(self, weight: int) -> None:
        """Count `weight` characters or items as made; refuse a value that alone is too large."""
        self.work += weight
        if weight > MAX_CHARACTERS or self.work > MAX_WORK:
            raise LimitExceeded("The template made too much text.")
        if weight > MAX_ITEMS // 64:
            self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        if time.thread_time() - self.started > MAX_CPU_SECONDS:
            raise LimitExceeded(f"The template ran for more than {MAX_CPU_SECONDS:g} seconds.")


_meter: ContextVar[Meter] = ContextVar("meter")


@contextmanager
def metered() -> Iterator[Meter]:
    """Everything rendered inside shares one Meter."""
    token = _meter.set(meter := Meter())
    try:
        yield meter
    finally:
        _meter.reset(token)


def weigh(value: object) -> int:
    """About how many characters `str(value)` has; stops with LimitExceeded as soon as that is too many.

    Containers are counted as often as they are referred to: thirty times `[x, x]` is a small object and a huge text.
    """
    if isinstance(value, str):
        return len(value)
    weight, items, stack = 0, 0, [value]
    while stack:
        item = stack.pop()
        items += 1
        if isinstance(item, str):
            weight += len(item)
        elif isinstance(item, Mapping):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, _CONTAINERS):
            stack.extend(item)
        elif isinstance(item, Namespace):
            stack.append(item._Namespace__attrs)
        if weight > MAX_CHARACTERS or items + len(stack) > MAX_ITEMS:
            raise LimitExceeded("The template made too much text.")
    return weight + items


def _weighed(value: Any) -> Any:
    _meter.get().admit(weigh(value))
    return value


@pass_context  # keeps Jinja from folding it into a constant while compiling
def _weigh_here(_: Context, value: Any) -> Any:
    return _weighed(value)


@pass_context
def _count_steps(_: Context, values: Iterable[Any]) -> Iterator[Any]:
    meter = _meter.get()
    for value in values:
        meter.tick()
        yield value


def _limited(function: Function) -> Function:
    """The filter or test, ticking the meter and weighing what comes out. Keeps Jinja's `pass_…` marks."""

    @functools.wraps(function)
    def limited(*args: Any, **kwargs: Any) -> Any:
        _meter.get().tick()
        return _weighed(function(*args, **kwargs))

    return limited  # type: ignore[return-value]


def _replaced(text: str, old: str, new: str, count: int = -1) -> str:
    hits = text.count(old) if count < 0 else min(count, text.count(old))
    _meter.get().admit(len(text) + hits * len(new))
    return text.replace(old, new, count)


def _joined(separator: str, values: Iterable[object]) -> str:
    texts = [str(_weighed(value)) for value in values]
    _meter.get().admit(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _replace(text: object, old: str, new: str, count: int = -1) -> str:
    return _replaced(str(_weighed(text)), old, new, count)


@pass_environment
def _join(
    environment: ImmutableSandboxedEnvironment, value: Iterable[Any], d: str = "", attribute: str | None = None
) -> str:
    return _joined(d, (environment.getitem(item, attribute) for item in value) if attribute else value)


def _indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    step = len(width) if isinstance(width, str) else width
    _meter.get().admit(len(text) + step * (text.count("\n") + 1))
    return do_indent(text, width, first, blank)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As transformers has it: plain JSON, without Jinja's escaping of HTML."""
    if indent is not None and not 0 <= indent <= MAX_INDENT:
        raise LimitExceeded(f"An indent of {indent} is outside 0 to {MAX_INDENT}.")
    weigh(value)
    encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    if indent is None:
        return encoder.encode(value)
    pieces, length = [], 0
    for piece in encoder.iterencode(value):
        pieces.append(piece)
        if (length := length + len(piece)) > MAX_CHARACTERS:
            raise LimitExceeded("The template made too much text.")
    return "".join(pieces)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRuntimeError(str(message))


def _strftime_now(form: str) -> str:
    if len(form) > 100:
        raise LimitExceeded("A date format is longer than 100 characters.")
    return datetime.now().astimezone().strftime(form)


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}`: marks what a training learns from; for prompts it is only a scope."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it so)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)


class _Limits(NodeTransformer):
    """Puts the meter where a template's text can grow without a call: loops, `~`, and literals of containers."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.iter = _filtered("count_steps", node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        return _filtered("weigh_here", self.generic_visit(node))

    visit_List = visit_Dict = visit_Concat  # noqa: N815

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered("weigh_here", node) if node.ctx == "load" else node


def _filtered(name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """The environment of transformers' chat templates, with limits."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # folding constants would run them without a meter
            finalize=_weigh_here,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        self.filters = {name: _limited(self.filters[name]) for name in _FILTERS.split()}
        self.filters |= {"tojson": _limited(_tojson), "join": _join, "replace": _replace, "indent": _indent}
        self.filters |= {"weigh_here": _weigh_here, "count_steps": _count_steps}
        self.tests = {name: _limited(test) for name, test in self.tests.items()}  # type: ignore[type-var]
        kept = {name: self.globals[name] for name in ("range", "dict", "cycler", "joiner", "namespace")}
        self.globals = {**kept, "raise_exception": _raise_exception, "strftime_now": _strftime_now}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        _Limits().visit(template)
        return template

    def concat(self, pieces: Iterable[str]) -> str:
        """Joins what a macro, a `{% set %}` block or the whole template wrote."""
        meter, kept, length = _meter.get(), [], 0
        for piece in pieces:
            kept.append(piece)
            if (length := length + len(piece)) > MAX_CHARACTERS:
                raise LimitExceeded("The template made too much text.")
        meter.admit(length)
        return "".join(kept)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Of strings, only the methods that can't make much out of little."""
        if isinstance(obj, str) and attr not in _STRING_METHODS.split():
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:  # noqa: ARG002
        """`str.format` is not allowed at all (`'{:999999999}'`), so it needs no wrapper."""
        return

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuses what would be too large before it is made."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("Formatting with % is not allowed in a template; use ~.")
        if operator == "*":
            for sequence, times in ((left, right), (right, left)):
                if isinstance(sequence, str | list | tuple) and isinstance(times, int):
                    _meter.get().admit(weigh(sequence) * max(times, 0))
        if isinstance(left, int) and isinstance(right, int) and operator in ("*", "**"):
            factor = max(right, 1) if operator == "**" else 1
            if left.bit_length() * factor + (right.bit_length() if operator == "*" else 0) > MAX_INTEGER_BITS:
                raise LimitExceeded("The template made too large a number.")
        return _weighed(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 (jinja2's names)
        _meter.get().tick()
        owner, method = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, str) and method == "replace":
            return _replaced(owner, *args, **kwargs)
        if isinstance(owner, str) and method == "join":
            return _joined(owner, *args)
        return _weighed(super().call(__context, __obj, *args, **kwargs))
