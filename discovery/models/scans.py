"""Scans and the log: what was requested, what it found and what happened."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from discovery.engine.core.service_words import LogTopic, ScanEvent, Trigger
from discovery.engine.core.vocabulary import Severity
from discovery.models.job import TimedJob
from discovery.models.permissions import OF_SCANS
from discovery.models.word_field import WordField


class ScanRun(TimedJob):
    """One scan of every root, or of one folder: queued, running or finished."""

    kind_module = "discovery.services.scans.job"

    Trigger = Trigger

    trigger = WordField(max_length=10, choices=Trigger.choices)
    path = models.CharField(
        max_length=4096,
        blank=True,
        help_text="Absolute path of the only folder to scan; empty: every root.",
    )
    full = models.BooleanField(default=False)
    accept_missing = models.BooleanField(
        default=False, help_text="A person has confirmed that what is gone is gone."
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
        permissions = OF_SCANS
        constraints = [
            models.UniqueConstraint(
                fields=["path"],
                condition=Q(state__in=("queued", "running")),
                name="unique_active_scan",
            )
        ]

    def __str__(self) -> str:
        return f"Scan {self.pk}"

    def address(self) -> str:
        return reverse("scan", args=[self.pk])


class LogEntry(models.Model):
    """One event, with the same text as in the log files.

    ``event`` says what a scan did to the model, or the place, that it names.
    """

    Event = ScanEvent

    at = models.DateTimeField(db_index=True)
    level = WordField(max_length=8, choices=Severity.choices)
    topic = WordField(max_length=16, choices=LogTopic.choices)
    scan = models.ForeignKey(
        ScanRun, null=True, blank=True, on_delete=models.CASCADE, related_name="log"
    )
    model_id = models.CharField(max_length=200, blank=True)
    path = models.CharField(max_length=4096, blank=True)
    message = models.CharField(max_length=2000)
    event = WordField(max_length=8, choices=Event.choices, blank=True)

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
        return self.text

    @property
    def text(self) -> str:
        """The message with its event in front, for places that do not show the event."""
        named = self.event in (
            self.Event.NEW,
            self.Event.CHANGED,
            self.Event.BACK,
            self.Event.MISSING,
        )
        return f"{self.event}: {self.message}" if named else self.message
