"""How logging speaks: events in files of their owner's, which a full disk does not stop, and plain
lines on the terminal.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from typing import Any

from concurrent_log_handler import ConcurrentRotatingFileHandler

#: Seconds between two words about a file that cannot be written.
PATIENCE = 600.0

#: Set for the children of who has told already that the files cannot be written.
TOLD = "KAREN_LOG_FAULT_TOLD"

logger = logging.getLogger(__name__)


class Plain(logging.Formatter):
    """For the terminal.

    What is wrong with the installation is told in its sentence; tracebacks are for faults of ours.
    """

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's name)
        from discovery.services.core import failures

        failure = failures.explain(ei[1]) if ei[1] is not None else None
        return str(failure) if failure else super().formatException(ei)


class EventFile(ConcurrentRotatingFileHandler):
    """Opened with the first event, and tried again with each: once the folder can be written again,
    so is the file.
    """

    _told: float | None = math.inf if os.environ.get(TOLD) else None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Instead of a traceback for each event: one line, now and then.

        The event itself is in the database too.
        """
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        now = time.monotonic()
        if self._told is None or now - self._told >= PATIENCE:
            self._told = now
            logger.warning("%s cannot be written: %s", self.baseFilename, error.strerror or error)
