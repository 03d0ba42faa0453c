"""What the child may use: each limit, exceeded by a loader that is made to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from discovery.loading import supervise
from discovery.loading.job import Job, Outcome, Result
from tests.loading.jobs import job, loading
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")

MIB = 1 << 20


def attempt(task: Job, body: str, *, wall_seconds: float = 120) -> Outcome:
    return supervise.run(task, wall_seconds=wall_seconds, command=loading(body))


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a server on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_loader_that_takes_too_much_memory_fails_and_says_so(tmp_path: Path) -> None:
    outcome = attempt(job(tmp_path, memory_bytes=256 * MIB), "return str(len(bytearray(1 << 30)))")
    assert (outcome.result, outcome.loader) == (Result.FAILED, "made up")
    assert outcome.message == "It needs more memory than the 0.2 GiB that the test may use."
    assert outcome.peak_memory_bytes is not None
    assert outcome.peak_memory_bytes < 256 * MIB


def test_memory_taken_by_native_code_is_bounded_too(tmp_path: Path) -> None:
    body = """
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        return str(libc.malloc(ctypes.c_size_t(1 << 30)))
    """
    assert attempt(job(tmp_path, memory_bytes=256 * MIB), body).message == "None"


def test_a_mapped_file_does_not_count_as_memory(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2 << 30)
    body = f"""
        import mmap
        with open({str(tmp_path / "large")!r}, "rb") as file:
            return str(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)[1 << 30])
    """
    assert attempt(job(tmp_path, "large", memory_bytes=256 * MIB), body).message == "0"


def test_a_loader_that_computes_for_too_long_is_ended(tmp_path: Path) -> None:
    outcome = attempt(job(tmp_path, cpu_seconds=1), "while True: pass")
    assert (outcome.result, outcome.message) == (
        Result.FAILED,
        "It computed for longer than 1 second and was ended.",
    )


def test_a_loader_that_never_ends_is_ended_by_the_clock(tmp_path: Path) -> None:
    outcome = attempt(job(tmp_path), "time.sleep(3600)", wall_seconds=1)
    assert (outcome.result, outcome.message) == (
        Result.FAILED,
        "It took longer than 1 second and was ended.",
    )


@pytest.mark.parametrize(
    "body",
    [
        "socket.create_connection(('127.0.0.1', {port}))",
        "socket.getaddrinfo('localhost', {port})",
        "socket.create_server(('127.0.0.1', 0))",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
        "subprocess.run(['true'])",
        "os.system('true')",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], {{}})",
        "os.fork()",
    ],
)
def test_a_loader_reaches_no_network_and_starts_no_program(
    tmp_path: Path, server: int, body: str
) -> None:
    outcome = attempt(job(tmp_path), body.format(port=server))
    assert outcome.result is Result.FAILED
    assert "not allowed in a test load" in outcome.message


@pytest.mark.parametrize(
    "body",
    [
        "open({path!r}, 'ab')",
        "os.open({path!r}, os.O_WRONLY)",
        "os.remove({path!r})",
        "os.rename({path!r}, 'here')",
        "os.truncate({path!r}, 0)",
    ],
)
def test_a_loader_changes_no_file_of_the_model(tmp_path: Path, body: str) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    outcome = attempt(job(tmp_path), body.format(path=str(path)))
    assert "not allowed in a test load" in outcome.message
    assert path.read_bytes() == b"weights"


def test_a_loader_may_write_in_its_scratch_folder_which_is_gone_afterwards(tmp_path: Path) -> None:
    body = """
        with open("cache", "wb") as file:
            file.write(b"x" * 1000)
        assert os.environ["HOME"] == os.environ["HF_HOME"] == os.getcwd()
        return os.getcwd()
    """
    outcome = attempt(job(tmp_path), body)
    assert outcome.result is Result.PASSED
    assert not Path(outcome.message).exists()


def test_a_loader_cannot_fill_the_disk(tmp_path: Path) -> None:
    outcome = attempt(job(tmp_path), "open('cache', 'wb').write(b'x' * (17 << 20))")
    assert outcome.result is Result.FAILED


def test_even_native_code_has_no_network_where_the_kernel_gives_it_a_namespace_of_its_own(
    tmp_path: Path,
) -> None:
    namespace = os.readlink("/proc/self/ns/net")
    body = """
        lines = open("/proc/self/net/dev").readlines()[2:]
        devices = [line.split(":")[0].strip() for line in lines]
        return os.readlink("/proc/self/ns/net") + " " + " ".join(devices)
    """
    found = attempt(job(tmp_path), body).message
    if found.startswith(namespace):
        pytest.skip("the kernel allows no network namespaces here")
    assert found.endswith("] lo")


def test_a_child_runs_alone_at_the_lowest_priority_without_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    body = """
        return json.dumps({
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "alone": os.getsid(0) == os.getpgid(0) in (os.getpid(), 1),
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "threads": os.environ["OMP_NUM_THREADS"],
            "secrets": [
                name for name in os.environ if name.startswith("KAREN_") or name == "HF_TOKEN"
            ],
            "django": [name for name in sys.modules if name.startswith("django")],
        })
    """
    told = json.loads(attempt(job(tmp_path), body).message)
    assert told == {
        "nice": 19,
        "alone": True,
        "core": [0, 0],
        "threads": "1",
        "secrets": [],
        "django": [],
    }


def test_a_child_dies_with_the_worker_that_started_it(tmp_path: Path) -> None:
    command = loading("time.sleep(3600)")
    code = f"""
        import os
        from discovery.loading import supervise
        from discovery.loading.job import Job
        task = Job(
            root={str(tmp_path)!r}, type="PYTORCH", memory_bytes=1 << 30, cpu_seconds=600,
            parent=os.getpid(),
        )
        supervise.run(task, wall_seconds=600, command={command!r})
    """
    base = Path(supervise.__file__).resolve().parents[2]
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=base,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        child = _only_child(worker.pid)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        gone, alive = psutil.wait_procs([child], timeout=DEADLINE)
        assert (len(gone), alive) == (1, [])
    finally:
        worker.kill()
        worker.wait()


def _only_child(pid: int) -> psutil.Process:
    """The worker's child, below bubblewrap where that holds it, once it sleeps in its loader: it
    has the lowest priority by then.
    """

    def found() -> psutil.Process | None:
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if child.nice() == 19 and child.status() == psutil.STATUS_SLEEPING:
                    return child
        return None

    child = until(found, told="the worker started no child")
    assert child
    return child
