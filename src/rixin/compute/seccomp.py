"""The system calls that sandboxed Python may make, as a program for the kernel's seccomp filter.

An allow list: what isn't named fails with EPERM (`clone3` with ENOSYS, so that the C library falls back to `clone`,
whose flags can be seen). Nothing on it opens a connection, starts a process, reaches another one, changes the owner,
mode or times of a file, or keeps memory that RLIMIT_AS doesn't count.
Source: Linux, Documentation/userspace-api/seccomp_filter.rst; numbers from asm/unistd_64.h and asm-generic/unistd.h.
"""

import errno
import struct
from collections.abc import Sequence

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: number on x86_64, number on aarch64 (-1: there is none)
ALLOWED = {
    # files already open, or that Landlock and the mounts let it open
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "lseek": (8, 62), "pread64": (17, 67), "pwrite64": (18, 68),
    "readv": (19, 65), "writev": (20, 66), "pipe": (22, -1), "pipe2": (293, 59), "dup": (32, 23), "dup2": (33, -1),
    "dup3": (292, 24), "open": (2, -1), "openat": (257, 56), "stat": (4, -1), "fstat": (5, 80), "lstat": (6, -1),
    "newfstatat": (262, 79), "statx": (332, 291), "access": (21, -1), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, -1), "readlinkat": (267, 78), "getdents64": (217, 61), "getcwd": (79, 17), "chdir": (80, 49),
    "fchdir": (81, 50), "statfs": (137, 43), "fstatfs": (138, 44), "fsync": (74, 82), "fdatasync": (75, 83),
    "mkdir": (83, -1), "mkdirat": (258, 34), "rmdir": (84, -1), "unlink": (87, -1), "unlinkat": (263, 35),
    "rename": (82, -1), "renameat": (264, 38), "renameat2": (316, 276), "symlink": (88, -1), "symlinkat": (266, 36),
    "ftruncate": (77, 46), "sendfile": (40, 71), "copy_file_range": (326, 285), "fadvise64": (221, 223),
    "umask": (95, 166),
    # waiting
    "select": (23, -1), "pselect6": (270, 72), "poll": (7, -1), "ppoll": (271, 73), "epoll_create": (213, -1),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, -1), "epoll_pwait": (281, 22),
    "eventfd2": (290, 19), "sched_yield": (24, 124), "nanosleep": (35, 101), "clock_nanosleep": (230, 115),
    "futex": (202, 98), "recvfrom": (45, 207), "shutdown": (48, 210), "getsockname": (51, 204),
    "getsockopt": (55, 209),
    # memory
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "madvise": (28, 233),
    # signals and clocks of its own
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "getitimer": (36, 102), "setitimer": (38, 103), "alarm": (37, -1),
    "pause": (34, -1), "time": (201, -1), "gettimeofday": (96, 169), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "times": (100, 153),
    # about itself
    "getrusage": (98, 165), "getrlimit": (97, 163), "sysinfo": (99, 179), "uname": (63, 160), "getpid": (39, 172),
    "gettid": (186, 178), "getppid": (110, 173), "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175),
    "getegid": (108, 177), "getgroups": (115, 158), "getpgrp": (111, -1), "getpgid": (121, 155), "getsid": (124, 156),
    "getrandom": (318, 278), "getcpu": (309, 168), "sched_getaffinity": (204, 123), "arch_prctl": (158, -1),
    "set_robust_list": (273, 99), "set_tid_address": (218, 96), "rseq": (334, 293), "exit": (60, 93),
    "exit_group": (231, 94),
}  # fmt: skip

# Allowed only where one argument (its number, then the values) is one of these.
ALLOWED_WITH = {
    ("fcntl", 72, 25): (1, (0, 1, 2, 3, 4, 1030)),  # F_DUPFD, F_[GS]ETFD, F_[GS]ETFL, F_DUPFD_CLOEXEC
    ("ioctl", 16, 29): (1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),  # TCGETS, TIOCGWINSZ, FION*
    ("prctl", 157, 167): (0, (15, 16, 0x53564D41)),  # PR_[GS]ET_NAME, PR_SET_VMA
    ("prlimit64", 302, 261): (0, (0,)),  # its own; a hard limit can't be raised
    ("socketpair", 53, 199): (0, (1,)),  # AF_UNIX: asyncio wakes itself up through one
}
SENDTO, CLONE, CLONE3 = (44, 206), (56, 220), (435, 435)
SIGNALS = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)}

CLONE_THREAD = 0x10000
CLONE_NEW = 0x7E020000  # every CLONE_NEW* flag

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000
_EPERM, _ENOSYS = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS


def assemble(machine: str, *, alone: bool) -> bytes:
    """The BPF program for `machine` (a key of AUDIT_ARCH), as packed `struct sock_filter`s.

    `alone`: the process sees no other (a PID namespace) and the number of its threads is limited; only then may it
    send signals and start threads.
    """
    column = list(AUDIT_ARCH).index(machine)
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    allowed = [numbers[column] for numbers in ALLOWED.values()]
    if alone:
        allowed += [numbers[column] for numbers in SIGNALS.values()]
        program += _when(
            CLONE[column],
            [
                (_LOAD, 0, 0, _ARGUMENTS_AT),
                (_ANY_BIT, 2, 0, CLONE_NEW),
                (_ANY_BIT, 0, 1, CLONE_THREAD),
                (_RETURN, 0, 0, _ALLOW),
                (_RETURN, 0, 0, _EPERM),
            ],
        )
    for number in allowed:
        if number >= 0:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for (_, *numbers), (argument, values) in ALLOWED_WITH.items():
        checks = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)]
        for value in values:
            checks += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
        program += _when(numbers[column], [*checks, (_RETURN, 0, 0, _EPERM)])
    program += _when(SENDTO[column], _without_an_address())
    program += [(_EQUAL, 0, 1, CLONE3[column]), (_RETURN, 0, 0, _ENOSYS), (_RETURN, 0, 0, _EPERM)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _when(number: int, then: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """`then`, which ends in a return, if it is this system call."""
    return [(_EQUAL, 0, len(then), number), *then]


def _without_an_address() -> list[tuple[int, int, int, int]]:
    """`sendto` only to the other end of a pair: a datagram socket could name any socket's path. 64 bits of pointer."""
    low = _ARGUMENTS_AT + 8 * 4
    return [
        (_LOAD, 0, 0, low),
        (_EQUAL, 0, 3, 0),
        (_LOAD, 0, 0, low + 4),
        (_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
