"""The registry that a download comes from, and the link of what was placed to its model there."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from discovery.engine.core.service_words import MatchState, RegistryFault
from discovery.models import Download, RegisteredModel, RemoteEntry, RemoteMatch
from discovery.services.downloads.remote_files import of_json
from discovery.services.registries import entries, links, syncing
from discovery.services.registries.configured import Configured
from discovery.services.registries.matching import WEIGHTS, Evidence
from discovery.services.registries.protocol import RegistryError, RemoteModel


def registry_of(name: str) -> Configured:
    """A registry that may be downloaded from; raises ``RegistryError``."""
    try:
        return syncing.enabled(name)
    except syncing.NotEnabled as error:
        raise RegistryError(RegistryFault.SETTINGS, str(error)) from error


def link(job: Download, record: RegisteredModel) -> None:
    """Link the model with the remote one that it is; what the registry says goes into its record.

    One that is linked to another model of this registry stays so.
    """
    try:
        entry = links.read_entry(job.registry, job.remote_id)
    except links.LinkError:
        entry = _remembered(job)
    told = f"It was downloaded from there{_at(job.revision)}."
    linked = RemoteMatch.objects.filter(
        model=record, registry=job.registry, state=MatchState.ACCEPTED
    )
    with transaction.atomic():
        if linked.exclude(entry=entry).exists():
            return
        RemoteMatch.objects.update_or_create(
            model=record,
            entry=entry,
            defaults={
                "registry": job.registry,
                "state": MatchState.ACCEPTED,
                "confidence": WEIGHTS["commit"],
                "evidence": [Evidence("commit", told).as_json()],
                "local_revision": job.revision,
                "decided_at": timezone.now(),
            },
        )
    entries.bring([record.pk])


def _at(revision: str) -> str:
    return f" at commit {revision[:12]}" if revision else ""


def _remembered(job: Download) -> RemoteEntry:
    """What the download itself knows, where the registry does not answer now."""
    entry, is_new = RemoteEntry.objects.get_or_create(
        registry=job.registry, remote_id=job.remote_id
    )
    if is_new:
        files = tuple(of_json(row) for row in job.files)
        told = RemoteModel(job.remote_id, revision=job.revision, license=job.license, files=files)
        entries.take(entry, told)
        entry.save()
    return entry
