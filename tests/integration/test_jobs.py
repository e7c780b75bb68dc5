"""Jobs are durable on SQLite and on PostgreSQL, keep to themselves, and reach no network."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from rixin.compute import ExecutorLock, JobKind, Jobs, jobs_url
from rixin.errors import Conflict
from rixin.store import Database
from tiny_runs import wait_until

DIES = """
import os, sys
from rixin.compute import JobKind, Jobs
def first(subject):
    open(sys.argv[2], "a").write("first\\n")
    return True
def second(subject):
    os.kill(os.getpid(), 9)
jobs = Jobs(sys.argv[1], [JobKind("runs", {"first": first, "second": second})])
jobs.start()
jobs.submit("runs", "job.1", "subject")
import time; time.sleep(60)
"""


def url_of(database_url: str, tmp_path: Path) -> str:
    return jobs_url(tmp_path, database_url if "://" in database_url else None)


def test_a_job_goes_on_at_the_step_in_which_its_process_died(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    url, log = url_of(database_url, tmp_path), tmp_path / "log"
    died = subprocess.run([sys.executable, "-c", DIES, url, str(log)], timeout=60)
    assert died.returncode == -9
    assert log.read_text() == "first\n"
    done = threading.Event()

    def second(subject: str) -> bool:
        assert subject == "subject"
        done.set()
        return False

    jobs = Jobs(url, [JobKind("runs", {"first": lambda _: pytest.fail("done already"), "second": second})])
    jobs.start()
    try:
        assert done.wait(30)
        wait_until(lambda: not jobs.pending("runs") or None)
        jobs.submit("runs", "job.1", "subject")  # known: nothing happens
        assert jobs.pending("runs") == set()
    finally:
        jobs.stop()


def test_a_step_that_says_no_ends_the_job_and_jobs_take_turns(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    said: list[str] = []
    running = threading.Semaphore(1)

    def first(subject: str) -> bool:
        assert running.acquire(blocking=False), "two ran at once"
        said.append(subject)
        threading.Event().wait(0.05)
        running.release()
        return False

    steps = {"first": first, "second": lambda _: pytest.fail("not asked for")}
    jobs = Jobs(url_of(database_url, tmp_path), [JobKind("runs", steps)])
    jobs.start()
    try:
        for name in ("a", "b", "c"):
            jobs.submit("runs", f"{name}.1", name)
        wait_until(lambda: len(said) == 3 or None)
        wait_until(lambda: not jobs.pending("runs") or None)
        assert sorted(said) == ["a", "b", "c"]
        with pytest.raises(Conflict, match="already executes"):
            Jobs(url_of(database_url, tmp_path), []).start()
    finally:
        jobs.stop()


def test_the_record_lies_beside_our_own_tables(database: Database, database_url: str, tmp_path: Path) -> None:
    jobs = Jobs(url_of(database_url, tmp_path), [])
    jobs.start()
    jobs.stop()
    if "://" in database_url:
        return  # test_migrations compares the schema `public` with ours
    with closing(sqlite3.connect(tmp_path / "rixin.db")) as ours:
        names = {row[0] for row in ours.execute("SELECT name FROM sqlite_master")}
        assert ours.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert not any("workflow" in name for name in names)
    with closing(sqlite3.connect(tmp_path / "rixin-jobs.db")) as theirs:
        assert theirs.execute("SELECT count(*) FROM workflow_status").fetchone()[0] == 0


def test_jobs_open_no_connection_but_to_their_database(tmp_path: Path) -> None:
    watched = """
import socket, sys
def refuse(*_): raise AssertionError("a connection was opened")
socket.socket.connect = refuse
socket.socket.bind = refuse
socket.getaddrinfo = refuse
import threading
from rixin.compute import JobKind, Jobs
done = threading.Event()
jobs = Jobs(sys.argv[1], [JobKind("runs", {"only": lambda _: bool(done.set())})])
jobs.start(); jobs.submit("runs", "a.1", "a")
assert done.wait(30)
jobs.stop()
print("telemetry" if any("opentelemetry" in name for name in sys.modules) else "quiet")
"""
    ran = subprocess.run(
        [sys.executable, "-c", watched, jobs_url(tmp_path, None)], capture_output=True, text=True, timeout=60
    )
    assert ran.stdout == "quiet\n", ran.stderr
    assert ran.stderr == ""


def test_one_process_has_the_lock_and_a_dead_one_has_not(tmp_path: Path) -> None:
    holder = """
import sys, time
from pathlib import Path
from rixin.compute import ExecutorLock
lock = ExecutorLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
time.sleep(60)
"""
    lock = ExecutorLock(tmp_path)
    with subprocess.Popen([sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert not lock.acquire()
        assert lock.held_by_another()
        process.kill()
        process.wait()
    assert not lock.held_by_another()
    assert lock.acquire()
    lock.release()
