"""The cell, tried from inside by code that wants out: a child as real as any, but for a loader that
is hostile.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest

from discovery.loading import cell, landlock, seccomp, supervise, syscalls
from discovery.loading.confine import Facts
from discovery.loading.job import Cell, Job, Mechanism, Result
from tests.loading import escapes
from tests.loading.jobs import job, loading
from tests.loading.test_loaders import FORMATS
from tests.support import builders

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cells are Linux's")

CELLS = {
    "bubblewrap": Cell(mechanism=Mechanism.BUBBLEWRAP, filtered=True),
    "landlock": Cell(mechanism=Mechanism.LANDLOCK, filtered=True),
    "filter": Cell(filtered=True),
}
#: What a filter of system calls alone holds back: it knows no paths.
WITHOUT_PATHS = ("start_", "reach_", "disturb_", "kernel_")
KINDS = ("read_", "write_", *WITHOUT_PATHS)


@cache
def fault(level: str) -> str:
    """Why the kernel lacks the mechanism; empty when it has it."""
    try:
        cell._tried(CELLS[level])
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def working(level: str) -> Cell:
    """Skips where the kernel lacks the mechanism, and says which."""
    if fault(level):
        pytest.skip(f"no {level} on this machine: {fault(level)}")
    return CELLS[level]


@dataclass
class Outside:
    """What lies around a model, all of it open to every user: no mode keeps anybody out."""

    root: Path
    told: dict[str, Any]
    udp: socket.socket

    def seen(self) -> dict[str, tuple[Any, ...]]:
        return {str(path): self._seen(path) for path in sorted(self.root.rglob("*"))}

    @staticmethod
    def _seen(path: Path) -> tuple[Any, ...]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        return (
            status.st_mode,
            status.st_uid,
            status.st_mtime_ns,
            status.st_nlink,
            content,
            tuple(os.listxattr(path, follow_symlinks=False)),
        )


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    data = tmp_path / "data"
    (data / "empty").mkdir(parents=True)
    models = tmp_path / "models"
    builders.safetensors(models / "model/model.safetensors", [("w", "F32", (4,))])
    builders.safetensors(models / "other/model.safetensors", [("w", "F32", (4,))])
    for name in ("victim", "secret_key", "db.sqlite3"):
        (data / name).write_bytes(b"secret")
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        abstract_name = f"\0karen-{os.getpid()}"
        for made, name in ((unix, str(data / "unix")), (abstract, abstract_name)):
            made.bind(name)
            made.listen()
        (data / "unix").chmod(0o777)
        secrets = [
            str(data / "secret_key"),
            str(data / "db.sqlite3"),
            str(models / "other/model.safetensors"),
        ]
        told = {
            "outside": str(data), "victim": str(data / "victim"), "model": str(models / "model"),
            "secrets": secrets, "parent": os.getpid(),
            "group": os.getpgid(0), "port": tcp.getsockname()[1], "udp": udp.getsockname()[1],
            "unix": str(data / "unix"),
            "abstract": abstract_name, "code": str(cell.places.home()),
        }  # fmt: skip
        yield Outside(tmp_path, told, udp)


def escape(
    around: Outside, held: Cell, *, guarded: bool, kinds: tuple[str, ...] = KINDS
) -> dict[str, Any]:
    """What the hostile loader reports. Unguarded: as native code would try it."""
    source = Path(escapes.__file__).read_text()
    code = (
        f"ways_out = {{}}\nexec({source!r}, ways_out)\nreturn"
        f" json.dumps(ways_out['report']({around.told!r}, {kinds!r}))"
    )
    command = loading(code)
    if not guarded:
        command[-1] = command[-1].replace(
            "child.main()", "child.guard.install = lambda *_, **__: None\nchild.main()"
        )
    outcome = supervise.run(
        job(around.root / "models", "model/model.safetensors"),
        wall_seconds=120,
        command=command,
        held=held,
    )
    assert outcome.result is Result.PASSED, outcome
    return dict(json.loads(outcome.message))


@pytest.mark.slow
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "native"])
@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
def test_no_way_leads_out_of_the_cell(outside: Outside, level: str, guarded: bool) -> None:
    held = working(level)
    before, children = outside.seen(), set(psutil.Process().children(recursive=True))
    told = escape(outside, held, guarded=guarded)
    assert told == {"worked": [], "tried": len(escapes.TRIED), "broken": []}
    assert outside.seen() == before
    assert len(escapes.TRIED) > 150
    assert set(psutil.Process().children(recursive=True)) <= children
    assert not list(Path("/dev/shm").glob(f"*{escapes.MARK}*"))
    with pytest.raises(BlockingIOError):
        outside.udp.recv(10)


@pytest.mark.slow
def test_a_filter_alone_keeps_out_of_processes_network_and_kernel(outside: Outside) -> None:
    told = escape(outside, working("filter"), guarded=False, kinds=WITHOUT_PATHS)
    assert (told["worked"], told["broken"]) == ([], [])
    assert told["tried"] > 80


@pytest.mark.slow
@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0,
    reason="only root can become somebody else, or keep its files to itself",
)
@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
def test_root_loads_a_model_that_nobody_else_may_read_without_privileges_and_no_way_leads_out(
    outside: Outside, level: str
) -> None:
    (outside.root / "models/model/model.safetensors").chmod(0o600)
    before = outside.seen()
    told = escape(outside, working(level), guarded=False)
    assert told == {"worked": [], "tried": len(escapes.TRIED), "broken": []}
    assert outside.seen() == before


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0,
    reason="only root can become somebody else, or keep its files to itself",
)
def test_files_that_only_their_owner_may_read_are_loaded_as_their_owner(outside: Outside) -> None:
    weights = outside.root / "models/model/model.safetensors"
    weights.chmod(0o600)
    os.chown(weights, 4321, 4321)
    ask = loading(
        "return f'{os.getuid()} {os.getgid()} {os.getgroups()} {len(open(job.cell.files[0],"
        ' "rb").read(8))}\''
    )
    told = supervise.run(
        job(outside.root / "models", "model/model.safetensors"),
        wall_seconds=120,
        command=ask,
        held=working("bubblewrap"),
    )
    assert told.message == "4321 4321 [] 8"


@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
@pytest.mark.parametrize("make", FORMATS)
def test_real_models_load_in_every_cell(
    tmp_path: Path, make: Callable[[Path], Job], level: str
) -> None:
    outcome = supervise.run(make(tmp_path), wall_seconds=120, held=working(level))
    assert outcome.result is Result.PASSED, outcome


@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
def test_links_inside_the_root_are_followed_and_nothing_else_beside_them_is_there(
    tmp_path: Path, level: str
) -> None:
    builders.safetensors(tmp_path / "hub/blobs/0a1b", [("w", "F32", (4,))])
    builders.safetensors(tmp_path / "hub/blobs/other", [("w", "F32", (4,))])
    (tmp_path / "hub/snapshots/one").mkdir(parents=True)
    (tmp_path / "hub/snapshots/one/model.safetensors").symlink_to("../../blobs/0a1b")
    (tmp_path / "models").symlink_to("hub")
    task = job(tmp_path / "models", "snapshots/one/model.safetensors")
    assert supervise.run(task, wall_seconds=120, held=working(level)).result is Result.PASSED
    body = f"return str(open({str(tmp_path / 'hub/blobs/other')!r}, 'rb'))"
    assert (
        supervise.run(task, wall_seconds=120, command=loading(body), held=working(level)).result
        is Result.FAILED
    )


@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
def test_external_data_of_a_graph_are_there_and_its_neighbours_are_not(
    tmp_path: Path, level: str
) -> None:
    builders.onnx(
        tmp_path / "g/m.onnx",
        [("w", "F32", (64, 64))],
        [("x", "F32", (1, 4))],
        [("y", "F32", (1, 4))],
        external="m.onnx_data",
    )
    builders.safetensors(tmp_path / "g/other.safetensors", [("w", "F32", (4,))])
    task = job(tmp_path, "g/m.onnx", type="ONNX", format="onnx")
    assert supervise.run(task, wall_seconds=120, held=working(level)).result is Result.PASSED
    body = f"return str(open({str(tmp_path / 'g/other.safetensors')!r}, 'rb'))"
    assert (
        supervise.run(task, wall_seconds=120, command=loading(body), held=working(level)).result
        is Result.FAILED
    )


@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
def test_the_scratch_folder_cannot_grow_without_end(tmp_path: Path, level: str) -> None:
    body = """
        for number in range(100_000):
            with open(str(number), "wb") as file:
                file.write(bytes(4 << 20))
            time.sleep(0.01)
    """
    outcome = supervise.run(
        job(tmp_path), wall_seconds=120, command=loading(body), held=working(level)
    )
    said = {
        "bubblewrap": "No space left on device",
        "landlock": "It wrote more than 64 MiB of its own files and was ended.",
    }[level]
    assert outcome.result is Result.FAILED
    assert said in outcome.message


@pytest.mark.parametrize("level", ["bubblewrap", "landlock"])
def test_a_job_for_a_server_reaches_that_server_and_no_other_port(
    outside: Outside, level: str
) -> None:
    task = job(
        outside.root,
        type="OPENAI",
        endpoint=f"http://127.0.0.1:{outside.told['port']}",
        place="127.0.0.1",
    )
    other = outside.told["udp"]
    body = f"""
        socket.create_connection(("127.0.0.1", {outside.told["port"]})).close()
        told = []
        for place in (("127.0.0.1", {other}), ("127.0.0.2", {outside.told["port"]})):
            try:
                socket.create_connection(place)
            except PermissionError:
                told.append(place)
        return f"{{len(told)}} {{socket.socket(socket.AF_INET) is not None}}"
    """
    outcome = supervise.run(task, wall_seconds=120, command=loading(body), held=working(level))
    assert outcome.message == "2 True"
    refused = supervise.run(
        task,
        wall_seconds=120,
        command=loading("socket.socket(socket.AF_UNIX)"),
        held=working(level),
    )
    assert "PermissionError" in refused.message


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "_found", None)


@pytest.mark.usefixtures("afresh")
def test_the_cell_in_force_is_the_strongest_that_works_and_is_found_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    standing = cell.here()
    assert standing.level in CELLS
    if standing.level == "bubblewrap":
        assert (standing.gaps, standing.missing) == ((), ())
        assert standing.sentence.startswith("Test loads run in bubblewrap, as ")
        assert standing.sentence.endswith(
            ", without network or new processes, and can read no files but those of their model."
        )
        monkeypatch.setattr(cell, "_tried", None)
    assert cell.here() is standing


@pytest.mark.usefixtures("afresh")
def test_without_bubblewrap_it_is_landlock_and_what_to_install_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    working("landlock")
    monkeypatch.setattr(cell, "_bubblewrap", lambda: None)
    standing = cell.here()
    assert (standing.level, standing.gaps) == ("landlock", ())
    assert standing.sentence.startswith("Test loads run held by Landlock, as ")
    assert standing.missing == (
        "bubblewrap is not installed: apt install bubblewrap, or what your system calls it.",
    )


@pytest.mark.usefixtures("afresh")
def test_a_bubblewrap_that_may_not_work_here_is_passed_over_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working("landlock")
    program = tmp_path / "bwrap"
    program.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(cell, "_bubblewrap", lambda: str(program))
    standing = cell.here()
    assert standing.level == "landlock"
    assert (
        "does not work here: bwrap: No permissions to create new namespace." in standing.missing[0]
    )


@pytest.mark.usefixtures("afresh")
def test_without_either_the_page_is_told_what_is_not_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    working("filter")
    monkeypatch.setattr(cell, "_bubblewrap", lambda: None)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    standing = cell.here()
    assert (standing.level, standing.gaps) == ("filter", ("read other files", "change files"))
    assert len(standing.missing) == 2
    assert standing.missing[1].startswith("The kernel has no Landlock")


@pytest.mark.usefixtures("afresh")
def test_where_nothing_works_a_test_load_has_its_limits_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(held: Cell) -> Facts:
        raise OSError("no")

    monkeypatch.setattr(cell, "_tried", broken)
    standing = cell.here()
    assert (standing.level, standing.cell) == ("limits", Cell())
    assert standing.sentence == "Test loads run in a process of their own."
    assert standing.gaps == (
        "read other files",
        "change files",
        "use the network",
        "start programs",
    )


def decide(
    machine: str, name: str, *arguments: int, speaking: bool = False, audit: int | None = None
) -> int:
    """Runs the filter as the kernel does: what it returns for a call by the process 77."""
    code = [struct.unpack("=HBBI", one) for one in seccomp.program(machine, 77, speaking=speaking)]
    values = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    called = syscalls.number(name, machine)
    assert called is not None
    data = struct.pack(
        "=iIQ6Q", called, syscalls.ARCHITECTURES[machine] if audit is None else audit, 0, *values
    )
    position = held = 0
    while True:
        what, if_true, if_false, value = code[position]
        position += 1
        if what == 0x20:
            held = struct.unpack_from("=I", data, value)[0]
        elif what == 0x54:
            held &= value
        elif what == 0x15:
            position += if_true if held == value else if_false
        else:
            return int(value)


ALLOWED, REFUSED, ABSENT = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS


@pytest.mark.parametrize("machine", syscalls.ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "arguments", "verdict"),
    [
        ("read", (), ALLOWED), ("mmap", (), ALLOWED), ("clone", (0x3D0F00,), ALLOWED),
        ("clone", (17,), REFUSED), ("clone", (0x10010000,), REFUSED),
        ("clone3", (), ABSENT), ("openat2", (), ABSENT), ("socket", (2,), REFUSED),
        ("connect", (), REFUSED), ("kill", (77,), ALLOWED),
        ("kill", (1,), REFUSED), ("kill", (0xFFFFFFFF,), REFUSED), ("tgkill", (77,), ALLOWED),
        ("tgkill", (1,), REFUSED),
        ("prlimit64", (0,), ALLOWED), ("prlimit64", (1,), REFUSED), ("prctl", (15,), ALLOWED),
        ("prctl", (22,), REFUSED),
        ("ioctl", (0, 0x5401), ALLOWED), ("ioctl", (0, 0x5412), REFUSED),
        ("fcntl", (0, 1030), ALLOWED), ("fcntl", (0, 8), REFUSED),
        ("openat", (0, 0, 0), ALLOWED), ("openat", (0, 0, 0o1001), ALLOWED),
        ("openat", (0, 0, 0o1000), REFUSED),
    ],
)  # fmt: skip
def test_the_filter_decides_alike_on_every_machine(
    machine: str, name: str, arguments: tuple[int, ...], verdict: int
) -> None:
    assert decide(machine, name, *arguments) == verdict


@pytest.mark.parametrize("machine", syscalls.ARCHITECTURES)
def test_the_filter_lets_a_job_for_a_server_speak_and_refuses_calls_of_other_machines(
    machine: str,
) -> None:
    assert (
        decide(machine, "socket", 10, speaking=True)
        == decide(machine, "connect", speaking=True)
        == ALLOWED
    )
    assert decide(machine, "socket", 1, speaking=True) == REFUSED
    assert decide(machine, "read", audit=0x40000003) == REFUSED


def test_each_way_out_says_what_it_would_have_done() -> None:
    assert [name for name in escapes.TRIED if not name.startswith(KINDS)] == []
