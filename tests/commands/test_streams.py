"""A closed pipe, a full disk and a closed descriptor under ``manage.py``."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import ManagementUtility

from karen_admin import command_line, streams
from tests.support.waiting import DEADLINE


@pytest.mark.parametrize("held", [1, 8, 8192])
def test_a_pipe_closed_at_every_byte_ends_quietly(held: int) -> None:
    """Whatever Python still holds for the pipe: one byte, some, or all."""
    text = "0 done, 1 done with problems found\n"
    for count in range(len(text) + 1):
        reading, writing = os.pipe()
        raw = streams.Pipe(writing, "wb")
        stream = io.TextIOWrapper(io.BufferedWriter(raw, held), encoding="utf-8")
        stream.write(text[:count])
        stream.flush()
        assert os.read(reading, 100).decode() == text[:count] if count else True
        os.close(reading)
        stream.write(text[count:])
        stream.flush()
        assert raw.reader_is_gone == (count < len(text))
        stream.write("and more")
        stream.close()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_document_is_one_in_any_encoding(encoding: str) -> None:
    names = ["modèle", "模型", "𝛼", "\udcff"]
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors=streams.ESCAPED)
    stream.write(json.dumps(names, ensure_ascii=False))
    stream.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == names


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["| head -c 3", "2>&1 | head -c 0", ">&-", "2>&-"])
def test_a_command_whose_reader_left_keeps_its_exit_code(redirection: str, tmp_path: Path) -> None:
    manage = f"{sys.executable} {settings.BASE_DIR / 'manage.py'} help {redirection}"
    command = ["bash", "-c", f"set -o pipefail; {manage}"]
    places = {"KAREN_DATA_DIR": str(tmp_path), "KAREN_LOGS_DIR": str(tmp_path)}
    env = {"PATH": "/usr/bin:/bin", **places}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=DEADLINE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_disk_that_is_full_at_the_last_byte_is_a_sentence_and_exit_code_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    full = os.open("/dev/full", os.O_WRONLY)
    stream = io.TextIOWrapper(io.BufferedWriter(streams.Pipe(full, "wb")), encoding="utf-8")
    monkeypatch.setattr(ManagementUtility, "execute", lambda _: print("done"))
    monkeypatch.setattr(streams, "discard", lambda _: streams.os.dup2(nowhere(), full))
    monkeypatch.setattr("sys.stdout", stream)
    assert command_line.run(["manage.py", "x"]) == 2
    assert "is full" in capsys.readouterr().err
    stream.close()


def nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY)


@pytest.mark.parametrize(("ended", "code"), [(SystemExit(1), 1), (SystemExit(), 0), (None, 0)])
def test_the_exit_code_is_the_commands_own(
    ended: SystemExit | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(_: object) -> None:
        if ended:
            raise ended

    monkeypatch.setattr(ManagementUtility, "execute", end)
    assert command_line.run(["manage.py", "x"]) == code
