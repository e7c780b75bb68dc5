"""Why a Cycle began: somebody asked for it, or the plan's `every` did. Kept as a phrase, said in two languages."""

import re

from rixin.renewal.cycle import Words

ASKED_FOR = "asked for"
_BY = f"{ASKED_FOR} by "
_EVERY = re.compile(r"every (\d+) ?(m|h|d|items)")
_UNITS = {"m": "分钟", "h": "小时", "d": "天", "items": "条新反馈"}


def asked_for_by(name: str) -> str:
    """Somebody asked for it in the page or by API; `name` is the account's."""
    return f"{_BY}{name}"


def due_every(every: str) -> str:
    """It was due, as the plan's `every` says."""
    return f"every {every}"


def occasion(why: str) -> Words:
    """The phrase that was kept, for people."""
    if why == ASKED_FOR:
        return Words(why, "由命令发起")
    if why.startswith(_BY):
        return Words(why, f"由 {why.removeprefix(_BY)} 发起")
    if found := _EVERY.fullmatch(why):
        return Words(why, f"每 {found[1]} {_UNITS[found[2]]}一次")
    return Words(why, why)
