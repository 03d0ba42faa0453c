"""What people would have made of the demo by now: groups, collections, edits, and weeks of scans.

Everything in it is made up, and goes with the demo.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.contrib.auth.models import Group, User
from django.utils import timezone

from discovery.engine.core.service_words import Channel
from discovery.models import Collection, RegisteredModel, ScanRun
from discovery.services import scans
from discovery.services.curation import collections
from discovery.services.metadata import metadata

#: Days over which the demo's registry has grown, and those between two of its scans.
DAYS, STEP = 42, 3

#: Name → members: accounts without a password, which nobody can sign in to.
GROUPS = {"Research": ("amara", "jonas"), "Product": ("mei",)}

#: Name, description, filter, groups that see it.
COLLECTIONS: tuple[tuple[str, str, str, Sequence[str]], ...] = (
    ("Chat assistants", "Models for the internal assistant.", "secondary=CHAT", ("Product",)),
    ("Speech", "Transcription and speech synthesis.", "primary=AUDIO", ("Research", "Product")),
    ("Small enough for a laptop", "Less than 4 GB on disk.", "max_size=4000000000", ("Research",)),
)

#: Beginning of a model's name → what people wrote about it.
EDITS: tuple[tuple[str, dict[str, object]], ...] = (
    ("mistral", {"tags": ["production"], "use_cases": ["support chat", "summaries"]}),
    ("whisper", {"tags": ["production"], "use_cases": ["meeting minutes"]}),
    ("codellama", {"tags": ["evaluation"], "description": "On trial in two teams until March."}),
    ("clip", {"tags": ["evaluation"], "visibility": "PUBLIC"}),
)


def furnish(admin: User) -> None:
    """Scans the tree at once, then adds what people would have done."""
    run, _ = scans.start_now(ScanRun.Trigger.STARTUP)
    _grow(scans.execute(run))
    groups = {name: _group(name, members) for name, members in GROUPS.items()}
    for name, description, query, seen_by in COLLECTIONS:
        collections.save(
            Collection(),
            name=name,
            description=description,
            query=query,
            groups=[groups[group] for group in seen_by],
            by=admin,
        )
    for beginning, values in EDITS:
        for record in RegisteredModel.objects.filter(name__startswith=beginning).order_by("pk"):
            metadata.edit(record, values, by=admin, channel=Channel.PAGE)


def _group(name: str, members: Iterable[str]) -> Group:
    group, _ = Group.objects.get_or_create(name=name)
    for member in members:
        user, is_new = User.objects.get_or_create(username=member)
        if is_new:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        user.groups.add(group)
    return group


def _grow(last: ScanRun) -> None:
    """Spread the models over the weeks before ``last``, with a scan for each step."""
    keys = list(RegisteredModel.objects.order_by("name").values_list("pk", flat=True))
    steps = range(DAYS, 0, -STEP)
    known = 0
    for number, days in enumerate(steps, 1):
        at = timezone.now() - timedelta(days=days)
        count = len(keys) * number // (len(steps) + 1)
        RegisteredModel.objects.filter(pk__in=keys[known:count]).update(added_at=at)
        past = ScanRun.objects.create(
            state=ScanRun.State.DONE,
            trigger=ScanRun.Trigger.SCHEDULE,
            started_at=at,
            finished_at=at + timedelta(seconds=2),
            expected=known,
            found=count,
            new=count - known,
            unchanged=known,
        )
        ScanRun.objects.filter(pk=past.pk).update(created_at=at)
        known = count
    ScanRun.objects.filter(pk=last.pk).update(new=len(keys) - known, unchanged=known)
