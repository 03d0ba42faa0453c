"""Standard output and error that outlive their reader.

``scan_models --json | head -1`` ends as it would without ``head``: same work, same exit code, and
not a word about the pipe.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

_UTF8 = "utf-8"
#: What becomes of characters that the encoding of a stream does not have.
ESCAPED = "karen-escaped"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Their numbers as JSON writes them, so that a document stays one in any encoding."""
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return json.dumps(lost)[1:-1], error.end


codecs.register_error(ESCAPED, _escaped)


class Pipe(io.FileIO):
    """A descriptor whose reader may leave: what is written after that goes nowhere."""

    reader_is_gone = False

    def write(self, data: Any, /) -> Any:
        try:
            return super().write(data)
        except BrokenPipeError:
            self.reader_is_gone = True
            discard(self.fileno())
            return memoryview(data).nbytes


def discard(descriptor: int) -> None:
    """Let whatever is written to ``descriptor`` from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def open_standard() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr`` of this process."""
    sys.stdout = _opened(sys.stdout, 1)
    sys.stderr = _opened(sys.stderr, 2)


def _opened(stream: TextIO | None, descriptor: int) -> TextIO:
    """The same stream through a :class:`Pipe`; a closed one (``>&-``) goes nowhere.

    Documents for files and programs are UTF-8 in every locale; a terminal that cannot show a
    character shows its number.
    """
    if stream is None:
        return open(os.devnull, "w", encoding=_UTF8)
    is_terminal = stream.isatty()
    named = os.environ.get("PYTHONIOENCODING")
    return io.TextIOWrapper(
        io.BufferedWriter(Pipe(descriptor, "wb", closefd=False)),
        encoding=stream.encoding if is_terminal or named else _UTF8,
        errors=ESCAPED,
        line_buffering=is_terminal or descriptor == 2,
    )


def reader_is_gone() -> bool:
    """Return whether nobody reads standard output any more: whoever makes much of it may stop."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, Pipe) and raw.reader_is_gone


def flush() -> None:
    """Write what is still held back.

    Raises ``OSError``, of a full disk for example; the rest is then given up, so that Python does
    not try again at exit.
    """
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                discard(descriptor)
            raise
