"""Nothing that a program sends is passed over: what is not understood is named, with what would be;
and what it has just read may be sent back as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import MetadataChange, RegisteredModel, Root, ScanRun
from tests.api.test_access import assert_error
from tests.api.test_writes import BULK, REFRESH, post, put

Make = Callable[..., RegisteredModel]
LIST = "/api/models/discovered"
LOGS = "/api/models/discovery/logs"


def one_error(response: Any, *place: str | int, status: int = 422) -> str:
    """The one error of an answer, which is at this place."""
    [error] = assert_error(response, status)["errors"]
    assert error["loc"] == list(place)
    told: str = error["msg"]
    return told


@pytest.mark.parametrize(
    ("body", "place", "told"),
    [
        ({}, "problems", "is missing"),
        ({"problems": 7, "reason": "x"}, "problems", "must be a list"),
        ({"problems": [], "reason": "x"}, "problems", "takes at least 1 entries, not 0"),
        ({"problems": [1], "reason": ""}, "reason", "is empty"),
        ({"problems": [1], "reason": 5}, "reason", "must be a text"),
        ({"problems": [1], "reason": "x" * 1_001}, "reason", "is longer than 1000 characters"),
    ],
)
def test_a_wrong_body_is_told_in_words_of_ours(
    administrator: Client, body: Any, place: str, told: str
) -> None:
    found = assert_error(post(administrator, "/api/problems/accept", body), 422)["errors"]
    assert {"loc": ["body", place], "msg": told} in found


# -- query parameters


@pytest.mark.parametrize(
    ("query", "place", "told"),
    [
        ("format=GGUF", ["query", "format"], ["did you mean gguf?", "safetensors"]),
        ("root=/nope", ["query", "root"], ["Known are /srv/models."]),
        ("root=/srv/model", ["query", "root"], ["did you mean /srv/models?"]),
        ("primary=language", ["query", "primary", 0], ["did you mean LANGUAGE?", "VISION"]),
        ("ordering=siz_bytes", ["query", "ordering"], ["did you mean size_bytes?"]),
        ("formt=gguf", ["query", "formt"], ["did you mean format?", "known are"]),
        ("search=", ["query", "search"], ["empty"]),
        ("page=", ["query", "page"], ["empty"]),
        ("tag=%20", ["query", "tag"], ["empty"]),
        ("page=1&page=2", ["query", "page"], ["comes 2 times"]),
        ("page_size=501", ["query", "page_size"], ["must be at most 500"]),
        ("page=x", ["query", "page"], ["must be a whole number"]),
        ("facets=x", ["query", "facets"], ["must be true or false"]),
        ("&".join(["tag=x"] * 51), ["query", "tag"], ["takes at most 50 entries, not 51"]),
        ("tag=a%00b", ["query", "tag"], ["cannot be stored"]),
    ],
)
def test_a_wrong_parameter_is_one_error_that_says_what_would_be_right(
    administrator: Client, make_model: Make, query: str, place: list[Any], told: list[str]
) -> None:
    make_model("m")
    message = one_error(administrator.get(f"{LIST}?{query}"), *place)
    assert all(part in message for part in told), message


def test_right_values_of_closed_lists_find_what_they_should(
    administrator: Client, make_model: Make
) -> None:
    make_model("m", format="own-format")
    for query in ("format=gguf", "format=own-format", "root=/srv/models", "format=none"):
        assert administrator.get(f"{LIST}?{query}").status_code == 200, query


def test_a_viewer_learns_of_no_root_whose_models_they_do_not_see(
    reader: Client, make_model: Make
) -> None:
    make_model("m", visibility="PUBLIC", root=Root.objects.create(path="/srv/open", name="open"))
    make_model(
        "s", visibility="ADMIN_ONLY", root=Root.objects.create(path="/x/secret", name="secret")
    )
    assert reader.get(f"{LIST}?root=open").json()["count"] == 1
    for name in ("secret", "xyz"):
        message = one_error(reader.get(f"{LIST}?root={name}"), "query", "root")
        assert message == f"“{name}” is not known. Known are open."


def test_an_unknown_value_of_an_open_list_is_an_empty_list_that_says_so(
    administrator: Client, make_model: Make
) -> None:
    make_model("m", license="mit")
    empty = administrator.get(f"{LIST}?license=nope&license=mit&tag=none&author=nobody").json()
    assert empty["count"] == 0
    assert empty["unknown"] == {"license": ["nope"], "author": ["nobody"]}
    assert "unknown" not in administrator.get(f"{LIST}?license=mit").json()
    by_cursor = administrator.get(f"{LIST}?collection=nope&cursor=").json()
    assert by_cursor["unknown"] == {"collection": ["nope"]}


def test_the_log_of_an_unknown_model_or_scan_says_so(administrator: Client, db: None) -> None:
    assert administrator.get(f"{LOGS}?model_id=nope&scan_id=7").json()["unknown"] == {
        "model_id": ["nope"],
        "scan_id": ["7"],
    }


# -- bodies


def test_a_body_that_names_something_twice_is_refused(
    administrator: Client, make_model: Make
) -> None:
    make_model("m")
    address = "/api/models/m/metadata"
    message = one_error(
        put(administrator, address, '{"license": "mit", "license": "gpl"}'), "body", status=400
    )
    assert "license" in message


def test_a_document_that_was_just_read_changes_nothing(
    administrator: Client, make_model: Make
) -> None:
    make_model("m", primary="LANGUAGE", license="mit", extracted={"custom": {"a": 1}}, tags=["x"])
    document = administrator.get("/api/models/m").json()
    answer = put(administrator, "/api/models/m/metadata", document)
    assert answer.status_code == 200, answer.content
    assert answer.json() == document
    assert not MetadataChange.objects.exists()


def test_of_a_document_only_what_changed_is_written(
    administrator: Client, make_model: Make
) -> None:
    make_model("m", primary="LANGUAGE", license="mit")
    document = administrator.get("/api/models/m").json()
    document["author"] = "somebody"
    document["category"]["secondary"] = "CHAT"
    answer = put(administrator, "/api/models/m/metadata", document).json()
    assert answer["author"] == "somebody"
    assert answer["category"]["secondary"] == "CHAT"
    assert set(MetadataChange.objects.values_list("field", flat=True)) == {"author", "secondary"}


def test_a_read_only_field_that_was_changed_is_named_and_nothing_is_written(
    administrator: Client, make_model: Make
) -> None:
    make_model("m")
    document = {**administrator.get("/api/models/m").json(), "size_bytes": 7, "license": "mit"}
    message = one_error(
        put(administrator, "/api/models/m/metadata", document), "body", "size_bytes"
    )
    assert "read-only" in message
    assert not MetadataChange.objects.exists()


def test_a_bulk_update_takes_documents_and_nested_categories_too(
    administrator: Client, make_model: Make
) -> None:
    make_model("a"), make_model("b")
    document = {**administrator.get("/api/models/a").json(), "license": "mit"}
    updates = [
        {"model_id": "a", "metadata": document},
        {"model_id": "b", "metadata": {"category": {"primary": "VISION"}}},
    ]
    assert post(administrator, BULK, {"updates": updates}).json()["updated"] == 2
    assert RegisteredModel.objects.get(model_id="b").primary == "VISION"
    wrong = {**administrator.get("/api/models/b").json(), "status": "CORRUPT"}
    answer = post(administrator, BULK, {"updates": [{"model_id": "b", "metadata": wrong}]}).json()
    [error] = answer["results"][0]["errors"]
    assert error["loc"] == ["body", "updates", 0, "metadata", "status"]


@pytest.mark.parametrize("way", ["metadata", "bulk", "category"])
def test_a_nested_category_is_set_and_given_back(
    way: str, administrator: Client, make_model: Make
) -> None:
    make_model("m", extracted={"primary": "LANGUAGE"})

    def send(category: Any) -> Any:
        if way == "bulk":
            body = {"updates": [{"model_id": "m", "metadata": {"category": category}}]}
            return post(administrator, BULK, body)
        body = category if way == "category" else {"category": category}
        return put(administrator, f"/api/models/m/{way}", body)

    assert send({"primary": "VISION"}).status_code == 200
    assert administrator.get("/api/models/m").json()["category"]["primary"] == "VISION"
    send({"primary": None})
    assert administrator.get("/api/models/m").json()["category"]["primary"] != "VISION"
    assert send({"primary": "VISON"}).status_code == (200 if way == "bulk" else 422)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("license", "mit"),
        ("primary", "VISION"),
        ("context_length", 5),
        ("visibility", "PUBLIC"),
        ("tags", ["x"]),
    ],
)
@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_string_gives_a_field_back(
    name: str, value: Any, blank: str, administrator: Client, make_model: Make
) -> None:
    make_model("m")
    before = administrator.get("/api/models/m").json()
    put(administrator, "/api/models/m/metadata", {name: value})
    answer = put(administrator, "/api/models/m/metadata", {name: blank})
    assert answer.status_code == 200, answer.content
    after = answer.json()
    assert after["sources"] == before["sources"]
    assert after.get(name, after["category"].get(name)) == before.get(
        name, before["category"].get(name)
    )


@pytest.mark.parametrize(
    ("body", "place", "told"),
    [
        ({"primary": "VISON"}, ["body", "primary"], "did you mean VISION?"),
        ({"category": {"primary": "VISON"}}, ["body", "category", "primary"], "did you mean"),
        ({"modalities": ["TEXT", "IMGE"]}, ["body", "modalities", 1], "did you mean IMAGE?"),
        ({"context_length": "many"}, ["body", "context_length"], "whole number"),
        ({"tags": ["x", ""]}, ["body", "tags", 1], "empty"),
        ({"licence": "mit"}, ["body", "licence"], "license"),
        ([], ["body"], ""),
    ],
)
def test_one_fault_of_a_body_is_one_error_with_its_place(
    administrator: Client, make_model: Make, body: Any, place: list[Any], told: str
) -> None:
    make_model("m")
    message = one_error(put(administrator, "/api/models/m/metadata", body), *place)
    assert told in message


# -- paths


def test_a_relative_path_is_scanned_below_the_roots(
    models_root: Path, task_queue: Any, administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    Root.objects.create(path=str(models_root))
    (models_root / "below").mkdir()
    (models_root.parent / "elsewhere").mkdir()
    monkeypatch.chdir(models_root.parent)
    assert post(administrator, REFRESH, {"path": "below"}).status_code == 202
    assert ScanRun.objects.get().path == str(models_root / "below")
    message = one_error(post(administrator, REFRESH, {"path": "elsewhere"}), "body", "path")
    assert "does not exist below any root" in message


def test_a_path_below_several_roots_is_ambiguous(
    models_root: Path, tmp_path: Path, task_queue: Any, administrator: Client
) -> None:
    for root in (models_root, tmp_path / "other"):
        (root / "below").mkdir(parents=True)
        Root.objects.create(path=str(root))
    message = one_error(post(administrator, REFRESH, {"path": "below"}), "body", "path")
    assert "several roots" in message


def test_json_of_an_error_is_what_programs_read(administrator: Client, admin_user: User) -> None:
    response = administrator.get(f"{LIST}?primary=x")
    assert json.loads(response.content)["errors"][0]["loc"] == ["query", "primary", 0]
