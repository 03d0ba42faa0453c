"""Programs that use the registry.

Their tokens, the calls that they may repeat, and the addresses that receive notifications.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from discovery.engine.core.service_words import DeliveryState, SignInKind, TokenScope
from discovery.models.job import Job
from discovery.models.word_field import WordField


class ApiToken(models.Model):
    """A key to the HTTP API that acts for its user.

    The token itself is shown once and not kept: ``digest`` recognizes it.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100, help_text="What it is for.")
    prefix = models.CharField(
        max_length=16, help_text="How it begins, so that people can tell which one it is."
    )
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    scope = WordField(max_length=8, choices=TokenScope.choices, default=TokenScope.READ)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Not accepted from then on; empty: never."
    )
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"],
                condition=models.Q(revoked_at=None),
                name="unique_token_name",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_valid(self) -> bool:
        return self.revoked_at is None and not self.is_expired


class SignInCount(models.Model):
    """Failed sign-ins in a row of an account, an address, or both together.

    A row also records that an account once signed in from an address.

    What people typed is kept as a keyed digest: some type their password into the field of the
    name.
    """

    kind = WordField(max_length=8, choices=SignInKind.choices)
    account = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=64, blank=True)
    failures = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_index=True)
    locked_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "account", "address"], name="unique_sign_in_count"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.failures}"


class Notice(models.Model):
    """A notice about an upgrade.

    Superusers see it until one of them confirms it on the System page.
    """

    title = models.CharField(max_length=200)
    text = models.TextField()
    names = models.JSONField(default=list, help_text="Accounts it is about.")
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.title


class IdempotentCall(models.Model):
    """A change that a program requested under an idempotency key.

    A repeated request with the same key gets the first response again.
    """

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
        constraints = [
            models.UniqueConstraint(fields=["caller", "key"], name="unique_idempotency_key")
        ]

    def __str__(self) -> str:
        return f"{self.caller}: {self.key}"


class Webhook(models.Model):
    """An address that receives messages about events.

    What is sent is signed with ``secret``, which both ends know.
    """

    url = models.CharField("address", max_length=1000)
    events = models.JSONField(default=list, help_text="Names of the events that are sent.")
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


class WebhookDelivery(Job):
    """One message to one webhook address.

    It is waiting, being sent, delivered, or given up after several attempts.
    """

    kind_module = "discovery.services.integrations.webhooks"

    State = DeliveryState

    ACTIVE = (DeliveryState.QUEUED, DeliveryState.RUNNING)

    state = WordField(
        max_length=12, choices=DeliveryState.choices, default=DeliveryState.QUEUED, db_index=True
    )
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    uuid = models.UUIDField(
        unique=True, help_text="The same on every attempt: the receiver can tell a repetition."
    )
    event = models.CharField(max_length=40)
    body = models.JSONField()
    attempts = models.PositiveSmallIntegerField(default=0)
    status = models.PositiveSmallIntegerField(
        null=True, help_text="What the address answered last."
    )
    seconds = models.FloatField(null=True)
    next_at = models.DateTimeField(null=True, help_text="When it is tried again.")

    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "webhook deliveries"

    def __str__(self) -> str:
        return f"Webhook delivery {self.pk}"

    def address(self) -> str:
        return reverse("webhooks")
