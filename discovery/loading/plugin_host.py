"""The parent's side of a plugin: it starts the child, asks it about paths, and ends it in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any

import msgspec

from discovery.loading import cell, places, supervise
from discovery.loading.plugin_messages import MAX_LINE, Description, Setup, Source, encode

COMMAND = (sys.executable, "-P", "-m", "discovery.loading.plugin_child")
#: Seconds that a plugin has for one path, and for its import.
SECONDS, IMPORT_SECONDS = 10.0, 20.0
#: Seconds of processor that a child has altogether.
CPU_SECONDS = 300
MEMORY_BYTES = 1 << 30
#: Paths of a question: the answers come one by one.
CHUNK = 200
_TICK = 0.2


class PluginFailed(Exception):
    """A plugin raised, hung, crashed or answered nonsense; the text is one sentence.

    ``ended``: its process is gone and answers nothing more.
    """

    def __init__(self, reason: str, *, ended: bool = False) -> None:
        super().__init__(reason)
        self.ended = ended


class PluginProcess:
    """One child. Use it as a context manager: it ends with the block.

    ``readable`` are absolute paths that the plugin may read besides Python and its own code.
    ``tick`` is called a few times a second while the child works; what it raises comes through.
    """

    def __init__(
        self,
        source: Source,
        readable: Sequence[str] = (),
        *,
        tick: Callable[[], None] = lambda: None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.source, self.readable = source, tuple(readable)
        self.tick, self.memory_bytes = tick, memory_bytes
        self.classes: tuple[Description, ...] = ()
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PluginProcess:
        """Start the child and import the plugin. Raises ``PluginFailed`` or ``OSError``."""
        self._scratch = tempfile.TemporaryDirectory(prefix="karen-plugin-")
        try:
            self._start()
            told = self._answer(IMPORT_SECONDS)
            if isinstance(told, dict) and "error" in told:
                raise PluginFailed(str(told["error"]), ended=True)
            try:
                self.classes = msgspec.convert(told["classes"], tuple[Description, ...])
            except (msgspec.ValidationError, KeyError, TypeError) as error:
                raise PluginFailed("Its process answered nonsense.", ended=True) from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        child = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._scratch.name,
            env=cell.environment(self._scratch.name),
            start_new_session=True,
        )
        self._child = child
        assert child.stdout is not None
        assert child.stderr is not None
        self._lines = _Lines(child.stdout)
        self._noise = supervise.Drain(child.stderr, supervise.MAX_STDERR_BYTES, first=False)
        own = (str(places.home() / "discovery" / "plugins"), *self.source.paths)
        self._send(
            Setup(
                source=self.source,
                readable=(*places.of_python(), *own, *self.readable),
                parent=os.getpid(),
                memory_bytes=self.memory_bytes,
                cpu_seconds=CPU_SECONDS,
            )
        )

    def ask(self, about: str, paths: Sequence[str]) -> Iterator[Any]:
        """``{"value": …}`` or ``{"error": reason}`` for each path, in order.

        ``about`` is ``claim`` or ``read``. Raises ``PluginFailed`` with ``ended`` for the path
        whose answer does not come; there are no answers after that.
        """
        for first in range(0, len(paths), CHUNK):
            part = paths[first : first + CHUNK]
            self._send({"about": about, "paths": list(part)})
            for _ in part:
                told = self._answer(SECONDS)
                if not isinstance(told, dict) or told.keys() not in ({"value"}, {"error"}):
                    raise PluginFailed("Its process answered nonsense.", ended=True)
                yield told

    def _send(self, message: Any) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        # A child that is gone says so when it is to answer.
        with suppress(BrokenPipeError):
            self._child.stdin.write(encode(message))
            self._child.stdin.flush()

    def _answer(self, seconds: float) -> Any:
        until = time.monotonic() + seconds
        while True:
            self.tick()
            try:
                line = self._lines.queue.get(timeout=_TICK)
                break
            except Empty:
                if time.monotonic() > until:
                    raise PluginFailed(
                        f"It did not answer within {seconds:g} seconds and was ended.",
                        ended=True,
                    ) from None
                if told := supervise.over_disk(self._scratch.name):
                    raise PluginFailed(told, ended=True) from None
        if line is None:
            raise PluginFailed(self._last_words(), ended=True)
        try:
            return json.loads(line)
        except ValueError:
            raise PluginFailed("Its process answered nonsense.", ended=True) from None

    def _last_words(self) -> str:
        assert self._child is not None
        if self._lines.flooded:
            return f"It answered with more than {MAX_LINE >> 20} MiB about one path and was ended."
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(supervise.GRACE)
        self._noise.join(1)
        return supervise.ending(self._child.returncode, self._noise)

    def close(self) -> None:
        """End the child and all that it started."""
        child, self._child = self._child, None
        if child is not None:
            if child.stdin is not None:
                with suppress(OSError):
                    child.stdin.close()
            supervise.end(child)
            self._lines.close()
            self._noise.close()
        with suppress(OSError):
            self._scratch.cleanup()


class _Lines(threading.Thread):
    """Reads a pipe line by line into ``queue``; ``None`` is its end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.pipe, self.flooded = pipe, False
        self.queue: SimpleQueue[bytes | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        rest = b""
        while chunk := os.read(self.pipe.fileno(), 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.queue.put(line)
            if len(rest) > MAX_LINE or self.queue.qsize() > CHUNK * 2:
                self.flooded = True
                break
        self.queue.put(None)
        if self.flooded:
            while os.read(self.pipe.fileno(), 1 << 16):
                pass

    def close(self) -> None:
        self.join(1)
        if not self.is_alive():
            self.pipe.close()
