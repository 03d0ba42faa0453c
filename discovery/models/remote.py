"""External registries: how each answered, what it has, and which local models are its."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from discovery.engine.core.service_words import MatchState, RegistryFault
from discovery.models.job import TimedJob
from discovery.models.registry import RegisteredModel
from discovery.models.word_field import WordField


class RegistryState(models.Model):
    """How a registry of the config file answered last. Its settings stay in the file."""

    name = models.CharField(max_length=40, unique=True)
    synced_at = models.DateTimeField(
        null=True, blank=True, help_text="When a sync last went through to its end."
    )
    tried_at = models.DateTimeField(null=True, blank=True)
    fault = WordField(max_length=12, choices=RegistryFault.choices, blank=True)
    message = models.CharField(max_length=1000, blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(
        null=True, blank=True, help_text="It is left alone until then, but for what people ask."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class RemoteEntry(models.Model):
    """A model of a registry that a local one may be, as it was read last.

    ``files`` is [{path, size, sha256, git_sha1}] in ``revision``; ``fault`` says why it could not
    be read the last time.
    """

    registry = models.CharField(max_length=40)
    remote_id = models.CharField(max_length=300)
    revision = models.CharField(max_length=100, blank=True)
    url = models.CharField(max_length=1000, blank=True)
    author = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    license = models.CharField(max_length=200, blank=True)
    tags = models.JSONField(default=list)
    languages = models.JSONField(default=list)
    base_model = models.CharField(max_length=300, blank=True)
    task = models.CharField(max_length=100, blank=True)
    library = models.CharField(max_length=100, blank=True)
    downloads = models.BigIntegerField(null=True, blank=True)
    likes = models.BigIntegerField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    gated = models.CharField(max_length=20, blank=True)
    is_private = models.BooleanField(default=False)
    files = models.JSONField(default=list)
    card = models.TextField(blank=True)
    card_digest = models.CharField(
        max_length=64, blank=True, help_text="Of the card's file, to tell whether it has changed."
    )
    read_at = models.DateTimeField(null=True, blank=True, help_text="When its files were read.")
    fault = WordField(max_length=12, choices=RegistryFault.choices, blank=True)
    message = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["registry", "remote_id"]
        verbose_name_plural = "remote entries"
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "remote_id"], name="one_entry_a_remote_model"
            )
        ]

    def __str__(self) -> str:
        return self.remote_id


class RemoteMatch(models.Model):
    """A local model and the remote one that it is, or may be.

    ``evidence`` is [{kind, text, weight}], the strongest first. ``decided_by`` is empty for what
    the evidence alone decided. ``local_revision`` is the state that is here, where it is known;
    ``base_files`` are its remote files once a newer one was found.
    """

    model = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="remote_matches"
    )
    entry = models.ForeignKey(RemoteEntry, on_delete=models.CASCADE, related_name="matches")
    registry = models.CharField(max_length=40, editable=False)
    state = WordField(max_length=10, choices=MatchState.choices, db_index=True)
    confidence = models.PositiveSmallIntegerField(default=0, help_text="Percent.")
    evidence = models.JSONField(default=list)
    local_revision = models.CharField(max_length=100, blank=True)
    base_files = models.JSONField(default=list)
    update = models.JSONField(
        null=True,
        blank=True,
        help_text="{from, to, files: {added, removed, changed}, license, card}; empty: none.",
    )
    has_update = models.BooleanField(default=False, db_index=True)
    found_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-confidence", "pk"]
        verbose_name_plural = "remote matches"
        constraints = [
            models.UniqueConstraint(fields=["model", "entry"], name="one_match_a_pair"),
            models.UniqueConstraint(
                fields=["model", "registry"],
                condition=Q(state="accepted"),
                name="one_link_a_registry",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} is {self.entry}"


class NameSearch(models.Model):
    """When a registry was last asked for a model by name, so that it is not asked every time."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="+")
    registry = models.CharField(max_length=40)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "registry"], name="one_search_a_model")
        ]

    def __str__(self) -> str:
        return f"{self.model} in {self.registry}"


class RegistrySync(TimedJob):
    """Reading one registry. ``dry_run`` asks and compares, and keeps only the ``result``."""

    kind_module = "discovery.services.registries.syncing"

    registry = models.CharField(max_length=40)
    dry_run = models.BooleanField(default=False)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    linked = models.PositiveIntegerField(default=0)
    proposed = models.PositiveIntegerField(default=0)
    updates = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)
    requests = models.PositiveIntegerField(default=0)
    fault = WordField(max_length=12, choices=RegistryFault.choices, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["registry"],
                condition=Q(state__in=("queued", "running")),
                name="one_sync_a_registry",
            )
        ]

    def __str__(self) -> str:
        return f"Sync {self.pk} of {self.registry}"

    def address(self) -> str:
        return reverse("registry", args=[self.registry])
