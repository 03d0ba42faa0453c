"""Discovery plugins: what is known of each, and what their answers were."""

from __future__ import annotations

from django.db import models

from discovery.engine.core.service_words import PluginSource
from discovery.models.roots import Root
from discovery.models.word_field import WordField


class Plugin(models.Model):
    """A plugin class, or a module in which none could be loaded (then ``class_name`` is empty).

    ``digest`` is that of its code: a change makes it load again. ``generation`` grows when a person
    switches it on or reloads it, and is part of what its models are read with.
    """

    #: Failures that are kept to be shown.
    KEPT = 20

    key = models.CharField(max_length=300, unique=True, help_text="module.Class")
    module = models.CharField(max_length=300)
    class_name = models.CharField(max_length=200, blank=True)
    source = WordField(max_length=20, choices=PluginSource.choices)
    path = models.CharField(max_length=4096, blank=True, help_text="Of its file.")
    position = models.PositiveIntegerField(default=0, help_text="The lowest is asked first.")
    format = models.CharField(max_length=30, blank=True, help_text="Of the models that it reads.")
    label = models.CharField(max_length=60, blank=True)
    version = models.CharField(max_length=60, blank=True)
    summary = models.CharField(max_length=300, blank=True)
    suffixes = models.JSONField(default=list, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    generation = models.PositiveIntegerField(default=0)
    load_error = models.CharField(max_length=500, blank=True)
    enabled = models.BooleanField(default=True)
    off_reason = models.CharField(
        max_length=500, blank=True, help_text="Why it was switched off; empty: a person did."
    )
    off_at = models.DateTimeField(null=True, blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    failures = models.JSONField(
        default=list, blank=True, help_text="[{at, path, reason}], the newest first."
    )
    loaded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position", "key"]

    def __str__(self) -> str:
        return self.label or self.key


class PluginAnswers(models.Model):
    """The folders of a root whose loose files all plugins have been asked about.

    ``folders`` is a digest of eight bytes for each (see ``engine.identify.path_desk``); ``stamp``
    tells which plugins were asked.
    """

    root = models.OneToOneField(Root, on_delete=models.CASCADE, related_name="plugin_answers")
    stamp = models.CharField(max_length=64)
    folders = models.BinaryField(default=b"")

    class Meta:
        verbose_name_plural = "plugin answers"

    def __str__(self) -> str:
        return f"{len(self.folders) // 8} folders of {self.root_id}"
