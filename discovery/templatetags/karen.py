"""Numbers, times and words as people read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.forms.boundfield import BoundField
from django.utils import timezone
from django.utils.safestring import SafeString

from discovery.engine.core import format_registry, problem_codes
from discovery.engine.core.completeness import WANTED
from discovery.engine.core.file_kinds import file_kind
from discovery.engine.core.service_words import (
    Channel,
    Difference,
    JobState,
    LoadResult,
    MatchState,
    ScanEvent,
)
from discovery.engine.core.text import human_bytes, listed, word
from discovery.engine.core.text import plural as counted
from discovery.engine.core.vocabulary import (
    ModelType,
    Outcome,
    Relation,
    Severity,
    Status,
    Visibility,
    category_hint,
)
from discovery.engine.core.word import Word
from discovery.engine.integrity import checks
from discovery.models import Finding, RegisteredModel, ScanRun
from discovery.services.access.redaction import Sight
from discovery.services.core.form_stamps import stamp as stamp_of
from discovery.services.findings import triage
from discovery.services.settings import editing

register = template.Library()
register.filter(word)
register.filter(file_kind)
register.filter(category_hint)
register.filter("advice", problem_codes.advice)
register.filter("check_name", checks.label)

UNKNOWN = "–"

#: A queued scan that nobody has begun after so many seconds waits for a worker.
PATIENCE = 5


@register.filter
def parameters(count: int | None) -> str:
    """``8.0 B``, ``428 M``: three digits are enough to tell models apart."""
    if not count:
        return UNKNOWN
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= limit * 0.9995:
            number = count / limit
            digits = 1 if number < (99.95 if unit in "TB" else 9.95) else 0
            return f"{number:,.{digits}f} {unit}"
    return f"{count:,}"


@register.filter
def size(count: int | None) -> str:
    return UNKNOWN if count is None else human_bytes(count)


@register.filter
def stamp(value: object) -> str:
    """Return the stamp that a form sends, so that unseen changes are not overwritten."""
    return stamp_of(value)


@register.filter
def decision_stamp(finding: Finding) -> str:
    """The same for what was decided about a finding when the page was made."""
    return triage.state(finding)


@register.filter
def memory_size(count: int | None) -> str:
    """Memory is sold in powers of two: ``5.9 GiB``."""
    if count is None:
        return UNKNOWN
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


@register.filter
def fits_words(answer: str | None) -> str:
    return {"memory": "Fits in memory", "offload": "Fits with offload", "no": "Too large"}.get(
        answer or "", "Unknown"
    )


@register.filter
def visibility_label(visibility: str) -> str:
    return Visibility.label_of(visibility)


@register.filter
def number(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count:,}"


@register.filter
def count_of(count: int, noun: str) -> str:
    """Format a count with its noun: ``{{ 1|count_of:"model" }}`` gives ``1 model``.

    An irregular plural follows a comma: ``"entry,entries"``.
    """
    one, _, many = noun.partition(",")
    return counted(count, one, many or None)


@register.filter
def setting_value(value: dict[str, Any] | None) -> str:
    """A value of the history of settings in one line."""
    return editing.shown(value)


@register.filter
def ago(moment: datetime | None) -> str:
    """``4 min ago``; a date once it is more than a month past."""
    if moment is None:
        return "never"
    seconds = (timezone.now() - moment).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3_570:
        return f"{max(round(seconds / 60), 1)} min ago"
    if seconds < 84_600:
        return f"{round(seconds / 3600)} h ago"
    days = max(round(seconds / 86_400), 1)
    if days <= 30:
        return f"{counted(days, 'day')} ago"
    there = timezone.localtime(moment)
    return f"{there.day} {there:%b %Y}"


@register.filter
def minute(moment: datetime) -> str:
    """Format a time like the filter ``date``, but fast enough for hundreds of rows.

    The result looks like ``4 Nov 2026, 09:05``.
    """
    there = timezone.localtime(moment)
    return f"{there.day} {there:%b %Y, %H:%M}"


@register.filter
def exact(moment: datetime) -> str:
    """Format a time like ``minute``, with the name of the time zone."""
    return f"{minute(moment)} {timezone.localtime(moment):%Z}"


@register.filter
def until(moment: datetime | None) -> str:
    """``in 12 min``; ``now`` once it has come."""
    if moment is None:
        return UNKNOWN
    seconds = (moment - timezone.now()).total_seconds()
    if seconds < 45:
        return "now"
    if seconds < 3_570:
        return f"in {max(round(seconds / 60), 1)} min"
    return (
        f"in {round(seconds / 3600)} h"
        if seconds < 84_600
        else f"in {counted(max(round(seconds / 86_400), 1), 'day')}"
    )


@register.filter
def duration(seconds: float | None) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@register.filter
def seconds_since(moment: datetime | None) -> float:
    return max((timezone.now() - moment).total_seconds(), 0) if moment else 0


@register.filter
def type_name(value: str) -> str:
    return ModelType.label_of(value)


@register.filter
def format_name(value: str | None) -> str:
    return format_registry.label(value)


@register.filter
def status_word(status: str) -> str:
    return Status.label_of(status)


@register.filter
def status_tone(status: str) -> str:
    return Status.tone_of(status)


@register.filter
def state_tone(run: ScanRun) -> str:
    if run.state == ScanRun.State.DONE and run.message:
        return "warn"
    return str(run.State.tone_of(run.state))


@register.filter
def level_tone(level: str) -> str:
    return Severity.tone_of(level)


@register.filter
def event_tone(event: str) -> str:
    return (Difference if event in Difference.values else ScanEvent).tone_of(event)


@register.filter
def tone(value: str) -> str:
    """The colour of a severity, an outcome, a result, a match or the state of a job."""
    kinds: tuple[type[Word], ...] = (Severity, Outcome, LoadResult, MatchState, JobState)
    return next((kind.tone_of(value) for kind in kinds if value in kind.values), "plain")


@register.filter
def outcome_word(value: str) -> str:
    return Outcome.label_of(value)


@register.filter
def load_word(result: str) -> str:
    return LoadResult.label_of(result)


@register.filter
def severity_word(severity: str) -> str:
    return Severity.label_of(severity)


@register.filter
def wanted_words(missing: list[str]) -> str:
    """``a license and its languages``."""
    return listed([WANTED[name] for name in missing])


@register.filter
def wanted_word(name: str) -> str:
    """``license`` → ``a license``."""
    return WANTED.get(name, name)


@register.filter
def as_input(field: BoundField) -> SafeString:
    """Render a field of a Django form in our design."""
    return field.as_widget(attrs={"class": "input"})


@register.filter
def get(mapping: dict[str, Any], key: str) -> Any:
    return mapping.get(key, "")


@register.filter
def document_value(record: RegisteredModel, field: str) -> Any:
    """A field of the model document: what people decided, else what was read."""
    return record.value(field)


@register.filter
def share(part: int, whole: int) -> int:
    """Return the percentage of ``part`` in ``whole``, rounded to an integer."""
    return min(round(100 * part / whole), 100) if whole else 0


@register.filter
def code_words(code: str) -> str:
    """``shards_missing`` → ``shards missing``."""
    return code.replace("_", " ").replace("lfs", "git-lfs")


@register.filter
def is_waiting(run: ScanRun) -> bool:
    return run.state == ScanRun.State.QUEUED and seconds_since(run.created_at) > PATIENCE


@register.filter
def percent(run: ScanRun) -> int | None:
    """How far a scan is, by the models known before it; ``None`` when nothing was known."""
    if not run.expected:
        return None
    return min(round(100 * (run.new + run.changed + run.unchanged) / run.expected), 100)


@register.filter
def below(path: str, folder: str) -> str:
    """``path`` without the folder it lies in."""
    return path.removeprefix(f"{folder}/")


@register.filter
def variant_words(variant: dict[str, Any]) -> str:
    """Describe a variant beyond its name: ``GGUF · Q4_K_M · 4.5 bits/weight · 3 files``."""
    kind, bits, precision = (
        variant["format"],
        variant.get("bits_per_weight"),
        variant.get("quantization") or variant.get("dtype"),
    )
    words = [format_name(kind)] if kind and kind not in variant["name"] else []
    words += [precision] if precision and precision not in variant["name"] else []
    words += [f"{bits:.2g} bits/weight"] if bits else []
    files = len(variant.get("files", ()))
    return " · ".join([*words, counted(files, "file")] if files > 1 else words)


@register.filter
def first_problem(problems: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The one to tell first: errors before warnings."""
    return next(
        (each for each in problems if each["severity"] == "error"),
        problems[0] if problems else None,
    )


@register.filter
def category_class(primary: str | None) -> str:
    return f"cat-{primary.lower()}" if primary else ""


@register.filter
def channel_word(name: str) -> str:
    return Channel.label_of(name)


@register.filter
def relation_word(relation: str) -> str:
    """``finetune`` → ``Fine-tune``; a word of somebody's own stays."""
    return Relation.label_of(relation)


@register.filter
def shape(dimensions: tuple[int, ...]) -> str:
    """``4,096 × 11,008``; a scalar has none."""
    shown = " × ".join(f"{each:,}" for each in dimensions[:8])
    return f"{shown} × …" if len(dimensions) > 8 else shown or "scalar"


@register.filter
def told_to(text: str, sight: Sight) -> str:
    """Return a sentence as this person may see it: without paths of roots."""
    return sight.text(text)


@register.filter
def person_to(name: str, sight: Sight) -> str:
    """Who it was, where this person may know; empty otherwise."""
    return sight.person(name)


@register.filter
def edited_to(name: str, sight: Sight) -> str:
    """``edited by anna``, or ``edited``."""
    return sight.edited(name)
