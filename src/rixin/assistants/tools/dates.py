"""Today, weekdays, and how far dates are apart: what models guess at, and calendars know."""

import calendar
from collections.abc import Callable
from datetime import date, timedelta

from rixin.assistants.tools.tool import Arguments, ToolContext, ToolResult
from rixin.errors import InvalidRequest

_WEEKDAYS = "一二三四五六日"
_MOST = 4_000_000  # days; more than the calendar has


class Dates:
    """Days of the Gregorian calendar, from year 1 to 9999; `today` is the machine's."""

    name = "date"
    description = (
        "Today's date, the weekday of a date, a date some days, months or years away, the days between two dates. "
        "查询今天的日期、某天是星期几、若干天/月/年以后的日期、两个日期相隔的天数。"
    )
    parameters = (
        '{"type":"object","properties":{'
        '"operation":{"type":"string","enum":["today","weekday","add","between"]},'
        '"date":{"type":"string","description":"YYYY-MM-DD; without it today"},'
        '"until":{"type":"string","description":"YYYY-MM-DD, for between"},'
        '"days":{"type":"integer"},"months":{"type":"integer"},"years":{"type":"integer"}},'
        '"required":["operation"],"additionalProperties":false}'
    )
    side_effects = False

    def __init__(self, today: Callable[[], date] = date.today) -> None:
        self._today = today

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:  # noqa: ARG002
        start = self._date(arguments, "date")
        match arguments["operation"]:
            case "today":
                return ToolResult(text=_shown(self._today()))
            case "weekday":
                return ToolResult(text=_shown(start))
            case "add":
                return ToolResult(text=_shown(_moved(start, arguments)))
            case _:
                until = self._date(arguments, "until")
                days = (until - start).days
                weeks = f" ({days // 7} weeks and {days % 7} days)" if days >= 7 else ""
                return ToolResult(text=f"{days} days from {_shown(start)} to {_shown(until)}{weeks}")

    def _date(self, arguments: Arguments, field: str) -> date:
        said = str(arguments.get(field) or "today").strip()
        if said.lower() in ("today", "今天"):
            return self._today()
        try:
            return date.fromisoformat(said)
        except ValueError:
            raise InvalidRequest(
                f"{said[:40]!r} is not a day of the calendar.", fix="Write it as YYYY-MM-DD.", param=field
            ) from None


def _moved(start: date, arguments: Arguments) -> date:
    """Months and years first; a day that the month does not have becomes its last one (31 January + 1 month)."""
    amounts = {unit: arguments.get(unit, 0) for unit in ("years", "months", "days")}
    years, months, days = (value if isinstance(value, int) else 0 for value in amounts.values())
    try:
        if max(map(abs, (years, months, days))) > _MOST:
            raise OverflowError
        at = start.year * 12 + start.month - 1 + years * 12 + months
        year, month = divmod(at, 12)
        if not 1 <= year <= 9999:
            raise OverflowError
        last = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(start.day, last)) + timedelta(days=days)
    except OverflowError:
        raise InvalidRequest("That is outside the years 1 to 9999.", param="days") from None


def _shown(day: date) -> str:
    return f"{day.isoformat()} ({calendar.day_name[day.weekday()]}, 星期{_WEEKDAYS[day.weekday()]})"
