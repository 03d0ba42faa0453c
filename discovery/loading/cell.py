"""The parent's side of the cell, the sandbox that a test load runs in.

It is the strongest one that works on this machine, which is tested rather than assumed.

1. bubblewrap: a file system of Python and the job's files alone, a process table, a network and a
  scratch folder of its own;
2. Landlock: the same files by rule, where bubblewrap is missing or may not work;
3. neither: the child's own guard.

With each of them a filter of system calls, and another user where root starts it (``confine``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from discovery.engine.core.paths import is_under
from discovery.engine.core.text import clean
from discovery.loading import landlock, limits, places
from discovery.loading.confine import Facts
from discovery.loading.job import Cell, Job, Mechanism

#: Of the parent's environment; everything else (keys, passwords, proxies) is none of the child's
#: business.
_PASSED_ON = (
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    *(["PATH"] if sys.platform == "win32" else []),
)
_PASSED_ON_PREFIXES = ("OPENBLAS_",)

#: What the scratch folder holds at most, and one file in it.
SCRATCH_BYTES = 64 << 20
#: Seconds that a child has to try the cell, and after which a weaker cell than bubblewrap is looked
#: at again.
PATIENCE, AGAIN = 60.0, 600.0
_DEVICES = (os.devnull, "/dev/zero", "/dev/random", "/dev/urandom")
#: Of ``/proc``, what root changes the system with, privileges or not.
_SWITCHES = ("/proc/sys", "/proc/sysrq-trigger", "/proc/fs", "/proc/acpi")
_PROBE = (sys.executable, "-P", "-m", "discovery.loading.confine")


_WHERE = {
    Mechanism.BUBBLEWRAP: "in bubblewrap",
    Mechanism.LANDLOCK: "held by Landlock",
    Mechanism.NONE: "in a process of their own",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The active cell, what a child can do in it, and why no stronger one is used.

    The reasons are one sentence for each step.
    """

    cell: Cell
    facts: Facts
    missing: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """``bubblewrap``, ``landlock``, ``filter`` (of system calls alone) or ``limits``."""
        if self.cell.mechanism is not Mechanism.NONE:
            return self.cell.mechanism.value
        return "filter" if self.cell.filtered else "limits"

    @property
    def sentence(self) -> str:
        facts = self.facts
        parts = [_WHERE[self.cell.mechanism]]
        parts += [f"as {_user(facts.user)}"] if facts.user else []
        without = [
            what
            for what, has in (("network", facts.network), ("new processes", facts.processes))
            if not has
        ]
        parts += [f"without {' or '.join(without)}"] if without else []
        parts += [] if facts.reads else ["and can read no files but those of their model"]
        return f"Test loads run {', '.join(parts)}."

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the cell does not prevent native code from doing."""
        facts = self.facts
        able = (
            ("read other files", facts.reads),
            ("change files", facts.writes),
            ("use the network", facts.network),
            ("start programs", facts.processes),
        )
        return tuple(what for what, can in able if can)


def _user(name: str) -> str:
    return "the user nobody" if name == "nobody" else name.replace("user ", "the user ")


_lock = threading.Lock()
_found: tuple[Standing, float] | None = None


def here() -> Standing:
    """Found out once in each process; where it is a weak one, again after some minutes."""
    global _found
    with _lock:
        if _found is None or time.monotonic() > _found[1]:
            standing = _look()
            strong = standing.cell.mechanism is Mechanism.BUBBLEWRAP and standing.cell.filtered
            _found = standing, time.monotonic() + (float("inf") if strong else AGAIN)
        return _found[0]


def _look() -> Standing:
    missing: list[str] = []
    for cell in _candidates(missing):
        try:
            return Standing(cell, _tried(cell), tuple(missing))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            missing.append(
                f"{_named(cell)} does not work here:"
                f" {clean(' '.join(str(error).split()), 200).rstrip('.')}."
            )
    return Standing(Cell(), Facts(), tuple(missing))


def _candidates(missing: list[str]) -> Iterator[Cell]:
    """Yield the possible cells, the strongest first; note why others cannot even be tried."""
    if sys.platform != "linux":
        missing.append("bubblewrap and Landlock are Linux's: this system has neither.")
        yield Cell()
        return
    if _bubblewrap():
        yield Cell(mechanism=Mechanism.BUBBLEWRAP, filtered=True)
    else:
        missing.append(
            "bubblewrap is not installed: apt install bubblewrap, or what your system calls it."
        )
    if landlock.version():
        yield Cell(mechanism=Mechanism.LANDLOCK, filtered=True)
    else:
        missing.append(
            "The kernel has no Landlock, which comes with Linux 5.13, or has it switched off."
        )
    if _bubblewrap():
        yield Cell(mechanism=Mechanism.BUBBLEWRAP)
    yield Cell(filtered=True)
    yield Cell()


def _named(cell: Cell) -> str:
    kind = {Mechanism.BUBBLEWRAP: "bubblewrap", Mechanism.LANDLOCK: "Landlock", Mechanism.NONE: ""}[
        cell.mechanism
    ]
    alone = "The filter of system calls" if cell.filtered else "A child process"
    return (f"{kind} with the filter of system calls" if cell.filtered else kind) if kind else alone


def _tried(cell: Cell) -> Facts:
    """Let a child try to read, write, speak and fork in the cell.

    Raises ``OSError``, ``ValueError``, ``SubprocessError``.
    """
    with (
        tempfile.TemporaryDirectory(prefix="karen-cell-") as outside,
        tempfile.TemporaryDirectory(prefix="karen-load-") as scratch,
    ):
        Path(outside, "secret").write_bytes(b"secret")
        Path(outside).chmod(0o755)
        Path(outside, "secret").chmod(0o644)
        job = Job(
            root=outside,
            name="secret",
            type="",
            memory_bytes=1 << 30,
            cpu_seconds=60,
            parent=os.getpid(),
            cell=cell,
        )
        job, command = prepared(job, _PROBE, scratch)
        done = subprocess.run(
            command, input=job.to_json(), capture_output=True, cwd=scratch,
            env=environment(scratch), timeout=PATIENCE, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        words = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise OSError(words[-1] if words else f"it ends with status {done.returncode}")
    return msgspec.json.decode(done.stdout, type=Facts)


def prepared(job: Job, command: Sequence[str], scratch: str) -> tuple[Job, list[str]]:
    """The job with what its cell leaves it, and the command that starts the child in it.

    Raises ``LoadRefused`` when one of the job's files lies outside its root.
    """
    files, folders = places.of_job(job)
    common = (*places.of_python(), *(places.of_servers() if job.endpoint else ()))
    if job.cell.mechanism is not Mechanism.BUBBLEWRAP:
        real = tuple(dict.fromkeys(files.values()))
        cell = msgspec.structs.replace(
            job.cell, readable=(*common, *real), files=real, listable=tuple(folders)
        )
        return msgspec.structs.replace(job, cell=cell), list(command)
    cell = msgspec.structs.replace(job.cell, readable=(*common, *files), files=tuple(files))
    # Parent and child do not see each other: bubblewrap ends the child with the parent.
    return msgspec.structs.replace(job, cell=cell, parent=0), [
        *_wrapped(common, files, folders, scratch, network=bool(job.endpoint)),
        *command,
    ]


def environment(scratch: str) -> dict[str, str]:
    """Return the environment variables of the child.

    Folders that libraries write to lie in ``scratch``; nothing is downloaded or reported, and no
    program is found by its name.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    folders = dict.fromkeys(
        ("HOME", "TMPDIR", "TEMP", "TMP", "HF_HOME", "XDG_CACHE_HOME", "TORCH_HOME", "USERPROFILE"),
        scratch,
    )
    switches = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    # Libraries ask who they run as, and the list of users is not theirs to read.
    who = dict.fromkeys(("USER", "LOGNAME"), "nobody")
    python = {"PYTHONPATH": str(places.home()), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    return {**passed, **folders, **switches, **who, **limits.THREADS, **python}


def _outer(paths: Sequence[str]) -> list[str]:
    """Return the sorted folders that are not inside any of the others."""
    outer: list[str] = []
    for path in sorted(paths):
        if not any(is_under(path, folder) for folder in outer):
            outer.append(path)
    return outer


def _parents(paths: Sequence[str]) -> list[str]:
    """Every folder on the way to them, the outer ones first."""
    return sorted({str(parent) for path in paths for parent in Path(path).parents})


def _wrapped(
    common: Sequence[str],
    files: dict[str, str],
    folders: Sequence[str],
    scratch: str,
    *,
    network: bool,
) -> Iterator[str]:
    yield _bubblewrap() or "bwrap"
    yield from (
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
    )
    if os.geteuid() == 0:
        # To become another user; nothing is left of them then (``users``).
        yield from ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
    if not network:
        yield "--unshare-net"
    outer = _outer(common)
    # bubblewrap would make them for root alone.
    for folder in _parents((*outer, *_DEVICES, *folders, *files, scratch)):
        if not any(is_under(folder, path) for path in outer):
            yield from ("--perms", "0755", "--dir", folder)
    for path in outer:
        yield from (
            ("--symlink", os.readlink(path), path)
            if os.path.islink(path)
            else ("--ro-bind", path, path)
        )
    yield from ("--proc", "/proc")
    for path in _SWITCHES:
        yield from ("--ro-bind-try", path, path)
    for device in _DEVICES:
        yield from ("--dev-bind", device, device)
    for folder in folders:
        yield from ("--perms", "0755", "--dir", folder)
    for named, real in files.items():
        yield from ("--ro-bind", real, named)
    yield from (
        "--perms",
        "1777",
        "--size",
        str(SCRATCH_BYTES),
        "--tmpfs",
        scratch,
        "--remount-ro",
        "/",
        "--chdir",
        scratch,
        "--",
    )


def _bubblewrap() -> str | None:
    return shutil.which("bwrap")
