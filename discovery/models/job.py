"""What workers do while people wait, and the queue that their tasks wait in."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from discovery.engine.core.service_words import JobState
from discovery.models.word_field import WordField


class Job(models.Model):
    """Something a worker does while people wait: queued, running, over.

    The row is the truth, and its task in the queue only wakes a worker: a lost task is sent again.
    ``machine``, ``pid`` and ``process_started`` name the process that runs it, ``heartbeat_at``
    tells slow from dead. The housekeeper restarts interrupted jobs with ``goes_on``.
    """

    State: ClassVar[type[Any]] = JobState

    ACTIVE: tuple[str, ...] = (JobState.QUEUED, JobState.RUNNING)

    #: Module of the services that declares ``KIND``, the kind of these jobs.
    kind_module: ClassVar[str]

    state = WordField(
        max_length=12, choices=JobState.choices, default=JobState.QUEUED, db_index=True
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    cancel_requested = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    dispatched_at = models.DateTimeField(
        null=True, blank=True, help_text="When its task was last sent to the queue."
    )
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    host = models.CharField(max_length=255, blank=True)
    machine = models.CharField(
        max_length=100, blank=True, help_text="Boot and process namespace in which pid counts."
    )
    pid = models.PositiveIntegerField(null=True, blank=True)
    process_started = models.FloatField(
        null=True, blank=True, help_text="Start of the process: a number is given out again."
    )
    interruptions = models.PositiveSmallIntegerField(
        default=0, help_text="How often in a row its process died."
    )
    goes_on = models.BooleanField(
        default=False, help_text="It was cut off, and is begun again by itself."
    )
    message = models.CharField(
        max_length=2000, blank=True, help_text="Why it failed, or what a person should know."
    )

    class Meta:
        abstract = True

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    def address(self) -> str:
        """The page that shows the job's progress; empty where there is none."""
        return ""


class TimedJob(Job):
    """A job of unknown length, whose elapsed time is shown."""

    class Meta:
        abstract = True

    @property
    def seconds(self) -> float | None:
        end = self.finished_at or self.heartbeat_at
        if not self.started_at or not end:
            return None
        return round((end - self.started_at).total_seconds(), 2)


class QueueKey(models.Model):
    """Which secret key the tasks of a queue in the database are signed with, while a cluster runs.

    Redis, where it is the broker, holds the same by itself (see ``services.jobs.brokers``).
    """

    queue = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, help_text="Of the key: it cannot be told from it.")
    holder = models.CharField(max_length=300, help_text="Host and process of the cluster.")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.queue
