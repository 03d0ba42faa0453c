"""Roots, and what lies below them that is not a model."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from discovery.models.permissions import OF_ROOTS


class Root(models.Model):
    """A folder that is scanned.

    ``claim`` is the run that scans it now: one at a time, taken by a conditional UPDATE.
    """

    #: Path of the row that hosted models hang on: no folder, never enabled, never scanned.
    REMOTE = "remote:"

    path = models.CharField(max_length=1000, unique=True, help_text="Absolute path.")
    name = models.CharField(
        max_length=200,
        blank=True,
        help_text="What people call it; empty: the last part of its path.",
    )
    enabled = models.BooleanField(default=True)
    read_only = models.BooleanField(default=False, help_text="Nothing is written below it.")
    interval_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Minutes between scans by the clock; empty: as the others."
    )
    max_depth = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Folders that scans go down into; empty: as the others."
    )
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
    seen_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the last scan had seen the whole root.",
    )
    device = models.BigIntegerField(
        null=True, blank=True, editable=False, help_text="The file system it was on then (st_dev)."
    )
    ledger = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text=(
            "{use: {files, bytes}} of all files below it at the last whole scan: model, companion,"
            " excluded, junk, unrecognized; formats: {format: {files, bytes}} of those excluded"
            " because supported_formats leaves them out; unmeasured: [folder]."
        ),
    )
    mounts = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text="{folder below it: device} of other file systems in it then.",
    )
    silent_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When it stopped answering; empty while it answers.",
    )
    claim = models.ForeignKey(
        "ScanRun", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    deep_every_days = models.PositiveSmallIntegerField(
        "validate deeply every",
        default=30,
        help_text=(
            "Days within which the bytes of every model are read and compared once; 0 for never."
        ),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=~Q(name=""), name="unique_root_name")
        ]
        permissions = OF_ROOTS

    def __str__(self) -> str:
        return self.path

    @property
    def label(self) -> str:
        """The root's display name where its path is hidden.

        Two roots may have the same name (see services.access.redaction).
        """
        return self.name or self.path.rstrip("/").rpartition("/")[2] or "root"


class SkippedPath(models.Model):
    """A place that looks like a model but is not one.

    It is kept so that scans do not open it again and can show the reason.
    """

    root = models.ForeignKey(Root, on_delete=models.CASCADE, related_name="skipped")
    place = models.CharField(max_length=4096)
    signature = models.CharField(max_length=32)
    reason = models.CharField(max_length=1000)
    left_out = models.CharField(
        max_length=200,
        blank=True,
        editable=False,
        help_text="Its formats, when it is none because supported_formats does not name them.",
    )
    read_by = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="Version of the readers that found it to be none."
    )
    errors = models.PositiveIntegerField(
        default=0, editable=False, help_text="Errors of the place when it was last read."
    )

    class Meta:
        ordering = ["root", "place"]
        verbose_name = "skipped place"
        verbose_name_plural = "skipped places"
        constraints = [
            models.UniqueConstraint(fields=["root", "place"], name="unique_skipped_path")
        ]

    def __str__(self) -> str:
        return self.place


class Unrecognized(models.Model):
    """A large file under a root that no reader knows."""

    root = models.ForeignKey(Root, on_delete=models.CASCADE, related_name="unrecognized")
    path = models.CharField(max_length=4096, help_text="Below the root.")
    place = models.CharField(
        max_length=4096, blank=True, help_text="Of the model or skipped place it lies in."
    )
    size_bytes = models.BigIntegerField()
    mtime_ns = models.BigIntegerField()
    first_bytes = models.CharField(max_length=32, blank=True, help_text="In hexadecimal.")
    guess = models.CharField(
        max_length=200, blank=True, help_text="What its first bytes are like; empty for no idea."
    )

    class Meta:
        ordering = ["-size_bytes", "root", "path"]
        verbose_name_plural = "unrecognized files"
        constraints = [
            models.UniqueConstraint(fields=["root", "path"], name="unique_unrecognized_path")
        ]
        indexes = [models.Index(fields=["-size_bytes"], name="unrecognized_by_size")]

    def __str__(self) -> str:
        return self.path
