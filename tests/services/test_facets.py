"""Facets: what is counted, under which filters, for whom; always what the list itself finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User

from discovery.engine.memory import Machine
from discovery.models import Collection, Listing, RegisteredModel, Root
from discovery.models.listing import PROFILE
from discovery.services.machine import hardware
from discovery.services.search import facets, model_search
from discovery.services.search.filters import FACETS, Kind
from discovery.services.search.model_filters import ModelFilters
from discovery.services.search.model_search import Results
from tests.benchmarks.registry import fill

Make = Callable[..., RegisteredModel]


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that many of the made-up models do not fit."""
    from discovery.engine.memory import Gpu

    told = hardware.ThisMachine(Machine("this machine", 24 << 30, (Gpu("small", 12 << 30),)))
    monkeypatch.setattr("discovery.services.machine.memory_fit.this_machine", lambda: told)


def counted(user: Any, query: str, field: str) -> dict[str, int]:
    return dict(facets.counts(user, ModelFilters.read(query))[field])


@pytest.fixture
def shelf(make_model: Make) -> None:
    make_model(
        "a",
        primary="LANGUAGE",
        secondary="CHAT",
        license="mit",
        extracted={"modalities": ["TEXT"], "capabilities": ["CHAT", "CODE"]},
    )
    make_model(
        "b",
        primary="LANGUAGE",
        secondary="CODE",
        license="mit",
        visibility="PUBLIC",
        extracted={"modalities": ["TEXT", "IMAGE"]},
    )
    make_model(
        "c", primary="VISION", type="ONNX", format="onnx", root=Root.objects.create(path="/mnt/nas")
    )
    Collection.objects.create(name="shelf").models.add(RegisteredModel.objects.get(name="a"))


def test_a_facet_follows_the_other_filters_but_not_its_own_choice(
    shelf: None, admin_user: User
) -> None:
    assert counted(admin_user, "", "primary") == {"LANGUAGE": 2, "VISION": 1}
    assert counted(admin_user, "primary=VISION", "primary") == {"LANGUAGE": 2, "VISION": 1}
    assert counted(admin_user, "license=mit", "primary") == {"LANGUAGE": 2}
    assert counted(admin_user, "primary=VISION", "license") == {"none": 1}
    assert counted(admin_user, "license=mit&primary=LANGUAGE", "license") == {"mit": 2}
    assert counted(admin_user, "q=b", "secondary") == {"CODE": 1}
    assert counted(admin_user, "", "secondary") == {"CHAT": 1, "CODE": 1, "none": 1}


def test_models_with_several_values_count_for_each(shelf: None, admin_user: User) -> None:
    assert counted(admin_user, "", "modality") == {"TEXT": 2, "IMAGE": 1, "none": 1}
    assert counted(admin_user, "", "capability") == {"CHAT": 1, "CODE": 1, "none": 2}
    assert [
        model.name
        for model in model_search.found(
            admin_user, ModelFilters.read("modality=IMAGE&modality=AUDIO")
        )
    ] == ["b"]


def test_roots_and_collections_are_named(shelf: None, admin_user: User) -> None:
    assert counted(admin_user, "", "root") == {"/srv/models": 2, "/mnt/nas": 1}
    assert counted(admin_user, "root=/mnt/nas", "type") == {"ONNX": 1}
    assert counted(admin_user, "root=/nowhere", "type") == {}
    assert counted(admin_user, "", "collection") == {"shelf": 1}


def test_nothing_is_counted_that_one_may_not_see(shelf: None, user: User) -> None:
    assert counted(user, "", "primary") == {"LANGUAGE": 1}
    assert counted(AnonymousUser(), "", "license") == {"mit": 1}
    for field, values in facets.counts(user, ModelFilters.read("")).items():
        assert sum(number for _, number in values) <= 2, field
    group = Group.objects.create(name="g")
    user.groups.add(group)
    RegisteredModel.objects.get(name="c").groups.add(group)
    assert counted(user, "", "primary") == {"LANGUAGE": 1, "VISION": 1}


def test_a_filter_that_is_not_understood_counts_nothing(shelf: None, admin_user: User) -> None:
    assert facets.count(admin_user, ModelFilters.read("q=params:%3Eludicrous")).total == 0
    assert facets.count(admin_user, ModelFilters.read("min_params=much")).counts["type"] == []


QUERIES = (
    "", "status=READY", "status=CORRUPT&status=UNSAFE", "type=LLAMA_CPP&fits=memory",
    "fits=offload&fits=no", "fits=none", "q=llama",
    "q=params:>7b+-tag:old", "license=mit&license=none", "tag=prod&tag=old&primary=LANGUAGE",
    "collection=Archive&modality=IMAGE",
    "q=author:meta*+size:<20gb", "family=bert", "capability=CHAT&license=mit&family=qwen",
    "min_params=1b&max_size=40gb",
    "visibility=PUBLIC&root=/srv/models", "specialization=MEDICAL&format=gguf",
    'q=tag:"to+review"+context:32k', "q=license:none+-status:ready",
    "q=fits:no", "secondary=none", "q=domain:legal+use:chat",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.django_db
def test_every_count_is_what_choosing_that_value_finds(admin_user: User, user: User) -> None:
    fill(400)
    user.groups.add(Group.objects.get(name="researchers"))
    chance = Random(7)
    for who in (admin_user, user):
        for query in QUERIES:
            filters = ModelFilters.read(query)
            assert not filters.faults
            told = facets.count(who, filters)
            assert (
                told.total
                == model_search.listed(who, filters).count()
                == model_search.found(who, filters).count()
            )
            assert facets.count(who, model_search.with_cached_keys(who, filters)) == told
            assert told.seen in (None, Listing.objects.visible_to(who).count())
            assert (told.keys is not None) == (told.seen is None)
            handed = Results(
                who, replace(filters, keys=told.keys), total=told.total, most=told.most
            )
            assert handed.keys(0, 50) == Results(who, filters).keys(0, 50)
            for name, values in told.counts.items():
                for value, number in chance.sample(values, min(2, len(values))):
                    narrowed = ModelFilters.read(
                        f"{filters.without(name).as_query()}&{name}={value}"
                    )
                    assert number == model_search.listed(who, narrowed).count(), (
                        query,
                        name,
                        value,
                    )


@pytest.mark.django_db
def test_filters_find_what_reading_each_model_finds(admin_user: User) -> None:
    fill(300)
    models = list(RegisteredModel.objects.prefetch_related("tagged"))
    inside, together = 12 * 2**30 - 2**29, 12 * 2**30 - 2**29 + 22 * 2**30
    expected: dict[str, Callable[[RegisteredModel], bool]] = {
        "q=params:>7b": lambda each: (each.parameter_count or 0) > 7 * 10**9,
        "q=-tag:old": lambda each: "old" not in {tag.name for tag in each.tagged.all()},
        "q=tag:none": lambda each: not each.tagged.all(),
        "q=license:none": lambda each: each.license is None,
        "q=-license:mit": lambda each: each.license != "mit",
        "q=context:>=32k": lambda each: (each.context_length or 0) >= 32_000,
        "q=family:LLAMA": lambda each: each.model_family == "llama",
        "q=author:*lab": lambda each: each.author == "our-lab",
        "q=arch:*forcausal*": lambda each: "ForCausal" in (each.architecture or ""),
        'q="distilled for phones"': lambda each: "distilled for phones" in each.description,
        "q=fits:memory": lambda each: each.memory_bytes is not None and each.memory_bytes <= inside,
        "fits=no": lambda each: each.memory_bytes is not None and each.memory_bytes > together,
        "capability=TOOL_USE": lambda each: "TOOL_USE" in each.value("capabilities"),
        "min_size=1gb&max_size=20000000000": lambda each: 10**9 <= each.size_bytes <= 2 * 10**10,
    }
    for query, holds in expected.items():
        found = {model.pk for model in model_search.found(admin_user, ModelFilters.read(query))}
        assert found == {model.pk for model in models if holds(model)}, query
        assert 0 < len(found) < 300, query


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sort", ["name", "-name", "size", "-params", "context", "-memory", "added", "-modified"]
)
def test_pages_read_by_keys_are_the_list_in_its_order(
    sort: str, admin_user: User, django_assert_num_queries: Any
) -> None:
    fill(120)
    for query in (f"sort={sort}", f"sort={sort}&q=llama"):
        filters = ModelFilters.read(query)
        whole = [model.pk for model in model_search.found(admin_user, filters)]
        results = Results(admin_user, filters, columns=("name",))
        assert len(results) == len(whole)
        with django_assert_num_queries(2):
            assert [model.pk for model in results[10:30]] == whole[10:30]
        assert [
            model.pk for model in Results(admin_user, filters, total=len(whole), most=True)[0:20]
        ] == whole[:20]
        assert results[3].pk == whole[3]
        assert results[500:510] == []


@pytest.mark.django_db
def test_what_few_models_match_is_looked_for_once(
    admin_user: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    fill(60)
    filters = ModelFilters.read("q=llama&status=READY")
    with django_assert_num_queries(1):
        hurried = model_search.with_cached_keys(admin_user, filters)
    assert hurried.keys
    assert hurried.as_query() == filters.as_query()
    assert [model.pk for model in Results(admin_user, hurried)[0:9]] == [
        model.pk for model in Results(admin_user, filters)[0:9]
    ]
    monkeypatch.setattr(model_search, "FEW", 3)
    assert model_search.with_cached_keys(admin_user, filters) == filters
    for untouched in (ModelFilters.read("status=READY"), ModelFilters.read("q=params:>x")):
        with django_assert_num_queries(0):
            assert model_search.with_cached_keys(admin_user, untouched) == untouched


@pytest.mark.django_db
def test_counting_takes_a_fixed_number_of_statements_and_one_where_nothing_was_written(
    admin_user: User, django_assert_num_queries: Any
) -> None:
    fill(30)
    quick = ("primary", "type", "fits", "status")
    with django_assert_num_queries(2):
        facets.count(admin_user, ModelFilters.read(""), quick)
    with django_assert_num_queries(1):
        facets.count(admin_user, ModelFilters.read("primary=LANGUAGE"), quick)
    with django_assert_num_queries(4):
        facets.counts(admin_user, ModelFilters.read("q=llama"))
    fill(300)
    with django_assert_num_queries(1):
        facets.count(admin_user, ModelFilters.read("license=mit&q=llama"), quick)
    with django_assert_num_queries(4):
        facets.counts(admin_user, ModelFilters.read("q=llama&license=mit"))


@pytest.mark.django_db
def test_hostile_values_find_nothing_and_break_nothing(make_model: Make, admin_user: User) -> None:
    make_model(
        "a",
        license="x" * 200,
        extracted={"capabilities": ["weird,one", "\u202e", 7], "modalities": "TEXT"},
    )
    assert Listing.objects.get().capability_words == ",weird,one,"
    for query in (
        "license=%00",
        "tag=" + "x" * 500,
        "root=%ff",
        "capability=%25",
        "q=%25",
        "type=%22%27;--",
    ):
        assert list(model_search.found(admin_user, ModelFilters.read(query))) == []
    many = "&".join(f"tag={number}" for number in range(60))
    assert "too many" in ModelFilters.read(many).faults[0].reason
    assert Counter(fault.term for fault in ModelFilters.read("q=" + "a" * 600).faults) == {
        f"{'a' * 40}…": 1
    }


def test_facets_of_columns_with_several_words_are_part_of_the_profile() -> None:
    """Elsewhere their words would be counted as one."""
    several = {each.column for each in FACETS.values() if each.kind is Kind.WORDS}
    assert several <= set(PROFILE)
