"""Every page there is, from the URL conf, with something on it: what is added to the conf is looked
at without being named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from discovery.models import (
    AccessRule,
    ApiToken,
    BulkEdit,
    Collection,
    DeepValidation,
    Download,
    Finding,
    LoadTest,
    LogEntry,
    MetadataChange,
    MetadataImport,
    Notice,
    Plugin,
    RegisteredModel,
    RegistryState,
    RegistrySync,
    RemoteEntry,
    RemoteMatch,
    Root,
    SavedView,
    ScanRun,
    SettingChange,
    SkippedPath,
    Tag,
    Webhook,
)
from discovery.services import scans
from discovery.services.access import access_rules, rule_terms
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.metadata import metadata
from discovery.services.transfer import import_jobs
from discovery.web.urls import urlpatterns
from tests.support import builders

#: What the parts of addresses stand for, by their names; keys of rows are found by ``KEYS``.
PARTS = {
    "model_id": "llama-chat",
    "axis": "secondary",
    "category": "creative",
    "name": "license",
    "registry": "huggingface",
}

#: Beginning of a page's name → the row whose key its address takes.
KEYS: dict[str, Callable[[], Any]] = {
    "scan": ScanRun.objects.first,
    "bulk": BulkEdit.objects.first,
    "tag": Tag.objects.first,
    "collection": Collection.objects.first,
    "view": SavedView.objects.first,
    "root": Root.objects.first,
    "history": MetadataChange.objects.first,
    "import": MetadataImport.objects.first,
    "webhook": Webhook.objects.first,
    "token": ApiToken.objects.first,
    "access-rule": AccessRule.objects.first,
    "registry-match": RemoteMatch.objects.first,
    "download": Download.objects.first,
    "settings-root": Root.objects.first,
    "settings-plugin": Plugin.objects.first,
    "settings-undo": SettingChange.objects.first,
    "system": Notice.objects.first,
    "user": lambda: User.objects.order_by("pk").first(),
    "group": lambda: Group.objects.order_by("pk").first(),
}


def shelve(models_root: Path) -> None:
    """Three models on disk, registered."""
    for name, hidden in (("llama-chat", 64), ("bert-base", 72), ("whisper-tiny", 80)):
        builders.transformers(models_root / name, hidden=hidden)
    (models_root / "bert-base/README.md").write_text(
        "---\nlicense: mit\n---\n#"
        " Bert\n\n![pixel](http://127.0.0.1:9/pixel.png)\n\n<script>alert(1)</script>\n\n| a"
        " |\n|---|\n| 1 |\n"
    )
    Root.objects.create(path=str(models_root))
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    assert RegisteredModel.objects.count() == 3


def furnish(user: User) -> None:
    """Puts one of everything into the registry that ``shelve`` made, so that no page is empty."""
    now = timezone.now()
    llama, bert = (
        RegisteredModel.objects.get(model_id=name) for name in ("llama-chat", "bert-base")
    )
    run = ScanRun.objects.get()
    metadata.edit(
        llama,
        {"license": "mit", "tags": ["kept"], "description": "Made for tests."},
        by=user,
        channel="page",
    )
    Collection.objects.create(name="Shortlist", description="What we try next.").models.add(llama)
    Group.objects.get_or_create(name="Research")
    access_rules.make(rule_terms.term("tag", "kept"), visibility="RESTRICTED", groups=[], by=user)
    SavedView.objects.create(owner=user, name="Mine", query="q=llama")
    Tag.objects.get_or_create(name="kept")
    bulk_edits.request(
        Operation("tags", add={"tags": ["together"]}),
        Selection(ids=("llama-chat", "bert-base")),
        by=user,
    )
    Finding.objects.create(
        model=bert,
        source="scan",
        code="truncated",
        severity="error",
        message="3 of 8 bytes are there",
        path="bert-base/model.safetensors",
        first_seen_at=now,
        last_seen_at=now,
    )
    DeepValidation.objects.create(model=llama, state="done", started_at=now, finished_at=now)
    LoadTest.objects.create(
        model=llama,
        state="done",
        result="passed",
        loader="safetensors",
        started_at=now,
        finished_at=now,
    )
    import_jobs.execute(
        import_jobs.submit(
            "edited.csv", b"model_id,license\nllama-chat,apache-2.0\nnobody,mit\n", user
        )
    )
    SkippedPath.objects.create(
        root=llama.root, place="half", signature="0", reason="no weights in a known format"
    )
    Download.objects.create(
        registry="huggingface",
        remote_id="acme/llama",
        revision="a" * 40,
        license="apache-2.0",
        files=[
            {"path": "config.json", "size": 2, "sha256": "", "git_sha1": "b" * 40, "url": ""},
            {"path": "x.safetensors", "size": 8, "sha256": "c" * 64, "git_sha1": "", "url": ""},
        ],
        root=llama.root,
        folder="language/chat/llama",
        state="failed",
        fault="checksum",
        message="The SHA-256 of x.safetensors is another one.",
        total_bytes=10,
        done_bytes=2,
        requested_by=user,
        finished_at=now,
    )
    Webhook.objects.create(
        url="https://example.org/hook", events=["scan.finished"], secret="s", created_by=user
    )
    ApiToken.objects.create(user=user, name="ci", prefix="karen_abc", digest="0" * 64)
    SettingChange.objects.create(
        file="model_discovery.json",
        key="discovery.max_scan_depth",
        after={"value": 4},
        by=user,
        channel="page",
    )
    Plugin.objects.create(
        key="shelf.ShelfPlugin",
        module="shelf",
        class_name="ShelfPlugin",
        source="folder",
        label="Shelf",
        version="1.0",
        format="shelf",
        off_reason="It failed 5 times in a row. The last time: ValueError: x",
        enabled=False,
        failures=[{"at": now.isoformat(), "path": "/models/a.shelf", "reason": "ValueError: x"}],
    )
    entry = RemoteEntry.objects.create(
        registry="huggingface",
        remote_id="acme/llama-chat",
        revision="b" * 40,
        license="llama3",
        downloads=7,
        likes=1,
        card="# Llama",
        files=[],
    )
    RemoteMatch.objects.create(
        model=llama,
        entry=entry,
        registry="huggingface",
        state="accepted",
        confidence=98,
        evidence=[{"kind": "hub_cache", "text": "It is in the Hub’s cache.", "weight": 98}],
        has_update=True,
        update={
            "from": "a" * 40,
            "to": "b" * 40,
            "files": {"added": [["x.json", 2]], "removed": [], "changed": [["README.md", 1, 2]]},
            "counts": {"added": 1, "removed": 0, "changed": 1},
            "here": ["README.md"],
            "license": ["mit", "llama3"],
            "card": True,
        },
    )
    RegistrySync.objects.create(registry="huggingface", state="done", message="1 read.")
    RegistryState.objects.create(
        name="huggingface", tried_at=now, fault="busy", message="It is busy.", retry_at=now
    )
    Notice.objects.create(title="Staff are in a group now", text="Look at it.", names=["ada"])
    LogEntry.objects.create(
        at=now,
        level="warning",
        topic="validation",
        model_id="bert-base",
        message="checked",
        scan=run,
    )


def every_address() -> Iterator[tuple[str, str]]:
    """(name, address) of all that the conf holds, pages or not."""
    for pattern in urlpatterns:
        row = next((find() for start, find in KEYS.items() if pattern.name.startswith(start)), None)
        parts = {part: PARTS.get(part, row.pk if row else 1) for part in pattern.pattern.converters}
        if pattern.name == "help-topic":
            parts["name"] = "scans"
        yield pattern.name, reverse(pattern.name, kwargs=parts)


def addresses(client: Client) -> dict[str, str]:
    """{name: address} of every page.

    What answers no GET, or leads elsewhere, or is no page, is none.
    """
    found = {}
    for name, address in every_address():
        response = client.get(address)
        if response.status_code in (301, 302, 405):
            continue
        assert response.status_code == 200, (
            f"{name}: {address} answers {response.status_code}; say in tests/support/pages.py what "
            f"its"
            " address stands for"
        )
        if (
            response.headers["Content-Type"].startswith("text/html")
            and b"<html" in response.content
        ):
            found[name] = address
    return found
