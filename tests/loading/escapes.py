"""Ways out of the cell, tried from inside: sent to a child as text, which knows nothing but the
standard library.

Each function returns something true when it worked. Its name begins with what it would have done:
``read``, ``write``, ``start``, ``reach``, ``disturb`` or ``kernel``.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARK = "karen-escape"
# What the parent tells: outside, model, victim, secrets, parent, port, udp, unix, abstract.
T: dict[str, Any] = {}
TRIED: dict[str, Callable[[], object]] = {}
libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform != "win32" else None
X86 = platform.machine() == "x86_64"


def way(function: Callable[[], object]) -> Callable[[], object]:
    TRIED[function.__name__] = function
    return function


def ways(prefix: str, calls: dict[str, Callable[[], object]]) -> None:
    TRIED.update({f"{prefix}_{name}": call for name, call in calls.items()})


def done(call: Callable[[], object]) -> Callable[[], bool]:
    """For what raises when it fails."""
    return lambda: (call(), True)[1]


def went_well(result: int) -> bool:
    return result >= 0


def outside(name: str) -> str:
    return os.path.join(T["outside"], name)


def own(name: str) -> str:
    path = os.path.join(os.getcwd(), name)
    with open(path, "wb") as file:
        file.write(b"own")
    return path


def folder() -> int:
    return os.open(T["outside"], getattr(os, "O_PATH", 0) | os.O_DIRECTORY)


def victim() -> str:
    return str(T["victim"])


def raw(x86: int, other: int, *arguments: Any) -> bool:
    number = x86 if X86 else other
    return bool(libc.syscall(ctypes.c_long(number), *arguments) >= 0)


# Writing
# --------------------------------------------------------------------------------------------------
ways(
    "write",
    {
        "open": done(lambda: open(victim(), "ab")),
        "open_in_the_model": done(lambda: open(os.path.join(T["model"], "new"), "wb")),
        "open_of_the_weights": done(
            lambda: open(os.path.join(T["model"], "model.safetensors"), "r+b")
        ),
        "os_open": done(lambda: os.open(victim(), os.O_WRONLY)),
        "os_open_that_truncates": done(lambda: os.open(victim(), os.O_RDONLY | os.O_TRUNC)),
        "weights_that_are_truncated_while_opened": done(
            lambda: os.open(os.path.join(T["model"], "model.safetensors"), os.O_RDONLY | os.O_TRUNC)
        ),
        "new_file": done(lambda: open(outside("new"), "xb")),
        "new_file_without_a_name": done(
            lambda: os.open(T["outside"], os.O_RDWR | getattr(os, "O_TMPFILE", 0))
        ),
        "temporary": done(lambda: tempfile.mkdtemp(dir=T["outside"])),
        "pathlib": done(lambda: Path(outside("new")).touch()),
        "remove": done(lambda: os.remove(victim())),
        "rename_away": done(lambda: os.rename(victim(), "taken")),
        "rename_there": done(lambda: os.rename(own("a"), outside("new"))),
        "replace": done(lambda: os.replace(own("b"), victim())),
        "link_to_it": done(lambda: os.link(victim(), "hard")),
        "link_there": done(lambda: os.link(own("c"), outside("new"))),
        "symlink_there": done(lambda: os.symlink("/", outside("new"))),
        "mkdir": done(lambda: os.mkdir(outside("new"))),
        "rmdir": done(lambda: os.rmdir(outside("empty"))),
        "mkfifo": done(lambda: os.mkfifo(outside("new"))),
        "mknod": done(lambda: os.mknod(outside("new"))),
        "mkfifo_in_the_scratch_folder": done(lambda: os.mkfifo("fifo")),
        "setxattr": done(lambda: os.setxattr(victim(), "user.x", b"x")),
        "removexattr": done(lambda: os.removexattr(victim(), "user.there")),
        "truncate": done(lambda: os.truncate(victim(), 0)),
        "chmod": done(lambda: os.chmod(victim(), 0)),
        "chmod_of_the_weights": done(
            lambda: os.chmod(os.path.join(T["model"], "model.safetensors"), 0)
        ),
        "chown": done(lambda: os.chown(victim(), 1, 1)),
        "utime": done(lambda: os.utime(victim(), (1, 1))),
        "utime_of_the_weights": done(
            lambda: os.utime(os.path.join(T["model"], "model.safetensors"), (1, 1))
        ),
        "open_by_dir_fd": done(lambda: os.open("victim", os.O_WRONLY, dir_fd=folder())),
        "create_by_dir_fd": done(lambda: os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=folder())),
        "remove_by_dir_fd": done(lambda: os.remove("victim", dir_fd=folder())),
        "rename_by_dir_fd": done(lambda: os.rename("victim", "taken", src_dir_fd=folder())),
        "mkdir_by_dir_fd": done(lambda: os.mkdir("new", dir_fd=folder())),
        "symlink_by_dir_fd": done(lambda: os.symlink("/", "new", dir_fd=folder())),
        "link_by_dir_fd": done(lambda: os.link("victim", "hard", src_dir_fd=folder())),
        "mknod_by_dir_fd": done(lambda: os.mknod("new", dir_fd=folder())),
        "chmod_by_dir_fd": done(lambda: os.chmod("victim", 0, dir_fd=folder())),
        "utime_by_dir_fd": done(lambda: os.utime("victim", (1, 1), dir_fd=folder())),
        "after_chdir": done(lambda: (os.chdir(T["outside"]), open("new", "xb"))),
        "libc_open": lambda: went_well(libc.open(os.fsencode(victim()), os.O_WRONLY)),
        "libc_openat": lambda: went_well(
            libc.openat(-100, os.fsencode(outside("new")), os.O_WRONLY | os.O_CREAT, 0o600)
        ),
        "libc_creat": lambda: went_well(libc.creat(os.fsencode(outside("new")), 0o600)),
        "libc_rename": lambda: went_well(libc.rename(os.fsencode(victim()), b"taken")),
        "libc_unlink": lambda: went_well(libc.unlink(os.fsencode(victim()))),
        "libc_truncate": lambda: went_well(libc.truncate(os.fsencode(victim()), 0)),
        "libc_chmod": lambda: went_well(libc.chmod(os.fsencode(victim()), 0)),
        "libc_link": lambda: went_well(libc.link(os.fsencode(victim()), b"hard")),
        "libc_symlink": lambda: went_well(libc.symlink(b"/", os.fsencode(outside("new")))),
        "libc_mkfifo": lambda: went_well(libc.mkfifo(os.fsencode(outside("new")), 0o600)),
        "libc_setxattr": lambda: went_well(
            libc.setxattr(os.fsencode(victim()), b"user.x", b"x", 1, 0)
        ),
        "openat2": lambda: raw(
            437, 437, -100, os.fsencode(victim()), struct.pack("=QQQ", os.O_WRONLY, 0, 0), 24
        ),
        "sqlite": done(lambda: sqlite3.connect(outside("new.db")).execute("create table t (x)")),
        "sqlite_of_the_database": done(
            lambda: sqlite3.connect(outside("db.sqlite3")).execute("create table t (x)")
        ),
        "sqlite_attach": done(
            lambda: sqlite3.connect(":memory:").executescript(
                f"attach '{outside('new.db')}' as o; create table o.t (x);"
            )
        ),
        "sqlite_vacuum_into": done(
            lambda: sqlite3.connect(":memory:").execute(f"vacuum into '{outside('new.db')}'")
        ),
        "core_pattern": done(lambda: open("/proc/sys/kernel/core_pattern", "r+b")),
        "sysrq": done(lambda: open("/proc/sysrq-trigger", "wb")),
        "limits_of_the_system": done(lambda: open("/proc/sys/vm/overcommit_memory", "r+b")),
        "memory_of_the_parent": done(lambda: open(f"/proc/{T['parent']}/mem", "r+b")),
        "shared_memory_file": done(lambda: open(f"/dev/shm/{MARK}", "wb")),
        "tmp": done(lambda: open(f"/tmp/{MARK}", "wb")),
        "var_tmp": done(lambda: open(f"/var/tmp/{MARK}", "wb")),
        "this_code": done(lambda: open(os.path.join(T["code"], "discovery/loading/new.py"), "xb")),
        "packages": done(lambda: open(os.path.join(os.path.dirname(os.__file__), "new.py"), "xb")),
    },
)


@way
def write_through_a_symlink() -> object:
    os.symlink(victim(), "soft")
    return open("soft", "ab")


@way
def write_modes_of_a_file_that_is_open_for_reading() -> object:
    return done(
        lambda: os.chmod(os.open(os.path.join(T["model"], "model.safetensors"), os.O_RDONLY), 0)
    )()


@way
def write_times_of_a_file_that_is_open_for_reading() -> object:
    return done(
        lambda: os.utime(
            os.open(os.path.join(T["model"], "model.safetensors"), os.O_RDONLY), (1, 1)
        )
    )()


@way
def write_into_a_private_mapping_that_is_shared() -> object:
    with open(os.path.join(T["model"], "model.safetensors"), "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE)


@way
def write_a_socket_file() -> object:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(outside("new"))
    return True


# Reading
# --------------------------------------------------------------------------------------------------
def gave(path: str) -> bool:
    with open(path, "rb") as file:
        return bool(file.read(1))


def names_in(path: str) -> set[bytes]:
    with open(path, "rb") as file:
        return {pair.partition(b"=")[0] for pair in file.read().split(b"\0")}


@way
def read_secrets() -> object:
    for path in T["secrets"]:
        for named in (
            path,
            f"/proc/self/root{path}",
            os.path.join("/proc/self/cwd", os.path.relpath(path)),
        ):
            try:
                if gave(named):
                    return True
            except OSError:
                continue
    return False


ways(
    "read",
    {
        "shadow": lambda: gave("/etc/shadow"),
        "users": lambda: gave("/etc/passwd"),
        "environment_of_the_parent": lambda: gave(f"/proc/{T['parent']}/environ"),
        "arguments_of_the_parent": lambda: gave(f"/proc/{T['parent']}/cmdline"),
        "memory_of_the_parent": lambda: gave(f"/proc/{T['parent']}/maps"),
        "files_of_the_parent": lambda: bool(os.listdir(f"/proc/{T['parent']}/fd")),
        "root_of_the_parent": lambda: bool(os.listdir(f"/proc/{T['parent']}/root/")),
        "environment_of_the_first_process": (
            lambda: names_in("/proc/1/environ") - names_in("/proc/self/environ")
        ),
        "names_in_the_data_folder": lambda: bool(os.listdir(T["outside"])),
        "names_at_home": lambda: bool(set(os.listdir(os.path.expanduser("~root"))) - {".pyenv"}),
        "neighbour_by_dir_fd": done(
            lambda: os.open(
                "../other/model.safetensors", os.O_RDONLY, dir_fd=os.open(T["model"], os.O_PATH)
            )
        ),
        "settings": lambda: gave(os.path.join(T["code"], "manage.py")),
        "sqlite": done(
            lambda: (
                sqlite3.connect(f"file:{outside('db.sqlite3')}?mode=ro&immutable=1", uri=True)
                .execute("select * from t")
                .fetchall()
            )
        ),
        "libc_open": lambda: went_well(libc.open(os.fsencode(T["secrets"][0]), os.O_RDONLY)),
        "kernel_log": done(lambda: open("/dev/kmsg", "rb")),
        "disk": done(lambda: open("/dev/sda", "rb")),
    },
)


@way
def read_through_a_symlink() -> object:
    os.symlink(T["secrets"][0], "peek")
    return gave("peek")


@way
def read_memory_of_the_parent_by_a_call() -> object:
    buffer = ctypes.create_string_buffer(8)
    vector = struct.pack("=QQ", ctypes.addressof(buffer), 8)
    return raw(310, 270, T["parent"], vector, 1, vector, 1, 0)


# Programs and processes
# --------------------------------------------------------------------------------------------------
def forked(result: int) -> bool:
    if result == 0:
        os._exit(0)
    if result > 0:
        os.waitpid(result, 0)
    return result > 0


def execed(call: Callable[[], object]) -> Callable[[], bool]:
    """An exec that works never returns: the child that it replaced gives no report, and the test
    fails.
    """
    return lambda: (call(), False)[1]


ARGV = (ctypes.c_char_p * 2)(b"true", None)
ENVIRONMENT = (ctypes.c_char_p * 1)(None)
PROGRAM = sys.executable
ways(
    "start",
    {
        "subprocess": done(lambda: subprocess.run([PROGRAM, "-c", ""], check=True)),
        "popen": lambda: os.popen("echo x").read(),
        "system": lambda: os.system("true") == 0,
        "fork": lambda: forked(os.fork()),
        "forkpty": lambda: forked(os.forkpty()[0]),
        "execv": execed(lambda: os.execv(PROGRAM, ["x", "-c", ""])),
        "posix_spawn": lambda: os.waitpid(os.posix_spawn(PROGRAM, [PROGRAM, "-c", ""], {}), 0),
        "libc_system": lambda: libc.system(b"true") == 0,
        "libc_execve": execed(lambda: libc.execve(os.fsencode(PROGRAM), ARGV, ENVIRONMENT)),
        "libc_fork": lambda: forked(libc.fork()),
        "libc_popen": lambda: bool(
            ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)(("popen", libc))(
                b"true", b"r"
            )
        ),
        "raw_fork": lambda: X86 and forked(libc.syscall(57)),
        "raw_vfork": lambda: X86 and forked(libc.syscall(58)),
        "raw_clone": lambda: forked(libc.syscall(56 if X86 else 220, signal.SIGCHLD, 0, 0, 0, 0)),
        "raw_clone3": lambda: forked(
            libc.syscall(435, struct.pack("=8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64)
        ),
        "execveat": execed(
            lambda: libc.syscall(
                322 if X86 else 281, -100, os.fsencode(PROGRAM), ARGV, ENVIRONMENT, 0
            )
        ),
    },
)


@way
def start_by_the_private_module() -> object:
    import _posixsubprocess

    ends = os.pipe()
    keep = (ends[1],)
    head = (
        [b"x", b"-c", b""],
        [os.fsencode(PROGRAM)],
        True,
        keep,
        None,
        None,
        -1,
        -1,
        -1,
        -1,
        -1,
        -1,
        *ends,
    )
    # Python 3.14 has one argument less at its end.
    tails = [
        (False, False, -1, None, None, None, -1, None, False),
        (False, False, -1, None, None, None, -1, None),
    ]
    for tail in tails:
        try:
            return forked(_posixsubprocess.fork_exec(*head, *tail))
        except TypeError:
            continue
    raise AssertionError("fork_exec takes other arguments in this version of Python")


@way
def start_by_multiprocessing() -> object:
    import multiprocessing

    for method in multiprocessing.get_all_start_methods():
        try:
            made = multiprocessing.get_context(method).Process(target=print)
            made.start()
            made.join()
        except OSError:
            continue
        return True
    return False


@way
def start_from_memory() -> object:
    made = os.memfd_create("program")
    with open(PROGRAM, "rb") as program:
        os.write(made, program.read())
    os.execv(f"/proc/self/fd/{made}", ["x"])
    return True


@way
def start_by_32_bit_calls() -> object:
    """``int 0x80`` counts system calls as 32-bit programs do: 2 is fork there."""
    if not X86:
        return False
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x02\x00\x00\x00\xcd\x80\xc3")
    return forked(
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    )


@way
def start_by_x32_calls() -> object:
    return X86 and forked(libc.syscall(0x40000000 | 57))


# The network
# --------------------------------------------------------------------------------------------------
ways(
    "reach",
    {
        "tcp": done(lambda: socket.create_connection(("127.0.0.1", T["port"]), 5)),
        "tcp_by_ip6": done(lambda: socket.socket(socket.AF_INET6).connect(("::1", T["port"]))),
        "tcp_listen": done(lambda: socket.create_server(("127.0.0.1", 0))),
        "unix": done(lambda: socket.socket(socket.AF_UNIX).connect(T["unix"])),
        "abstract_unix": done(lambda: socket.socket(socket.AF_UNIX).connect(T["abstract"])),
        "netlink": done(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)),
        "packets": done(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "raw_ip": done(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        "vsock": done(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)),
        "kernel_crypto": done(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)),
        "socketpair": done(socket.socketpair),
        "libc_socket": lambda: went_well(libc.socket(2, 1, 0)),
    },
)


@way
def reach_udp() -> object:
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        return made.sendto(b"escaped", ("127.0.0.1", T["udp"]))


@way
def reach_tcp_by_libc() -> object:
    made = libc.socket(2, 1, 0)
    place = struct.pack("=H", 2) + struct.pack("!H4s8x", T["port"], socket.inet_aton("127.0.0.1"))
    return made >= 0 and libc.connect(made, place, 16) == 0


# Other processes
# --------------------------------------------------------------------------------------------------
def asked(number: int) -> None:
    """To be told of it hurts nobody, whatever it is asked about."""
    os.kill(T["parent"], number)


ways(
    "disturb",
    {
        "kill": done(lambda: asked(0)),
        "kill_with_a_signal": done(lambda: asked(signal.SIGCONT)),
        "killpg": done(lambda: os.killpg(T["group"], 0)),
        "kill_by_libc": lambda: went_well(libc.kill(T["parent"], 0)),
        "tgkill": lambda: raw(234, 131, T["parent"], T["parent"], 0),
        "tkill": lambda: raw(200, 130, T["parent"], 0),
        "sigqueue": lambda: raw(129, 138, T["parent"], signal.SIGCONT,
            struct.pack("=iii116x", signal.SIGCONT, 0, -1)),
        "pidfd": lambda: raw(434, 434, T["parent"], 0),
        "ptrace": lambda: raw(101, 117, 16, T["parent"], 0, 0),
        "ptrace_of_itself": lambda: raw(101, 117, 0, 0, 0, 0),
        "priority": done(lambda: os.setpriority(os.PRIO_PROCESS, T["parent"], 19)),
        "affinity": done(lambda: os.sched_setaffinity(T["parent"], {0})),
        "limits": lambda: raw(302, 261, T["parent"], 7, None, ctypes.create_string_buffer(16)),
        "core_scheduling": lambda: raw(157, 167, 62, 0, T["parent"], 0, 0),
        "shared_memory": lambda: raw(29, 194, 0x4B41, 4096, 0o1600),
        "semaphores": lambda: raw(64, 190, 0x4B41, 1, 0o1600),
        "messages": lambda: raw(68, 186, 0x4B41, 0o1600),
        "message_queue": lambda: raw(240, 180, MARK.encode(), os.O_CREAT | os.O_RDWR, 0o600, None),
        "watch": lambda: raw(294, 26, 0),
        "lease": lambda: went_well(libc.fcntl(
            os.open(os.path.join(T["model"], "model.safetensors"), os.O_RDONLY), 1024, 1)),
    },
)  # fmt: skip


@way
def write_a_named_semaphore() -> object:
    opening = ctypes.CFUNCTYPE(
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint
    )
    return opening(("sem_open", libc))(f"/{MARK}".encode(), os.O_CREAT, 0o600, 1)


@way
def disturb_by_the_owner_of_a_pipe() -> object:
    reading, _ = os.pipe()
    return went_well(libc.fcntl(reading, 8, T["parent"]))


@way
def write_shared_memory() -> object:
    from multiprocessing import shared_memory

    return shared_memory.SharedMemory(name=MARK, create=True, size=4096)


# The kernel
# --------------------------------------------------------------------------------------------------
NOTHING = ctypes.create_string_buffer(256)
ways(
    "kernel",
    {
        "mount": lambda: raw(165, 40, b"none", b"/", b"tmpfs", 0, None),
        "bind_mount": lambda: raw(165, 40, b"/", b"/", None, 4096, None),
        "remount": lambda: raw(165, 40, None, b"/", None, 4096 | 32, None),
        "umount": lambda: raw(166, 39, b"/proc", 2),
        "new_mount": lambda: raw(430, 430, b"tmpfs", 0),
        "open_tree": lambda: raw(428, 428, -100, b"/", 1),
        "pivot_root": lambda: raw(155, 41, b".", b"."),
        "chroot": done(lambda: os.chroot(".")),
        "unshare": lambda: raw(272, 97, 0x10000000),
        "unshare_files": lambda: raw(272, 97, 0x20000),
        "setns": done(lambda: raw(308, 268, os.open("/proc/self/ns/net", os.O_RDONLY), 0) or 1 / 0),
        "add_key": lambda: raw(248, 217, b"user", b"karen", b"x", 1, -3),
        "request_key": lambda: raw(249, 218, b"user", b"karen", None, -3),
        "keyctl": lambda: raw(250, 219, 0, -3, 1),
        "io_uring": lambda: raw(425, 425, 1, NOTHING),
        "userfaultfd": lambda: raw(323, 282, 1),
        "bpf": lambda: raw(321, 280, 0, NOTHING, 72),
        "perf": lambda: raw(298, 241, struct.pack("=II120x", 1, 128), 0, -1, -1, 0),
        "memfd": done(lambda: os.memfd_create("x")),
        "memfd_secret": lambda: raw(447, 447, 0),
        "handles": lambda: raw(
            303,
            264,
            -100,
            b".",
            ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136),
            NOTHING,
            0,
        ),
        "handle_opened": lambda: raw(304, 265, -100, struct.pack("=IiQ", 8, 1, 2), 0),
        "personality": lambda: raw(135, 92, 0x0040000),
        "root": lambda: os.geteuid() != 0 and done(lambda: os.setuid(0))(),
        "capabilities": lambda: raw(126, 91, struct.pack("=Ii", 0x20080522, 0), b"\xff" * 24),
        "syslog": lambda: raw(103, 116, 3, NOTHING, 10),
        "reboot": lambda: raw(169, 142, 0, 0, 0, None),
        "module": lambda: raw(313, 273, 0, b"", 0),
        "kexec": lambda: raw(246, 104, 0, 0, None, 0),
        "hostname": done(lambda: socket.sethostname("escaped")),
        "clock": done(lambda: __import__("time").clock_settime(0, 0)),
        "second_filter": lambda: raw(317, 277, 0, 0, None),
        "landlock": lambda: raw(444, 444, struct.pack("=Q", 1), 8, 0),
        "terminal": lambda: went_well(libc.ioctl(0, 0x5412, b"x")),
        "swap": lambda: raw(167, 224, b"x", 0),
        "quota": lambda: raw(179, 60, 0, b"x", 0, NOTHING),
        "fanotify": lambda: raw(300, 262, 0, 0),
        "pages": lambda: raw(279, 239, T["parent"], 0, None, None, None, 0),
        "pidfd_of_a_file": lambda: raw(438, 438, 0, 0, 0),
        "limits_that_grow": done(lambda: __import__("resource").setrlimit(1, (1 << 40, 1 << 40))),
    },
)


def report(told: dict[str, Any], kinds: tuple[str, ...]) -> dict[str, Any]:
    """The names of the ways of these kinds that worked, how many were tried, and what must work in
    a cell and does not.
    """
    T.update(told)
    home, worked = os.getcwd(), []
    tried = {name: attempt for name, attempt in sorted(TRIED.items()) if name.startswith(kinds)}
    for name, attempt in tried.items():
        try:
            if attempt():
                worked.append(name)
        except (OSError, sqlite3.Error, ArithmeticError, ValueError, LookupError, AttributeError):
            pass
        os.chdir(home)
        for left in os.listdir(home):
            try:
                os.remove(left)
            except OSError:
                pass
    return {
        "worked": worked,
        "tried": len(tried),
        "broken": [name for name, works in WANTED.items() if not works()],
    }


def _thread() -> bool:
    import threading

    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(1))
    thread.start()
    thread.join()
    return bool(found)


def _rename() -> bool:
    os.mkdir("sub")
    os.replace(own("a"), "sub/b")
    with open("sub/b", "rb") as file:
        return file.read() == b"own"


def _signal_to_itself() -> bool:
    os.kill(os.getpid(), 0)
    return errno.EPERM == 1


#: What libraries need, and a cell leaves them.
WANTED: dict[str, Callable[[], bool]] = {
    "threads": _thread,
    "files of its own": _rename,
    "the weights": lambda: gave(os.path.join(T["model"], "model.safetensors")),
    "an unnamed temporary file": lambda: tempfile.TemporaryFile().write(b"x") == 1,
    "signals to itself": _signal_to_itself,
    "random numbers": lambda: gave("/dev/urandom"),
    "its own memory": lambda: gave("/proc/self/status"),
    "the null device": lambda: open(os.devnull, "wb").write(b"x") == 1,
}
