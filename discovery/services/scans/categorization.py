"""Rules for categories: preview a change on the whole registry, save it, undo it, and reapply.

Curated categories never change: rules write ``extracted``, and people's decisions beat it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from discovery.engine.classify.categorize import Categorizer, as_json
from discovery.engine.classify.describe import RULES_SOURCE, decide
from discovery.engine.classify.rules import CategorizationRules
from discovery.engine.classify.signals import Signals
from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import AXES, Severity
from discovery.models import LogTopic, Recategorization, RegisteredModel
from discovery.services import jobs
from discovery.services.access import audiences
from discovery.services.core import config_files, event_log
from discovery.services.curation import collections
from discovery.services.jobs import Ending
from discovery.services.registry.records import RESOLVED, resolve

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Fields that rules decide.
DECIDED = (*AXES, "capabilities")

CHUNK = 500
#: Seconds between writes to the row of a running recategorization.
BEAT = 0.5


class InvalidRules(Exception):
    """The text is not a rules file; ``faults`` say where and why."""

    def __init__(self, faults: tuple[config_files.ConfigError, ...]) -> None:
        super().__init__("; ".join(fault.reason for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Change:
    """One model whose categories would change.

    ``why`` is the strongest evidence; ``kept`` says that a person decided otherwise.
    """

    model_id: str
    title: str
    axis: str
    before: str | None
    after: str | None
    why: str
    kept: bool = False


@dataclass(slots=True)
class Trial:
    """What saving would do.

    ``moves`` counts (axis, before, after); ``changes`` lists the first of them.
    """

    models: int = 0
    changed: int = 0
    kept: int = 0
    changes: list[Change] = field(default_factory=list)
    moves: Counter[tuple[str, str | None, str | None]] = field(default_factory=Counter)


def text() -> str:
    """Return the text of the rules file, or the shipped rules where there is none."""
    path = config_files.RULES.path
    source = path if path.exists() else config_files.SHIPPED_RULES
    return source.read_text("utf-8", "replace")


def parse(source: str) -> CategorizationRules:
    """Parse the rules; raises ``InvalidRules`` with the path inside the file."""
    rules, faults = config_files.RULES.validate(source.encode("utf-8", "surrogatepass"))
    if rules is None:
        raise InvalidRules(faults)
    return rules


def tidy(source: str) -> str:
    """The same rules, indented."""
    return json.dumps(json.loads(source), indent=2, ensure_ascii=False) + "\n"


def counts() -> dict[tuple[str, str], int]:
    """{(axis, category): models that have it now}."""
    found: dict[tuple[str, str], int] = {}
    for axis in AXES:
        for value in (
            RegisteredModel.objects.exclude(**{axis: None})
            .values_list(axis, flat=True)
            .iterator(chunk_size=5_000)
        ):
            found[axis, value] = found.get((axis, value), 0) + 1
    return found


def try_out(rules: CategorizationRules, *, limit: int = 200) -> Trial:
    """Categorize every model by ``rules`` and compare; nothing is written."""
    categorizer, trial = Categorizer(rules), Trial()
    columns = ("model_id", "name", "display_name", "signals", "extracted", "curated")
    for model_id, name, display_name, signals, extracted, curated in (
        RegisteredModel.objects.order_by("name", "pk")
        .values_list(*columns)
        .iterator(chunk_size=CHUNK)
    ):
        trial.models += 1
        values, evidence = _decide(signals, extracted, curated, categorizer)
        moved = False
        for axis in AXES:
            before, after = _read(extracted, axis), _decided(extracted, axis, values)
            if before == after:
                continue
            kept = axis in curated
            trial.kept += kept
            moved = moved or not kept
            if not kept:
                trial.moves[axis, before, after] += 1
            if len(trial.changes) < limit:
                first = next(iter(evidence.get(axis, ())), None)
                why = (
                    f"{first.rule}: {first.matched} ({first.where})"
                    if first
                    else "no rule matches any more"
                )
                trial.changes.append(
                    Change(model_id, display_name or name, axis, before, after, why, kept)
                )
        trial.changed += moved
    return trial


def save(source: str, *, by: User) -> None:
    """Put the rules into effect.

    The file is written atomically, the previous file is kept next to it, and a worker recategorizes
    every model.

    Raises ``InvalidRules`` or ``OSError`` (the config directory cannot be written); then nothing
    has changed.
    """
    parse(source)
    path = config_files.RULES.path
    config_files.write_atomically(previous_path(), text().encode())
    config_files.write_atomically(path, tidy(source).encode())
    config_files.RULES.forget()
    event_log.record(
        LogTopic.CATEGORIZATION, Severity.INFO, f"{by.get_username()} changed the rules"
    )
    request_recategorization(by)


def previous_path() -> Any:
    path = config_files.RULES.path
    return path.with_name(f"{path.stem}.previous.json")


def can_undo() -> bool:
    return bool(previous_path().exists())


def undo(*, by: User) -> None:
    """Restore the previous rules; the current ones become the previous ones.

    Raises ``FileNotFoundError`` when there are none.
    """
    save(previous_path().read_text("utf-8"), by=by)


def recategorize(tick: Callable[[int, int], None] = lambda _done, _changed: None) -> int:
    """Recategorize every model with the current rules, in batches; return how many changed.

    ``tick`` receives after each batch how many models were read and changed; an error that it
    raises ends the loop.
    """
    categorizer, done, changed = Categorizer(config_files.rules()), 0, 0
    log = event_log.Journal()
    for records in _chunks():
        batch = []
        for record in records:
            before = {axis: getattr(record, axis) for axis in AXES}
            if _apply(record, categorizer):
                batch.append(record)
                moves = [
                    f"{axis} {before[axis]} → {getattr(record, axis)}"
                    for axis in AXES
                    if before[axis] != getattr(record, axis)
                ]
                if moves:
                    log.add(
                        LogTopic.CATEGORIZATION,
                        Severity.INFO,
                        f"recategorized: {', '.join(moves)}",
                        model_id=record.model_id,
                        path=record.path,
                    )
        with transaction.atomic():
            if batch:
                fields = ["extracted", "evidence", "changed_at", *RESOLVED]
                RegisteredModel.objects.bulk_create(
                    batch, update_conflicts=True, unique_fields=["model_id"], update_fields=fields
                )
                audiences.refresh(record.pk for record in batch)
            log.write()
        done, changed = done + len(records), changed + len(batch)
        tick(done, changed)
    collections.refresh()
    return changed


def _chunks() -> Iterator[list[RegisteredModel]]:
    last = 0
    while records := list(RegisteredModel.objects.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        yield records
        last = records[-1].pk


def _apply(record: RegisteredModel, categorizer: Categorizer) -> bool:
    values, evidence = _decide(record.signals, record.extracted, record.curated, categorizer)
    told = {**record.evidence, **as_json(evidence)}
    extracted = dict(record.extracted)
    for name in DECIDED:
        if name in extracted and extracted[name]["source"] != RULES_SOURCE:
            continue
        if values.get(name):
            extracted[name] = {"value": values[name], "source": RULES_SOURCE}
        else:
            extracted.pop(name, None)
    if extracted == record.extracted and told == record.evidence:
        return False
    record.extracted, record.evidence, record.changed_at = extracted, told, timezone.now()
    resolve(record)
    return True


def _decide(
    signals: Mapping[str, Any],
    extracted: Mapping[str, Any],
    curated: Mapping[str, Any],
    categorizer: Categorizer,
) -> tuple[dict[str, Any], dict[str, Any]]:
    def listed(*names: str) -> list[str]:
        for name in names:
            for half in (curated, extracted):
                if name in half and isinstance(half[name]["value"], list):
                    return list(half[name]["value"])
        return []

    return decide(
        Signals.from_json(signals),
        listed("input_modalities", "modalities"),
        listed("output_modalities"),
        categorizer,
    )


def _read(extracted: Mapping[str, Any], axis: str) -> str | None:
    entry = extracted.get(axis)
    return entry["value"] if entry else None


def _decided(extracted: Mapping[str, Any], axis: str, values: Mapping[str, Any]) -> str | None:
    """What metadata.json states about a category is not the rules' to change."""
    entry = extracted.get(axis)
    if entry and entry["source"] != RULES_SOURCE:
        return str(entry["value"])
    return values.get(axis)


class Recategorizations(jobs.Kind[Recategorization]):
    """The jobs that recategorize models.

    An interrupted job starts again: models that the same rules have decided already do not change.
    """

    model = Recategorization
    task = "discovery.tasks.run_recategorization"
    name = "recategorization"
    goes_on = "it begins again by itself."
    given_up = "save the rules again."
    stopped = (
        "Stopped: the rest of the models keep their categories until the rules are saved again."
    )
    broke = "{error}. Save the rules again; if that does not help, please report this."
    is_patient = True

    def run(self, job: Recategorization, **_options: Any) -> Ending:
        total = RegisteredModel.objects.count()
        jobs.beat(job, total=total, done=0)
        pulse = jobs.Pulse(job, BEAT)
        changed = recategorize(lambda done, changed: pulse(done=done, changed=changed))
        told = (
            f"{plural(changed, 'model')} of {total:,} changed." if changed else "No model changed."
        )
        return Ending(Recategorization.State.DONE, told, {"done": total, "changed": changed})

    def ready(self, queued: QuerySet[Recategorization]) -> QuerySet[Recategorization]:
        return queued.none() if _running().exists() else queued

    def before(self, job: Recategorization) -> QuerySet[Recategorization]:
        return _running()


KIND = Recategorizations()


def request_recategorization(by: User | None) -> Recategorization:
    """Queue a recategorization, unless one waits. A running one uses the old rules: it stops."""
    job, _ = KIND.request({}, requested_by=by)
    _running().update(cancel_requested=True)
    return job


def _running() -> QuerySet[Recategorization]:
    return Recategorization.objects.filter(state=Recategorization.State.RUNNING)
