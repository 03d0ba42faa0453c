"""The narrow copy of the registry that lists are read from: kept by the database, whoever
writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F

from discovery.models import Listing, RegisteredModel, listing
from discovery.services.metadata import metadata

Make = Callable[..., RegisteredModel]


def copy_of(record: RegisteredModel) -> dict[str, Any]:
    return Listing.objects.filter(pk=record.pk).values(*listing.COPIED).get()


def original(record: RegisteredModel) -> dict[str, Any]:
    return RegisteredModel.objects.filter(pk=record.pk).values(*listing.COPIED).get()


def test_every_way_to_write_is_followed(make_model: Make) -> None:
    record = make_model(
        "Bert", license="mit", extracted={"modalities": ["TEXT", "IMAGE"], "tags": ["Old"]}
    )
    assert copy_of(record) == original(record)
    RegisteredModel.objects.filter(pk=record.pk).update(
        status="MISSING", size_bytes=F("size_bytes") + 7
    )
    assert copy_of(record) == original(record)
    assert copy_of(record)["size_bytes"] == 7
    record.refresh_from_db()
    record.visibility = "PUBLIC"
    record.save(update_fields=["visibility"])
    assert copy_of(record)["visibility"] == "PUBLIC"
    record.license, record.author = None, "anna"
    RegisteredModel.objects.bulk_create(
        [record],
        update_conflicts=True,
        unique_fields=["model_id"],
        update_fields=["license", "author"],
    )
    assert copy_of(record) == original(record)
    record.delete()
    assert not Listing.objects.exists()


def test_many_are_followed_at_once(make_model: Make) -> None:
    record = make_model("one")
    twins = []
    for name in ("two", "three"):
        twin = RegisteredModel.objects.get(pk=record.pk)
        twin.pk, twin.model_id, twin.path = None, name, name
        twins.append(twin)
    RegisteredModel.objects.bulk_create(twins)
    assert Listing.objects.count() == 3
    RegisteredModel.objects.exclude(model_id="one").delete()
    assert list(Listing.objects.values_list("pk", flat=True)) == [record.pk]


def test_what_is_searched_is_folded_and_holds_the_words_of_people_and_files(
    make_model: Make, user: User
) -> None:
    record = make_model(
        "STRASSE",
        display_name="Große Straße",
        license="MIT",
        extracted={"tags": ["Team A"], "capabilities": ["CODE", "CHAT"]},
    )
    copied = copy_of(record)
    assert copied["sort_name"] == "grosse strasse"
    for text in ("grosse strasse", "team a", "mit", "strasse"):
        assert text in copied["search_text"].split("\n")
    assert copied["capability_words"] == ",CHAT,CODE,"
    metadata.edit(
        record, {"tags": ["prod"], "description": "For the İstanbul team"}, by=user, channel="page"
    )
    copied = copy_of(record)
    assert "prod" in copied["search_text"].split("\n")
    assert "team a" not in copied["search_text"]
    assert "stanbul team" in copied["search_text"]


def test_a_profile_is_the_columns_with_few_values(make_model: Make) -> None:
    record = make_model("tiny", primary="LANGUAGE")
    profile = Listing.objects.get(pk=record.pk).profile.split(listing.SEPARATOR)
    assert dict(zip(listing.PROFILE, profile, strict=True)) == {
        "primary": "LANGUAGE", "secondary": "", "specialization": "", "type": "TRANSFORMERS",
        "format": "safetensors", "status": "READY",
        "visibility": "RESTRICTED", "root_id": str(record.root_id), "modality_words": "",
        "capability_words": "",
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_the_triggers_step_aside_for_migrations_and_come_back_with_a_fresh_copy(
    make_model: Make,
) -> None:
    config = apps.get_app_config("discovery")
    first = make_model("first")
    listing.uninstall(connection.alias, plan=[(config, False)])
    make_model("unseen")
    RegisteredModel.objects.filter(pk=first.pk).update(status="CORRUPT")
    assert Listing.objects.count() == 1
    listing.install(connection.alias)
    assert Listing.objects.count() == 2
    assert copy_of(first)["status"] == "CORRUPT"
    make_model("third")
    assert Listing.objects.count() == 3


@pytest.mark.django_db
def test_a_migrate_without_anything_to_do_leaves_the_triggers_alone(
    django_assert_num_queries: Any,
) -> None:
    with django_assert_num_queries(0):
        listing.uninstall(connection.alias, plan=[])
    with django_assert_num_queries(1):
        listing.install(connection.alias)
