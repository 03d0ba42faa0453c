"""The registry: roots, models, who may see them, what people changed, and what scans did.

``extracted`` is what the last scan read, ``curated`` what people decided. The typed columns hold the resolved values
(curated beats extracted) so that lists can filter on them; only services write any of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q, QuerySet

from discovery.engine.types import ModelType, Severity, Status

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class Visibility(models.TextChoices):
    PUBLIC = "PUBLIC", "Public"
    RESTRICTED = "RESTRICTED", "Restricted"
    ADMIN_ONLY = "ADMIN_ONLY", "Administrators only"


class Channel(models.TextChoices):
    DISCOVERY = "discovery"
    VALIDATION = "validation"
    METADATA = "metadata"
    CATEGORIZATION = "categorization"


def _choices(values: type[ModelType] | type[Status] | type[Severity]) -> list[tuple[str, str]]:
    return [(value.value, value.value) for value in values]


class Root(models.Model):
    """A folder that is scanned. ``claim`` is the run that scans it now: one at a time, taken by a conditional UPDATE."""

    #: Path of the row that hosted models hang on: no folder, never enabled, never scanned.
    REMOTE = "remote:"

    path = models.CharField(max_length=1000, unique=True, help_text="Absolute path.")
    enabled = models.BooleanField(default=True)
    frozen_reason = models.CharField(
        max_length=500,
        blank=True,
        help_text="Why nothing is marked missing until a person confirms.",
    )
    missing_count = models.PositiveIntegerField(
        default=0, help_text="Models that were gone when the root was frozen."
    )
    last_scan_at = models.DateTimeField(
        null=True, blank=True, help_text="End of the last scan that saw the whole root."
    )
    claim = models.ForeignKey(
        "ScanRun", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    deep_every_days = models.PositiveSmallIntegerField(
        "validate deeply every",
        default=30,
        help_text="Days within which the bytes of every model are read and compared once; 0 for never.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path


def seen_by(user: AbstractBaseUser | AnonymousUser) -> Q:
    """The condition on ``visibility`` and key that what ``user`` may see meets."""
    if getattr(user, "is_active", False) and getattr(user, "is_staff", False):
        return Q()
    public = Q(visibility=Visibility.PUBLIC)
    if not getattr(user, "is_active", False):
        return public
    groups = Group.objects.filter(user=user.pk)
    granted = Q(
        pk__in=RegisteredModel.groups.through.objects.filter(group__in=groups).values(
            "registeredmodel_id"
        )
    )
    collected = Q(
        pk__in=RegisteredModel.collections.through.objects.filter(
            collection__groups__in=groups
        ).values("registeredmodel_id")
    )
    return public | (Q(visibility=Visibility.RESTRICTED) & (granted | collected))


class RegisteredModelQuerySet(QuerySet["RegisteredModel"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> RegisteredModelQuerySet:
        """The only way a page, a count, an export or the API reaches models. Staff see all; see design "Who may see"."""
        return self.filter(seen_by(user))


class RegisteredModel(models.Model):
    """One model. Known by (root, path); ``fingerprint`` recognises it when it moves; ``model_id`` never changes.

    ``place`` and ``signature`` are its candidate's: same place, same signature means that no file needs to be opened.
    """

    model_id = models.CharField(max_length=200, unique=True)
    root = models.ForeignKey(Root, on_delete=models.PROTECT, related_name="models")
    path = models.CharField(max_length=4096, help_text="Relative to the root, with /.")
    place = models.CharField(max_length=4096)
    signature = models.CharField(max_length=32)
    fingerprint = models.CharField(max_length=32, db_index=True)
    content = models.CharField(
        max_length=32,
        default="",
        help_text="Changes with any name, size or time of its files, not when it moves.",
    )
    by_hand = models.BooleanField(
        default=False,
        help_text="Registered by a person: scans that do not come by still look after it.",
    )
    added_in = models.ForeignKey(
        "ScanRun", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    name = models.CharField(max_length=500)
    display_name = models.CharField(max_length=500, blank=True)
    description = models.TextField(blank=True)
    type = models.CharField(
        max_length=30, choices=_choices(ModelType), default=ModelType.UNKNOWN, db_index=True
    )
    format = models.CharField(max_length=30, null=True, blank=True)
    status = models.CharField(max_length=12, choices=_choices(Status), db_index=True)
    architecture = models.CharField(max_length=200, null=True, blank=True)
    model_family = models.CharField(max_length=200, null=True, blank=True)
    parameter_count = models.BigIntegerField(null=True, blank=True)
    active_parameter_count = models.BigIntegerField(null=True, blank=True)
    context_length = models.BigIntegerField(null=True, blank=True)
    embedding_length = models.BigIntegerField(null=True, blank=True)
    layer_count = models.BigIntegerField(null=True, blank=True)
    vocab_size = models.BigIntegerField(null=True, blank=True)
    dtype = models.CharField(max_length=40, null=True, blank=True)
    quantization = models.CharField(max_length=80, null=True, blank=True)
    bits_per_weight = models.FloatField(null=True, blank=True)
    base_model = models.CharField(max_length=300, null=True, blank=True)
    base_model_relation = models.CharField(max_length=40, null=True, blank=True)
    license = models.CharField(max_length=200, null=True, blank=True)
    author = models.CharField(max_length=200, null=True, blank=True)
    version = models.CharField(max_length=200, null=True, blank=True)
    primary = models.CharField(max_length=12, null=True, blank=True)
    secondary = models.CharField(max_length=12, null=True, blank=True)
    specialization = models.CharField(max_length=12, null=True, blank=True)
    sort_name = models.CharField(
        max_length=500, default="", editable=False, help_text="Its title, case folded."
    )
    search_text = models.TextField(
        default="",
        editable=False,
        help_text="All that a search looks at, case folded, a line for each field.",
    )
    modality_words = models.CharField(
        max_length=255, default="", editable=False, help_text="Its modalities: ,IMAGE,TEXT,"
    )
    capability_words = models.CharField(
        max_length=255, default="", editable=False, help_text="Its capabilities: ,CHAT,CODE,"
    )

    extracted = models.JSONField(
        default=dict, help_text="{field: {value, source}} as the last scan read it."
    )
    curated = models.JSONField(
        default=dict, help_text="{field: {value, by, at}} as people decided."
    )
    variants = models.JSONField(default=list)
    files = models.JSONField(
        default=list, help_text="[path relative to the root, bytes] of each file."
    )
    problems = models.JSONField(default=list)
    checks = models.JSONField(
        default=list,
        help_text="[{name, status, message, path}]: the checks of the contract, by headers and names.",
    )
    scanned_status = models.CharField(
        max_length=12,
        choices=_choices(Status),
        default=Status.READY,
        help_text="What the files alone say.",
    )
    evidence = models.JSONField(
        default=dict,
        help_text="{axis: [{rule, matched, where, weight}]}: why the verdicts are what they are.",
    )
    attention = models.JSONField(
        default=dict, help_text="The shape of its layers, from which memory at any context follows."
    )
    memory_bytes = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Weights, KV cache at its own context, overhead and projector.",
    )
    signals = models.JSONField(
        default=dict,
        help_text="What rules decide by, so that they can change without reading the files again.",
    )

    completeness = models.PositiveSmallIntegerField(
        null=True,
        editable=False,
        help_text="Percent of what users of a model ask for that is known.",
    )
    lacking = models.PositiveSmallIntegerField(
        null=True,
        editable=False,
        help_text="What is not, a bit each (engine.completeness.REPORTED).",
    )

    size_bytes = models.BigIntegerField(default=0)
    file_count = models.PositiveIntegerField(default=0)
    modified_at = models.DateTimeField(null=True, blank=True)
    added_at = models.DateTimeField()
    changed_at = models.DateTimeField(help_text="When a scan or a person last changed this record.")
    missing_since = models.DateTimeField(null=True, blank=True)
    validated_at = models.DateTimeField(
        null=True, blank=True, help_text="When its headers and names were last checked."
    )
    deep_validated_at = models.DateTimeField(
        null=True,
        blank=True,
        db_index=True,
        help_text="When all its bytes were last read and compared.",
    )
    quarantined_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Only administrators see it until somebody lifts the quarantine.",
    )

    visibility = models.CharField(
        max_length=12, choices=Visibility.choices, default=Visibility.RESTRICTED
    )
    groups = models.ManyToManyField(
        Group, blank=True, related_name="models", help_text="Who may see it while it is restricted."
    )
    collections = models.ManyToManyField("discovery.Collection", blank=True, related_name="models")
    tagged = models.ManyToManyField(
        "discovery.Tag",
        blank=True,
        related_name="models",
        help_text="Its tags, as lists and facets ask for them.",
    )
    favoured_by = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="favourites"
    )

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = "model"
        constraints = [models.UniqueConstraint(fields=["root", "path"], name="one_model_a_path")]
        indexes = [
            models.Index(fields=["name", "id"]),
            models.Index(fields=["sort_name", "id"]),
            models.Index(fields=["size_bytes", "id"]),
            models.Index(fields=["parameter_count", "id"]),
            models.Index(fields=["context_length", "id"]),
            models.Index(fields=["added_at"]),
            # Wide enough that the report never opens a row it does not show.
            models.Index(fields=["completeness", "sort_name", "id"], name="worst_described_first"),
            models.Index(
                fields=["lacking", "completeness", "sort_name", "id"],
                name="described_by_what_is_lacking",
            ),
            models.Index(fields=["changed_at"]),
            models.Index(fields=["base_model"]),
            # The Overview's sums, and its count of models that look alike, are answered from these alone.
            models.Index(
                fields=["primary", "type", "status", "root", "visibility", "size_bytes"],
                name="kinds_of_models",
            ),
            models.Index(fields=["fingerprint", "status", "size_bytes"], name="alike_models"),
        ]

    def __str__(self) -> str:
        return self.display_name or self.name

    @property
    def title(self) -> str:
        return self.display_name or self.name

    def value(self, field: str) -> Any:
        """The resolved value of a document field: curated, else extracted, else ``None``."""
        entry = self.curated.get(field) or self.extracted.get(field)
        return entry["value"] if entry else None


class ScanRun(models.Model):
    """One scan: asked for, running, over. ``heartbeat_at``, ``host`` and ``pid`` tell a slow run from a dead one."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Stopped"
        FAILED = "failed", "Failed"
        INTERRUPTED = "interrupted", "Interrupted"

    class Trigger(models.TextChoices):
        PAGE = "page", "Scan now"
        COMMAND = "command", "Command"
        SCHEDULE = "schedule", "Schedule"
        STARTUP = "startup", "Start-up"
        API = "api", "API"

    ACTIVE = (State.QUEUED, State.RUNNING)

    state = models.CharField(
        max_length=12, choices=State.choices, default=State.QUEUED, db_index=True
    )
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    path = models.CharField(
        max_length=4096,
        blank=True,
        help_text="Absolute path of the only folder to scan; empty: every root.",
    )
    full = models.BooleanField(default=False)
    accept_missing = models.BooleanField(
        default=False, help_text="A person has confirmed that what is gone is gone."
    )
    cancel_requested = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    host = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    message = models.CharField(
        max_length=1000, blank=True, help_text="Why it failed, or what a person should know."
    )
    current_path = models.CharField(max_length=4096, blank=True)
    expected = models.PositiveIntegerField(
        default=0, help_text="Models known before the scan: what progress is measured by."
    )
    found = models.PositiveIntegerField(default=0)
    new = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    moved = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(
        default=0, help_text="Models with an error, and places that could not be read."
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["path"],
                condition=Q(state__in=("queued", "running")),
                name="one_active_scan_a_scope",
            )
        ]

    def __str__(self) -> str:
        return f"Scan {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def seconds(self) -> float | None:
        end = self.finished_at or self.heartbeat_at
        return (
            round((end - self.started_at).total_seconds(), 2) if self.started_at and end else None
        )


class Skipped(models.Model):
    """A place that looked like a model and is none: kept so that it is not opened again, and so that the reason can be told."""

    root = models.ForeignKey(Root, on_delete=models.CASCADE, related_name="skipped")
    place = models.CharField(max_length=4096)
    signature = models.CharField(max_length=32)
    reason = models.CharField(max_length=1000)

    class Meta:
        ordering = ["root", "place"]
        verbose_name_plural = "skipped places"
        constraints = [models.UniqueConstraint(fields=["root", "place"], name="one_reason_a_place")]

    def __str__(self) -> str:
        return self.place


class LogEntry(models.Model):
    """One event, as it stands in the log files too. ``event`` says what a scan did to the model, or the place, that it names."""

    class Event(models.TextChoices):
        NEW = "new", "New"
        CHANGED = "changed", "Changed"
        BACK = "back", "Back"
        MOVED = "moved", "Moved"
        MISSING = "missing", "Missing"
        SKIPPED = "skipped", "Skipped"

    at = models.DateTimeField(db_index=True)
    level = models.CharField(max_length=8, choices=_choices(Severity))
    channel = models.CharField(max_length=16, choices=Channel.choices)
    scan = models.ForeignKey(
        ScanRun, null=True, blank=True, on_delete=models.CASCADE, related_name="log"
    )
    model_id = models.CharField(max_length=200, blank=True)
    path = models.CharField(max_length=4096, blank=True)
    message = models.CharField(max_length=2000)
    event = models.CharField(max_length=8, choices=Event.choices, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "log entries"
        indexes = [
            models.Index(fields=["scan", "level"]),
            models.Index(
                fields=["scan", "event", "id"], condition=~Q(event=""), name="events_of_a_scan"
            ),
            models.Index(
                fields=["model_id", "id"], condition=~Q(model_id=""), name="events_of_a_model"
            ),
        ]

    def __str__(self) -> str:
        return self.message
