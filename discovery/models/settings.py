"""Changes of settings: who, when, through what, before and after."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class SettingChange(models.Model):
    """One value of a config file that was changed, on a page or in the file itself.

    ``before`` and ``after`` are ``{"value": …}``; ``None`` says that the file did not hold it, so
    that the default was in force.
    """

    PAGE, FILE = "page", "file"

    file = models.CharField(max_length=100)
    key = models.CharField(max_length=200, help_text="Path inside the file, with dots.")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    channel = models.CharField(max_length=20, choices=[(PAGE, "Page"), (FILE, "File")])
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["file", "key", "-id"])]

    def __str__(self) -> str:
        return f"{self.file}: {self.key}"
