"""The Access tab: who sees a model and why, the form that changes it, and the answer for one
person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.models import Collection, MetadataChange, RegisteredModel, Visibility
from discovery.services.access import visibility
from discovery.services.findings import triage
from discovery.services.metadata import metadata
from tests.people import administer
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

URL = "/models/tiny-model/access/"


def get(client: Client, **query: Any) -> str:
    response = client.get(URL, query)
    assert response.status_code == 200
    return page_text(response)


def test_visibility_groups_collections_and_people_are_told(
    admin_client: Client, user: User, make_model: Make
) -> None:
    record, group = make_model(), Group.objects.create(name="research")
    collection = Collection.objects.create(name="Good ones")
    collection.groups.add(group)
    record.collections.add(collection)
    user.groups.add(group)
    html = get(admin_client)
    assert "1 person: <bdi>reader</bdi>" in html
    assert "seen by research" in html
    assert 'value="automatic" checked' in html


def test_saving_sets_visibility_and_groups_and_is_on_record(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model()
    Group.objects.create(name="research")
    response = admin_client.post(URL, {"visibility": "RESTRICTED", "groups": ["research"]})
    assert response.headers["Location"] == URL
    assert [group.name for group in record.groups.all()] == ["research"]
    admin_client.post(URL, {"visibility": "PUBLIC"})
    record.refresh_from_db()
    assert record.visibility == "PUBLIC"
    assert record.groups.count() == 0
    assert set(MetadataChange.objects.values_list("field", flat=True)) == {"visibility", "groups"}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"visibility": "EVERYBODY"}, "must be one of PUBLIC, RESTRICTED, ADMIN_ONLY"),
        ({}, "must be one of"),
        ({"visibility": "PUBLIC", "groups": ["nobody"]}, "there is no group called"),
    ],
)
def test_what_cannot_be_saved_is_told_and_changes_nothing(
    sent: dict[str, Any], said: str, admin_client: Client, make_model: Make
) -> None:
    record = make_model()
    response = admin_client.post(URL, sent)
    assert response.status_code == 422
    assert said in page_text(response)
    record.refresh_from_db()
    assert record.visibility == "RESTRICTED"


def test_a_change_that_nobody_saw_is_not_overwritten(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model()
    seen = {f"seen-{name}": metadata.stamp(record, name) for name in ("visibility", "groups")}
    metadata.edit(record, {"visibility": "ADMIN_ONLY"}, by=admin_user, channel="api")
    response = admin_client.post(URL, {"visibility": "PUBLIC", **seen})
    assert response.status_code == 409
    assert 'value="ADMIN_ONLY" checked' in page_text(response)


def test_a_quarantine_is_not_lifted_here(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    triage.quarantine(make_model(), by=admin_user)
    assert "lift it on the" in get(admin_client)
    response = admin_client.post(URL, {"visibility": "PUBLIC"})
    assert response.status_code == 422
    assert "the model is in quarantine" in page_text(response)


def test_one_person_can_be_asked_about(admin_client: Client, user: User, make_model: Make) -> None:
    make_model()
    assert "Does not see it" in get(admin_client, who="reader")
    assert "There is no account of this name." in get(admin_client, who="nobody\0<b>")


def test_it_is_for_administrators_alone(reader_client: Client, make_model: Make) -> None:
    make_model(visibility=Visibility.PUBLIC)
    assert reader_client.get(URL).status_code == 403
    assert "access/" not in page_text(reader_client.get("/models/tiny-model/"))


@pytest.mark.parametrize("who_sees", Visibility.values)
@pytest.mark.parametrize(
    "way", ["none", "other group", "group", "collection", "staff", "inactive", "inactive staff"]
)
def test_the_answer_is_what_the_person_would_see(
    who_sees: str, way: str, user: User, make_model: Make
) -> None:
    record, group = make_model(visibility=who_sees), Group.objects.create(name="g")
    if way in ("other group", "group", "collection"):
        user.groups.add(group)
    if way == "group":
        record.groups.add(group)
    if way == "collection":
        collection = Collection.objects.create(name="c")
        collection.groups.add(group)
        record.collections.add(collection)
    if "staff" in way:
        user = administer(user)
    user.is_active = "inactive" not in way
    user.save()
    answer = visibility.of_person(record, "reader")
    assert answer.allowed is RegisteredModel.objects.visible_to(user).filter(pk=record.pk).exists()
    assert answer.why.endswith(".")


def test_the_number_of_queries_is_fixed(
    admin_client: Client, make_model: Make, django_assert_num_queries: Any
) -> None:
    record = make_model()
    for number in range(20):
        group = Group.objects.create(name=f"g{number}")
        record.groups.add(group)
        User.objects.create_user(f"u{number}").groups.add(group)
    with django_assert_num_queries(19):
        get(admin_client)
