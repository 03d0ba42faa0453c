"""Config files: defaults, the last good one, and sentences that name file, place and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from discovery.engine.core.config import Discovery
from discovery.services.core import config_files
from tests.support import builders

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
    assert config_files.discovery() == Discovery()
    assert config_files.faults() == ()


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
    assert config_files.discovery().supported_formats == (
        "safetensors",
        "pytorch",
        "onnx",
        "gguf",
        "ggml",
    )
    assert config_files.faults() == ()


def test_a_change_takes_effect_without_a_restart(config_dir: Path) -> None:
    put(config_dir, GOOD)
    assert config_files.discovery().scan_interval_minutes == 5
    put(config_dir, {"discovery": {"scan_interval_minutes": 60}})
    assert config_files.discovery().scan_interval_minutes == 60


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
    assert config_files.discovery().scan_interval_minutes == 5
    put(config_dir, document)
    assert config_files.discovery().scan_interval_minutes == 5
    assert reason in str(config_files.faults()[0])
    assert str(config_files.faults()[0]).startswith("model_discovery.json: ")


def test_the_last_good_file_outlives_a_restart(config_dir: Path) -> None:
    put(config_dir, GOOD)
    config_files.discovery()
    put(config_dir, "{")
    for file in config_files.FILES:
        file.forget()
    assert config_files.discovery().scan_interval_minutes == 5
    assert config_files.faults()


def test_manage_check_names_the_fault(config_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(config_dir, "{")
    with pytest.raises(SystemExit):
        call_command("check")
    assert "model_discovery.json: it is not JSON" in capsys.readouterr().err


@pytest.mark.usefixtures("private_files")
def test_config_files_keep_their_mode_and_the_copy_of_the_last_good_one_is_private(
    config_dir: Path, settings: Any
) -> None:
    put(config_dir, GOOD)
    path = config_dir / "model_discovery.json"
    path.chmod(0o664)
    config_files.discovery()
    assert (settings.DATA_DIR / "config" / path.name).stat().st_mode & 0o777 == 0o600
    config_files.write_atomically(path, b"{}")
    config_files.write_atomically(config_dir / "new.json", b"{}")
    assert [found.stat().st_mode & 0o777 for found in (path, config_dir / "new.json")] == [
        0o664,
        0o644,
    ]


@pytest.mark.parametrize(
    ("roots", "fault"),
    [
        (
            [{"path": "/a", "name": "x"}, {"path": "/b", "name": "x"}],
            "discovery.roots: two roots are called 'x': each needs a name of its own",
        ),
        ([{"name": "x"}], "discovery.roots.0.path: field required"),
        (
            [{"path": "/a", "max_depth": 65}],
            "discovery.roots.0.max_depth: input should be less than or equal to 64",
        ),
        (
            [{"path": "/a", "colour": "red"}],
            "discovery.roots.0.colour: this key is not known here; check its spelling",
        ),
        (
            [{"path": "/a", "name": "two\nlines"}],
            "discovery.roots.0.name: must be one line of text",
        ),
        ([""], "discovery.roots.0.path: string should have at least 1 character"),
    ],
)
def test_a_root_is_a_path_or_an_object_and_a_wrong_one_is_named(
    config_dir: Path, roots: list[Any], fault: str
) -> None:
    put(config_dir, {"discovery": {"roots": roots}})
    assert [each.reason for each in config_files.faults()] == [fault]
