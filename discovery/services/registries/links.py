"""What people decide about matches: confirm, reject, unlink, and link by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from discovery.engine.core.service_words import MatchState, RegistryFault
from discovery.engine.core.text import clean
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, RegisteredModel, RemoteEntry, RemoteMatch
from discovery.services.core import event_log
from discovery.services.registries import entries, local_models, updates
from discovery.services.registries.configured import configured, connect
from discovery.services.registries.matching import WEIGHTS, Evidence, judge
from discovery.services.registries.protocol import RegistryError
from discovery.services.registries.syncing import NotEnabled, enabled

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

#: Views of the list of matches → their condition.
VIEWS: dict[str, Q] = {
    "review": Q(state=MatchState.PROPOSED),
    "updates": Q(state=MatchState.ACCEPTED, has_update=True),
    "linked": Q(state=MatchState.ACCEPTED),
    "rejected": Q(state=MatchState.REJECTED),
}


class LinkError(Exception):
    """Nothing was linked; the text says why."""


def visible(user: User | AnonymousUser) -> QuerySet[RemoteMatch]:
    """Matches of models that ``user`` may see, with all that lists show."""
    models = RegisteredModel.objects.visible_to(user).values("pk")
    rows = RemoteMatch.objects.filter(model__in=models)
    return (
        rows.select_related("model", "entry", "decided_by")
        .defer("entry__files", "entry__card", "base_files", "model__extracted", "model__files")
        .order_by("-confidence", "model__sort_name", "pk")
    )


def of_model(model: RegisteredModel) -> list[RemoteMatch]:
    """Its links and what waits for a person, for its page; one query."""
    rows = RemoteMatch.objects.filter(model=model).exclude(state=MatchState.REJECTED)
    return list(rows.select_related("entry").defer("entry__files", "entry__card", "base_files"))


def confirm(match: RemoteMatch, *, by: User) -> None:
    """It is that one. Raises ``LinkError`` where the model is linked to another one there."""
    with transaction.atomic():
        row = (
            RemoteMatch.objects.select_for_update()
            .select_related("entry", "model")
            .get(pk=match.pk)
        )
        others = RemoteMatch.objects.filter(model=row.model_id, registry=row.registry)
        linked = others.filter(state=MatchState.ACCEPTED).exclude(pk=row.pk).first()
        if linked is not None:
            raise LinkError(f"It is linked to {linked.entry.remote_id}. Unlink that first.")
        others.filter(state=MatchState.PROPOSED).exclude(pk=row.pk).delete()
        _decide(row, MatchState.ACCEPTED, by)
    _follow(row)
    _tell(row, f"{by.get_username()} linked it to {row.entry.remote_id} of {row.registry}")


def reject(match: RemoteMatch, *, by: User) -> None:
    """It is another one, and is not proposed again; a link ends."""
    with transaction.atomic():
        row = (
            RemoteMatch.objects.select_for_update()
            .select_related("entry", "model")
            .get(pk=match.pk)
        )
        _decide(row, MatchState.REJECTED, by)
    entries.bring([row.model_id])
    _tell(row, f"{by.get_username()} said that it is not {row.entry.remote_id} of {row.registry}")


def link(model: RegisteredModel, registry: str, remote_id: str, *, by: User) -> RemoteMatch:
    """Link a model by hand; the registry is asked whether it has that one.

    Raises ``LinkError``.
    """
    name = clean(remote_id, 300).strip("/ ")
    if not name:
        raise LinkError("Enter the ID of the remote model, such as mistralai/Mistral-7B-v0.1.")
    entry = read_entry(registry, name)
    match, _ = RemoteMatch.objects.get_or_create(
        model=model,
        entry=entry,
        defaults={"registry": registry, "state": MatchState.PROPOSED},
    )
    with transaction.atomic():
        linked = RemoteMatch.objects.filter(
            model=model, registry=registry, state=MatchState.ACCEPTED
        )
        linked.exclude(pk=match.pk).update(
            state=MatchState.REJECTED, decided_at=timezone.now(), decided_by=by
        )
    confirm(match, by=by)
    return match


def read_entry(registry: str, remote_id: str) -> RemoteEntry:
    """Ask a registry for a model, and keep what it says. Raises ``LinkError``."""
    try:
        connection = connect(enabled(registry))
    except (NotEnabled, RegistryError) as error:
        raise LinkError(str(error)) from error
    try:
        remote = connection.model(remote_id)
        entry, _ = RemoteEntry.objects.get_or_create(registry=registry, remote_id=remote.remote_id)
        entries.take(entry, remote)
        try:
            entry.card = connection.card(remote)
        except RegistryError as error:
            if error.fault not in (RegistryFault.GATED, RegistryFault.KEY, RegistryFault.GONE):
                raise
    except RegistryError as error:
        raise LinkError(str(error)) from error
    finally:
        connection.close()
    entry.save()
    return entry


def _decide(row: RemoteMatch, state: MatchState, by: User) -> None:
    row.state, row.decided_by, row.decided_at = state, by, timezone.now()
    fields = ["state", "decided_by", "decided_at"]
    if state == MatchState.ACCEPTED:
        row.confidence = WEIGHTS["by_hand"]
        told = Evidence("by_hand", f"{by.get_username()} confirmed it.").as_json()
        row.evidence = [told, *(e for e in row.evidence if e["kind"] != "by_hand")]
        fields += ["confidence", "evidence"]
    else:
        row.has_update, row.update = False, None
        fields += ["has_update", "update"]
    row.save(update_fields=fields)


def _follow(row: RemoteMatch) -> None:
    """What the registry says goes into the record, and what is newer there is told."""
    rows = RegisteredModel.objects.filter(pk=row.model_id)
    kind, endpoint = _place(row.registry)
    found = [each for part in local_models.read(kind, endpoint, rows) for each in part]
    local = next(iter(found), None)
    if local is not None and row.entry.revision:
        now = entries.files_of(row.entry.files)
        verdict = judge(local, entries.compared(row.entry))
        row.evidence = [row.evidence[0], *(each.as_json() for each in verdict.evidence)]
        row.local_revision = local.revision
        if row.entry.revision not in local.revisions | {local.revision}:
            before = local.stored(now)
            row.update = updates.difference(
                local, row.entry.revision, row.entry.license, now, before
            )
        row.has_update = row.update is not None
        row.save(update_fields=["evidence", "local_revision", "update", "has_update"])
    entries.bring([row.model_id])


def _place(registry: str) -> tuple[str, str]:
    """(kind, address) of a registry, whether it is enabled or not."""
    known = configured().get(registry)
    return (known.settings.kind, known.endpoint) if known else ("", "")


def _tell(row: RemoteMatch, told: str) -> None:
    event_log.record(
        LogTopic.METADATA, Severity.INFO, told, model_id=row.model.model_id, path=row.model.path
    )


def as_json(match: RemoteMatch) -> dict[str, Any]:
    """A match as programs are told of it."""
    entry = match.entry
    return {
        "match_id": match.pk,
        "model_id": match.model.model_id,
        "registry": match.registry,
        "remote_id": entry.remote_id,
        "url": entry.url or None,
        "state": match.state,
        "confidence": match.confidence,
        "evidence": match.evidence,
        "local_revision": match.local_revision or None,
        "update": match.update,
        "remote": {
            "revision": entry.revision or None,
            "license": entry.license or None,
            "author": entry.author or None,
            "tags": entry.tags,
            "downloads": entry.downloads,
            "likes": entry.likes,
            "updated_at": entry.updated_at,
            "gated": entry.gated or None,
            "fault": entry.fault or None,
            "message": entry.message or None,
        },
        "found_at": match.found_at,
        "decided_at": match.decided_at,
        "decided_by": match.decided_by.get_username() if match.decided_by else None,
    }
