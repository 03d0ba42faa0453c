"""Problems with models, checksums, deep validations and test loads."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from discovery.engine.core.service_words import ExpectedBy, FindingSource, LoadResult
from discovery.engine.core.vocabulary import Severity
from discovery.models.job import TimedJob
from discovery.models.permissions import OF_FINDINGS
from discovery.models.registry import RegisteredModel
from discovery.models.word_field import WordField


class FindingQuerySet(QuerySet["Finding"]):
    def open(self) -> FindingQuerySet:
        """Findings that are not resolved, accepted for the current content, or snoozed."""
        # Asked apart, so that only what was ever accepted is compared with its model, whose row is
        # a hundred times as wide.
        accepted = (
            Finding.objects.exclude(accepted_content="")
            .filter(accepted_content=models.F("model__content"))
            .order_by()
        )
        return (
            self.filter(resolved_at=None)
            .exclude(pk__in=accepted.values("pk"))
            .exclude(snoozed_until__gt=timezone.now())
        )


class Finding(models.Model):
    """One problem of a model, from when it was first seen until a check no longer finds it.

    It is known by ``source``, ``code``, ``file`` and ``key``, not by its sentence (see
    ``services.findings.findings``).

    An acceptance holds for the content it was given for (``accepted_content``): once the files
    change it has to be given again.
    """

    Source = FindingSource

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="findings")
    source = WordField(max_length=8, choices=FindingSource.choices)
    code = models.CharField(max_length=60)
    file = models.CharField(
        max_length=1000,
        blank=True,
        default="",
        help_text="Below the model's own path: it moves with the model.",
    )
    key = models.CharField(
        max_length=220,
        null=True,
        blank=True,
        help_text=(
            "Tells findings of one code in one file apart; empty since before there were keys."
        ),
    )
    path = models.CharField(max_length=4096, blank=True, help_text="Relative to the root.")
    offset = models.BigIntegerField(null=True, blank=True)
    severity = WordField(max_length=8, choices=Severity.choices)
    message = models.CharField(max_length=2000)
    content = models.CharField(
        max_length=32, blank=True, help_text="The model's content when it was last seen."
    )
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    accepted_content = models.CharField(max_length=32, blank=True)
    accepted_reason = models.CharField(max_length=1000, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    accepted_at = models.DateTimeField(null=True, blank=True)

    objects = FindingQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen_at", "-pk"]
        permissions = OF_FINDINGS
        indexes = [models.Index(fields=["resolved_at", "severity", "last_seen_at"])]

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def is_accepted(self) -> bool:
        """For what the files hold now."""
        return bool(self.accepted_content) and self.accepted_content == self.model.content

    @property
    def is_snoozed(self) -> bool:
        return self.snoozed_until is not None and self.snoozed_until > timezone.now()


class FileChecksum(models.Model):
    """The checksum of one file, as a deep validation last read it.

    ``path`` is below the model's own path, so that it moves with it.
    """

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="checksums")
    path = models.CharField(max_length=4096)
    size = models.BigIntegerField()
    mtime_ns = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    blake3 = models.CharField(max_length=64)
    expected_sha256 = models.CharField(
        max_length=64, blank=True, help_text="What somebody else says it should be."
    )
    expected_from = models.CharField(max_length=200, blank=True, help_text="In words.")
    expected_by = WordField(max_length=10, choices=ExpectedBy.choices, blank=True)
    sampled_values = models.BigIntegerField(
        null=True, blank=True, help_text="Floating-point values looked at."
    )
    nonfinite_share = models.FloatField(
        null=True, blank=True, help_text="Share of them that is NaN or infinite."
    )
    checked_at = models.DateTimeField()

    class Meta:
        ordering = ["model", "path"]
        constraints = [
            models.UniqueConstraint(fields=["model", "path"], name="unique_file_checksum")
        ]
        indexes = [models.Index(fields=["sha256"], name="files_by_content")]

    def __str__(self) -> str:
        return f"{self.path}: {self.sha256[:12]}"


class DeepValidation(TimedJob):
    """Reading all bytes of one model.

    Everything that it has read stays in ``FileChecksum``: after a restart it continues with the
    remaining files.
    """

    kind_module = "discovery.services.health.deep_validation"

    model = models.ForeignKey(
        RegisteredModel, on_delete=models.CASCADE, related_name="deep_validations"
    )
    total_bytes = models.BigIntegerField(default=0)
    done_bytes = models.BigIntegerField(default=0)
    current_path = models.CharField(max_length=4096, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["model"],
                condition=Q(state__in=("queued", "running")),
                name="unique_active_deep_validation",
            )
        ]

    def __str__(self) -> str:
        return f"Deep validation {self.pk}"

    def address(self) -> str:
        return reverse("model-health", args=[self.model.model_id])


class LoadTest(TimedJob):
    """One attempt to load one variant with the library that programs would use.

    It runs in a child process under limits.
    """

    kind_module = "discovery.services.health.test_loads"

    Result = LoadResult

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="load_tests")
    variant = models.CharField(max_length=200, blank=True)
    result = WordField(max_length=12, choices=LoadResult.choices, blank=True)
    loader = models.CharField(max_length=60, blank=True)
    load_seconds = models.FloatField(null=True, blank=True)
    peak_memory_bytes = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "variant"],
                condition=Q(state__in=("queued", "running")),
                name="unique_active_load_test",
            )
        ]

    def __str__(self) -> str:
        return f"Test load {self.pk}"

    def address(self) -> str:
        return reverse("model-health", args=[self.model.model_id])
