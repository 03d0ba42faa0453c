"""Programs that use the registry: the tokens they come with, the calls they may repeat, and the addresses that want to be told."""

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

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100, help_text="What it is for.")
    prefix = models.CharField(
        max_length=16, help_text="How it begins, so that people can tell which one it is."
    )
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    scope = models.CharField(max_length=8, choices=Scope.choices, default=Scope.READ)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Not accepted from then on; empty: never."
    )
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
    request = models.CharField(
        max_length=64, help_text="Digest of method, address and body: the key stands for these."
    )
    status = models.PositiveSmallIntegerField(
        null=True, help_text="Empty while the first call is under way."
    )
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="one_call_a_key")]

    def __str__(self) -> str:
        return f"{self.caller}: {self.key}"


class Webhook(models.Model):
    """An address that wants to be told what happens. What is sent is signed with ``secret``, which both ends know."""

    url = models.CharField("address", max_length=1000)
    events = models.JSONField(default=list, help_text="Names of services.webhooks.EVENTS.")
    secret = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["url", "pk"]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One message for one address: waiting, delivered, or given up after several attempts."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Given up"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    uuid = models.UUIDField(
        unique=True, help_text="The same on every attempt: the receiver can tell a repetition."
    )
    event = models.CharField(max_length=40)
    body = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    status = models.PositiveSmallIntegerField(
        null=True, help_text="What the address answered last."
    )
    message = models.CharField(max_length=500, blank=True)
    seconds = models.FloatField(null=True)
    created_at = models.DateTimeField(db_index=True)
    next_at = models.DateTimeField(null=True, help_text="When it is tried again.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "webhook deliveries"

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook_id}"
