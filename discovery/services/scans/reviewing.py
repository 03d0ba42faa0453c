"""Moves that only a person can decide.

The person joins a missing model with a present one that it is now, or is now part of, or rejects
the pair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from discovery.engine.core.vocabulary import Severity, Status
from discovery.models import (
    LogTopic,
    MetadataChange,
    ProposedJoin,
    RegisteredModel,
    RejectedMove,
    Root,
)
from discovery.services.core import event_log
from discovery.services.core.event_log import Journal
from discovery.services.curation import collections
from discovery.services.insight import decisions
from discovery.services.integrations import webhooks
from discovery.services.scans.joining import absorb, absorb_part
from discovery.services.scans.merging import MERGED, merge
from discovery.services.scans.relinking import ELSEWHERE, location, note_move

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Arrivals of one missing model that are listed.
MAX_CANDIDATES = 10

#: What lists need of a model: rows are wide.
COLUMNS = (
    "model_id", "name", "display_name", "path", "status", "size_bytes", "file_count", "added_at",
    "arrived_at", "seen_at", "missing_since",
    "fingerprint", "content", "curated", "visibility", "visibility_source",
    "quarantined_at", "registered_manually", "type",
    "root__path", "root__seen_at", "root__frozen_reason",
)  # fmt: skip


class NotJoined(Exception):
    """The two records stay as they are; the message says why in one sentence."""


@dataclass(slots=True)
class Candidate:
    """A present model with the weights of a missing one.

    ``together``: both were there at one time, so it may be a copy. ``is_whole``: a scan found that
    the files of the missing one are part of it now.
    """

    record: RegisteredModel
    decisions: list[str]
    together: bool
    same_content: bool
    is_whole: bool

    @property
    def place(self) -> str:
        return location(self.record.root.path, self.record.path)


@dataclass(slots=True)
class Offer:
    """A missing model and where it may be. ``left`` candidates are not listed."""

    old: RegisteredModel
    decisions: list[str]
    candidates: list[Candidate] = field(default_factory=list)
    left: int = 0

    @property
    def place(self) -> str:
        return location(self.old.root.path, self.old.path)


# -- what is open


def open_moves() -> QuerySet[RegisteredModel]:
    """Missing models whose weights are now elsewhere or part of another model, still undecided.

    Models of frozen roots are included. A copy that existed at the same time as the old one is
    offered only where decisions would be lost otherwise.
    """
    present = _present().filter(fingerprint=OuterRef("fingerprint")).exclude(pk=OuterRef("pk"))
    rejected = RejectedMove.objects.filter(
        old=OuterRef(OuterRef("pk")), new=OuterRef("pk")
    ).order_by()
    alike = present.exclude(Exists(rejected)).order_by()
    later = alike.annotate(came=Coalesce("arrived_at", "added_at")).filter(
        came__gt=OuterRef("last_seen")
    )
    missing = Q(status=Status.MISSING)
    frozen = list(Root.objects.exclude(frozen_reason="").values_list("pk", flat=True))
    out_of_reach = missing | (Q(root__in=frozen) & ~Q(status__in=ELSEWHERE)) if frozen else missing
    rows = RegisteredModel.objects.filter(out_of_reach)
    came = Coalesce("arrived_at", "added_at")
    rows = rows.annotate(last_seen=Greatest(came, Coalesce("seen_at", "root__seen_at", came)))
    stranded = Q(Exists(alike)) & decisions.carried() & missing
    elsewhere = ~Q(fingerprint="") & (Q(Exists(later)) | stranded)
    whole = _present().filter(pk=OuterRef("proposed_join__new")).exclude(Exists(rejected))
    return rows.filter(elsewhere | (Q(Exists(whole.order_by())) & missing)).order_by(
        F("missing_since").desc(nulls_last=True), "pk"
    )


def _present() -> QuerySet[RegisteredModel]:
    return RegisteredModel.objects.exclude(status__in=ELSEWHERE).filter(root__frozen_reason="")


def count_open() -> int:
    return open_moves().count()


def offers(olds: Sequence[RegisteredModel]) -> list[Offer]:
    """Each of these missing models with its candidates, the likeliest first.

    A fixed number of queries.
    """
    news, wholes = _alike(olds), _wholes(olds)
    rejected = set(RejectedMove.objects.filter(old__in=olds).values_list("old_id", "new_id"))
    fitting = {
        old.pk: _fitting(
            old, [*wholes.get(old.pk, ()), *news.get(old.fingerprint, ())], rejected, wholes
        )
        for old in olds
    }
    told = decisions.summaries(
        {*olds, *(new for some in fitting.values() for new in some[:MAX_CANDIDATES])}
    )
    result = []
    for old in olds:
        shown = fitting[old.pk][:MAX_CANDIDATES]
        found = [
            Candidate(
                new,
                told[new.pk],
                together(old, new),
                new.content == old.content,
                new in wholes.get(old.pk, ()),
            )
            for new in shown
        ]
        result.append(Offer(old, told[old.pk], found, len(fitting[old.pk]) - len(found)))
    return result


def _fitting(
    old: RegisteredModel,
    news: Iterable[RegisteredModel],
    rejected: Collection[tuple[int, int]],
    wholes: Mapping[int, Sequence[RegisteredModel]],
) -> list[RegisteredModel]:
    """Return the models that the old one may be, the best match first.

    Models that hold its files now come first; those that came after it was last seen come before
    those that existed at the same time; then content and the common part of the path decide.
    """
    left = {new for new in news if new.pk != old.pk and (old.pk, new.pk) not in rejected}
    return sorted(
        left,
        key=lambda new: (
            new not in wholes.get(old.pk, ()),
            together(old, new),
            new.content != old.content,
            -_alikeness(old, new),
            new.pk,
        ),
    )


def _alike(olds: Iterable[RegisteredModel]) -> dict[str, list[RegisteredModel]]:
    prints = {old.fingerprint for old in olds if old.fingerprint}
    rows = (
        _present()
        .filter(fingerprint__in=prints)
        .select_related("root")
        .only(*COLUMNS)
        .order_by("pk")
    )
    found: dict[str, list[RegisteredModel]] = {}
    for row in rows[:2_000]:
        found.setdefault(row.fingerprint, []).append(row)
    return found


def _wholes(olds: Iterable[RegisteredModel]) -> dict[int, list[RegisteredModel]]:
    """{key of a missing model: [the model that holds its files now]}."""
    news = dict(ProposedJoin.objects.filter(old__in=list(olds)).values_list("old_id", "new_id"))
    if not news:
        return {}
    rows = _present().filter(pk__in=set(news.values())).select_related("root").only(*COLUMNS)
    found = {row.pk: row for row in rows}
    return {old: [found[new]] for old, new in news.items() if new in found}


def together(old: RegisteredModel, new: RegisteredModel) -> bool:
    """Return whether both are known to have existed at the same time."""
    came = old.arrived_at or old.added_at
    seen = (old.seen_at if old.status == Status.MISSING else old.root.seen_at) or came
    return (new.arrived_at or new.added_at) <= max(came, seen)


def _alikeness(old: RegisteredModel, new: RegisteredModel) -> int:
    """How many parts of their paths agree, from the end."""
    left, right = (location(each.root.path, each.path).split("/") for each in (old, new))
    count = 0
    while count < min(len(left), len(right)) and left[-1 - count] == right[-1 - count]:
        count += 1
    return count


# -- deciding


def refusal(old: RegisteredModel, new: RegisteredModel) -> str:
    """Why these two cannot be joined; empty when they can."""
    if old.pk == new.pk:
        return "Choose two different models."
    if new.status == Status.REMOTE or old.status == Status.REMOTE:
        return "A model on another server has no files that could have moved."
    if new.status == Status.MISSING:
        return f"The files of {new.title} are missing too: choose a model that is there."
    if old.status != Status.MISSING and not old.root.frozen_reason:
        return (
            f"The files of {old.title} are where they were: only a missing model can be joined with"
            " one that is there."
        )
    if new.root.frozen_reason:
        return f"{new.title} lies in a root that cannot be read now: choose a model that is there."
    if old.fingerprint != new.fingerprint and _kind(old) != _kind(new) and not is_part(old, new):
        return (
            f"{old.title} and {new.title} are of different types ({_kind(old)}, {_kind(new)}), so"
            " they cannot be the same model."
        )
    return ""


def is_part(old: RegisteredModel, new: RegisteredModel) -> bool:
    """Whether a scan found that the files of ``old`` are part of ``new`` now."""
    return ProposedJoin.objects.filter(old=old, new=new).exists()


def _kind(record: RegisteredModel) -> str:
    entry = record.extracted.get("type")
    return str(entry["value"]) if entry else record.type


def join(
    old: RegisteredModel, new: RegisteredModel, *, by: User, channel: str = "page"
) -> RegisteredModel:
    """Merge both into one model at the place of ``new``.

    It keeps the id of ``old``, which moved there; where ``old`` is a part of ``new``, the id of
    ``new``. The other id becomes an alias. Raises ``NotJoined``.
    """
    log = Journal()
    with transaction.atomic():
        locked = RegisteredModel.objects.select_for_update(of=("self",)).select_related("root")
        records = {
            record.pk: record for record in locked.filter(pk__in=(old.pk, new.pk)).order_by("pk")
        }
        if len(records) < len({old.pk, new.pk}):
            raise NotJoined("One of the two models is not registered any more.")
        old, new = records[old.pk], records[new.pk]
        if reason := refusal(old, new):
            raise NotJoined(reason)
        stays, goes = (new, old) if is_part(old, new) else (old, new)
        gone = goes.model_id
        made = merge(old, new, stays, by=by, channel=channel)
        if stays is new:
            absorb_part(new, old, MERGED)
        else:
            note_move(log, old, new, by.get_username())
            absorb({old: new}, MERGED)
        collections.refresh([stays.pk])
        MetadataChange.objects.bulk_create(made)
        log.write()
        webhooks.after_edit(made, by.get_username(), channel)
    event_log.record(
        LogTopic.DISCOVERY,
        Severity.INFO,
        f"{by.get_username()} joined {gone} into {stays.model_id} ({channel})",
        model_id=stays.model_id,
    )
    return RegisteredModel.objects.select_related("root").get(pk=stays.pk)


def reject(old: RegisteredModel, new: RegisteredModel, *, by: User) -> None:
    """Reject the pair: scans do not join the two, and it is not proposed again."""
    RejectedMove.objects.get_or_create(old=old, new=new, defaults={"by": by, "at": timezone.now()})
    text = f"{by.get_username()} said that it is not {new.model_id}"
    event_log.record(LogTopic.DISCOVERY, Severity.INFO, text, model_id=old.model_id, path=old.path)
