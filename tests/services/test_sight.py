"""What somebody is told of roots, people and groups: all of it who sees every model, names and
nothing more everybody else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.test import Client

from discovery.models import Collection, RegisteredModel, Root, SavedView, ScanRun
from discovery.services import scans
from discovery.services.access.redaction import Sight, labels
from discovery.services.curation import collections, saved_views
from discovery.services.metadata import metadata
from discovery.services.metadata.metadata import InvalidMetadata
from discovery.services.registry import records
from discovery.services.scans import registration
from discovery.services.search import facets, filters, model_filters, model_search
from tests.support import builders

Make = Callable[..., RegisteredModel]


@pytest.fixture
def roots(make_model: Make) -> list[Root]:
    """``/srv/models`` and ``/mnt/models``, which are called alike, and one with a name; a public
    model in each.
    """
    made = [
        Root.objects.create(path="/srv/models"),
        Root.objects.create(path="/mnt/models"),
        Root.objects.create(path="/data/x", name="Big disk"),
    ]
    for root in made:
        make_model(f"in{root.path.replace('/', '-')}", root=root, visibility="PUBLIC")
    return made


def names_found(user: User | AnonymousUser, query: str) -> set[str]:
    return set(
        model_search.found(user, model_filters.ModelFilters.read(query)).values_list(
            "name", flat=True
        )
    )


def test_names_are_given_ones_or_last_parts_of_paths_and_no_two_are_alike(
    roots: list[Root],
) -> None:
    Root.objects.create(path="/other", name="models")
    Root.objects.create(path="/")
    assert [labels(Root.objects.all())[root.pk] for root in Root.objects.order_by("pk")] == [
        "models (2)",
        "models (3)",
        "Big disk",
        "models",
        "root",
    ]


@pytest.mark.parametrize("value", ["models", "models (2)", "Big disk"])
def test_viewers_filter_by_the_name_that_they_are_told(
    roots: list[Root], user: User, value: str
) -> None:
    told = {
        record.name: records.document(record, Sight(user))["root"]
        for record in RegisteredModel.objects.select_related("root")
    }
    meant = {name for name, root in told.items() if root == value}
    assert len(meant) == 1
    assert names_found(user, f"root={value}") == names_found(user, f'q=root:"{value}"') == meant
    counted = dict(facets.counts(user, model_filters.ModelFilters(), ("root",))["root"])
    assert counted == {"models": 1, "models (2)": 1, "Big disk": 1}
    assert (
        facets.count(user, model_filters.ModelFilters.read(f"root={value}"), ("root",)).total == 1
    )


@pytest.mark.parametrize(
    "query",
    [
        "root=/srv/models",
        "root=/data/x",
        "q=root:/srv/models",
        "q=root:/srv*",
        "q=root:*srv*",
        "q=root:/*",
    ],
)
def test_a_path_tells_a_viewer_nothing_by_what_it_finds(
    roots: list[Root], user: User, query: str
) -> None:
    assert names_found(user, query) == names_found(AnonymousUser(), query) == set()


def test_administrators_filter_by_path_and_by_a_given_name(
    roots: list[Root], admin_user: User
) -> None:
    assert (
        names_found(admin_user, "root=/srv/models")
        == names_found(admin_user, "q=root:/SRV/*")
        == {"in-srv-models"}
    )
    assert names_found(admin_user, "root=Big disk") == {"in-data-x"}
    assert dict(facets.counts(admin_user, model_filters.ModelFilters(), ("root",))["root"]) == {
        "/srv/models": 1,
        "/mnt/models": 1,
        "/data/x": 1,
    }


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ("root=/srv/models", "root=models"),
        ("root=/data/x&sort=-size", "root=Big+disk&sort=-size"),
        ("root=/gone/away", "root=%3F"),
        ("q=llama root:/mnt/models", "q=llama+root%3A%22models+%282%29%22"),
        ('q=-root:"/data/x"', "q=-root%3A%22Big+disk%22"),
        ("q=root:/mnt*", "q=root%3A%22models+%282%29%22"),
        ("q=root:/*", "q=root%3A%22%3F%22"),
        ("license=mit", "license=mit"),
    ],
)
def test_a_shared_view_names_roots_as_each_person_knows_them_and_finds_the_same(
    roots: list[Root], user: User, admin_user: User, kept: str, told: str
) -> None:
    SavedView.objects.create(owner=admin_user, name="v", query=kept, shared=True)
    [shown] = saved_views.shown_to(user)
    assert shown.query == told
    assert [view.query for view in saved_views.shown_to(admin_user)] == [kept]
    if "%3F" not in told:
        assert names_found(user, told) == names_found(admin_user, kept)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The folder /srv/models is not there.", "The folder models is not there."),
        ("“/mnt/models/a/b.gguf” is cut off", "“models (2)/a/b.gguf” is cut off"),
        ("file:///srv/models/a", "file://models/a"),
        ("below/srv/models/a stays what it is", "below/srv/models/a stays what it is"),
        ("no path", "no path"),
        ("", ""),
    ],
)
def test_sentences_name_roots_in_place_of_their_paths(
    roots: list[Root], user: User, admin_user: User, text: str, told: str
) -> None:
    assert Sight(user).text(text) == Sight(AnonymousUser()).text(text) == told
    assert Sight(admin_user).text(text) == Sight(None).text(text) == text


def test_a_document_has_every_key_for_a_viewer_with_own_groups_and_no_names(
    make_model: Make, user: User, admin_user: User
) -> None:
    model = make_model("m", visibility="PUBLIC", license="mit")
    model.groups.set([Group.objects.create(name="ours"), Group.objects.create(name="theirs")])
    user.groups.add(Group.objects.get(name="ours"))
    metadata.edit(model, {"license": "apache-2.0"}, by=admin_user, channel="page")
    metadata.edit(model, {"author": "Anna"}, by=user, channel="page")
    full, told = records.document(model, Sight(admin_user)), records.document(model, Sight(user))
    assert full.keys() == told.keys()
    assert (full["root"], told["root"]) == ("/srv/models", "models")
    assert (full["groups"], told["groups"]) == (["ours", "theirs"], ["ours"])
    assert full["sources"]["license"] == {"source": "edited by admin", "curated": True}
    assert told["sources"]["license"] == {"source": "edited", "curated": True}
    assert told["sources"]["author"] == {"source": "edited", "curated": True}
    differing = {key for key in full if full[key] != told[key]}
    assert differing == {"root", "groups", "sources"}


def test_history_tells_viewers_what_was_changed_and_of_their_own_who(
    make_model: Make, user: User, admin_user: User, client: Client
) -> None:
    model, hidden = make_model("seen", visibility="PUBLIC"), make_model("unseen-model")
    Group.objects.create(name="theirs")
    metadata.edit(model, {"license": "mit"}, by=admin_user, channel="page")
    metadata.edit(model, {"groups": ["theirs"]}, by=admin_user, channel="page")
    metadata.edit(model, {"author": "Anna"}, by=user, channel="api")
    metadata.edit(hidden, {"license": "mit"}, by=user, channel="page")
    client.force_login(user)
    page = client.get("/history/").text
    assert page.count('class="panel batch"') == 2
    assert "Somebody" in page
    for text in ("admin<", "theirs", "unseen-model"):
        assert text not in page
    body = client.get("/api/models/seen/history").json()
    assert [(row["field"], row["by"]) for row in body["results"]] == [
        ("author", "reader"),
        ("license", None),
    ]
    assert client.get("/history/", {"by": "admin"}).text.count('class="panel batch"') == 0
    assert client.get("/history/", {"by": "reader"}).text.count('class="panel batch"') == 1


def test_the_log_tells_viewers_what_happened_and_not_who_did_it(
    make_model: Make, user: User, admin_user: User, client: Client
) -> None:
    metadata.edit(
        make_model("seen", visibility="PUBLIC"), {"license": "mit"}, by=admin_user, channel="page"
    )
    client.force_login(user)
    assert [
        row["message"] for row in client.get("/api/models/discovery/logs").json()["results"]
    ] == ["somebody set license (page)"]


def test_who_registers_and_sees_not_every_model_is_told_names_of_roots(
    user: User, models_root: Path, config_dir: Path
) -> None:
    Root.objects.create(path=str(models_root))
    with pytest.raises(InvalidMetadata) as refused:
        registration.register({"name": "x", "path": "/etc"}, by=user, channel="page")
    assert str(models_root) not in refused.value.errors["path"]
    assert "models" in refused.value.errors["path"]


def test_lines_to_copy_begin_with_the_name_of_the_root(
    models_root: Path, user: User, client: Client, config_dir: Path
) -> None:
    builders.transformers(models_root / "tiny", hidden=64)
    Root.objects.create(path=str(models_root))
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    RegisteredModel.objects.update(visibility="PUBLIC")
    client.force_login(user)
    page = client.get("/models/tiny/").text
    assert "models/tiny" in page
    assert str(models_root) not in page
    assert "/models/tiny&quot;" not in page.replace("&quot;models/tiny&quot;", "")


def test_a_collection_that_follows_a_root_keeps_following_it(
    roots: list[Root], user: User, client: Client, admin_user: User
) -> None:
    collection = collections.save(
        Collection(), name="Ours", query="root=/srv/models", by=admin_user
    )
    client.force_login(user)
    assert "/srv" not in client.get(f"/collections/{collection.pk}/").text
    assert "/srv" not in client.get("/collections/").text
    assert client.get("/api/collections").json()["results"][0]["query"] == "root=models"
    collection.refresh_from_db()
    assert collection.query == "root=%2Fsrv%2Fmodels"
    assert filters.say("root", "models") == "models"
