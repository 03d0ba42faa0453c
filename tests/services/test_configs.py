"""Config files: defaults, the last good one, and sentences that name file, place and reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command

from discovery.engine.config import Discovery
from discovery.services import configs
from tests import builders

GOOD = {
    "discovery": {
        "scan_interval_minutes": 5,
        "supported_formats": ["safetensors", "bin"],
        "exclude_patterns": ["*.bak"],
    }
}


def put(config_dir: Path, document: object) -> None:
    path = config_dir / "model_discovery.json"
    if isinstance(document, str):
        path.write_text(document)
    else:
        builders.write_json(path, document)


def test_a_missing_file_means_defaults(config_dir: Path) -> None:
    assert configs.discovery() == Discovery()
    assert configs.faults() == ()


def test_the_guide_s_own_example_is_accepted_as_it_stands(config_dir: Path) -> None:
    put(
        config_dir,
        {
            "discovery": {
                "scan_interval_minutes": 30,
                "auto_refresh_on_startup": True,
                "scan_subdirectories": True,
                "max_scan_depth": 5,
                "supported_formats": ["safetensors", "bin", "onnx", "gguf", "ggml"],
                "exclude_patterns": ["*.tmp", "*.lock", ".git", "__pycache__"],
            }
        },
    )
    assert configs.discovery().supported_formats == (
        "safetensors",
        "pytorch",
        "onnx",
        "gguf",
        "ggml",
    )
    assert configs.faults() == ()


def test_a_change_takes_effect_without_a_restart(config_dir: Path) -> None:
    put(config_dir, GOOD)
    assert configs.discovery().scan_interval_minutes == 5
    put(config_dir, {"discovery": {"scan_interval_minutes": 60}})
    assert configs.discovery().scan_interval_minutes == 60


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('{"discovery": {"max_scan_depth": 5,}}', "not JSON"),
        ("", "empty"),
        ("[]", "an array"),
        ({"discovery": {"max_scan_depth": "deep"}}, "discovery.max_scan_depth"),
        ({"discovery": {"max_scan_depth": 0}}, "discovery.max_scan_depth"),
        ({"discovery": {"scan_intervall": 5}}, "discovery.scan_intervall: this key is not known"),
        ({"discovery": {"supported_formats": ["safetensor"]}}, "'safetensor' is not a format"),
        ({"discovery": {"exclude_patterns": [""]}}, "discovery.exclude_patterns.0"),
        ({"discover": {}}, "discover: this key is not known"),
    ],
)
def test_a_wrong_file_leaves_the_last_good_one_in_force_and_says_what_is_wrong(
    config_dir: Path, document: object, reason: str
) -> None:
    put(config_dir, GOOD)
    assert configs.discovery().scan_interval_minutes == 5
    put(config_dir, document)
    assert configs.discovery().scan_interval_minutes == 5
    assert reason in str(configs.faults()[0])
    assert str(configs.faults()[0]).startswith("model_discovery.json: ")


def test_the_last_good_file_outlives_a_restart(config_dir: Path) -> None:
    put(config_dir, GOOD)
    configs.discovery()
    put(config_dir, "{")
    for file in configs.FILES:
        file.forget()
    assert configs.discovery().scan_interval_minutes == 5
    assert configs.faults()


def test_manage_check_names_the_fault(config_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(config_dir, "{")
    call_command("check")
    assert "model_discovery.json: it is not JSON" in capsys.readouterr().err
