"""A registry that moves as a whole: statements in proportion to chunks, ambiguous twins left to
people, memory bounded.
"""

from __future__ import annotations

import tracemalloc

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from discovery.models import LogEntry, RegisteredModel
from discovery.services.scans import joining, relinking, reviewing
from tests.benchmarks.moves import TWINS, join, move_everything
from tests.support.timing import at_most

pytestmark = pytest.mark.django_db


def spent(count: int, twins: int = 0) -> int:
    RegisteredModel.objects.all().delete()
    LogEntry.objects.all().delete()
    relinking.Root.objects.all().delete()
    prepared = move_everything(count, twins)
    with CaptureQueriesContext(connection) as queries:
        joined = join(*prepared)
    assert (
        len(joined.keys)
        == count
        - RegisteredModel.objects.filter(fingerprint=TWINS, root__path="/new/place").count()
    )
    return len(queries)


@pytest.mark.slow
def test_each_chunk_of_moves_costs_the_same_number_of_statements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relinking, "CHUNK", 20)
    monkeypatch.setattr(joining, "CHUNK", 20)
    first, second, third = (spent(count) for count in (20, 40, 60))
    assert second - first <= 70
    # What is written in parts of its own (findings, tags) may need one more.
    assert third - second <= second - first + 5


@pytest.mark.slow
def test_twins_by_the_hundred_are_left_to_people_and_everything_else_moves() -> None:
    with at_most(60):
        prepared = move_everything(300, 100)
        joined = join(*prepared)
    assert len(joined.keys) == 200
    twins = RegisteredModel.objects.filter(fingerprint=TWINS)
    assert twins.count() == 200
    assert LogEntry.objects.filter(message__contains="may have moved").count() == 1
    twins.exclude(root__path="/new/place").update(status="MISSING")
    assert reviewing.count_open() == 100
    page = reviewing.offers(
        list(reviewing.open_moves().select_related("root").only(*reviewing.COLUMNS)[:20])
    )
    assert {(len(offer.candidates), offer.left) for offer in page} == {(10, 90)}


@pytest.mark.slow
def test_memory_holds_one_chunk_of_rows_however_many_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relinking, "CHUNK", 20)
    peaks = []
    for count in (40, 100):
        RegisteredModel.objects.all().delete()
        relinking.Root.objects.all().delete()
        prepared = move_everything(count, 0)
        tracemalloc.start()
        join(*prepared)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5
