"""Downloads of models from external registries."""

from __future__ import annotations

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.urls import reverse

from discovery.engine.core.service_words import DownloadFault, DownloadState
from discovery.models.job import TimedJob
from discovery.models.permissions import OF_DOWNLOADS
from discovery.models.registry import RegisteredModel
from discovery.models.roots import Root
from discovery.models.word_field import WordField


class Download(TimedJob):
    """Files of a remote model on their way to ``folder`` below ``root``.

    ``revision`` pins their state, and ``files`` is [{path, size, sha256, git_sha1, url}] of those
    that were chosen. Until all of them are there they lie in ``staging``, which is then moved into
    place; ``inode`` is that of the moved folder, so that a download that was killed at this moment
    recognizes it.
    """

    kind_module = "discovery.services.downloads.job"

    State = DownloadState

    ACTIVE = (DownloadState.QUEUED, DownloadState.RUNNING)
    #: While one of these goes to a folder, no other one does.
    OPEN = (*ACTIVE, DownloadState.PAUSED)
    #: Those that go on with what is there when somebody resumes them.
    RESUMABLE = (DownloadState.PAUSED, DownloadState.FAILED, DownloadState.INTERRUPTED)

    state = WordField(
        max_length=12, choices=DownloadState.choices, default=DownloadState.QUEUED, db_index=True
    )
    key = models.UUIDField(default=uuid4, unique=True, editable=False)
    registry = models.CharField(max_length=40)
    remote_id = models.CharField(max_length=300)
    revision = models.CharField(max_length=100, blank=True)
    license = models.CharField(max_length=200, blank=True)
    files = models.JSONField(default=list)
    root = models.ForeignKey(Root, on_delete=models.CASCADE, related_name="downloads")
    folder = models.CharField(max_length=1000, help_text="Relative to the root.")
    staging = models.CharField(max_length=2000, blank=True, help_text="Absolute path.")
    device = models.BigIntegerField(
        null=True, blank=True, help_text="The file system that it goes to (st_dev)."
    )
    inode = models.BigIntegerField(null=True, blank=True)
    accepts_unsafe = models.BooleanField(
        default=False, help_text="Somebody wants it placed although loading it would run code."
    )
    updates = models.ForeignKey(
        RegisteredModel,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The model that it is a newer revision of.",
    )
    is_automatic = models.BooleanField(default=False, help_text="By auto_download.")
    total_bytes = models.BigIntegerField(default=0)
    done_bytes = models.BigIntegerField(default=0)
    done_files = models.PositiveIntegerField(default=0)
    speed = models.BigIntegerField(default=0, help_text="Bytes a second, while it runs.")
    current_path = models.CharField(max_length=1000, blank=True)
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="Tries in a row that brought nothing."
    )
    retry_at = models.DateTimeField(null=True, blank=True, help_text="When it is tried again.")
    pause_requested = models.BooleanField(default=False)
    fault = WordField(max_length=12, choices=DownloadFault.choices, blank=True)
    model = models.ForeignKey(
        RegisteredModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-pk"]
        permissions = OF_DOWNLOADS
        constraints = [
            models.UniqueConstraint(
                fields=["root", "folder"],
                condition=Q(state__in=("queued", "running", "paused")),
                name="one_download_a_folder",
            )
        ]

    def __str__(self) -> str:
        return f"Download {self.pk} of {self.remote_id}"

    def address(self) -> str:
        return reverse("download", args=[self.pk])

    @property
    def tone(self) -> str:
        return DownloadState.tone_of(self.state)

    @property
    def waits_to_retry(self) -> bool:
        return self.state == DownloadState.QUEUED and self.retry_at is not None

    @property
    def is_resumable(self) -> bool:
        return self.state in self.RESUMABLE

    @property
    def is_over(self) -> bool:
        return self.state in (DownloadState.DONE, DownloadState.CANCELLED)

    @property
    def seconds_left(self) -> float | None:
        """At the speed of now; unknown while it does not move."""
        if self.state != DownloadState.RUNNING or self.speed <= 0:
            return None
        return (self.total_bytes - self.done_bytes) / self.speed
