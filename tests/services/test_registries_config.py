"""``external_registries.json``: the guide's block works as it stands, and keys stay in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from discovery.services.core import config_files
from discovery.services.registries.configured import configured
from discovery.services.settings import watch

#: As the guide has it.
GUIDE = """
{
  "external_registries": {
    "huggingface": {
      "enabled": true,
      "api_key": "your_api_key",
      "sync_interval_hours": 24,
      "auto_download": false
    },
    "model_zoo": {
      "enabled": false,
      "endpoint": "https://modelzoo.co/api"
    }
  }
}
"""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def written(config_dir: Path, text: str | dict[str, Any]) -> None:
    text = text if isinstance(text, str) else json.dumps({"external_registries": text})
    (config_dir / "external_registries.json").write_text(text)


def test_the_block_of_the_guide_works_and_its_placeholder_is_not_a_key(config_dir: Path) -> None:
    written(config_dir, GUIDE)
    found = configured()
    assert config_files.REGISTRIES.faults() == ()
    hub = found["huggingface"]
    assert (hub.settings.enabled, hub.settings.sync_interval_hours) == (True, 24)
    assert hub.endpoint == "https://huggingface.co"
    assert hub.key().value == ""
    assert "your_api_key" in hub.key().note
    assert (found["model_zoo"].settings.enabled, found["model_zoo"].endpoint) == (
        False,
        "https://modelzoo.co/api",
    )


def test_without_a_file_every_registry_is_off(config_dir: Path) -> None:
    assert not any(each.settings.enabled for each in configured().values())


def test_the_environment_comes_before_the_file(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(config_dir, {"huggingface": {"api_key": "hf_file", "endpoint": "https://a.example"}})
    monkeypatch.setenv("HF_TOKEN", "hf_env")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    hub = configured()["huggingface"]
    assert (hub.key().value, hub.key().source) == ("hf_env", "HF_TOKEN")
    assert hub.endpoint == "https://mirror.example"


def test_a_key_comes_from_a_file_of_its_own(config_dir: Path, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("hf_secret\n")
    written(config_dir, {"huggingface": {"api_key_file": str(secret)}})
    assert configured()["huggingface"].key().value == "hf_secret"
    secret.unlink()
    assert "cannot be read" in configured()["huggingface"].key().note


def test_a_key_is_not_sent_in_the_clear(config_dir: Path, settings: Any) -> None:
    written(config_dir, {"huggingface": {"api_key": "hf_x", "endpoint": "http://mirror.example"}})
    key = configured()["huggingface"].key()
    assert (key.value, "KAREN_REGISTRY_PRIVATE" in key.note) == ("", True)
    settings.REGISTRY_PRIVATE = ["mirror.example"]
    assert configured()["huggingface"].key().value == "hf_x"


def test_a_key_is_kept_nowhere_but_in_the_file(config_dir: Path, settings: Any) -> None:
    secret = "hf_kept_nowhere"
    written(config_dir, {"huggingface": {"enabled": True, "api_key": secret}})
    hub = configured()["huggingface"]
    assert hub.key().value == secret
    watch.follow()
    kept = [path.read_text() for path in Path(settings.DATA_DIR).rglob("*") if path.is_file()]
    assert any("huggingface" in text for text in kept)
    assert not any(secret in text for text in kept)
    assert secret not in repr(hub) + repr(hub.key()) + hub.settings.model_dump_json()


def test_a_broken_file_changes_nothing_and_says_where_without_the_key(config_dir: Path) -> None:
    written(config_dir, {"huggingface": {"enabled": True}})
    assert configured()["huggingface"].settings.enabled
    written(config_dir, {"huggingface": {"enabled": "perhaps", "api_key": "two words"}})
    assert configured()["huggingface"].settings.enabled
    told = [str(fault) for fault in config_files.REGISTRIES.faults()]
    assert any("external_registries.huggingface.enabled" in each for each in told)
    assert not any("two words" in each for each in told)


WRONG = {
    "no kind": ({"lab": {"enabled": True}}, "lab.kind"),
    "no address": ({"model_zoo": {"enabled": True}}, "endpoint"),
    "no folder": ({"folder": {"enabled": True}}, "path"),
    "key in address": ({"model_zoo": {"endpoint": "https://me:key@zoo.example"}}, "endpoint"),
    "not an address": ({"model_zoo": {"endpoint": "zoo"}}, "endpoint"),
    "name": ({"../x": {"kind": "folder"}}, "lower-case"),
    "reserved": ({"matches": {"kind": "folder"}}, "cannot be the name"),
    "spelling": ({"huggingface": {"enable": True}}, "not known"),
    "hours": ({"huggingface": {"sync_interval_hours": -1}}, "sync_interval_hours"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(config_dir: Path, name: str) -> None:
    document, words = WRONG[name]
    written(config_dir, document)
    told = " ".join(str(fault) for fault in config_files.REGISTRIES.faults())
    assert words in told
    assert not any(each.settings.enabled for each in configured().values())


def test_patterns_leave_models_in_and_out(config_dir: Path) -> None:
    written(config_dir, {"huggingface": {"include": ["Acme/*"], "exclude": ["*-GGUF"]}})
    hub = configured()["huggingface"]
    assert [hub.wants(each) for each in ("acme/a", "other/a", "acme/a-gguf")] == [
        True,
        False,
        False,
    ]
