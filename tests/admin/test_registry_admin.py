"""Django's administration of the registry: what can be set, what cannot, and that lists stay
quick.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from discovery.engine.core.types import Problem
from discovery.models import (
    Collection,
    Finding,
    Forgotten,
    LogEntry,
    MetadataChange,
    RegisteredModel,
    Root,
    ScanRun,
    SettingChange,
    SkippedPath,
    Visibility,
)
from discovery.services.core import config_files
from discovery.services.findings import findings
from discovery.services.metadata import metadata
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

LIST = "/admin/discovery/registeredmodel/"
READ_ONLY = ("scanrun", "logentry", "metadatachange", "skippedpath", "finding")


def form(**fields: Any) -> dict[str, Any]:
    return {"visibility": "RESTRICTED", **fields}


def change(client: Client, record: RegisteredModel, **fields: Any) -> Any:
    return client.post(f"{LIST}{record.pk}/change/", form(**fields))


def test_the_list_shows_models_in_words(admin_client: Client, make_model: Make) -> None:
    make_model("mixtral", type="LLAMA_CPP", size_bytes=26_400_000_000, status="INCOMPLETE")
    html = page_text(admin_client.get(LIST))
    for text in ("mixtral", "llama.cpp", "Incomplete", "26.4 GB", "/srv/models", "Restricted"):
        assert text in html
    assert "LLAMA_CPP</a>" not in html


@pytest.mark.parametrize(
    "query",
    [
        "?status__exact=READY",
        "?type__exact=ONNX",
        "?format=gguf",
        "?visibility__exact=PUBLIC",
        "?root__id__exact=1",
        "?primary__isnull=True",
        "?q=tiny",
    ],
)
def test_the_list_is_filtered_and_searched(
    query: str, admin_client: Client, make_model: Make
) -> None:
    make_model()
    make_model(
        "other",
        type="ONNX",
        status="CORRUPT",
        extracted={"format": "gguf"},
        visibility=Visibility.PUBLIC,
        primary="AUDIO",
        root=Root.objects.create(path="/b"),
    )
    response = admin_client.get(LIST + query)
    assert response.status_code == 200
    assert response.context["cl"].result_count < 2


def test_lists_need_a_fixed_number_of_queries(
    admin_client: Client, admin_user: User, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    root = Root.objects.create(path="/srv/models")
    for number in range(30):
        record = make_model(f"model-{number}", root=root)
        run = ScanRun.objects.create(state="done", trigger="page", requested_by=admin_user)
        LogEntry.objects.create(
            at=timezone.now(), level="info", topic="discovery", scan=run, message="x"
        )
        SkippedPath.objects.create(
            root=root, place=f"p{number}", signature="0", reason="no weights"
        )
        MetadataChange.objects.create(
            model=record,
            field="license",
            after="mit",
            by=admin_user,
            at=timezone.now(),
            channel="page",
            batch=uuid4(),
        )
        Collection.objects.create(name=f"c{number}")
        found(record)
    for name in ("registeredmodel", "root", "collection", *READ_ONLY):
        with django_assert_max_num_queries(10):
            assert admin_client.get(f"/admin/discovery/{name}/").status_code == 200


def test_visibility_groups_and_collections_are_set(admin_client: Client, make_model: Make) -> None:
    record, group, shelf = (
        make_model(),
        Group.objects.create(name="g"),
        Collection.objects.create(name="s"),
    )
    assert (
        change(
            admin_client, record, visibility="PUBLIC", groups=[group.pk], collections=[shelf.pk]
        ).status_code
        == 302
    )
    record.refresh_from_db()
    assert record.visibility == Visibility.PUBLIC
    assert list(record.groups.all()) == [group]
    assert list(record.collections.all()) == [shelf]
    assert record.curated == {}


def test_curated_fields_go_through_the_service_and_leave_a_record(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model(license="mit")
    assert (
        change(
            admin_client,
            record,
            set_license="apache-2.0",
            set_tags="chat, small ,",
            set_context_length="4096",
            set_type="ONNX",
        ).status_code
        == 302
    )
    record.refresh_from_db()
    assert {name: entry["value"] for name, entry in record.curated.items()} == {
        "license": "apache-2.0",
        "tags": ["chat", "small"],
        "context_length": 4096,
        "type": "ONNX",
    }
    assert (record.license, record.context_length, record.type) == ("apache-2.0", 4096, "ONNX")
    assert record.extracted["license"]["value"] == "mit"
    assert set(record.changes.values_list("field", "channel", "by")) == {
        (name, "admin", admin_user.pk) for name in record.curated
    }


def test_emptying_a_field_gives_it_back_to_the_files(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model(license="mit")
    metadata.edit(record, {"license": "apache-2.0", "author": "Ada"}, by=admin_user, channel="page")
    change(admin_client, record, set_license="", set_author="Ada")
    record.refresh_from_db()
    assert record.license == "mit"
    assert set(record.curated) == {"author"}


def test_saving_without_a_change_records_nothing(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model()
    metadata.edit(
        record, {"tags": ["a", "b"], "parameter_count": 1_000_000}, by=admin_user, channel="page"
    )
    change(admin_client, record, set_tags="a, b", set_parameter_count="1000000")
    assert MetadataChange.objects.filter(channel="admin").count() == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("set_display_name", "x" * 301, "Must be a text of at most 300 characters."),
        ("set_context_length", "0", "be a whole number above zero"),
        ("set_context_length", "9" * 30, "Must be a whole number above zero."),
        ("set_type", "NONSENSE", "Select a valid choice"),
        ("visibility", "EVERYBODY", "Select a valid choice"),
    ],
)
def test_mistakes_are_told_at_the_field_and_nothing_is_written(
    field: str, value: str, message: str, admin_client: Client, make_model: Make
) -> None:
    record = make_model()
    response = change(admin_client, record, **{"set_author": "Ada", field: value})
    assert response.status_code == 200
    assert message in page_text(response)
    record.refresh_from_db()
    assert record.curated == {}


def test_what_scans_write_cannot_be_set(admin_client: Client, make_model: Make) -> None:
    record = make_model()
    change(
        admin_client,
        record,
        name="renamed",
        status="CORRUPT",
        path="elsewhere",
        model_id="stolen",
        size_bytes="1",
    )
    record.refresh_from_db()
    assert (record.name, record.status, record.path, record.model_id, record.size_bytes) == (
        "tiny-model",
        "READY",
        "tiny-model",
        "tiny-model",
        0,
    )


def test_a_field_says_what_the_files_say(admin_client: Client, make_model: Make) -> None:
    record = make_model(
        license="<mit>",
        problems=[
            {
                "code": "truncated",
                "message": "<b>cut</b>",
                "path": "",
                "severity": "error",
                "offset": None,
            }
        ],
    )
    html = page_text(admin_client.get(f"{LIST}{record.pk}/change/"))
    assert "Detected in config.json: &lt;mit&gt;." in html
    assert "&lt;b&gt;cut&lt;/b&gt;" in html
    assert 'href="/models/tiny-model/"' in html or "/admin/r/" in html


def test_models_are_forgotten_with_their_changes_and_never_added(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model()
    metadata.edit(record, {"license": "mit"}, by=admin_user, channel="page")
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert (
        b"Its files stay where they are." in admin_client.get(f"{LIST}{record.pk}/delete/").content
    )
    admin_client.post(f"{LIST}{record.pk}/delete/", {"post": "yes"})
    assert not RegisteredModel.objects.exists()
    assert not MetadataChange.objects.exists()
    kept = Forgotten.objects.get(model_id=record.model_id).kept
    assert kept["curated"]["license"]["value"] == "mit"


def found(record: RegisteredModel) -> Finding:
    findings.replace(
        record,
        Finding.Source.DEEP,
        [Problem("bit_rot", "its <b>bytes</b> changed", "x/w.bin", offset=3)],
    )
    return Finding.objects.get(model=record)


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("q=bytes", True),
        ("q=tiny-model", True),
        ("q=nothing", False),
        ("severity__exact=error", True),
        ("code__exact=bit_rot", True),
        ("source__exact=scan", False),
        ("resolved_at__isempty=1", True),
        ("resolved_at__isempty=0", False),
        ("accepted_at__isempty=0", False),
    ],
)
def test_findings_are_searched_and_filtered(
    query: str, there: bool, admin_client: Client, make_model: Make
) -> None:
    found(make_model())
    page = page_text(admin_client.get(f"/admin/discovery/finding/?{query}"))
    assert ("its &lt;b&gt;bytes&lt;/b&gt; changed" in page) == there


def test_a_model_with_findings_can_be_forgotten(admin_client: Client, make_model: Make) -> None:
    record = found(make_model()).model
    admin_client.post(f"{LIST}{record.pk}/delete/", {"post": "yes"})
    assert not Finding.objects.exists()


@pytest.mark.parametrize("name", READ_ONLY)
def test_what_only_services_write_is_only_read(
    name: str, admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model()
    run = ScanRun.objects.create(state="done", trigger="page")
    rows = {
        "scanrun": run,
        "logentry": LogEntry.objects.create(
            at=timezone.now(), level="info", topic="discovery", scan=run, message="x"
        ),
        "metadatachange": MetadataChange.objects.create(
            model=record,
            field="f",
            after=["a"],
            by=admin_user,
            at=timezone.now(),
            channel="page",
            batch=uuid4(),
        ),
        "skippedpath": SkippedPath.objects.create(
            root=record.root, place="p", signature="0", reason="r"
        ),
        "finding": found(record),
    }
    base = f"/admin/discovery/{name}/"
    assert admin_client.get(f"{base}{rows[name].pk}/change/").status_code == 200
    assert admin_client.post(f"{base}{rows[name].pk}/change/", {}).status_code == 403
    assert admin_client.get(f"{base}{rows[name].pk}/delete/").status_code == 403
    assert admin_client.get(f"{base}add/").status_code == 403


def test_a_root_is_added_by_an_absolute_path_that_exists_as_on_the_roots_page(
    admin_client: Client, tmp_path: Path, config_dir: Path
) -> None:
    add, sent = "/admin/discovery/root/add/", {"enabled": "on", "deep_every_days": "30"}
    for wrong, message in (
        ("models", "is not an absolute path."),
        (str(tmp_path / "none"), "does not exist"),
    ):
        assert message in page_text(admin_client.post(add, {**sent, "path": wrong}))
    assert admin_client.post(add, {**sent, "path": f"{tmp_path}/"}).status_code == 302
    root = Root.objects.get()
    assert (root.path, root.deep_every_days) == (str(tmp_path), 30)
    assert config_files.discovery().roots[0].path == str(tmp_path)
    assert SettingChange.objects.get().key == "discovery.roots"
    assert "a root already" in page_text(admin_client.post(add, {**sent, "path": str(tmp_path)}))
    admin_client.post(
        f"/admin/discovery/root/{root.pk}/change/", {"path": "/elsewhere", "deep_every_days": "7"}
    )
    root.refresh_from_db()
    assert (root.path, root.enabled, root.deep_every_days) == (str(tmp_path), False, 7)
    address = f"/admin/discovery/root/{root.pk}/delete/"
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not Root.objects.exists()
    assert config_files.discovery().roots == ()


def test_a_root_is_not_added_to_a_broken_file(
    admin_client: Client, tmp_path: Path, config_dir: Path
) -> None:
    config_files.DISCOVERY.path.write_text("{")
    sent = {"enabled": "on", "deep_every_days": "30", "path": str(tmp_path)}
    response = admin_client.post("/admin/discovery/root/add/", sent, follow=True)
    assert "The root was not added" in page_text(response)
    assert not Root.objects.exists()
    assert config_files.DISCOVERY.path.read_text() == "{"


def test_a_root_with_models_is_not_deleted_one_without_is(
    admin_client: Client, make_model: Make
) -> None:
    record = make_model()
    empty = Root.objects.create(path="/empty")
    SkippedPath.objects.create(root=empty, place="p", signature="0", reason="r")
    for root in (record.root, empty):
        admin_client.post(f"/admin/discovery/root/{root.pk}/delete/", {"post": "yes"})
    assert list(Root.objects.all()) == [record.root]


def test_staff_need_the_permission_and_readers_never_get_in(
    client: Client, user: User, make_model: Make
) -> None:
    record = make_model()
    client.force_login(user)
    assert client.get(LIST).status_code == 302
    user.is_staff = True
    user.save()
    assert client.get(LIST).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_registeredmodel"))
    assert client.get(LIST).status_code == 200
    assert change(client, record, set_license="mit").status_code == 403


def test_the_front_page_and_the_way_back(admin_client: Client) -> None:
    html = page_text(admin_client.get("/admin/"))
    assert '<a href="/models/">Karen Admin</a>' in html
    assert "Skipped places" in html


def test_chosen_models_are_exported_as_a_file_that_can_be_imported(
    admin_client: Client, make_model: Make
) -> None:
    one, _ = make_model("one"), make_model("two")
    response = admin_client.post(LIST, {"action": "export_csv", "_selected_action": [one.pk]})
    assert re.fullmatch(
        r'attachment; filename="models-\d{4}-\d\d-\d\d\.csv"', response["Content-Disposition"]
    )
    lines = b"".join(response).decode().splitlines()
    assert (lines[0].split(",")[0], [line.split(",")[0] for line in lines[1:]]) == (
        "model_id",
        ["one"],
    )
    response = admin_client.post(LIST, {"action": "export_json", "_selected_action": [one.pk]})
    assert b'"model_id": "one"' in b"".join(response)
    page = page_text(admin_client.get(LIST))
    for address in ("/import/", "/export/?format=csv", "/export/?format=json"):
        assert f'href="{address}"' in page


def test_a_collection_saved_here_follows_its_filter_and_a_wrong_one_is_refused(
    admin_client: Client, make_model: Make
) -> None:
    make_model("one", license="mit")
    add = "/admin/discovery/collection/add/"
    assert "differ for each person" in page_text(
        admin_client.post(add, {"name": "x", "query": "favourites=1"})
    )
    assert admin_client.post(add, {"name": "x", "query": "license=mit"}).status_code == 302
    assert [model.name for model in Collection.objects.get().models.all()] == ["one"]
