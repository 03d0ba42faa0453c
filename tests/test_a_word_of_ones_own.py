"""A model type is one line of the vocabulary, and so is any other word: what is added there is
known everywhere, and the database stays as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from discovery.engine.core import service_words, vocabulary
from discovery.engine.core.word import Word
from tests.support import made_up

pytestmark = pytest.mark.slow

LINES = {
    "discovery.engine.core.vocabulary": [
        ('    PLUGIN = "PLUGIN"\n', '    ABACUS = "ABACUS", "Abacus engine"\n'),
        ('    REMOTE = "REMOTE"', '    DORMANT = "DORMANT", "Fast asleep", "accent"\n'),
        ('    AUDIO = "AUDIO", "Audio"', '    TOUCH = "TOUCH", "Touch", "plain", "what is felt"\n'),
    ],
    "discovery.engine.core.service_words": [
        ('    CATEGORIZATION = "categorization"', '    AUDIT = "audit", "Audits"\n'),
    ],
}
SCRIPT = """
from django.core.management import call_command
from django.utils import timezone
from discovery.models import LogEntry, RegisteredModel, Root
from pathlib import Path

root = Root.objects.create(path="/models")
for name, kind, status in (("beads", "ABACUS", "DORMANT"), ("other", "ONNX", "READY")):
    RegisteredModel.objects.create(
        model_id=name, root=root, path=name, place=name, name=name, sort_name=name, type=kind,
        status=status, primary="TOUCH", size_bytes=1,
        added_at=timezone.now(), changed_at=timezone.now(),
    )
LogEntry.objects.create(at=timezone.now(), level="info", topic="audit", message="looked at")
result["list"] = client.get("/models/?type=ABACUS").text
result["typed"] = client.get("/models/?q=type:abacus").text
result["tab"] = client.get("/models/other/metadata/type/").text
result["model"] = client.get("/models/beads/").text
result["register"] = client.get("/register/").text
result["rules"] = client.get("/rules/primary/touch/").text
result["logs"] = client.get("/logs/?channel=audit").text
result["help"] = client.get("/help/searching/").text
result["admin"] = client.get("/admin/discovery/registeredmodel/").text
result["api"] = [row["name"] for row in
    client.get("/api/models/discovered?type=ABACUS&status=DORMANT&primary=TOUCH").json()["results"]]
answer = client.put(
    "/api/models/other/metadata", {"type": "ABACUS", "primary": "TOUCH"},
    content_type="application/json",
)
result["edited"] = [answer.status_code, answer.json().get("type")]
document = client.get("/api/openapi.json").json()
result["openapi"] = json.dumps(document)
result["csv"] = client.get("/export/?format=csv").getvalue().decode()
result["migrations"] = command("makemigrations", "--check", "--dry-run")
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> dict[str, Any]:
    return made_up.run(SCRIPT, tmp_path_factory.mktemp("word"), migrated, LINES)


def test_pages_call_a_model_type_as_it_is_called(seen: dict[str, Any]) -> None:
    for page in ("list", "tab", "model", "admin", "register"):
        assert "Abacus engine" in seen[page], page
    assert "`abacus`" not in seen["help"]
    assert "<code>abacus</code>" in seen["help"]


def test_the_list_narrows_by_it_however_it_is_asked(seen: dict[str, Any]) -> None:
    for page in ("list", "typed"):
        assert 'href="/models/beads/"' in seen[page]
        assert 'href="/models/other/"' not in seen[page]
    assert seen["api"] == ["beads"]


def test_programs_set_it_and_are_told_of_it(seen: dict[str, Any]) -> None:
    assert seen["edited"] == [200, "ABACUS"]
    for word in ("ABACUS", "DORMANT", "TOUCH"):
        assert word in seen["openapi"], word
        assert word in seen["csv"], word


def test_a_status_a_category_and_a_channel_are_no_more_than_a_line_either(
    seen: dict[str, Any],
) -> None:
    assert 'class="status accent">Fast asleep' in seen["list"]
    assert "What is felt" in seen["rules"]
    assert "looked at" in seen["logs"]


def test_no_word_needs_a_migration(seen: dict[str, Any]) -> None:
    assert seen["migrations"].strip() == "No changes detected"


def test_every_word_has_a_label_and_a_tone_of_the_style_sheets() -> None:
    lists = [
        each
        for module in (vocabulary, service_words)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Word) and each is not Word
    ]
    assert len(lists) > 15
    for word in (word for each in lists for word in each):
        assert word.label, word
        assert word.tone in ("plain", "accent", "ok", "warn", "bad"), word
