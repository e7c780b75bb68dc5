"""Cycles that begin by themselves, as the plan's `every` says."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from rixin.errors import Conflict, RixinError
from rixin.renewal.cycle import Cycle
from rixin.renewal.occasion import due_every
from rixin.renewal.plan import RenewalPlan
from rixin.store import now

LOOK_S = 30.0

log = logging.getLogger(__name__)


class Schedule:
    """Looks now and then whether a Cycle is due. What can't be begun is logged once, and tried again later."""

    def __init__(
        self,
        plan: Callable[[], RenewalPlan],
        newest: Callable[[str], Cycle | None],
        news: Callable[[datetime | None], int],
        create: Callable[[RenewalPlan, str], Cycle],
        *,
        every_s: float = LOOK_S,
    ) -> None:
        self._plan = plan
        self._newest = newest
        self._news = news
        self._create = create
        self._every_s = every_s
        self._looked = 0.0
        self._problem = ""

    def look(self) -> None:
        """Begin what is due."""
        if time.monotonic() - self._looked < self._every_s:
            return
        self._looked = time.monotonic()
        try:
            self._begin()
            self._problem = ""
        except Conflict:  # somebody has just begun one
            return
        except RixinError as error:
            if str(error) != self._problem:
                log.warning("No cycle can begin by itself: %s", error)
            self._problem = str(error)

    def _begin(self) -> None:
        plan = self._plan()
        if not plan.every:
            return
        last = self._newest(plan.alias)
        if last is not None and not last.ended:
            return
        begun = None if last is None else last.created_at
        if plan.period is not None:
            due = begun is None or now() - begun >= plan.period
        else:
            # Since the last one began, whatever came of it: or one that found nothing would begin again at once.
            due = self._news(begun) >= (plan.items or 1)
        if due:
            self._create(plan, due_every(plan.every))
