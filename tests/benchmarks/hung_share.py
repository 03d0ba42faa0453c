"""``serve`` beside real FUSE file systems whose process is stopped: how long everything takes to
answer, by hand.

``pip install fusepy``, libfuse and the right to mount are needed: ``python
tests/benchmarks/hung_share.py [SHARES] [--port N]``. Prints what each address took, the threads and
the memory of the web server, and how long ``serve`` takes to stop while the shares still hang.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HERE))

_STATUS = (
    "st_atime",
    "st_ctime",
    "st_gid",
    "st_mode",
    "st_mtime",
    "st_nlink",
    "st_size",
    "st_uid",
    "st_ino",
)
_SIZES = (
    "f_bavail",
    "f_bfree",
    "f_blocks",
    "f_bsize",
    "f_favail",
    "f_ffree",
    "f_files",
    "f_flag",
    "f_frsize",
    "f_namemax",
)

PAGES = (
    "/", "/models/", "/models/nas0-0/", "/models/nas0-0/tensors/", "/models/nas0-0/files/",
    "/models/nas0-0/health/", "/system/", "/scans/",
    "/duplicates/", "/duplicates/?kind=formats", "/duplicates/?kind=empty",
    "/help/appear/?path=nas0-0", "/register/", "/metrics", "/readyz",
    "/healthz", "/static/css/base.css", "/admin/discovery/root/", "/api/models/discovery/status",
    "/api/system/resources",
    "/api/models/nas0-0/tensors", "/api/models/nas0-0/validate",
)  # fmt: skip


def mirror(source: str, mount: str) -> None:
    """Serves ``source`` at ``mount`` until it is unmounted or killed."""
    fuse: Any = import_module("fuse")

    class Mirror(fuse.Operations):  # type: ignore[misc]
        def getattr(self, path: str, _handle: Any = None) -> dict[str, Any]:
            try:
                status = os.lstat(source + path)
            except OSError as error:
                raise fuse.FuseOSError(error.errno or errno.EIO) from error
            return {name: getattr(status, name) for name in _STATUS}

        def readdir(self, path: str, _handle: Any) -> list[str]:
            return [".", "..", *(entry.name for entry in os.scandir(source + path))]

        def open(self, path: str, _flags: int) -> int:
            return os.open(source + path, os.O_RDONLY)

        def read(self, _path: str, size: int, offset: int, handle: int) -> bytes:
            return os.pread(handle, size, offset)

        def release(self, _path: str, handle: int) -> None:
            os.close(handle)

        def statfs(self, path: str) -> dict[str, Any]:
            found = os.statvfs(source + path)
            return {name: getattr(found, name) for name in _SIZES}

    fuse.FUSE(Mirror(), mount, foreground=True, nothreads=True)


@contextmanager
def share(folder: Path, number: int) -> Iterator[tuple[Path, int]]:
    """(where it is mounted, the process that answers for it)."""
    from tests.support import builders

    source, mount = folder / f"source{number}", folder / f"nas{number}"
    for model in range(2):
        builders.transformers(source / f"nas{number}-{model}", hidden=64 + 8 * (2 * number + model))
        (source / f"nas{number}-{model}/README.md").write_text("# Card")
    mount.mkdir()
    process = subprocess.Popen([sys.executable, __file__, "--mirror", str(source), str(mount)])
    try:
        while not os.path.ismount(mount):
            time.sleep(0.1)
        yield mount, process.pid
    finally:
        os.kill(process.pid, signal.SIGCONT)
        subprocess.run(["umount", "-l", str(mount)], check=False)
        process.kill()
        process.wait()


def _signed_in(port: int) -> Any:
    from tests.browser import Browser

    deadline = time.monotonic() + 120
    while True:
        try:
            return Browser(port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        server.wait(60)


def main(shares: int, port: int) -> None:
    from tests.support import builders

    with tempfile.TemporaryDirectory(prefix="karen-hung-") as name, ExitStack() as held:
        folder = Path(name)
        builders.transformers(folder / "local/local0", hidden=48)
        mounts = [held.enter_context(share(folder, number)) for number in range(shares)]
        places = {
            "KAREN_DATA_DIR": "data",
            "KAREN_LOGS_DIR": "logs",
            "KAREN_CONFIG_DIR": "config",
            "KAREN_MODELS_DIR": "models",
        }
        env = {
            **os.environ,
            **{key: str(folder / place) for key, place in places.items()},
            "KAREN_ADMIN_PASSWORD": "correct horse battery",
        }
        roots = [
            part
            for path in (folder / "local", *(mount for mount, _ in mounts))
            for part in ("--models", str(path))
        ]
        server = subprocess.Popen(
            [sys.executable, str(HERE / "manage.py"), "serve", "--port", str(port), *roots], env=env
        )
        held.callback(_stop, server)
        browser = _signed_in(port)
        while "nas0-1" not in browser.get("/models/")[1]:
            time.sleep(0.5)
        time.sleep(5)
        for _, pid in mounts:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2)  # what the kernel remembers of the files
        with ThreadPoolExecutor(12) as readers:
            asked = [
                readers.submit(browser.get, f"/models/nas{number % shares}-{number % 2}/")
                for number in range(8)
            ]
            time.sleep(0.1)
            print(f"healthz beside eight readers  {browser.get('/healthz')[2]:.2f} s")
            print(
                "eight readers at once         ",
                " ".join(f"{each.result()[2]:.2f}" for each in asked),
            )
        for page in PAGES:
            status, _, seconds = browser.get(page)
            print(f"{page:45} {status} {seconds:6.2f} s{'  SLOW' if seconds >= 2 else ''}")
        builders.transformers(folder / "local/arrival", hidden=56)
        started = time.monotonic()
        scan = subprocess.run(
            [sys.executable, str(HERE / "manage.py"), "scan_models"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        print(
            f"scan_models: {time.monotonic() - started:.1f} s, exit code {scan.returncode}:"
            f" {scan.stdout.strip()} {scan.stderr.strip()}"
        )
        for process in (
            psutil.Process(server.pid),
            *psutil.Process(server.pid).children(recursive=True),
        ):
            print(
                f"{process.pid} {process.num_threads():3} threads"
                f" {process.memory_info().rss >> 20:5} MiB {' '.join(process.cmdline()[1:4])}"
            )
        started = time.monotonic()
        server.terminate()
        server.wait()
        print(
            f"serve stopped in {time.monotonic() - started:.1f} s while the shares hang, exit code"
            f" {server.returncode}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--mirror"]:
        mirror(*sys.argv[2:4])
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shares", nargs="?", type=int, default=1)
    parser.add_argument("--port", type=int, default=8140)
    options = parser.parse_args()
    main(options.shares, options.port)
