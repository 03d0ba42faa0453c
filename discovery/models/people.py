"""People's preferences, the history of accounts and groups, and who signs in from elsewhere."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from discovery.engine.core.service_words import AccountKind, ProviderStatus, SignInSource, Theme
from discovery.models.word_field import WordField


class Profile(models.Model):
    """What a person chose on their Account page; who chose nothing has none."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile", primary_key=True
    )
    time_zone = models.CharField(
        max_length=64, blank=True, help_text="Name of the IANA database; empty: UTC."
    )
    theme = WordField(max_length=8, choices=Theme.choices, default=Theme.SYSTEM)
    start_page = models.CharField(
        max_length=40, blank=True, help_text="Name of the page after sign-in; empty: the overview."
    )
    link_number = models.PositiveIntegerField(
        default=0, help_text="One-time links made so far: only the newest is valid."
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Profile {self.pk}"


class AccountChange(models.Model):
    """One change of an account or a group: kept when either is gone."""

    at = models.DateTimeField(db_index=True)
    by = models.CharField(max_length=150, blank=True, help_text="Empty: the command line.")
    kind = WordField(max_length=8, choices=AccountKind.choices)
    key = models.BigIntegerField(help_text="Key of the account or the group.")
    name = models.CharField(max_length=150, help_text="What it was called.")
    text = models.CharField(max_length=1000, help_text="What was done, after who did it.")

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["kind", "key"], name="changes_of_an_account")]

    def __str__(self) -> str:
        return f"{self.by}: {self.text}"


class ExternalIdentity(models.Model):
    """The account of somebody whom a sign-in provider or a trusted proxy names.

    An account is known by these two alone, never by its name or email address: names are given
    anew, and some providers let people choose them.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="external_identities"
    )
    issuer = models.CharField(max_length=255, help_text="URL of the provider, or “proxy”.")
    subject = models.CharField(max_length=255, help_text="What the provider calls the person.")
    linked_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="unique_external_identity")
        ]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class ExternalGrant(models.Model):
    """A membership or a status that somebody has because a provider said so.

    What people gave by hand has no row, and no provider takes it away. Either ``group`` or
    ``status`` is set.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="external_grants"
    )
    source = WordField(max_length=8, choices=SignInSource.choices)
    group = models.ForeignKey("auth.Group", on_delete=models.CASCADE, null=True)
    status = WordField(max_length=12, choices=ProviderStatus.choices, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["user", "source", "group"], name="unique_external_group"
            ),
            models.UniqueConstraint(
                fields=["user", "source", "status"],
                condition=~models.Q(status=""),
                name="unique_external_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.group_id or self.status}"
