"""System calls by name, and their numbers: what a test load may do at all. Everything else fails.

Sources: ``asm/unistd_64.h`` (x86_64) and ``asm-generic/unistd.h`` (aarch64) of Linux.
"""

from __future__ import annotations

#: Machines, as ``os.uname().machine`` names them, and what audit calls them (``linux/audit.h``).
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

#: Name → its number on each of them, ``None`` where there is no such call.
Numbers = dict[str, tuple[int | None, int | None]]

#: Whatever their arguments.
ALLOWED: Numbers = {
    # Memory.
    "brk": (12, 214), "get_mempolicy": (239, 236), "madvise": (28, 233), "mbind": (237, 235),
    "membarrier": (324, 283), "mincore": (27, 232), "mlock": (149, 228), "mlock2": (325, 284),
    "mmap": (9, 222), "mprotect": (10, 226), "mremap": (25, 216), "msync": (26, 227),
    "munlock": (150, 229), "munmap": (11, 215), "set_mempolicy": (238, 237),
    # Files that are open, and reading.
    "access": (21, None), "close": (3, 57), "close_range": (436, 436),
    "copy_file_range": (326, 285), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "faccessat": (269, 48), "faccessat2": (439, 439), "fadvise64": (221, 223),
    "fallocate": (285, 47), "fdatasync": (75, 83), "fgetxattr": (193, 10),
    "flistxattr": (196, 13), "flock": (73, 32), "fstat": (5, 80), "fstatfs": (138, 44),
    "fsync": (74, 82), "ftruncate": (77, 46), "getcwd": (79, 17), "getdents": (78, None),
    "getdents64": (217, 61), "getxattr": (191, 8), "lgetxattr": (192, 9),
    "listxattr": (194, 11), "llistxattr": (195, 12), "lseek": (8, 62), "lstat": (6, None),
    "newfstatat": (262, 79), "pread64": (17, 67), "preadv": (295, 69), "preadv2": (327, 286),
    "pwrite64": (18, 68), "pwritev": (296, 70), "pwritev2": (328, 287), "read": (0, 63),
    "readahead": (187, 213), "readlink": (89, None), "readlinkat": (267, 78), "readv": (19, 65),
    "sendfile": (40, 71), "stat": (4, None), "statfs": (137, 43), "statx": (332, 291),
    "sync_file_range": (277, 84), "write": (1, 64), "writev": (20, 66),
    # Names of files, which the cell keeps inside the scratch folder.
    "chdir": (80, 49), "fchdir": (81, 50), "mkdir": (83, None), "mkdirat": (258, 34),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "rmdir": (84, None),
    "umask": (95, 166), "unlink": (87, None), "unlinkat": (263, 35),
    # Waiting.
    "clock_getres": (229, 114), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "epoll_wait": (232, None),
    "eventfd": (284, None), "eventfd2": (290, 19), "getitimer": (36, 102),
    "gettimeofday": (96, 169), "nanosleep": (35, 101), "pause": (34, None), "pipe": (22, None),
    "pipe2": (293, 59), "poll": (7, None), "ppoll": (271, 73), "pselect6": (270, 72),
    "select": (23, None), "setitimer": (38, 103), "time": (201, None),
    "timer_create": (222, 107), "timer_delete": (226, 111), "timer_getoverrun": (225, 109),
    "timer_gettime": (224, 108), "timer_settime": (223, 110), "timerfd_create": (283, 85),
    "timerfd_gettime": (287, 87), "timerfd_settime": (286, 86), "times": (100, 153),
    "wait4": (61, 260), "waitid": (247, 95),
    # Threads, and this process itself.
    "arch_prctl": (158, None), "exit": (60, 93), "exit_group": (231, 94), "futex": (202, 98),
    "futex_waitv": (449, 449), "get_robust_list": (274, 100), "getcpu": (309, 168),
    "getegid": (108, 177), "geteuid": (107, 175), "getgid": (104, 176), "getgroups": (115, 158),
    "getpgid": (121, 155), "getpgrp": (111, None), "getpid": (39, 172), "getppid": (110, 173),
    "getpriority": (140, 141), "getrandom": (318, 278), "getresgid": (120, 150),
    "getresuid": (118, 148), "getrlimit": (97, 163), "getrusage": (98, 165),
    "getsid": (124, 156), "gettid": (186, 178), "getuid": (102, 174),
    "restart_syscall": (219, 128), "rseq": (334, 293), "rt_sigaction": (13, 134),
    "rt_sigpending": (127, 136), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigsuspend": (130, 133), "rt_sigtimedwait": (128, 137),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "sched_getaffinity": (204, 123), "sched_getattr": (315, 275), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_yield": (24, 124), "set_robust_list": (273, 99),
    "set_tid_address": (218, 96), "setrlimit": (160, 164), "sigaltstack": (131, 132),
    "sysinfo": (99, 179), "uname": (63, 160),
}  # fmt: skip

#: Of a job that speaks to a server.
SPEAKING: Numbers = {
    "connect": (42, 203), "getpeername": (52, 205), "getsockname": (51, 204),
    "getsockopt": (55, 209), "recvfrom": (45, 207), "recvmmsg": (299, 243),
    "recvmsg": (47, 212), "sendmmsg": (307, 269), "sendmsg": (46, 211), "sendto": (44, 206),
    "setsockopt": (54, 208), "shutdown": (48, 210),
}  # fmt: skip

#: Allowed or not by their arguments (``seccomp``).
JUDGED: Numbers = {
    "clone": (56, 220), "fcntl": (72, 25), "ioctl": (16, 29), "kill": (62, 129),
    "open": (2, None), "openat": (257, 56), "prctl": (157, 167), "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122), "socket": (41, 198), "tgkill": (234, 131),
}  # fmt: skip

#: Libraries have another way when these say that they do not exist, and their arguments cannot be
#: seen.
ABSENT: Numbers = {
    "clone3": (435, 435), "openat2": (437, 437),
}  # fmt: skip

_ALL = ALLOWED | SPEAKING | JUDGED | ABSENT


def number(name: str, machine: str) -> int | None:
    return _ALL[name][list(ARCHITECTURES).index(machine)]
