"""Runs untrusted Python, inside walls it puts up first. A program: `python -s -S -P -B jail.py SETUP REPORT PARENT`.

SETUP and REPORT are numbers of open files: the first holds what `sandbox.py` wants (JSON), to the second this writes
one JSON object a line; PARENT is the process that has to live. It imports the standard library only, since nothing else
is on its path.

Two processes: the first waits, the second is alone in a PID namespace (where the kernel gives one), can't start
another, and dies with the first. Once the walls stand they can't be taken down: `no_new_privs`, no capabilities,
Landlock and seccomp only ever get tighter.
Source: Linux, user_namespaces(7), pivot_root(2), landlock(7), seccomp(2).
"""

# Not pathlib: importing it would take a tenth of the whole start.
# ruff: noqa: PTH103, PTH110, PTH112, PTH114, PTH115, PTH120, PTH123, PTH211
import ctypes
import json
import os
import platform
import resource
import select
import signal
import struct
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

_LIBC = ctypes.CDLL(None, use_errno=True)

_NEW_USER = 0x10000000
_NEW_NAMESPACES = 0x20000 | 0x20000000 | 0x40000000 | 0x8000000 | 0x4000000 | 0x2000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4096
_MS_REC, _MS_PRIVATE, _MNT_DETACH = 16384, 1 << 18, 2
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 22, 38, 47
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_CAN_READ, _CAN_READ_OR_WRITE = 1 << 2 | 1 << 3, 1 << 1 | 1 << 2
_CAN_CHANGE = _CAN_READ | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12 | 1 << 13 | 1 << 14
_LANDLOCK_TRUNCATE_ABI, _LANDLOCK_TCP_ABI, _LANDLOCK_SCOPE_ABI = 3, 4, 6
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_INSIDE_ID = 1000
_SCRATCH = "/tmp"  # noqa: S108 - inside: a file system of its own


class WallMissing(Exception):
    """The kernel does not give something that is needed; the message says what."""


def main() -> None:
    """Put up the walls and run what SETUP says. Exit status: the code's own."""
    setup_file, report_file, asker = map(int, sys.argv[1:4])
    _die_with_parent()
    if os.getppid() != asker:  # it was killed before this process could ask to die with it
        return
    with os.fdopen(setup_file, "rb") as opened:
        setup: dict[str, Any] = json.load(opened)
    try:
        separate = _namespaces()
        alive, held = os.pipe()
        child = os.fork()
        if child:
            _wait_for(child)
        os.close(held)
        layers, alone = _walls(setup, separate)
        _die_with_parent()
        if select.select([alive], [], [], 0)[0]:  # its end is closed: the parent is gone already
            return
        os.close(alive)
        _limits(setup["limits"])
        _seccomp(bytes.fromhex(setup["filters"]["alone" if alone else "among_others"]))
    except (WallMissing, OSError) as missing:
        _report(report_file, {"missing": str(missing)})
        return
    _report(report_file, {"layers": layers})
    sys.exit(_run(setup["code"], report_file))


def close_in(readable: Sequence[str], devices: Sequence[str], filters: bytes) -> list[str]:
    """Landlock and seccomp around this very process (`walls.py`), as far as the kernel has them; names them."""
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return []
    layers = []
    abi = max(0, _LIBC.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    if abi >= _LANDLOCK_TRUNCATE_ABI:
        _landlock(abi, dict.fromkeys(readable, _CAN_READ) | dict.fromkeys(devices, _CAN_READ_OR_WRITE))
        layers.append(f"landlock {abi}")
    try:
        _seccomp(filters)
    except OSError:
        return layers
    return [*layers, "seccomp"]


def _wait_for(child: int) -> NoReturn:
    """Ends as the child ended, or at once, and the child with it, when the process that asked for it is killed."""
    _die_with_parent()  # once more, since new credentials undo it
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(128 - code if code < 0 else code)


def _die_with_parent() -> None:
    _check(_LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _namespaces() -> bool:
    """A process table (for the next process), a network and a mount table of its own; False where that is forbidden.

    A container or AppArmor may forbid it: then Landlock alone keeps the files, seccomp the network and the processes.
    Root needs no user namespace for it, and what is mounted by real root may lie in a folder of root's.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0 and _LIBC.unshare(_NEW_NAMESPACES) == 0:
        return True
    if _LIBC.unshare(_NEW_NAMESPACES | _NEW_USER) != 0:
        return False
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{_INSIDE_ID} {user} 1")
    _write("/proc/self/gid_map", f"{_INSIDE_ID} {group} 1")
    return True


def _walls(setup: dict[str, Any], separate: bool) -> tuple[list[str], bool]:
    """Put up all but the limits and seccomp; names them, and says if it is alone (`seccomp.assemble`).

    Raises WallMissing where files could still be reached.
    """
    abi = max(0, _LIBC.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    devices = dict.fromkeys(_DEVICES, _CAN_READ_OR_WRITE)
    rights = dict.fromkeys(setup["readable"], _CAN_READ) | devices
    refused = "unshare is forbidden"
    if separate:
        try:
            _own_root(setup["readable"], setup["scratch_bytes"])
        except OSError as error:
            refused = str(error)
        else:
            refused = ""
            rights = {"/": _CAN_READ, _SCRATCH: _CAN_CHANGE} | devices
    if refused and abi < _LANDLOCK_TRUNCATE_ABI:
        raise WallMissing(
            f"a mount namespace ({refused}) and Landlock of version {_LANDLOCK_TRUNCATE_ABI} (here {abi}), "
            "one of which must keep it from files"
        )
    counted = _leave_root(setup["user"])
    if not os.access(setup["readable"][0], os.R_OK | os.X_OK):
        raise WallMissing(f"root's own folder to another user, who needs {setup['readable'][0]} to import from")
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _drop_capabilities()
    if abi:
        _landlock(abi, rights)
    os.chdir("/" if refused else _SCRATCH)
    return [
        *(["network namespace", "process namespace"] if separate else []),
        *(["mount namespace"] if not refused else []),
        *([f"landlock {abi}"] if abi else []),
        "seccomp",
        "limits",
    ], separate and counted


def _leave_root(user: int) -> bool:
    """Root becomes a user that nobody is. False if the kernel won't count this user's threads: it never does root's."""
    if os.geteuid() != 0:
        return True
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError:  # root in a container that has no such user
        return False
    return True


def _own_root(readable: list[str], scratch_bytes: int) -> None:
    """A root of nothing but the standard library and the system's libraries, read-only, and a small empty /tmp."""
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    # Opened before /tmp hides what may lie there.
    sources = {path: os.open(path, os.O_PATH) for path in (*readable, *_DEVICES) if os.path.exists(path)}
    new = _SCRATCH
    _mount("tmpfs", new, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    for path, opened in sources.items():
        source = f"/proc/self/fd/{opened}"
        if os.path.islink(path):
            os.makedirs(os.path.dirname(new + path), exist_ok=True)
            os.symlink(os.readlink(path), new + path)
        else:
            _make_mount_point(new + path, directory=os.path.isdir(source))
            _mount(source, new + path, None, _MS_BIND | _MS_REC)
            _read_only(new + path, devices=path in _DEVICES)
        os.close(opened)  # it is a way back to the machine's own root
    os.makedirs(new + _SCRATCH, exist_ok=True)
    room = f"size={scratch_bytes},nr_inodes=1000,mode=1777"
    _mount("tmpfs", new + _SCRATCH, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, room)
    os.chdir(new)
    _mount(None, new, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    _check(_LIBC.syscall(_PIVOT_ROOT[platform.machine()], b".", b"."), "pivot_root")
    _check(_LIBC.umount2(b".", _MNT_DETACH), "umount2")
    os.chdir(_SCRATCH)


def _make_mount_point(path: str, *, directory: bool) -> None:
    if directory:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def _read_only(path: str, *, devices: bool) -> None:
    """Read-only with everything mounted below it; `struct mount_attr`."""
    flags = _MS_NOSUID | _MS_NOEXEC if devices else _MS_RDONLY | _MS_NOSUID | _MS_NODEV
    attributes = struct.pack("=4Q", flags, 0, 0, 0)
    size = ctypes.c_size_t(len(attributes))
    result = _LIBC.syscall(_MOUNT_SETATTR, _AT_FDCWD, path.encode(), _AT_RECURSIVE, attributes, size)
    _check(result, "mount_setattr")


def _landlock(abi: int, rights: dict[str, int]) -> None:
    """Only these rights in these folders and files; no TCP, no signals to others."""
    handled = (1 << (13 if abi == 1 else 14 if abi == 2 else 15 if abi < 5 else 16)) - 1
    fields = [handled, *([3] if abi >= _LANDLOCK_TCP_ABI else []), *([3] if abi >= _LANDLOCK_SCOPE_ABI else [])]
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _LIBC.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    _check(ruleset, "landlock_create_ruleset")
    for path, allowed in rights.items():
        if not os.path.exists(path):
            continue
        opened = os.open(path, os.O_PATH)
        # For a file the kernel knows only a file's rights.
        kept = allowed & handled if os.path.isdir(path) else allowed & _CAN_READ_OR_WRITE
        rule = struct.pack("=Qi", kept, opened)
        _check(_LIBC.syscall(_LANDLOCK_ADD, ruleset, 1, rule, ctypes.c_uint32(0)), "landlock_add_rule")
        os.close(opened)
    _check(_LIBC.syscall(_LANDLOCK_RESTRICT, ruleset, ctypes.c_uint32(0)), "landlock_restrict_self")
    os.close(ruleset)


def _drop_capabilities() -> None:
    _LIBC.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)  # clears all; there are none where the kernel doesn't know it
    header, none = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    _check(_LIBC.capset(header, none), "capset")


def _limits(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def _seccomp(program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(code))
    _check(_LIBC.prctl(_PR_SET_SECCOMP, 2, filter_program, 0, 0), "seccomp")


def _run(code: str, report_file: int) -> int:
    """Run the text as `__main__`; its exit status. What kept it from its end goes to the report."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = ["main.py"]
    try:
        exec(compile(code, "main.py", "exec"), module.__dict__)  # noqa: S102 - what all this is for
    except SystemExit:
        raise
    except BaseException as error:
        kinds: dict[type[BaseException], str] = {MemoryError: "memory", PermissionError: "denied"}
        _report(report_file, {"ended": kinds.get(type(error), "error")})
        _explain(error, code)
        return 1
    _report(report_file, {"ended": "finished"})
    return 0


def _explain(error: BaseException, code: str) -> None:
    """The traceback, from the code's own first line on, to standard error."""
    trace = error.__traceback__ and error.__traceback__.tb_next
    try:
        import linecache
        import traceback

        linecache.cache["main.py"] = (len(code), None, code.splitlines(keepends=True), "main.py")
        traceback.print_exception(type(error), error, trace, limit=-20)
    except BaseException:  # the code may have broken anything, and have left neither memory nor files to open
        sys.__excepthook__(type(error), error, trace)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = (None if word is None else word.encode() for word in (source, target, kind))
    result = _LIBC.mount(*words, ctypes.c_ulong(flags), None if options is None else options.encode())
    _check(result, f"mount {target}")


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as opened:
        opened.write(text)


def _report(file: int, said: dict[str, Any]) -> None:
    os.write(file, json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    main()
