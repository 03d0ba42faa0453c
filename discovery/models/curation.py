"""People's decisions: tags, collections, saved views, and the record of every change."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.urls import reverse

from discovery.engine.core.service_words import Channel, ImportStage, TagColor
from discovery.models.job import TimedJob
from discovery.models.registry import RegisteredModel
from discovery.models.roots import Root
from discovery.models.word_field import WordField


class Tag(models.Model):
    """A tag that some model has, or that people keep ready.

    Which models have it follows their resolved ``tags``.
    """

    name = models.CharField(max_length=200, unique=True)
    colour = WordField(max_length=10, choices=TagColor.choices, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Collection(models.Model):
    """A group of models, selected by hand or found by ``query``.

    Its groups may see all of them.
    """

    name = models.CharField(max_length=200, unique=True)
    description = models.CharField(max_length=1000, blank=True)
    query = models.CharField(
        max_length=2000,
        blank=True,
        help_text="Address query of the Models page; empty: chosen by hand.",
    )
    groups = models.ManyToManyField(Group, blank=True, related_name="collections")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SavedView(models.Model):
    """A saved list of models.

    Its filters, columns and sort order are stored as the query string of the Models page.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views"
    )
    name = models.CharField(max_length=200)
    query = models.CharField(max_length=2000, blank=True)
    shared = models.BooleanField(default=False, help_text="Everybody who is signed in sees it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="unique_view_name")]

    def __str__(self) -> str:
        return self.name


class MetadataChange(models.Model):
    """One curated change: who, when, through what, before and after. A batch shares its id."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="changes")
    field = models.CharField(max_length=60)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField(db_index=True)
    channel = WordField(
        max_length=20,
        choices=Channel.choices,
        help_text="page, api, admin, import, command or scan.",
    )
    batch = models.UUIDField()
    undoes = models.UUIDField(
        null=True, blank=True, help_text="The batch that this change took back."
    )

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            # The history counts the changes of each batch, field by field.
            models.Index(fields=["batch", "field"]),
            models.Index(
                fields=["undoes"], condition=Q(undoes__isnull=False), name="changes_that_undo"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_id}: {self.field}"


class Forgotten(models.Model):
    """The decisions about a model that somebody removed from the registry.

    A later scan that still finds its files restores all of them.
    """

    root = models.ForeignKey(Root, on_delete=models.CASCADE, related_name="forgotten")
    path = models.CharField(max_length=4096)
    model_id = models.CharField(max_length=200, unique=True, help_text="Kept for it.")
    fingerprint = models.CharField(
        max_length=32,
        blank=True,
        db_index=True,
        help_text="Recognizes it when its files were moved meanwhile.",
    )
    kept = models.JSONField(
        help_text="{curated, visibility, groups, collections, favoured_by, changes, ...}."
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["root", "path"], name="unique_forgotten_path")
        ]

    def __str__(self) -> str:
        return self.model_id


class Alias(models.Model):
    """A former ``model_id``: that of a record which was joined with another one.

    It answers for the model, or waits with it while it is forgotten, and is given to no other.
    """

    alias = models.CharField(max_length=200, unique=True)
    model = models.ForeignKey(
        RegisteredModel, null=True, on_delete=models.CASCADE, related_name="aliases"
    )
    forgotten = models.ForeignKey(
        Forgotten, null=True, on_delete=models.CASCADE, related_name="aliases"
    )
    at = models.DateTimeField(help_text="When the records were joined.")

    class Meta:
        ordering = ["alias"]
        verbose_name_plural = "aliases"
        constraints = [
            models.CheckConstraint(
                condition=Q(model__isnull=False) ^ Q(forgotten__isnull=False),
                name="alias_has_one_target",
            )
        ]

    def __str__(self) -> str:
        return self.alias


class ProposedJoin(models.Model):
    """A missing model whose files now belong to another one, where both carry decisions.

    A person joins the two, or says that they are not the same.
    """

    old = models.OneToOneField(
        RegisteredModel, on_delete=models.CASCADE, related_name="proposed_join"
    )
    new = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.old_id} into {self.new_id}"


class RejectedMove(models.Model):
    """A decision that a missing model and a present one are not the same.

    They are neither joined nor proposed again.
    """

    old = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="rejected_arrivals"
    )
    new = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="rejected_departures"
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["old", "new"], name="unique_rejected_move")]

    def __str__(self) -> str:
        return f"{self.old_id} is not {self.new_id}"


class BulkEdit(TimedJob):
    """One change of many models.

    Its ``batch`` is that of its changes: one click takes all of it back.

    The models were fixed when the edit was requested: a filter may find others once the first have
    changed.
    """

    kind_module = "discovery.services.bulk.bulk_edits"

    operation = models.JSONField(help_text="{kind, ...}: what to do, and {atomic, channel}: how.")
    selection = models.JSONField(
        help_text=(
            "{query?: ..., keys: [...]}: to which models, by primary key, in the order they are"
            " taken."
        )
    )
    batch = models.UUIDField(unique=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0, help_text="Models that could not be changed.")
    reasons = models.JSONField(
        default=list, help_text="[{model_id, title, reason}] of the first of them."
    )

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["state"],
                condition=Q(state__in=("queued", "running")),
                name="active_bulk_edits",
            )
        ]

    def __str__(self) -> str:
        return f"Bulk edit {self.pk}"

    def address(self) -> str:
        return reverse("bulk-edit", args=[self.pk])


class MetadataImport(TimedJob):
    """A file of edited metadata: first checked, then applied or discarded.

    ``batch`` is that of its changes, which one click takes back.
    """

    kind_module = "discovery.services.transfer.import_jobs"

    name = models.CharField(max_length=200, help_text="What the file was called.")
    content = models.BinaryField(
        help_text="The file, until it is applied: workers may run on another machine."
    )
    stage = WordField(max_length=10, choices=ImportStage.choices, default=ImportStage.CHECK)
    skip_errors = models.BooleanField(
        default=False,
        help_text="Rows that are wrong are left out; otherwise all rows or none are imported.",
    )
    done = models.PositiveIntegerField(default=0, help_text="Rows that were looked at.")
    report = models.JSONField(
        default=dict,
        help_text="What came of the last stage.",
    )
    batch = models.UUIDField(unique=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["state"],
                condition=Q(state__in=("queued", "running")),
                name="active_imports",
            )
        ]

    def __str__(self) -> str:
        return f"Import {self.pk}: {self.name}"

    def address(self) -> str:
        return reverse("import-run", args=[self.pk])


class Recategorization(TimedJob):
    """A job that recategorizes every model after the rules have changed.

    One waits at most: it decides by the rules that are in force when it begins.
    """

    kind_module = "discovery.services.scans.categorization"

    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="queued"), name="unique_queued_recategorization"
            )
        ]

    def __str__(self) -> str:
        return f"Recategorization {self.pk}"

    def address(self) -> str:
        return reverse("rules")
