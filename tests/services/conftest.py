"""Scanning a folder as ``scan_models`` does, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.models import ScanRun
from discovery.services import scans


@pytest.fixture
def scan(db: None) -> Callable[..., ScanRun]:
    """``scan(root)`` scans it and returns the finished run."""

    def scanning(
        root: Path | str = "", *, full: bool = False, accept_missing: bool = False
    ) -> ScanRun:
        run, created = scans.start_now(ScanRun.Trigger.COMMAND, path=str(root), full=full)
        assert created
        if accept_missing:
            ScanRun.objects.filter(pk=run.pk).update(accept_missing=True)
            run.refresh_from_db()
        return scans.execute(run)

    return scanning
