"""A team of threads that take a piece of work each and meet again.

Why not the threads inside torch's operations: a product of 1,024 rows and 576 columns ran on one core of two, small
operations paid for meeting each time, and rows that one core has in its cache were read by the other.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Item = TypeVar("Item")
LARGEST = 8


class Team:
    """So many members; the calling thread is member 0. Each member's torch operations use `threads_each` threads."""

    def __init__(self, threads: int) -> None:
        self.size = min(threads, LARGEST)
        self.threads_each = max(1, threads // self.size)
        self._members = [_Member(number, self.threads_each) for number in range(1, self.size)]

    def run(self, work: Callable[[int], None]) -> None:
        """Call `work(number)` in every member at once; return when all are done. Raises what a member raised."""
        before = torch.get_num_threads()
        for member in self._members:
            member.start(work)
        torch.set_num_threads(self.threads_each)
        try:
            work(0)
        finally:
            failures = [member.finish() for member in self._members]
            torch.set_num_threads(before)
        for failure in failures:
            if failure is not None:
                raise failure

    def rows(self, number: int, total: int) -> tuple[int, int]:
        """The first and the last-but-one of member `number`'s share of `total` rows."""
        return total * number // self.size, total * (number + 1) // self.size


class _Member:
    def __init__(self, number: int, threads: int) -> None:
        self._number = number
        self._threads = threads
        self._work: Callable[[int], None] | None = None
        self._failure: BaseException | None = None
        self._begin = threading.Lock()
        self._end = threading.Lock()
        self._begin.acquire()
        self._end.acquire()
        threading.Thread(target=self._loop, name=f"team-{number}", daemon=True).start()

    def start(self, work: Callable[[int], None]) -> None:
        self._work = work
        self._begin.release()

    def finish(self) -> BaseException | None:
        self._end.acquire()
        return self._failure

    def _loop(self) -> None:
        torch.set_num_threads(self._threads)  # of this thread alone
        while True:
            self._begin.acquire()
            self._failure = None
            try:
                assert self._work is not None
                with torch.no_grad():
                    self._work(self._number)
            except BaseException as error:  # handed to the caller of `run`
                self._failure = error
            self._work = None
            self._end.release()


def dealt(work: Sequence[Item], costs: Sequence[float], members: int) -> list[list[Item]]:
    """What each member does so that all end about together: the dearest first, to whoever has least."""
    loads = [0.0] * members
    hands: list[list[Item]] = [[] for _ in range(members)]
    for index in sorted(range(len(work)), key=lambda index: -costs[index]):
        lightest = loads.index(min(loads))
        loads[lightest] += costs[index]
        hands[lightest].append(work[index])
    return hands


@functools.cache
def team_of(threads: int) -> Team:
    """The process's team of so many threads."""
    return Team(threads)


def team() -> Team:
    """The team for the number of threads that torch is set to."""
    return team_of(torch.get_num_threads())
