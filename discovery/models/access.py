"""Programs that use the registry: the tokens they come with, and the calls they may repeat."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class ApiToken(models.Model):
    """A key to the HTTP API that acts for its user. The token itself is shown once and not kept: ``digest`` recognises it."""

    class Scope(models.TextChoices):
        READ = "read", "Read"
        WRITE = "write", "Read and change"
        ADMIN = "admin", "Everything"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What it is for.")
    prefix = models.CharField(max_length=16, help_text="How it begins, so that people can tell which one it is.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    scope = models.CharField(max_length=8, choices=Scope.choices, default=Scope.READ)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Not accepted from then on; empty: never.")
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_valid(self) -> bool:
        return self.revoked_at is None and not self.is_expired


class IdempotentCall(models.Model):
    """A change that a program asked for under a key of its own choice: asked again under the same key, the first answer is given again."""

    caller = models.CharField(max_length=40, help_text="Whose key it is: a token or a person.")
    key = models.CharField(max_length=200)
    request = models.CharField(max_length=64, help_text="Digest of method, address and body: the key stands for these.")
    status = models.PositiveSmallIntegerField(null=True, help_text="Empty while the first call is under way.")
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="one_call_a_key")]

    def __str__(self) -> str:
        return f"{self.caller}: {self.key}"
