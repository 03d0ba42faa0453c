"""Locks on files: one holder, who says who it is; a file that a dead process left is nobody's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from discovery.services.core.file_lock import Held, only_one

HOLDER = """
import sys, time, pathlib
from discovery.services.core.file_lock import only_one
with only_one(pathlib.Path(sys.argv[1]), "process 7, http://there/"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_the_first_is_and_a_dead_holder_is_in_nobodys_way(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=settings.BASE_DIR
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Held, match="process 7, http://there/"), only_one(path, "me"):
            pass
        holder.kill()
        holder.wait()
    assert path.read_text() == "process 7, http://there/"
    with only_one(path, "me"):
        assert path.read_text() == "me"
        with pytest.raises(Held, match=r"^me$"), only_one(path, "another"):
            pass
    assert path.read_text() == ""


def test_rubbish_in_the_file_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(b"\xff" * 10_000)
    with only_one(path, "me"):
        assert path.read_text() == "me"
