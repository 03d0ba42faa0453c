"""Django's administration for people who live there: filters, the search language, back to
automatic, our history, roots that are disabled, tags, views, tokens and webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry as DjangoLog
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from discovery.models import (
    ApiToken,
    MetadataChange,
    RegisteredModel,
    Root,
    SavedView,
    Tag,
    Webhook,
)
from discovery.services.bulk import tag_edits
from discovery.services.integrations import api_tokens
from discovery.services.metadata import metadata
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
ADMIN = "/admin/discovery/"
LIST = f"{ADMIN}registeredmodel/"


@pytest.fixture
def two(make_model: Make, admin_user: User) -> tuple[RegisteredModel, RegisteredModel]:
    """One that has all that filters ask for, and one that has none of it."""
    first = make_model(
        "first",
        license="mit",
        primary="LANGUAGE",
        secondary="CHAT",
        specialization="MEDICAL",
        quarantined_at=timezone.now(),
        missing_since=timezone.now(),
    )
    second = make_model("second", type="ONNX")
    edits = {"tags": ["old"], "capabilities": ["CODE"]}
    metadata.edit(first, edits, by=admin_user, channel="page")
    return first, second


@pytest.mark.parametrize(
    "query",
    [
        "tag=old",
        "secondary=CHAT",
        "specialization=MEDICAL",
        "license=mit",
        "capability=CODE",
        "edited=1",
        "quarantined=1",
        "missing=1",
        "q=license:mit",
        "q=-second",
        "q=first",
        "q=use:chat+tag:o*",
        "type=TRANSFORMERS",
    ],
)
def test_the_list_is_filtered_and_searched_as_the_models_page(
    query: str, admin_client: Client, two: tuple[RegisteredModel, RegisteredModel]
) -> None:
    response = admin_client.get(f"{LIST}?{query}")
    assert [row.name for row in response.context["cl"].result_list] == ["first"]


def test_the_other_answers_and_values_that_nothing_has(
    admin_client: Client, two: tuple[RegisteredModel, RegisteredModel]
) -> None:
    for query in ("edited=0", "quarantined=0", "missing=0", "license=none", "tag=none"):
        found = admin_client.get(f"{LIST}?{query}").context["cl"].result_list
        assert [row.name for row in found] == ["second"], query
    for query in ("license=unheard-of", "tag=unheard-of", "q=license:unheard-of"):
        assert not admin_client.get(f"{LIST}?{query}").context["cl"].result_list


def test_filters_offer_what_is_there_in_words_with_counts(
    admin_client: Client, two: tuple[RegisteredModel, RegisteredModel]
) -> None:
    html = page_text(admin_client.get(f"{LIST}?tag=old"))
    for text in ("By use", "Chat (1)", "Medical (1)", "By license", "mit (1)", "Edited by people"):
        assert text in html
    assert "ONNX Runtime (" not in html
    assert "Chat (1)" not in page_text(admin_client.get(f"{LIST}?edited=1"))


def test_a_search_that_is_not_understood_finds_nothing_and_says_so(
    admin_client: Client, two: tuple[RegisteredModel, RegisteredModel]
) -> None:
    response = admin_client.get(f"{LIST}?q=lizense:mit")
    assert not response.context["cl"].result_list
    assert "The search was not understood: lizense:mit" in page_text(response)


def test_a_field_tells_its_source_and_goes_back_to_automatic_by_one_click(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    model = make_model("a", license="mit", description="Small.")
    metadata.edit(model, {"license": "gpl-3.0"}, by=admin_user, channel="page")
    metadata.edit(model, {"capabilities": ["CODE"]}, by=admin_user, channel="page")
    address = f"{LIST}{model.pk}/change/"
    html = page_text(admin_client.get(address))
    today = timezone.now()
    assert f"Detected in config.json: mit. Edited on {today.day} {today:%b %Y}." in html
    assert "Detected in config.json: Small." in html
    assert html.count("Back to automatic") == 2
    sent = {
        "visibility": "RESTRICTED",
        "set_license": "gpl-3.0",
        "set_capabilities": ["CODE"],
        "automatic-set_license": "on",
        "automatic-set_capabilities": "on",
    }
    assert admin_client.post(address, sent).status_code == 302
    model.refresh_from_db()
    assert (model.curated, model.license) == ({}, "mit")
    assert "Back to automatic" not in page_text(admin_client.get(address))


def test_visibility_goes_back_to_automatic_too(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    model = make_model("a")
    metadata.edit(model, {"visibility": "PUBLIC"}, by=admin_user, channel="page")
    address = f"{LIST}{model.pk}/change/"
    assert "Decided by: Set on the model." in page_text(admin_client.get(address))
    sent = {"visibility": "PUBLIC", "automatic-visibility": "on"}
    assert admin_client.post(address, sent).status_code == 302
    model.refresh_from_db()
    assert (model.visibility, model.visibility_source) == ("RESTRICTED", "default")


def test_what_somebody_else_set_meanwhile_is_not_taken_back_unseen(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    model = make_model("a", license="mit")
    metadata.edit(model, {"license": "gpl-3.0"}, by=admin_user, channel="page")
    address = f"{LIST}{model.pk}/change/"
    html = page_text(admin_client.get(address))
    sent = dict(re.findall(r'name="(initial-set_license)" value="([^"]*)"', html))
    assert sent == {"initial-set_license": "gpl-3.0"}
    metadata.edit(model, {"license": "apache-2.0"}, by=admin_user, channel="page")
    sent |= {"visibility": "RESTRICTED", "set_license": "gpl-3.0", "automatic-set_license": "on"}
    response = admin_client.post(address, sent)
    assert response.status_code == 409
    assert "Somebody else has set this to “apache-2.0”" in page_text(response)
    model.refresh_from_db()
    assert model.license == "apache-2.0"


def test_our_history_stands_in_for_djangos_log(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    model = make_model("a")
    sent = {"visibility": "RESTRICTED", "set_author": "Ada"}
    admin_client.post(f"{LIST}{model.pk}/change/", sent)
    assert MetadataChange.objects.get().field == "author"
    assert not DjangoLog.objects.exists()
    there = admin_client.get(f"{LIST}{model.pk}/history/")
    assert (there.status_code, there["Location"]) == (302, "/models/a/history/")
    front = page_text(admin_client.get("/admin/"))
    assert "Your latest changes" in front
    assert 'href="/models/a/history/"' in front
    assert "Author · " in front


def test_the_front_page_names_no_model_that_is_not_shared_any_more(
    client: Client, user: User, make_model: Make
) -> None:
    user.is_staff = True
    user.save()
    model = make_model("hidden-model", visibility="PUBLIC")
    metadata.edit(model, {"author": "Ada"}, by=user, channel="page")
    RegisteredModel.objects.update(visibility="ADMIN_ONLY")
    client.force_login(user)
    assert "hidden-model" not in page_text(client.get("/admin/"))


def test_nothing_is_logged_where_nothing_changed(admin_client: Client, make_model: Make) -> None:
    tag = Tag.objects.create(name="old", colour="red")
    sent = {"name": "old", "colour": "red"}
    for address, data in (
        (f"{ADMIN}tag/{tag.pk}/change/", sent),
        (f"{LIST}{make_model().pk}/change/", {"visibility": "RESTRICTED"}),
    ):
        response = admin_client.post(address, data, follow=True)
        assert "Nothing was changed." in page_text(response)
    assert not DjangoLog.objects.exists()
    assert not MetadataChange.objects.exists()


def test_a_root_with_models_is_disabled_and_not_deleted(
    admin_client: Client, make_model: Make, config_dir: Path
) -> None:
    for number in range(20):
        make_model(f"m{number}")
    root = Root.objects.get()
    address = f"{ADMIN}root/{root.pk}/delete/"
    html = page_text(admin_client.get(address))
    assert "/srv/models: 20 models are registered in it." in html
    assert "m19" not in html
    assert admin_client.post(address, {"disable": "Disable root"}).status_code == 302
    root.refresh_from_db()
    assert (root.enabled, RegisteredModel.objects.count()) == (False, 20)
    assert '"enabled": false' in (config_dir / "model_discovery.json").read_text()
    chosen = {"_selected_action": [root.pk]}
    admin_client.post(f"{ADMIN}root/", {"action": "enable", **chosen})
    root.refresh_from_db()
    assert root.enabled
    html = page_text(admin_client.post(f"{ADMIN}root/", {"action": "delete_selected", **chosen}))
    assert "Roots that have models cannot be deleted." in html
    sent = {"action": "delete_selected", "post": "yes", **chosen}
    admin_client.post(f"{ADMIN}root/", sent)
    assert Root.objects.filter(pk=root.pk).exists()


def test_hosted_models_have_no_root_in_the_list(admin_client: Client) -> None:
    remote = Root.objects.create(path=Root.REMOTE)
    assert not admin_client.get(f"{ADMIN}root/").context["cl"].result_count
    assert admin_client.get(f"{ADMIN}root/{remote.pk}/change/").status_code == 302


def test_a_tag_is_made_renamed_on_its_models_and_removed_from_them(
    admin_client: Client, two: tuple[RegisteredModel, RegisteredModel], task_queue: Any
) -> None:
    first, _ = two
    tag = Tag.objects.get(name="old")
    html = page_text(admin_client.get(f"{ADMIN}tag/"))
    assert "?tag=old" in html
    assert admin_client.post(f"{ADMIN}tag/{tag.pk}/change/", {"name": "new"}).status_code == 302
    first.refresh_from_db()
    assert first.value("tags") == ["new"]
    sent = {"name": "fresh", "colour": "blue"}
    assert admin_client.post(f"{ADMIN}tag/add/", sent).status_code == 302
    assert Tag.objects.filter(**sent).exists()
    wrong = admin_client.post(f"{ADMIN}tag/add/", {"name": "fresh", "colour": ""})
    assert "Merge the two on the Tags page" in page_text(wrong)
    assert "Choose a color" in page_text(wrong)
    new = Tag.objects.get(name="new")
    assert admin_client.post(f"{ADMIN}tag/{new.pk}/delete/", {"post": "yes"}).status_code == 302
    first.refresh_from_db()
    assert not first.value("tags")


def test_tokens_are_revoked_and_never_shown(
    admin_client: Client, user: User, admin_user: User
) -> None:
    row, token = api_tokens.create(user, "nightly")
    html = page_text(admin_client.get(f"{ADMIN}apitoken/"))
    assert f"{row.prefix}…" in html
    assert "Valid" in html
    page = page_text(admin_client.get(f"{ADMIN}apitoken/{row.pk}/change/"))
    assert row.digest not in page
    assert token not in html + page
    sent = {"action": "revoke", "_selected_action": [row.pk]}
    assert "1 token was revoked." in page_text(
        admin_client.post(f"{ADMIN}apitoken/", sent, follow=True)
    )
    assert api_tokens.find(token) is None


def test_staff_see_their_own_tokens_and_views_only(
    client: Client, user: User, admin_user: User
) -> None:
    user.is_staff = True
    user.save()
    named = Permission.objects.filter(codename__in=("view_apitoken", "view_savedview"))
    user.user_permissions.set(named)
    api_tokens.create(user, "mine")
    api_tokens.create(admin_user, "theirs")
    for owner, name, shared in ((user, "own", False), (admin_user, "private", False)):
        SavedView.objects.create(owner=owner, name=name, shared=shared)
    SavedView.objects.create(owner=admin_user, name="common", shared=True)
    client.force_login(user)
    tokens = client.get(f"{ADMIN}apitoken/").context["cl"].result_list
    assert [row.name for row in tokens] == ["mine"]
    theirs = ApiToken.objects.get(name="theirs")
    sent = {"action": "revoke", "_selected_action": [theirs.pk]}
    client.post(f"{ADMIN}apitoken/", sent)
    theirs.refresh_from_db()
    assert theirs.revoked_at is None
    views = client.get(f"{ADMIN}savedview/").context["cl"].result_list
    assert {row.name for row in views} == {"own", "common"}


def test_a_saved_view_is_renamed_and_shared(admin_client: Client, admin_user: User) -> None:
    view = SavedView.objects.create(owner=admin_user, name="a", query="q=x")
    SavedView.objects.create(owner=admin_user, name="b")
    address = f"{ADMIN}savedview/{view.pk}/change/"
    assert "has a view called b already" in page_text(admin_client.post(address, {"name": "b"}))
    assert admin_client.post(address, {"name": " c ", "shared": "on"}).status_code == 302
    view.refresh_from_db()
    assert (view.name, view.shared, view.query) == ("c", True, "q=x")


def test_webhooks_are_switched_and_deleted_and_their_secret_is_not_shown(
    admin_client: Client, admin_user: User
) -> None:
    hook = Webhook.objects.create(
        url="https://hooks.example.org/x", events=["scan.finished"], secret="whsec_abc"
    )
    address = f"{ADMIN}webhook/{hook.pk}/change/"
    html = page_text(admin_client.get(address)) + page_text(admin_client.get(f"{ADMIN}webhook/"))
    assert "whsec_abc" not in html
    assert "scan.finished" not in html
    sent = {"action": "disable", "_selected_action": [hook.pk]}
    admin_client.post(f"{ADMIN}webhook/", sent)
    hook.refresh_from_db()
    assert not hook.enabled
    admin_client.post(address, {"enabled": "on"})
    hook.refresh_from_db()
    assert hook.enabled
    admin_client.post(f"{ADMIN}webhook/{hook.pk}/delete/", {"post": "yes"})
    assert not Webhook.objects.exists()


def test_the_list_costs_the_same_for_few_and_many_values(
    admin_client: Client, admin_user: User, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        model = make_model(f"m{number}", license=f"license-{number}")
        metadata.edit(model, {"tags": [f"tag-{number}"]}, by=admin_user, channel="page")
    tag_edits.create("unused", "blue", by=admin_user)
    with django_assert_max_num_queries(14):
        html = page_text(admin_client.get(f"{LIST}?q=m&status=READY"))
    assert html.count("license-1") > 1
