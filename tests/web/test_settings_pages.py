"""The Settings pages: what is in force and why, changed beside the field, undone afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import RegisteredModel, Right, Root, ScanRun, SettingChange
from discovery.services.core import config_files
from discovery.services.core.form_stamps import stamp
from discovery.services.settings import roots, stores
from tests.people import permit
from tests.support import builders
from tests.support.page_text import page_text

HTMX = {"HX-Request": "true"}
PAGES = [
    "/settings/",
    "/settings/scanning/",
    "/settings/limits/",
    "/settings/machines/",
    "/settings/history/",
    "/settings/found/",
    "/welcome/",
]


@pytest.fixture
def file(config_dir: Path) -> Path:
    path = config_dir / "model_discovery.json"
    path.write_text('{"discovery": {"scan_interval_minutes": 45}}')
    return path


def form(client: Client, address: str, **changed: Any) -> dict[str, Any]:
    """What the browser would send from the page as it is, with these values changed."""
    fields = client.get(address).context["fields"]
    sent = {
        field.name: field.chosen if field.setting.kind == "choices" else field.text
        for field in fields
        if not field.is_locked and field.text != ""
    }
    seen = {f"seen-{field.name}": field.now.stamp for field in fields}
    return {**sent, **seen, "action": "save", **changed}


@pytest.mark.parametrize("address", PAGES)
def test_each_page_and_its_part(address: str, admin_client: Client, file: Path) -> None:
    whole, part = admin_client.get(address), admin_client.get(address, headers=HTMX)
    assert (whole.status_code, part.status_code) == (200, 200)
    assert "<h1>" in page_text(whole)
    assert "<h1>" not in page_text(part)


@pytest.mark.parametrize("address", PAGES)
def test_readers_have_no_settings(address: str, reader_client: Client) -> None:
    assert reader_client.get(address).status_code == 403


def test_whoever_may_change_settings_need_not_be_allowed_to_change_roots(
    client: Client, file: Path, db: None
) -> None:
    client.force_login(permit(User.objects.create_user("set"), Right.SETTINGS))
    assert client.get("/settings/scanning/").status_code == 200
    assert client.get("/settings/").status_code == 403
    assert 'href="/settings/"' not in page_text(client.get("/settings/scanning/"))


def test_the_interval_is_changed_where_it_is_shown(admin_client: Client, file: Path) -> None:
    assert "Set in the file" in page_text(admin_client.get("/settings/scanning/"))
    sent = form(admin_client, "/settings/scanning/", scan_interval_minutes="5")
    assert admin_client.post("/settings/scanning/", sent).headers["Location"] == (
        "/settings/scanning/"
    )
    assert file.read_text() == '{"discovery": {"scan_interval_minutes": 5}}'
    assert "Set here by admin" in page_text(admin_client.get("/settings/scanning/"))


def test_saving_what_was_shown_changes_nothing(admin_client: Client, file: Path) -> None:
    before = file.read_text()
    for address in ("/settings/scanning/", "/settings/limits/"):
        assert admin_client.post(address, form(admin_client, address)).status_code == 302
    assert file.read_text() == before
    assert not SettingChange.objects.exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("scan_interval_minutes", "often", "Enter a whole number."),
        ("scan_interval_minutes", "", "Enter a whole number."),
        ("scan_interval_minutes", "٣", "Enter a whole number."),
        ("scan_interval_minutes", "-1", "greater than or equal to 0"),
        ("max_scan_depth", "99", "less than or equal to 64"),
        ("exclude_patterns", "x" * 501, "at most 500 characters"),
    ],
)
def test_a_bad_value_is_told_beside_its_field_and_kept(
    name: str, value: str, said: str, admin_client: Client, file: Path
) -> None:
    before = file.read_text()
    sent = form(admin_client, "/settings/scanning/", **{name: value})
    response = admin_client.post("/settings/scanning/", sent)
    html = page_text(response)
    assert response.status_code == 422
    assert said in html[html.index(f'id="in-{name}"') :]
    assert 'aria-invalid="true"' in html
    assert file.read_text() == before


def test_two_people_with_the_same_form_see_both_values(admin_client: Client, file: Path) -> None:
    mine = form(admin_client, "/settings/scanning/", scan_interval_minutes="6")
    theirs = form(admin_client, "/settings/scanning/", scan_interval_minutes="5")
    admin_client.post("/settings/scanning/", theirs)
    response = admin_client.post("/settings/scanning/", mine)
    html = page_text(response)
    assert response.status_code == 409
    assert 'value="6"' in html
    assert "changed in another session to" in html
    assert "<bdi>5</bdi>" in html
    again = {**mine, "seen-scan_interval_minutes": stamp(5)}
    assert admin_client.post("/settings/scanning/", again).status_code == 302
    assert config_files.discovery().scan_interval_minutes == 6


def test_a_value_of_the_environment_is_shown_and_not_changed(
    admin_client: Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAREN_API_RATE_TOKEN", "5/s")
    html = page_text(admin_client.get("/settings/limits/"))
    assert "KAREN_API_RATE_TOKEN" in html
    sent = form(admin_client, "/settings/limits/", api_per_caller="1/s")
    admin_client.post("/settings/limits/", sent)
    assert "api_per_caller" not in file.read_text()


def test_a_broken_file_is_told_in_place_of_saving(admin_client: Client, file: Path) -> None:
    sent = form(admin_client, "/settings/scanning/", scan_interval_minutes="5")
    file.write_text('{"discovery": {"scan_intervall": 3}}')
    response = admin_client.post("/settings/scanning/", sent)
    assert response.status_code == 422
    assert "scan_intervall" in page_text(response)
    assert "Fix the file first" in page_text(response)


def test_exclusions_are_previewed(admin_client: Client, file: Path, models_root: Path) -> None:
    builders.transformers(models_root / "draft")
    Root.objects.create(path=str(models_root))
    sent = form(admin_client, "/settings/scanning/", exclude_patterns="draft", action="try")
    html = page_text(admin_client.post("/settings/scanning/", sent))
    assert "Scans would no longer find 1 model" in html
    assert f"{models_root}/draft" in html
    assert "exclude_patterns" not in file.read_text()
    same = admin_client.post(
        "/settings/scanning/", form(admin_client, "/settings/scanning/", action="try")
    )
    assert "the same models as before" in page_text(same)


def test_machines_are_added_changed_and_removed(admin_client: Client, file: Path) -> None:
    seen = admin_client.get("/settings/machines/").context["seen"]
    sent = {"seen": seen, "name": ["box", ""], "ram": ["64", ""], "gpus": ["24, 24", ""]}
    assert admin_client.post("/settings/machines/", sent).status_code == 302
    assert json.loads(file.read_text())["machines"] == {"box": {"ram_gb": 64, "gpus_gb": [24, 24]}}
    stale = admin_client.post("/settings/machines/", {**sent, "name": ["other", ""]})
    assert stale.status_code == 409
    assert "box" in page_text(stale)
    seen = admin_client.get("/settings/machines/").context["seen"]
    nothing = {"seen": seen, "name": [""], "ram": [""], "gpus": [""]}
    admin_client.post("/settings/machines/", nothing)
    assert json.loads(file.read_text())["machines"] == {}


@pytest.mark.parametrize(
    ("name", "ram", "gpus", "said"),
    [
        ("", "64", "", "Enter a name"),
        ("box", "much", "", "Enter sizes in GB"),
        ("box", "0", "", "Enter sizes in GB"),
        ("box", "64", "24, x", "Enter sizes in GB"),
        ("box", "nan", "", "Enter sizes in GB"),
        ("x" * 101, "64", "", "at most 100 characters"),
    ],
)
def test_a_bad_profile_is_told(
    name: str, ram: str, gpus: str, said: str, admin_client: Client, file: Path
) -> None:
    sent = {"name": [name], "ram": [ram], "gpus": [gpus]}
    response = admin_client.post("/settings/machines/", sent)
    assert response.status_code == 422
    assert said in page_text(response)
    assert "machines" not in file.read_text()


def test_a_change_is_undone_from_the_history(admin_client: Client, file: Path) -> None:
    sent = form(admin_client, "/settings/scanning/", scan_interval_minutes="5")
    admin_client.post("/settings/scanning/", sent)
    change = SettingChange.objects.get()
    assert "discovery.scan_interval_minutes" in page_text(admin_client.get("/settings/history/"))
    admin_client.post(f"/settings/history/{change.pk}/undo/")
    assert config_files.discovery().scan_interval_minutes == 45
    html = page_text(admin_client.post(f"/settings/history/{change.pk}/undo/", follow=True))
    assert "nothing was undone" in html


def test_changes_of_roots_are_for_those_who_may_change_roots(
    client: Client, file: Path, tmp_path: Path, admin_user: User
) -> None:
    (tmp_path / "more").mkdir()
    roots.add(f"{tmp_path}/more", by=admin_user)
    client.force_login(permit(User.objects.create_user("set"), Right.SETTINGS))
    assert str(tmp_path) not in page_text(client.get("/settings/history/"))
    change = SettingChange.objects.get()
    assert client.post(f"/settings/history/{change.pk}/undo/").status_code == 403
    client.force_login(admin_user)
    assert client.post(f"/settings/history/{change.pk}/undo/").status_code == 302
    assert not Root.objects.get(path=f"{tmp_path}/more").enabled


def test_the_history_asks_as_much_for_many_changes_as_for_one(
    admin_client: Client, file: Path, admin_user: User, django_assert_max_num_queries: Any
) -> None:
    for value in range(30):
        SettingChange.objects.create(
            file="model_discovery.json", key="a.b", after={"value": value}, by=admin_user
        )
    with django_assert_max_num_queries(16):
        admin_client.get("/settings/history/")


def test_a_folder_is_added_and_scanned(
    admin_client: Client, file: Path, tmp_path: Path, task_queue: Any
) -> None:
    (tmp_path / "more").mkdir()
    html = page_text(
        admin_client.post("/settings/", {"path": f"{tmp_path}/more", "name": "More"}, follow=True)
    )
    assert f"{tmp_path}/more was added." in html
    assert ScanRun.objects.get().path == f"{tmp_path}/more"
    response = admin_client.post("/settings/", {"path": f"{tmp_path}/more"})
    assert response.status_code == 422
    assert "is a root already" in page_text(response)


def test_a_root_around_another_says_what_that_means(
    admin_client: Client, file: Path, tmp_path: Path, task_queue: Any
) -> None:
    (tmp_path / "more/inner").mkdir(parents=True)
    admin_client.post("/settings/", {"path": f"{tmp_path}/more/inner"})
    html = page_text(admin_client.post("/settings/", {"path": f"{tmp_path}/more"}, follow=True))
    assert f"{tmp_path}/more/inner is inside it and keeps its own models." in html


def test_a_root_is_changed_and_a_stale_form_refused(
    admin_client: Client, file: Path, tmp_path: Path
) -> None:
    root = Root.objects.create(path=str(tmp_path))
    seen = admin_client.get("/settings/").context["rows"][0].stamp
    address = f"/settings/roots/{root.pk}/"
    assert admin_client.post(address, {"seen": seen, "read_only": "1"}).status_code == 302
    root.refresh_from_db()
    assert (root.read_only, root.enabled) == (True, False)
    stale = admin_client.post(address, {"seen": seen, "enabled": "1"})
    assert stale.status_code == 409
    assert "Read-only: on" in page_text(stale)
    bad = admin_client.post(address, {"enabled": "1", "max_depth": "many"})
    assert bad.status_code == 422
    assert "Maximum depth: enter a number from 1 to 64" in page_text(bad)


def test_a_root_is_removed_with_its_models(
    admin_client: Client, file: Path, make_model: Any
) -> None:
    root = make_model().root
    admin_client.post(f"/settings/roots/{root.pk}/remove/", {"models": "forget"})
    assert not RegisteredModel.objects.exists()
    assert not Root.objects.filter(pk=root.pk).exists()


def test_the_list_of_roots_asks_as_much_for_many_as_for_one(
    admin_client: Client, file: Path, tmp_path: Path, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        (tmp_path / f"r{number}").mkdir()
        Root.objects.create(path=f"{tmp_path}/r{number}")
    with django_assert_max_num_queries(18):
        admin_client.get("/settings/")


def test_an_empty_registry_leads_through_the_first_steps(
    admin_client: Client,
    file: Path,
    tmp_path: Path,
    task_queue: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = stores.Store("Ollama", "/srv/ollama", 3, 10**9, is_whole=True)
    monkeypatch.setattr(stores, "found", lambda: [found])
    assert 'href="/welcome/"' in page_text(admin_client.get("/"))
    part = page_text(admin_client.get("/settings/found/?next=welcome", headers=HTMX))
    assert "Ollama" in part
    assert 'action="/welcome/"' in part
    (tmp_path / "more").mkdir()
    sent = {"path": f"{tmp_path}/more", "next": "welcome"}
    assert admin_client.post("/welcome/", sent).headers["Location"] == "/welcome/"
    html = page_text(admin_client.get("/welcome/", headers=HTMX))
    assert f'of <code class="break">{tmp_path}/more</code>' in html
    bad = admin_client.post("/welcome/", {"path": "/", "next": "welcome"})
    assert bad.status_code == 422
    assert "is the whole machine" in page_text(bad)
