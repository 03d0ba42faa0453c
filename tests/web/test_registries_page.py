"""The pages of external registries: state, settings, matches to review, updates, search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from discovery.models import (
    RegisteredModel,
    RegistrySync,
    RemoteMatch,
    SettingChange,
)
from discovery.services.core import config_files
from discovery.services.registries import syncing
from discovery.services.settings import watch
from tests.support.hub import Answer, Hub, HubFile
from tests.support.page_text import page_text
from tests.support.registries import NEW, Make, cached, loose, repository
from tests.support.registries import hub as hub


@pytest.fixture
def client(admin_user: User) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


def sync() -> None:
    syncing.run_now("huggingface", dry_run=False, report=[])


def test_without_a_file_every_registry_is_off_and_nothing_is_asked(
    client: Client, config_dir: Path
) -> None:
    text = page_text(client.get("/registries/"))
    assert text.count("Off") >= 3
    assert "Set up" in text
    assert "Sync now" not in text


def test_the_page_tells_state_and_updates_in_a_fixed_number_of_queries(
    client: Client, hub: Hub, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        model = hub.add(repository(number))
        cached(make_model, number)
        model.commit(NEW, model__safetensors=HubFile(b"newer", is_lfs=True))
    sync()
    with django_assert_max_num_queries(25):
        text = page_text(client.get("/registries/"))
    assert "12 linked" in text
    assert "12 updates" in text
    assert "1 file changed" in text


def test_why_a_registry_fails_is_told_with_when_it_is_tried_again(
    client: Client, hub: Hub, make_model: Make
) -> None:
    cached(make_model)
    hub.instead["*"] = Answer(429, b"", {"Retry-After": "7200"})
    sync()
    text = page_text(client.get("/registries/"))
    assert "Too many requests" in text
    assert "Tried again in" in text


def test_a_sync_is_asked_for_once(client: Client, hub: Hub, task_queue: Any) -> None:
    client.post("/registries/huggingface/sync/", {"action": "start"})
    client.post("/registries/huggingface/sync/", {"action": "start"})
    assert RegistrySync.objects.count() == 1
    assert "About to sync" in page_text(client.get("/registries/huggingface/"))
    client.post("/registries/huggingface/sync/", {"action": "stop"})
    assert RegistrySync.objects.get().state == "cancelled"


def form(**changed: str) -> dict[str, str]:
    return {"enabled": "1", "endpoint": "", "sync_interval_hours": "24", **changed}


def saved(client: Client, page: str, **changed: str) -> Any:
    shown = client.get(page)
    return client.post(page, form(seen=shown.context["seen"], action="save", **changed))


def test_settings_are_written_to_the_file_and_can_be_undone(
    client: Client, config_dir: Path
) -> None:
    path = config_dir / "external_registries.json"
    path.write_text('{"external_registries": {"huggingface": {"api_key": "hf_secret"}}}')
    answer = saved(client, "/registries/huggingface/", include="acme/*\nother/*")
    assert answer.status_code == 302
    entry = json.loads(path.read_text())["external_registries"]["huggingface"]
    assert entry == {"api_key": "hf_secret", "enabled": True, "include": ["acme/*", "other/*"]}
    change = SettingChange.objects.get()
    assert (change.key, change.before) == ("external_registries.huggingface", {"value": {}})
    assert "hf_secret" not in page_text(client.get("/settings/history/"))
    watch.follow()
    client.post(f"/settings/history/{change.pk}/undo/")
    entry = json.loads(path.read_text())["external_registries"]["huggingface"]
    assert entry == {"api_key": "hf_secret"}


def test_a_key_is_set_kept_and_removed_and_never_shown(client: Client, config_dir: Path) -> None:
    page = "/registries/huggingface/"
    saved(client, page, api_key="hf_brand_new")
    path = config_files.REGISTRIES.path
    assert "hf_brand_new" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    answer = client.get(page)
    assert "hf_brand_new" not in answer.content.decode()
    saved(client, page, sync_interval_hours="12")
    assert "hf_brand_new" in path.read_text()
    saved(client, page, remove_key="1")
    assert "hf_brand_new" not in path.read_text()
    assert "hf_brand_new" not in str(list(SettingChange.objects.values()))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("endpoint", "zoo", "must be an http"),
        ("sync_interval_hours", "often", "Enter a whole number"),
        ("sync_interval_hours", "9000", "less than or equal"),
        ("api_key", "two words", "one word"),
    ],
)
def test_a_wrong_setting_is_told_and_nothing_is_written(
    client: Client, config_dir: Path, field: str, value: str, told: str
) -> None:
    answer = saved(client, "/registries/huggingface/", **{field: value})
    assert answer.status_code == 422
    assert told in page_text(answer)
    assert not config_files.REGISTRIES.path.exists()


def test_a_change_in_another_session_is_not_overwritten_unseen(
    client: Client, config_dir: Path
) -> None:
    page = "/registries/huggingface/"
    seen = client.get(page).context["seen"]
    saved(client, page, sync_interval_hours="6")
    answer = client.post(page, form(seen=seen, action="save", sync_interval_hours="48"))
    assert answer.status_code == 409
    assert config_files.registries()["huggingface"].sync_interval_hours == 6


def test_patterns_are_tried_on_what_is_known(client: Client, hub: Hub, make_model: Make) -> None:
    hub.add(repository())
    cached(make_model)
    sync()
    answer = client.post("/registries/huggingface/", form(action="try", exclude="acme/*"))
    assert "0 stay in and 1 are left out" in page_text(answer)


def test_a_person_confirms_and_rejects(
    client: Client, hub: Hub, make_model: Make, admin_user: User
) -> None:
    for number in range(2):
        hub.add(repository(number))
        loose(make_model, f"model-{number}")
    sync()
    text = page_text(client.get("/registries/matches/"))
    assert "85 %" in text
    assert "same names and sizes" in text
    first, second = RemoteMatch.objects.order_by("pk")
    client.post(f"/registries/matches/{first.pk}/decide/", {"action": "confirm"})
    client.post(f"/registries/matches/{second.pk}/decide/", {"action": "reject"})
    first.refresh_from_db()
    assert (first.state, first.decided_by, first.confidence) == ("accepted", admin_user, 100)
    assert first.model.value("license") == "apache-2.0"
    sync()
    second.refresh_from_db()
    assert second.state == "rejected"
    assert "Nothing to review" in page_text(client.get("/registries/matches/"))
    assert "admin confirmed it" in page_text(client.get(f"/registries/matches/{first.pk}/"))


def test_unlinking_takes_back_what_the_registry_said(
    client: Client, hub: Hub, make_model: Make
) -> None:
    hub.add(repository())
    record = cached(make_model)
    sync()
    match = RemoteMatch.objects.get()
    client.post(f"/registries/matches/{match.pk}/decide/", {"action": "reject", "stay": "1"})
    record.refresh_from_db()
    assert (record.license, record.remote_values) == (None, {})
    sync()
    assert RemoteMatch.objects.get().state == "rejected"


def test_a_model_is_linked_by_hand_from_its_page(
    client: Client, hub: Hub, make_model: Make
) -> None:
    hub.add(repository())
    record = loose(make_model, "called-otherwise")
    page = f"/models/{record.model_id}/registry/"
    assert page in client.get(f"/models/{record.model_id}/").content.decode()
    told = {"registry": "huggingface", "remote_id": "acme/nothing"}
    assert "It has no model acme/nothing" in page_text(client.post(page, told))
    answer = client.post(page, {**told, "remote_id": "acme/model-0"})
    assert answer.status_code == 302
    assert "acme/model-0" in page_text(client.get(f"/models/{record.model_id}/"))
    record.refresh_from_db()
    assert record.license == "apache-2.0"


def test_a_registry_is_searched_when_somebody_asks(
    client: Client, hub: Hub, make_model: Make
) -> None:
    hub.add(repository())
    cached(make_model)
    sync()
    hub.asked.clear()
    client.get("/registries/huggingface/search/")
    assert hub.asked == []
    text = page_text(client.get("/registries/huggingface/search/?search=model"))
    assert "acme/model-0" in text
    assert len(hub.asked) == 1
    hub.instead["*"] = Answer(200, b"<!doctype html>")
    text = page_text(client.get("/registries/huggingface/search/?search=model"))
    assert "not the Hub’s API" in text


def test_nobody_reviews_models_that_they_may_not_see(
    hub: Hub, make_model: Make, user: User
) -> None:
    hub.add(repository())
    loose(make_model)
    sync()
    RegisteredModel.objects.update(visibility="ADMIN_ONLY")
    user.user_permissions.add(Permission.objects.get(codename="change_registeredmodel"))
    client = Client()
    client.force_login(user)
    assert "Nothing to review" in page_text(client.get("/registries/matches/"))
    pk = RemoteMatch.objects.get().pk
    assert client.get(f"/registries/matches/{pk}/").status_code == 404
    assert (
        client.post(f"/registries/matches/{pk}/decide/", {"action": "confirm"}).status_code == 404
    )
