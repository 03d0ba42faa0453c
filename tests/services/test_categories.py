"""Rules over the registry: trying, saving, undoing, deciding anew; what people decided never
moves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django_q.brokers import Broker

from discovery.models import LogEntry, RegisteredModel, ScanRun
from discovery.services.core import config_files
from discovery.services.metadata import metadata
from discovery.services.registry.records import document
from discovery.services.scans import categorization
from tests.support import builders

Scan = Callable[..., ScanRun]


def source(**secondary: Any) -> str:
    return json.dumps({"categorization_rules": {"secondary_category": secondary}})


@pytest.fixture
def registry(models_root: Path, config_dir: Path, scan: Scan) -> Path:
    for name in ("alpha-chat", "beta-chat", "gamma"):
        builders.transformers(models_root / name, hidden=64 + len(name) * 8)
    scan(models_root)
    return models_root


def secondary() -> dict[str, str | None]:
    return dict(RegisteredModel.objects.values_list("name", "secondary"))


def test_a_scan_decides_by_the_shipped_rules_and_keeps_the_evidence(registry: Path) -> None:
    record = RegisteredModel.objects.get(name="alpha-chat")
    assert (record.primary, record.secondary, record.specialization) == (
        "LANGUAGE",
        "CHAT",
        "GENERAL",
    )
    told = document(record)
    assert told["evidence"]["secondary"][0]["matched"] == "chat"
    assert told["sources"]["secondary"] == {"source": "rules", "curated": False}
    assert told["modalities"] == ["TEXT"]


def test_trying_shows_what_would_move_and_writes_nothing(registry: Path) -> None:
    trial = categorization.try_out(
        categorization.parse(source(CODE={"keywords": ["alpha", "gamma"]}))
    )
    assert trial.models == 3
    assert {(c.title, c.axis, c.before,
            c.after) for c in trial.changes if c.axis == "secondary"} == {
        ("alpha-chat", "secondary", "CHAT", "CODE"), ("beta-chat", "secondary", "CHAT", None),
        ("gamma", "secondary", None, "CODE"),
    }  # fmt: skip
    assert (
        next(c.why for c in trial.changes if c.title == "gamma" and c.axis == "secondary")
        == "keywords: gamma (name)"
    )
    assert secondary() == {"alpha-chat": "CHAT", "beta-chat": "CHAT", "gamma": None}


def test_saving_is_atomic_keeps_the_previous_file_and_decides_anew_in_a_task(
    registry: Path, config_dir: Path, user: User, task_queue: Broker
) -> None:
    categorization.save(source(CODE={"keywords": ["gamma"]}), by=user)
    assert task_queue.queue_size() == 1
    assert json.loads((config_dir / "model_categorization.json").read_text())[
        "categorization_rules"
    ]["secondary_category"]["CODE"]
    assert not list(config_dir.glob("*.tmp"))
    assert categorization.recategorize() == 3
    assert secondary() == {"alpha-chat": None, "beta-chat": None, "gamma": "CODE"}
    assert LogEntry.objects.filter(
        topic="categorization", message__contains="secondary None → CODE"
    ).exists()
    categorization.undo(by=user)
    categorization.recategorize()
    assert secondary() == {"alpha-chat": "CHAT", "beta-chat": "CHAT", "gamma": None}


def test_deciding_anew_by_the_same_rules_writes_nothing(registry: Path) -> None:
    before = list(RegisteredModel.objects.values())
    assert categorization.recategorize() == 0
    assert list(RegisteredModel.objects.values()) == before


def test_curated_categories_never_move(registry: Path, user: User) -> None:
    record = RegisteredModel.objects.get(name="alpha-chat")
    metadata.edit(record, {"secondary": "REASONING"}, by=user, channel="page")
    rules = source(CODE={"keywords": ["alpha"]})
    (kept,) = [
        c
        for c in categorization.try_out(categorization.parse(rules)).changes
        if c.title == "alpha-chat" and c.axis == "secondary"
    ]
    assert kept.kept
    categorization.save(rules, by=user)
    categorization.recategorize()
    assert secondary()["alpha-chat"] == "REASONING"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "an array"),
        (
            source(CODE={"keyword": ["a"]}),
            "categorization_rules.secondary_category.CODE.0.keyword: this key is not known",
        ),
        (source(HAPPY={"keywords": ["a"]}), "secondary_category.HAPPY: there is no such category"),
        (
            source(CODE={"keywords": [""]}),
            "categorization_rules.secondary_category.CODE.0.keywords.0",
        ),
        (source(CODE={"file_patterns": ["[x"]}), "is not a valid pattern"),
        (source(CODE=[{"keywords": ["a"]}] * 10_000), "10,000 rules"),
    ],
)
def test_broken_rules_are_refused_and_the_last_good_ones_stay(
    registry: Path, config_dir: Path, user: User, text: str, reason: str
) -> None:
    good = source(CODE={"keywords": ["gamma"]})
    categorization.save(good, by=user)
    with pytest.raises(categorization.InvalidRules) as caught:
        categorization.save(text, by=user)
    assert reason in caught.value.faults[0].reason
    assert config_files.rules() == categorization.parse(good)
    (config_dir / "model_categorization.json").write_text(text)
    assert config_files.rules() == categorization.parse(good)
    assert reason in str(config_files.faults()[0])


def test_rules_count_the_models_they_decide(registry: Path) -> None:
    found = categorization.counts()
    assert (
        found["primary", "LANGUAGE"],
        found["secondary", "CHAT"],
        found["specialization", "GENERAL"],
    ) == (3, 2, 3)
