"""Who may see which models.

Rules that select models by what they have in common, the combinations of groups, collections and
rules that models have, and the record of every change to these.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Exists, OuterRef, QuerySet

from discovery.engine.core.service_words import Channel, RuleKind
from discovery.engine.core.vocabulary import Visibility
from discovery.models.word_field import WordField


class AccessRule(models.Model):
    """A rule that sets the visibility of all models that match one of its terms.

    It sets their visibility, the groups that may see them while they are restricted, or both.

    ``file_key`` is empty for a rule that people made; else it says where in ``access_control.json``
    the rule stands: ``public_models``, ``user_groups/developers``, ``default``. The rule without
    terms is the default: the visibility of models that nothing else decides.
    """

    file_key = models.CharField(max_length=200, blank=True, editable=False)
    is_default = models.BooleanField(default=False, editable=False)
    visibility = WordField(max_length=12, choices=Visibility.choices, blank=True)
    groups = models.ManyToManyField(Group, blank=True, related_name="access_rules")

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["file_key"], condition=~models.Q(file_key=""), name="unique_rule_file_key"
            ),
            models.UniqueConstraint(
                fields=["is_default", "file_key"],
                condition=models.Q(is_default=True),
                name="unique_default_rule",
            ),
        ]

    def __str__(self) -> str:
        return self.file_key or f"access rule {self.pk}"


class AccessTerm(models.Model):
    """One thing that models of a rule may have. ``value`` of a root is its primary key."""

    rule = models.ForeignKey(AccessRule, on_delete=models.CASCADE, related_name="terms")
    kind = WordField(max_length=8, choices=RuleKind.choices)
    value = models.CharField(max_length=1000)

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["rule", "kind", "value"], name="unique_access_term")
        ]
        indexes = [models.Index(fields=["kind", "value"], name="terms_by_value")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.value}"


class Audience(models.Model):
    """One combination of groups, collections and access rules: every model points at its own.

    There are far fewer combinations than models, so that asking who may see a model stays quick
    whatever the groups, and granting a collection or a rule to a group changes no model.
    """

    key = models.CharField(max_length=32, unique=True, help_text="Digest of the combination.")
    groups = models.ManyToManyField(Group, related_name="+")
    collections = models.ManyToManyField("discovery.Collection", related_name="+")
    rules = models.ManyToManyField(AccessRule, related_name="audiences")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key


class Opening(models.Model):
    """A group that may see the restricted models of an audience.

    It is one of the audience's groups, or is granted one of its collections or access rules:
    ``services.access.openings`` keeps the rows with these, so that each list of models asks one
    table.
    """

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="+", db_index=False)
    audience = models.ForeignKey(
        Audience, on_delete=models.CASCADE, related_name="openings", db_index=False
    )

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["group", "audience"], name="unique_opening")]
        indexes = [models.Index(fields=["audience", "group"], name="openings_of_one")]

    def __str__(self) -> str:
        return f"{self.audience_id} to {self.group_id}"

    @classmethod
    def audiences_for(cls, groups: QuerySet[Group]) -> QuerySet[Any, int]:
        """Keys of the audiences whose restricted models one of ``groups`` may see."""
        return cls._default_manager.filter(group__in=groups).values_list("audience_id", flat=True)

    @classmethod
    def opens(cls, groups: QuerySet[Group]) -> Exists:
        """Whether one of ``groups`` may see the row, by its ``audience_id``: asked row by row."""
        rows = cls._default_manager.filter(audience=OuterRef("audience_id"), group__in=groups)
        return Exists(rows)


class AccessChange(models.Model):
    """One change to a rule, to the groups of a collection or to the default visibility.

    It records who made the change, when, how, and the values before and after; ``None`` means that
    there was or is no value.
    """

    class Subject(models.TextChoices):
        RULE = "rule", "Access rule"
        COLLECTION = "collection", "Collection"

    subject = WordField(max_length=12, choices=Subject.choices)
    subject_id = models.BigIntegerField()
    label = models.CharField(max_length=300)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    channel = WordField(max_length=20, choices=Channel.choices)
    undoes = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="undone_by"
    )

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["subject", "subject_id"], name="access_changes_of_one")]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id}"
