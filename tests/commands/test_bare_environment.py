"""Commands as cron and containers call them: no HOME, no terminal, no locale, a reader that leaves,
and somebody who mistypes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.support import builders
from tests.support.waiting import DEADLINE

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]

pytestmark = pytest.mark.slow


@pytest.fixture
def bare(installed: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The whole environment, and models with warnings, errors and names beyond ASCII."""
    models = tmp_path / "models"
    builders.transformers(models / "modèle-模型")
    (models / "modèle-模型/README.md").write_text("---\nlicense: öffentlich\n---\n# Ein Modell\n")
    builders.transformers(models / "own-code")
    (models / "own-code/modeling_own.py").write_text("import os\n")
    cut_off = models / "cut-off.gguf"
    builders.gguf(cut_off, {"general.architecture": "llama"}, [("w", "F32", (64, 64))])
    cut_off.write_bytes(cut_off.read_bytes()[:200])
    places = {name: value for name, value in installed.items() if name.startswith("KAREN_")}
    return {"PATH": "/usr/bin:/bin", "LANG": "C", "PYTHONIOENCODING": "ascii", **places}


def run(bare: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*MANAGE, *arguments],
        env=bare,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        timeout=DEADLINE,
        check=False,
    )


def document(bare: dict[str, str], *arguments: str, code: int) -> Any:
    """Standard output has to be one JSON document, and nothing else is said."""
    ended = run(bare, *arguments, "--json")
    assert (ended.returncode, ended.stderr) == (code, b""), (arguments, ended.stderr)
    return json.loads(ended.stdout.decode("ascii"))


def test_each_json_is_one_document_with_warnings_and_errors_too(
    bare: dict[str, str], tmp_path: Path
) -> None:
    assert document(bare, "scan_models", "--dry-run", code=1)["status"] == "done"
    first, again = (document(bare, "scan_models", code=1) for _ in range(2))
    assert first["found"] == again["found"] == again["unchanged"]
    assert first["errors"] == again["errors"] > 0
    inspected = document(bare, "inspect_model", str(tmp_path / "models"), code=1)
    assert "modèle-模型" in {each["name"] for each in inspected}
    validated = document(bare, "validate_models", code=1)
    statuses = {check["status"] for each in validated for check in each["checks"]}
    assert {"passed", "warning", "failed"} <= statuses
    assert document(bare, "list_plugins", code=0) == []
    assert document(bare, "list_tokens", code=0) == []
    exported = run(bare, "export_models", "--format", "json")
    assert (exported.returncode, exported.stderr) == (0, b"")
    documents = json.loads(exported.stdout.decode("ascii"))
    assert "öffentlich" in {each["license"] for each in documents}


@pytest.mark.parametrize("command", ["export_models", "validate_models --json", "scan_models"])
def test_a_reader_that_leaves_changes_neither_the_exit_code_nor_what_is_said(
    command: str, bare: dict[str, str]
) -> None:
    run(bare, "scan_models")
    whole = run(bare, *command.split())
    for count in (0, 1, len(whole.stdout) // 2):
        process = subprocess.Popen(
            [*MANAGE, *command.split()],
            env=bare,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(count)) == count
        process.stdout.close()
        assert process.stderr.read() == whole.stderr
        assert process.wait(timeout=DEADLINE) == whole.returncode, count
        process.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("scan_model", "There is no command scan_model. Did you mean scan_models?"),
        ("make_coffee", "There is no command make_coffee. manage.py help lists them."),
        ("scan_models --nonsense", "unrecognized arguments: --nonsense"),
        ("validate_models nobody", "There is no model nobody."),
        ("inspect_model", "the following arguments are required: PATH"),
        ("inspect_model /nowhere --json", "/nowhere does not exist"),
        ("export_models --format xml", "invalid choice: 'xml'"),
        ("import_metadata", "the following arguments are required: FILE"),
        ("create_token admin", "the following arguments are required: NAME"),
        ("reset_password nobody", "There is no account nobody."),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_two(
    arguments: str, told: str, bare: dict[str, str]
) -> None:
    ended = run(bare, *arguments.split())
    assert (ended.returncode, ended.stdout) == (2, b"")
    [line] = ended.stderr.decode("ascii").splitlines()
    assert told in line
