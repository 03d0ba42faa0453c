"""What used to be on pages only: moves, formats that are left out, and notices of upgrades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import (
    MetadataChange,
    Notice,
    RejectedMove,
    SettingChange,
)
from discovery.services.core import config_files
from tests.api.test_access import assert_error
from tests.api.test_roots import send
from tests.people import administer
from tests.support import builders
from tests.support.twins import make_twins, scan

MOVES = "/api/models/discovery/moves"
UNRECOGNIZED = "/api/models/discovery/unrecognized"
NOTICES = "/api/system/notices"


@pytest.fixture
def twins(models_root: Path, admin_user: User) -> None:
    make_twins(models_root, admin_user, "Ours")


def test_a_move_is_listed_compared_and_joined(twins: None, administrator: Client) -> None:
    [move] = administrator.get(MOVES).json()["results"]
    assert (move["model_id"], move["decisions"][0]) == ("x", "1 edited value")
    assert {each["model_id"] for each in move["candidates"]} == {"p", "q"}
    pair = {"old": "x", "new": "p"}
    told = administrator.get(f"{MOVES}/comparison", pair).json()
    assert (told["refusal"], told["stays"], told["same_weights"]) == (None, "x", True)
    assert {
        "field": "description",
        "old": "Ours",
        "new": None,
        "result": "Ours",
        "wins": "old",
        "disputed": False,
    } in told["choices"]
    joined = send(administrator, f"{MOVES}/join", pair)
    assert joined.status_code == 200, joined.content
    assert (joined.json()["model_id"], joined.json()["path"]) == ("x", "p")
    assert joined["ETag"] == administrator.get("/api/models/x")["ETag"]
    assert MetadataChange.objects.filter(field="moved", channel="api").exists()
    assert administrator.get(MOVES).json()["count"] == 0


def test_a_rejected_pair_is_not_offered_again(twins: None, administrator: Client) -> None:
    told = send(administrator, f"{MOVES}/reject", {"old": "x", "new": "p"}).json()
    assert told == {"old": "x", "new": "p", "rejected": True}
    assert RejectedMove.objects.count() == 1
    [move] = administrator.get(MOVES).json()["results"]
    assert [each["model_id"] for each in move["candidates"]] == ["q"]


def test_what_cannot_be_joined_says_why(twins: None, administrator: Client) -> None:
    present = send(administrator, f"{MOVES}/join", {"old": "u", "new": "p"})
    assert "where they were" in assert_error(present, 409)["detail"]
    unknown = send(administrator, f"{MOVES}/join", {"old": "x", "new": "nobody"})
    [error] = assert_error(unknown, 422)["errors"]
    assert error["loc"] == ["body", "new"]
    same = administrator.get(f"{MOVES}/comparison", {"old": "x", "new": "x"})
    [error] = assert_error(same, 422)["errors"]
    assert error["loc"] == ["query", "new"]


def test_formats_that_are_left_out_are_told_and_read_from_then_on(
    models_root: Path, config_dir: Path, administrator: Client
) -> None:
    document = {"discovery": {"roots": [str(models_root)], "supported_formats": ["gguf"]}}
    (config_dir / "model_discovery.json").write_text(json.dumps(document))
    builders.safetensors(models_root / "one.safetensors", [("w", "F32", (4, 4))])
    scan(models_root)
    [told] = administrator.get(UNRECOGNIZED).json()["left_out"]
    assert (told["formats"], told["files"]) == (["safetensors"], 1)
    wrong = send(administrator, f"{UNRECOGNIZED}/support", {"formats": ["safetensor"]})
    [error] = assert_error(wrong, 422)["errors"]
    assert error["loc"] == ["body", "formats", 0]
    assert "did you mean safetensors?" in error["msg"]
    done = send(administrator, f"{UNRECOGNIZED}/support", {"formats": ["safetensors"]})
    assert done.json() == {"supported_formats": ["gguf", "safetensors"]}
    change = SettingChange.objects.get(key="discovery.supported_formats")
    undone = send(administrator, f"/api/settings/changes/{change.pk}/undo")
    assert undone.status_code == 200, undone.content
    assert config_files.discovery().supports == {"gguf"}


def test_formats_are_not_added_to_a_broken_file(
    models_root: Path, config_dir: Path, administrator: Client
) -> None:
    document = {"discovery": {"roots": [str(models_root)], "supported_formats": ["gguf"]}}
    file = config_dir / "model_discovery.json"
    file.write_text(json.dumps(document))
    builders.safetensors(models_root / "one.safetensors", [("w", "F32", (4, 4))])
    scan(models_root)
    file.write_text("{")
    broken = send(administrator, f"{UNRECOGNIZED}/support", {"formats": ["safetensors"]})
    assert_error(broken, 409)
    assert file.read_text() == "{"


def test_superusers_read_and_confirm_notices(administrator: Client, caller: Any) -> None:
    row = Notice.objects.create(title="Staff are in a group now", text="Look at it.", names=["ada"])
    [told] = administrator.get(NOTICES).json()["results"]
    assert (told["title"], told["accounts"]) == ("Staff are in a group now", ["ada"])
    other = caller(administer(User.objects.create_user("other")), "admin")
    assert_error(other.get(NOTICES), 403)
    assert_error(send(other, f"{NOTICES}/{row.pk}/confirm"), 403)
    assert send(administrator, f"{NOTICES}/{row.pk}/confirm").status_code == 200
    assert administrator.get(NOTICES).json() == {"count": 0, "results": []}
    assert_error(send(administrator, f"{NOTICES}/9{row.pk}/confirm"), 404)


def test_code_of_a_model_is_trusted_until_its_files_change(
    models_root: Path, administrator: Client
) -> None:
    builders.transformers(models_root / "own-code", hidden=64)
    config = models_root / "own-code/config.json"
    told = json.loads(config.read_text())
    told["auto_map"] = {"AutoModel": "modeling_own.OwnModel"}
    config.write_text(json.dumps(told))
    (models_root / "own-code/modeling_own.py").write_text("class OwnModel: pass\n")
    scan(models_root)
    problems = "/api/models/own-code/problems"
    ids = [
        row["problem_id"]
        for row in administrator.get(f"{problems}?code=remote_code").json()["results"]
    ]
    assert ids
    trusted = send(
        administrator, "/api/problems/accept", {"problems": ids, "reason": "We read the code."}
    )
    assert trusted.status_code == 200, trusted.content
    accepted = administrator.get(f"{problems}?code=remote_code&state=accepted").json()
    assert accepted["count"] == len(ids)
    change = MetadataChange.objects.filter(field="finding").latest("pk")
    assert (change.after["decision"], change.channel) == ("accepted", "api")
    (models_root / "own-code/modeling_own.py").write_text("class OwnModel: pass  # other\n")
    scan(models_root)
    assert administrator.get(f"{problems}?code=remote_code&state=accepted").json()["count"] == 0
    assert administrator.get(f"{problems}?code=remote_code&state=open").json()["count"] == len(ids)
