"""``inspect_model``: model documents of what lies there, without a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.support import builders


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        call_command("inspect_model", *arguments)
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def test_json_is_a_list_of_documents_and_no_database_is_touched(
    models_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "a")
    builders.gguf_folder(models_root / "b-GGUF", stem="b", quantizations=("Q4_K_M", "Q8_0"))
    code, out, _ = run(capsys, str(models_root), "--json")
    documents = {item["path"]: item for item in json.loads(out)}
    assert code == 0
    assert set(documents) == {"a", "b-GGUF"}
    assert documents["a"]["root"] == str(models_root)
    assert documents["a"]["sources"]["architecture"] == {"source": "config.json", "curated": False}
    assert documents["a"]["problems"] == []
    assert documents["a"]["category"]["primary"] == "LANGUAGE"
    assert documents["a"]["evidence"]["primary"][0]["where"] == "what goes in and out"
    assert [variant["name"] for variant in documents["b-GGUF"]["variants"]] == ["Q8_0", "Q4_K_M"]
    assert documents["a"]["memory"]["weights_bytes"] > 0


def test_a_model_itself_may_be_given_and_its_path_is_then_a_dot(
    models_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "a")
    _, out, _ = run(capsys, str(models_root / "a"), "--json")
    (document,) = json.loads(out)
    assert (document["path"], document["name"], document["model_id"]) == (".", "a", "a")


def test_people_read_a_line_of_facts_and_the_problems(
    models_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "a", shards=2)
    (models_root / "a" / "model-00001-of-00002.safetensors").unlink()
    code, out, _ = run(capsys, str(models_root))
    assert code == 1
    assert "a  [incomplete]" in out
    assert "TRANSFORMERS · safetensors · LlamaForCausalLM" in out
    assert "error: 1 weight file of 2 is missing: model-00001-of-00002.safetensors" in out
    assert out.rstrip().endswith("1 model.")


def test_a_path_that_does_not_exist_is_exit_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, str(tmp_path / "nowhere"))
    assert (code, out) == (2, "")
    assert "does not exist" in err
