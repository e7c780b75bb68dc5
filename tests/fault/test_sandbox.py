"""Attacks on the sandbox, as a model that wants out (or only to cheat) would write them. Each is really run."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rixin.compute import Limits, Program, SandboxResult, run_many, run_python, sandbox_layers
from rixin.errors import SandboxUnavailable

ROOMY = Limits(seconds=30)  # a busy machine is slow to start anything; nothing here needs that long
SHORT = Limits(seconds=2)
EPERM, ENOSYS = 1, 38
# Attacks that call the kernel themselves, without Python's courtesy. The numbers are x86_64's.
RAW = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments))
    return ctypes.get_errno() if result < 0 else 0
"""
on_x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of system calls are x86_64's")


def walls() -> tuple[str, ...]:
    try:
        return sandbox_layers()
    except SandboxUnavailable:
        return ()


WALLS = walls()
pytestmark = pytest.mark.skipif(not WALLS, reason="this kernel gives no sandbox")
needs_namespaces = pytest.mark.skipif("mount namespace" not in WALLS, reason="namespaces are forbidden here")


def attack(code: str, *, limits: Limits = ROOMY, stdin: str = "") -> SandboxResult:
    return run_python(code, limits=limits, stdin=stdin)


def refused(code: str) -> None:
    """The statement fails with an error of the system: denied, or not there."""
    result = attack(
        f"import os, socket, ctypes, sys\ntry:\n    {code}\nexcept OSError as e:\n    print('refused', e.errno)"
    )
    assert result.stdout.startswith("refused"), result


class TestPrograms:
    def test_a_program_reads_its_input_and_prints(self) -> None:
        result = attack("import sys\nprint(sum(map(int, sys.stdin)))", stdin="1\n2\n39\n")
        assert (result.status, result.stdout, result.stderr, result.finished) == ("ok", "42\n", "", True)

    def test_the_standard_library_is_there(self) -> None:
        names = "asyncio, collections, ctypes, dataclasses, decimal, hashlib, itertools, json, re, sqlite3, ssl, typing"
        assert attack(f"import {names}\nprint(hashlib.sha256(b'').hexdigest()[:8])").stdout == "e3b0c442\n"

    def test_asyncio_runs(self) -> None:
        assert attack("import asyncio\nasyncio.run(asyncio.sleep(0.01))\nprint('slept')").stdout == "slept\n"

    def test_an_exception_is_shown_with_its_line(self) -> None:
        result = attack("def divide(a, b):\n    return a / b\n\nassert divide(4, 0) == 1")
        assert result.status == "error"
        assert 'File "main.py", line 2, in divide\n    return a / b' in result.stderr
        assert "jail" not in result.stderr

    def test_the_exit_status_decides(self) -> None:
        assert attack("import sys; sys.exit(3)").status == "error"
        assert attack("import sys; sys.exit()").status == "ok"

    def test_leaving_before_the_tests_ran_is_not_finishing(self) -> None:
        for cheat in ("import os; os._exit(0)", "raise SystemExit", "import sys; sys.exit(0)"):
            result = attack(f"{cheat}\nassert 1 + 1 == 3")
            assert (result.status, result.finished) == ("ok", False)

    def test_text_that_is_no_python_is_an_error(self) -> None:
        assert "SyntaxError" in attack("def f(:").stderr
        assert attack("x = '\0'").status == "error"

    def test_hashes_are_the_same_each_time(self) -> None:
        code = "print(list({'a', 'b', 'c', 'd', 'e'}))"
        assert attack(code).stdout == attack(code).stdout

    def test_many_run_in_order_and_no_more_than_allowed_at_once(self) -> None:
        programs = [Program(f"import sys; print({number}, sys.stdin.read())", str(number)) for number in range(12)]
        results = run_many(programs, limits=ROOMY, parallel=3)
        assert [result.stdout.split() for result in results] == [[str(number)] * 2 for number in range(12)]

    def test_one_that_breaks_does_not_touch_its_neighbour(self) -> None:
        results = run_many([Program("import os; os.abort()"), Program("print('well')")], limits=ROOMY)
        assert [result.status for result in results] == ["error", "ok"]


class TestNetwork:
    @pytest.fixture
    def listener(self) -> Iterator[tuple[int, list[object]]]:
        """A port of this machine, and who came to it."""
        came: list[object] = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0.2)

            def accept() -> None:
                while server.fileno() >= 0:
                    try:
                        came.append(server.accept()[1])
                    except TimeoutError:
                        continue
                    except OSError:
                        return

            thread = threading.Thread(target=accept)
            thread.start()
            yield server.getsockname()[1], came
            server.close()
            thread.join()

    def test_no_connection_to_this_machine(self, listener: tuple[int, list[object]]) -> None:
        port, came = listener
        assert attack(f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)").status == "denied"
        assert attack(f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}', timeout=2)").status != "ok"
        assert came == []

    def test_no_socket_of_any_kind(self) -> None:
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 16, 17, 40):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                refused(f"socket.socket({int(family)}, {int(kind)})")

    def test_no_pair_but_a_unix_one_and_that_sends_nowhere_else(self, tmp_path: Path) -> None:
        refused(f"socket.socketpair({int(socket.AF_INET)})")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mailbox:
            mailbox.bind(str(tmp_path / "mailbox"))
            mailbox.settimeout(0.1)
            path = str(tmp_path / "mailbox")
            refused(f"socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', {path!r})")
            refused(f"socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].connect({path!r})")
            with pytest.raises(TimeoutError):
                mailbox.recv(1)

    def test_no_names_are_asked_for(self) -> None:
        assert attack("import socket; socket.gethostbyname('example.org')").status != "ok"


class TestFiles:
    def test_files_of_the_machine_are_not_there(self, tmp_path: Path) -> None:
        secret = tmp_path / "rixin.db"
        secret.write_text("secret")
        paths = ["/etc/passwd", "/etc/shadow", "/proc/self/environ", "/proc/1/environ", "/proc/self/mem", "/sys/kernel"]
        paths += [str(secret), "/home", __file__, "/dev/mem", "/dev/vda", "/dev/sda", "/run", "/var/log"]
        for path in paths:
            refused(f"os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}).read()")
        assert "secret" not in attack(f"print(open({str(secret)!r}).read())").stdout

    def test_its_parents_are_out_of_sight(self) -> None:
        code = """
for pid in range(1, 100_000):
    try:
        print(open(f"/proc/{pid}/environ").read())
    except OSError:
        pass
"""
        assert attack(code).stdout == ""

    @needs_namespaces
    def test_the_scratch_folder_is_empty_small_and_gone_afterwards(self) -> None:
        write = "import os\nprint(os.listdir('.'))\nopen('left', 'w').write('x')\nprint(os.path.abspath('left'))"
        assert attack(write).stdout == "[]\n/tmp/left\n"
        assert attack(write).stdout == "[]\n/tmp/left\n"
        assert not Path("/tmp/left").exists()

    @needs_namespaces
    def test_the_scratch_folder_cannot_fill_the_memory(self) -> None:
        many = "import os\nfor n in range(100):\n    with open(f'f{n}', 'wb') as f: f.write(bytes(4 << 20))"
        result = attack(many)
        assert result.status == "error"
        assert "No space left" in result.stderr
        assert attack("for n in range(10**6): open(f'f{n}', 'w').close()").status == "error"

    def test_nothing_else_can_be_written(self, tmp_path: Path) -> None:
        library = str(Path(os.__file__).parent)
        for path in (
            str(tmp_path / "new"),
            f"{library}/os.py",
            f"{library}/new.py",
            "/usr/lib/new",
            "/dev/new",
            "/new",
        ):
            refused(f"open({path!r}, 'a')")
        for path in (f"{library}/os.py", f"{library}/__pycache__"):
            refused(f"os.rename({path!r}, {path + '.gone'!r})")
            refused(f"os.chmod({path!r}, 0o777)")
            refused(f"os.utime({path!r})")
            refused(f"os.truncate({path!r}, 0)")
            refused(f"os.unlink({path!r})")
        assert list(tmp_path.iterdir()) == []

    @needs_namespaces
    def test_a_symbolic_link_leads_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret")
        for target in ("/etc/passwd", str(tmp_path / "secret"), "/proc/self/root/etc/passwd", "../../../../etc/passwd"):
            refused(f"os.symlink({target!r}, 'link'); print(open('link').read())")
        refused("os.link('/usr/lib/os-release', 'hard')")

    def test_no_open_file_leads_out(self) -> None:
        found = attack(
            "import os\nfor n in range(64):\n try: print(n, os.fstat(n).st_mode & 0o170000)\n except OSError: pass"
        )
        opened = [line.split() for line in found.stdout.splitlines()]
        assert len(opened) == 4  # input, output, errors, and the pipe that says how it ended
        assert not [number for number, kind in opened if int(kind) == 0o040000]
        for number, _ in opened:
            refused(f"os.fchdir({number})")
            refused(f"os.open('etc/passwd', os.O_RDONLY, dir_fd={number})")

    def test_its_input_cannot_be_grown_or_changed(self) -> None:
        refused("os.write(0, b'x' * 100)")
        refused("os.ftruncate(0, 1 << 30)")

    @needs_namespaces
    def test_devices_and_mounts_cannot_be_made(self) -> None:
        refused("os.mknod('sda', 0o60600, os.makedev(8, 0))")
        refused("os.mkfifo('fifo')")
        refused("os.chroot('.')")
        refused("os.chown('.', 0, 0)")


class TestProcesses:
    def test_no_fork_bomb(self) -> None:
        before = time.monotonic()
        result = attack("import os\nwhile True: os.fork()")
        assert result.status == "denied"
        assert time.monotonic() - before < 25

    def test_no_other_program(self) -> None:
        for code in (
            "import subprocess; subprocess.run(['/bin/sh', '-c', 'true'])",
            "import os; os.execv('/bin/sh', ['sh'])",
            "import multiprocessing as m; m.Process(target=print).start()",
            "import os; os.posix_spawn('/bin/true', ['true'], {})",
        ):
            assert attack(code).status in ("denied", "error")
        assert attack("import os; print(os.system('true'))").stdout != "0\n"

    def test_none_that_outlives_it(self) -> None:
        mark = f"outlives{os.getpid()}"
        daemon = f"import os, time\nos.environ['MARK'] = {mark!r}\nif os.fork() == 0:\n os.setsid()\n time.sleep(60)"
        assert attack(daemon).status == "denied"
        refused("os.setsid()")
        refused("os.setpgid(0, 0)")

    def test_a_thread_bomb_stops(self) -> None:
        result = attack(
            "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
        )
        assert result.status == "error"
        assert "can't start new thread" in result.stderr

    def test_no_signal_reaches_anyone(self) -> None:
        with subprocess.Popen(["sleep", "60"]) as victim:
            result = attack(
                f"import os, signal\nfor pid in ({victim.pid}, {os.getpid()}, -1, 0, -{os.getpgrp()}, 2):\n"
                " for number in (0, 9, 15):\n  try: os.kill(pid, number)\n  except OSError: pass"
            )
            assert result.status in ("ok", "timeout", "error")
            assert victim.poll() is None
            victim.send_signal(signal.SIGKILL)

    def test_signals_do_not_keep_it_alive(self) -> None:
        stubborn = """
import signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    time.sleep(1)
"""
        assert attack(stubborn, limits=SHORT).status == "timeout"

    def test_its_process_is_gone_after_a_timeout(self) -> None:
        attack("while True: pass", limits=SHORT)
        jails = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _mentions_the_jail(path)]
        assert jails == []

    def test_it_dies_with_who_started_it(self, tmp_path: Path) -> None:
        starter = (
            "from rixin.compute import run_python, Limits\nrun_python('while True: pass', limits=Limits(seconds=120))"
        )
        with subprocess.Popen([sys.executable, "-c", starter]) as process:
            _wait_until(lambda: len(_children_named_jail(process.pid)) > 0)
            [jail] = _children_named_jail(process.pid)
            process.kill()
        _wait_until(lambda: not Path(f"/proc/{jail}").exists())

    @on_x86
    def test_no_system_call_around_the_walls(self) -> None:
        forbidden = {
            "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_open": 434, "pidfd_getfd": 438,
            "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "bpf": 321,
            "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "keyctl": 250, "add_key": 248,
            "memfd_create": 319, "shmget": 29, "open_by_handle_at": 304, "name_to_handle_at": 303, "execveat": 322,
            "fork": 57, "vfork": 58, "connect": 42, "bind": 49, "sendmsg": 46, "recvmsg": 47, "reboot": 169,
            "swapon": 167, "init_module": 175, "kexec_load": 246, "setuid": 105, "setgroups": 116, "setrlimit": 160,
            "seccomp": 317, "landlock_create_ruleset": 444, "mq_open": 240, "personality": 135, "acct": 163,
            "fsopen": 430, "move_mount": 429, "quotactl": 179, "clock_settime": 227, "sched_setaffinity": 203,
        }  # fmt: skip
        code = RAW + f"print([name for name, n in {forbidden}.items() if call(n, 0, 0, 0, 0, 0, 0) != {EPERM}])"
        assert attack(code).stdout == "[]\n"

    @on_x86
    def test_clone_makes_threads_only(self) -> None:
        new_user, sigchld, thread = 0x10000000, 17, 0x10000
        code = (
            RAW
            + f"flags = {sigchld}, {new_user | sigchld}, {thread | new_user}\n"
            + "print([call(56, flag, 0) for flag in flags], call(435, 0, 0))"
        )
        assert attack(code).stdout == f"[{EPERM}, {EPERM}, {EPERM}] {ENOSYS}\n"

    @on_x86
    def test_calls_of_another_architecture_end_it(self) -> None:
        x32 = RAW + "call(0x40000000 + 39)\nprint('alive')"
        int_80 = (
            "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3')\n"
            "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()\nprint('alive')"
        )
        for code in (x32, int_80):
            result = attack(code)
            assert (result.status, result.stdout) == ("denied", "")


class TestLimits:
    def test_an_endless_loop_is_stopped(self) -> None:
        result = attack("print('before', flush=True)\nwhile True: pass", limits=SHORT)
        assert (result.status, result.stdout) == ("timeout", "before\n")
        assert 2 <= result.seconds < 10

    def test_waiting_counts_as_time(self) -> None:
        assert attack("import time; time.sleep(60)", limits=SHORT).status == "timeout"

    def test_endless_output_is_stopped_and_cut(self) -> None:
        for stream in ("stdout", "stderr"):
            result = attack(
                f"import sys\nwhile True: sys.{stream}.write('x' * 4096)", limits=Limits(30, output_bytes=10_000)
            )
            assert result.status == "output"
            assert len(result.stdout) + len(result.stderr) < 200_000

    def test_output_within_the_limit_is_whole(self) -> None:
        result = attack("print('é' * 300_000)")
        assert (result.status, len(result.stdout)) == ("ok", 300_001)

    def test_output_that_is_no_text_is_kept_as_far_as_it_goes(self) -> None:
        assert attack("import os; os.write(1, b'a\\xff\\0b')").stdout == "a\N{REPLACEMENT CHARACTER}\0b"

    def test_memory_is_limited(self) -> None:
        for bomb in ("x = bytearray(10**10)", "x = []\nwhile True: x.append(bytes(1 << 20))", "x = 'a' * 10**11"):
            assert attack(bomb).status == "memory"
        assert attack("import mmap\nx = []\nwhile True: x.append(mmap.mmap(-1, 64 << 20))").status == "error"

    def test_a_number_too_large_takes_no_longer_than_allowed(self) -> None:
        assert attack("print(len(str(9 ** 9 ** 9)))", limits=SHORT).status in ("timeout", "memory", "error")

    def test_recursion_ends_without_harm(self) -> None:
        assert "RecursionError" in attack("def f(): f()\nf()").stderr
        deep = attack("import sys\nsys.setrecursionlimit(10**9)\nclass A:\n    __repr__ = lambda s: repr(s)\nrepr(A())")
        assert deep.status in ("error", "memory")
        crash = attack("import ctypes; ctypes.string_at(0)")
        assert crash.status == "error"
        assert f"Ended by signal {int(signal.SIGSEGV)}" in crash.stderr

    def test_open_files_are_limited(self) -> None:
        assert "Too many open files" in attack("import os\nwhile True: os.pipe()").stderr

    def test_a_limit_cannot_be_raised(self) -> None:
        code = """
import resource
for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
    try:
        resource.setrlimit(limit, (-1, -1))
        print("raised")
    except (OSError, ValueError):
        pass
"""
        assert attack(code).stdout == ""

    def test_the_pipe_that_says_how_it_ended_can_be_found_but_not_flooded(self) -> None:
        result = attack(_writes_everywhere("b'x' * (1 << 22)"), limits=Limits(30, output_bytes=10_000))
        assert result.status == "output"

    def test_what_it_writes_there_breaks_nothing(self) -> None:
        for lie in ('{"missing": "all"}', '{"layers": []}', "[1]", "null", "{", "[" * 5000, '{"ended": 7}', "\0"):
            result = attack(_writes_everywhere(repr(f"{lie}\n".encode())))
            assert (result.status, result.layers) == ("ok", WALLS)


class TestSecrets:
    def test_the_environment_is_not_given_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RIXIN_SECRET", "s3cr3t")
        code = "import os, gc, sys\nprint(dict(os.environ), sys.argv, sys.path, gc.get_objects())"
        result = attack(code, limits=Limits(30, output_bytes=64 << 20))
        assert result.status == "ok"
        assert "s3cr3t" not in result.stdout
        assert "site-packages" not in attack("import sys; print(sys.path)").stdout

    @needs_namespaces
    def test_it_is_nobody(self) -> None:
        result = attack("import os; print(os.getuid() == 0, os.getpid(), os.getppid())")
        assert result.stdout == "False 1 0\n"


def _writes_everywhere(what: str) -> str:
    return f"""
import os
for number in range(3, 64):
    try:
        os.write(number, {what})
    except OSError:
        pass
"""


def _mentions_the_jail(path: Path) -> bool:
    try:
        return b"compute/jail.py" in path.read_bytes()
    except OSError:
        return False


def _children_named_jail(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and _mentions_the_jail(path.with_name("cmdline")):
            found.append(int(path.parent.name))
    return found


def _wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
