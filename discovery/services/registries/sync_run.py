"""One sync of a registry: which remote models are asked for, in what order, and what comes of it.

First what local models name themselves, many in one request where the registry can; of these, only
what has a new revision is read with its files. Then some of the others are looked for by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from django.utils import timezone

from discovery.engine.core.service_words import MatchState
from discovery.models import NameSearch, RegisteredModel, RemoteEntry, RemoteMatch, Root
from discovery.services.registries import entries, updates
from discovery.services.registries.configured import Configured
from discovery.services.registries.entry_reader import Counts, EntryReader
from discovery.services.registries.local_models import LocalModel, alike, read
from discovery.services.registries.matching import Verdict, judge
from discovery.services.registries.protocol import Registry, RegistryError, RemoteModel

#: Models that are looked for by name in one sync, and how soon the same one is looked for again.
MAX_SEARCHES, SEARCH_AGAIN = 200, timedelta(days=7)
#: Remote models that a search may compare one local model with.
MAX_CANDIDATES = 3


@dataclass
class SyncRun:
    """``beat(**columns)`` is called all along, and raises when the sync is to stop.

    With ``dry_run`` nothing is written; ``report`` tells what would have been.
    """

    registry: Registry
    configured: Configured
    beat: Callable[..., None]
    dry_run: bool = False
    sleep: Callable[[float], None] = time.sleep
    counts: Counts = field(default_factory=Counts)
    report: list[dict[str, Any]] = field(default_factory=list)
    _searched: int = 0
    _changed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = EntryReader(
            self.registry, self.counts, self.beat, keeps=not self.dry_run, sleep=self.sleep
        )

    def run(self) -> None:
        """Raises ``RegistryError`` when the registry stops answering; what was read stays."""
        try:
            for part in read(self.configured.settings.kind, self.configured.endpoint, _rows()):
                self._sync(part)
                self._bring()
        finally:
            self._bring()

    def _bring(self) -> None:
        keys, self._changed = self._changed, []
        if not self.dry_run:
            self.counts.changed += entries.bring(keys)

    # -- what to ask for

    def _sync(self, locals_: list[LocalModel]) -> None:
        matches = self._matches(locals_)
        wanted = {local.pk: self._wanted(local, matches.get(local.pk, [])) for local in locals_}
        ids = list(dict.fromkeys(each for own in wanted.values() for each in own))
        self.counts.total += len(ids)
        known = self.reader.read_all(ids)
        for local in locals_:
            self._settle(local, [known[i] for i in wanted[local.pk] if i in known], matches)
        self._search([local for local in locals_ if not wanted[local.pk]], matches)

    def _matches(self, locals_: list[LocalModel]) -> dict[int, list[RemoteMatch]]:
        rows = RemoteMatch.objects.filter(
            registry=self.registry.name, model__in=[local.pk for local in locals_]
        )
        found: dict[int, list[RemoteMatch]] = {}
        for match in rows.select_related("entry"):
            found.setdefault(match.model_id, []).append(match)
        return found

    def _wanted(self, local: LocalModel, matches: list[RemoteMatch]) -> list[str]:
        """Remote IDs to compare it with: of its link, or else all that it names."""
        linked = [each for each in matches if each.state == MatchState.ACCEPTED]
        if linked:
            return [linked[0].entry.remote_id]
        rejected = {m.entry.remote_id.casefold() for m in matches if m.state == MatchState.REJECTED}
        named = [origin.remote_id for origin in local.origins if not origin.is_a_guess]
        named += [m.entry.remote_id for m in matches if m.state == MatchState.PROPOSED]
        return [
            each
            for each in dict.fromkeys(named)
            if each.casefold() not in rejected and self.configured.wants(each)
        ]

    # -- deciding

    def _settle(
        self,
        local: LocalModel,
        found: list[RemoteEntry],
        matches: dict[int, list[RemoteMatch]],
    ) -> None:
        """Link a local model with the best of ``found``, or ask a person."""
        own = {match.entry.remote_id: match for match in matches.get(local.pk, [])}
        judged = [(judge(local, entries.compared(entry)), entry) for entry in found]
        judged.sort(key=lambda pair: -pair[0].confidence)
        certain = [pair for pair in judged if pair[0].is_certain]
        is_alone = len(certain) == 1 or (
            len(certain) > 1 and certain[0][0].confidence > certain[1][0].confidence
        )
        for position, (verdict, entry) in enumerate(judged):
            match = own.get(entry.remote_id)
            if match is not None and match.state == MatchState.ACCEPTED:
                self._follow(match, local, entry, verdict, entries.state(match))
                return
            if position == 0 and is_alone and verdict.is_certain:
                self._link(match, local, entry, verdict)
                return
            if verdict.is_worth_asking:
                self._propose(match, local, entry, verdict)

    def _link(
        self, match: RemoteMatch | None, local: LocalModel, entry: RemoteEntry, verdict: Verdict
    ) -> None:
        match = match or self._new(local, entry)
        before = entries.state(match)
        if not self.dry_run:
            others = RemoteMatch.objects.filter(model=local.pk, registry=self.registry.name)
            others.filter(state=MatchState.PROPOSED).exclude(pk=match.pk).delete()
        match.state, match.decided_at = MatchState.ACCEPTED, timezone.now()
        self.counts.linked += 1
        self._follow(match, local, entry, verdict, before)
        self._tell(local, entry, "linked", verdict)

    def _propose(
        self, match: RemoteMatch | None, local: LocalModel, entry: RemoteEntry, verdict: Verdict
    ) -> None:
        is_new = match is None
        match = match or self._new(local, entry)
        before = entries.state(match)
        match.state = MatchState.PROPOSED
        self._weigh(match, verdict)
        if is_new:
            self.counts.proposed += 1
            self._tell(local, entry, "proposed", verdict)
        self._save(match, before)

    def _save(self, match: RemoteMatch, before: dict[str, Any]) -> None:
        """Unless a person has decided about it meanwhile."""
        if self.dry_run:
            return
        if match.pk is None:
            RemoteMatch.objects.bulk_create([match], ignore_conflicts=True)
            return
        now = entries.state(match)
        changed = {name: value for name, value in now.items() if value != before[name]}
        if changed:
            rows = RemoteMatch.objects.filter(pk=match.pk, state=before["state"])
            rows.update(**changed)

    def _new(self, local: LocalModel, entry: RemoteEntry) -> RemoteMatch:
        return RemoteMatch(model_id=local.pk, entry=entry, registry=self.registry.name)

    def _weigh(self, match: RemoteMatch, verdict: Verdict) -> None:
        if match.decided_by_id is None:
            match.confidence = verdict.confidence
            match.evidence = [each.as_json() for each in verdict.evidence]

    def _follow(
        self,
        match: RemoteMatch,
        local: LocalModel,
        entry: RemoteEntry,
        verdict: Verdict,
        before: dict[str, Any],
    ) -> None:
        """Bring a link up to date: what is here, and what is newer there."""
        self._weigh(match, verdict)
        if local.revision and local.revision != match.local_revision:
            match.local_revision, match.base_files = local.revision, []
        local.revision = local.revision or match.local_revision
        had = match.has_update
        match.update = self._update(match, local, entry)
        match.has_update = match.update is not None
        self.counts.updates += match.has_update
        if match.has_update and not had:
            self._tell(local, entry, "update", verdict)
        self._changed.append(local.pk)
        self._save(match, before)

    def _update(
        self, match: RemoteMatch, local: LocalModel, entry: RemoteEntry
    ) -> dict[str, Any] | None:
        if not entry.revision or entry.revision in local.revisions | {local.revision}:
            return None
        if match.update and (match.update["from"], match.update["to"]) == (
            local.revision,
            entry.revision,
        ):
            return dict(match.update)
        if local.revision and not match.base_files:
            match.base_files = self._files_at(entry.remote_id, local.revision)
        now = entries.files_of(entry.files)
        before = entries.files_of(match.base_files) if match.base_files else local.stored(now)
        return updates.difference(local, entry.revision, entry.license, now, before)

    def _files_at(self, remote_id: str, revision: str) -> list[dict[str, Any]]:
        try:
            model = self.reader.ask(lambda: self.registry.model(remote_id, revision))
        except RegistryError as error:
            if not error.is_about_one_model:
                raise
            return []  # its history was rewritten: local files are compared
        return [entries.as_json(file) for file in model.files or ()]

    def _tell(self, local: LocalModel, entry: RemoteEntry, what: str, verdict: Verdict) -> None:
        self.report.append(
            {
                "what": what,
                "model_id": local.model_id,
                "remote_id": entry.remote_id,
                "confidence": verdict.confidence,
                "evidence": [each.text for each in verdict.evidence],
            }
        )

    # -- by name

    def _search(self, locals_: list[LocalModel], matches: dict[int, list[RemoteMatch]]) -> None:
        """Look for models that name nothing by their own name, some in each sync."""
        lately = NameSearch.objects.filter(
            registry=self.registry.name, at__gte=timezone.now() - SEARCH_AGAIN
        )
        done = set(lately.values_list("model_id", flat=True))
        for local in locals_:
            if local.pk in done or self._searched >= MAX_SEARCHES:
                continue
            self._searched += 1
            self.beat(**self.counts.as_dict(), requests=self.registry.requests)
            found = self.reader.ask(partial(self.registry.search, local.name, 20))
            guessed = [origin.remote_id for origin in local.origins]
            if not self.dry_run:
                NameSearch.objects.update_or_create(
                    model_id=local.pk,
                    registry=self.registry.name,
                    defaults={"at": timezone.now()},
                )
            self._settle(local, self._candidates(local, guessed, found, matches), matches)

    def _candidates(
        self,
        local: LocalModel,
        guessed: Iterable[str],
        found: Iterable[RemoteModel],
        matches: dict[int, list[RemoteMatch]],
    ) -> list[RemoteEntry]:
        """What its folders name and what has its name, unless rejected; with their files."""
        rejected = {
            match.entry.remote_id
            for match in matches.get(local.pk, [])
            if match.state == MatchState.REJECTED
        }
        named = [
            model.remote_id
            for model in found
            if alike(model.remote_id.rpartition("/")[2].partition(":")[0], local.name)
            or alike(model.name, local.name)
        ]
        ids = [
            each
            for each in dict.fromkeys((*guessed, *named))
            if each not in rejected and self.configured.wants(each)
        ][:MAX_CANDIDATES]
        self.counts.total += len(ids)
        return list(self.reader.read_all(ids).values()) if ids else []


def _rows() -> Any:
    """Hosted models have no files to compare."""
    return RegisteredModel.objects.exclude(root__path=Root.REMOTE)
