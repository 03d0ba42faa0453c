"""The registered models, and who may see them.

``extracted`` is what the last scan read, ``curated`` what people decided. The typed columns hold
the resolved values (curated beats extracted) so that lists can filter on them; only services write
any of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, Group, PermissionsMixin
from django.db import models
from django.db.models import Q, QuerySet

from discovery.engine.core.service_words import VisibilitySource
from discovery.engine.core.vocabulary import ModelType, Status, Visibility
from discovery.models.grants import Audience, Opening
from discovery.models.permissions import OF_MODELS, Right
from discovery.models.roots import Root
from discovery.models.word_field import WordField

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


def sees_all(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Return whether the user may see every model and its path."""
    if not isinstance(user, PermissionsMixin) or not (user.is_superuser or user.pk):
        return False
    return user.has_perm(Right.VIEW_ALL)


def groups_of(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Group]:
    """Return the groups whose models the user may see.

    These are the user's own groups, or those of the person they view the site as (see
    ``services.access.view_as``).
    """
    viewed: list[int] | None = getattr(user, "viewed_groups", None)
    return (
        Group.objects.filter(user=user.pk)
        if viewed is None
        else Group.objects.filter(pk__in=viewed)
    )


def seen_by(user: AbstractBaseUser | AnonymousUser, few: bool = False) -> Q:
    """The condition on ``visibility`` and audience that what ``user`` may see meets.

    ``few`` rows are each asked about by itself, which is quicker than to gather all audiences that
    are open to the user first.
    """
    public = Q(visibility=Visibility.PUBLIC)
    if not getattr(user, "is_active", False):
        return public
    if sees_all(user):
        return Q()
    restricted, groups = Q(visibility=Visibility.RESTRICTED), groups_of(user)
    if few:
        return public | (restricted & Q(Opening.opens(groups)))
    return public | (restricted & Q(audience_id__in=Opening.audiences_for(groups)))


class RegisteredModelQuerySet(QuerySet["RegisteredModel"]):
    def visible_to(
        self, user: AbstractBaseUser | AnonymousUser, few: bool = False
    ) -> RegisteredModelQuerySet:
        """The only way a page, a count, an export or the API reaches models.

        Who may see all is asked of ``sees_all``; see design "Who may see". ``few``: see
        ``seen_by``.
        """
        return self.filter(seen_by(user, few))


class RegisteredModel(models.Model):
    """One model.

    Known by (root, path); ``fingerprint`` recognizes it when it moves; ``model_id`` never changes.

    ``place`` and ``signature`` are its candidate's: same place, same signature means that no file
    needs to be opened.
    """

    model_id = models.CharField(max_length=200, unique=True)
    root = models.ForeignKey(Root, on_delete=models.PROTECT, related_name="models")
    path = models.CharField(max_length=4096, help_text="Relative to the root, with /.")
    place = models.CharField(max_length=4096)
    signature = models.CharField(max_length=32)
    fingerprint = models.CharField(max_length=32, db_index=True)
    read_by = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="Version of the readers and checks that judged it."
    )
    content = models.CharField(
        max_length=32,
        default="",
        help_text="Changes with any name, size or time of its files, not when it moves.",
    )
    registered_manually = models.BooleanField(
        default=False,
        help_text="Registered by a person: scans that do not come by still look after it.",
    )
    added_in = models.ForeignKey(
        "ScanRun", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    name = models.CharField(max_length=500)
    display_name = models.CharField(max_length=500, blank=True)
    description = models.TextField(blank=True)
    type = WordField(
        max_length=30, choices=ModelType.choices, default=ModelType.UNKNOWN, db_index=True
    )
    format = models.CharField(max_length=30, null=True, blank=True)
    status = WordField(max_length=12, choices=Status.choices, db_index=True)
    architecture = models.CharField(max_length=200, null=True, blank=True)
    model_family = models.CharField(max_length=200, null=True, blank=True)
    parameter_count = models.BigIntegerField(null=True, blank=True)
    active_parameter_count = models.BigIntegerField(null=True, blank=True)
    context_length = models.BigIntegerField(null=True, blank=True)
    embedding_length = models.BigIntegerField(null=True, blank=True)
    layer_count = models.BigIntegerField(null=True, blank=True)
    vocab_size = models.BigIntegerField(null=True, blank=True)
    dtype = models.CharField(max_length=40, null=True, blank=True)
    quantization = models.CharField(max_length=80, null=True, blank=True)
    bits_per_weight = models.FloatField(null=True, blank=True)
    base_model = models.CharField(max_length=300, null=True, blank=True)
    base_model_relation = models.CharField(max_length=40, null=True, blank=True)
    license = models.CharField(max_length=200, null=True, blank=True)
    author = models.CharField(max_length=200, null=True, blank=True)
    version = models.CharField(max_length=200, null=True, blank=True)
    primary = models.CharField(max_length=12, null=True, blank=True)
    secondary = models.CharField(max_length=12, null=True, blank=True)
    specialization = models.CharField(max_length=12, null=True, blank=True)
    sort_name = models.CharField(
        max_length=500, default="", editable=False, help_text="Its title, case folded."
    )
    search_text = models.TextField(
        default="",
        editable=False,
        help_text="All that a search looks at, case folded, a line for each field.",
    )
    modality_words = models.CharField(
        max_length=255, default="", editable=False, help_text="Its modalities: ,IMAGE,TEXT,"
    )
    capability_words = models.CharField(
        max_length=255, default="", editable=False, help_text="Its capabilities: ,CHAT,CODE,"
    )

    extracted = models.JSONField(
        default=dict, help_text="{field: {value, source}} as the last scan read it."
    )
    remote_values = models.JSONField(
        default=dict,
        help_text=(
            "{field: {value, source}} as external registries say; in extracted where no file does."
        ),
    )
    curated = models.JSONField(
        default=dict, help_text="{field: {value, by, at}} as people decided."
    )
    variants = models.JSONField(default=list)
    files = models.JSONField(
        default=list, help_text="[path relative to the root, bytes] of each file."
    )
    problems = models.JSONField(default=list)
    checks = models.JSONField(
        default=list,
        help_text=(
            "[{name, status, message, path}]: the checks of the contract, by headers and names."
        ),
    )
    scanned_status = WordField(
        max_length=12,
        choices=Status.choices,
        default=Status.READY,
        help_text="What the files alone say.",
    )
    evidence = models.JSONField(
        default=dict,
        help_text="{axis: [{rule, matched, where, weight}]}: why the verdicts are what they are.",
    )
    memory_shape = models.JSONField(
        default=dict, help_text="The shape of its layers, from which memory at any context follows."
    )
    memory_bytes = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Weights, KV cache at its own context, overhead and projector.",
    )
    signals = models.JSONField(
        default=dict,
        help_text="What rules decide by, so that they can change without reading the files again.",
    )

    completeness = models.PositiveSmallIntegerField(
        null=True,
        editable=False,
        help_text="Percent of what users of a model ask for that is known.",
    )
    missing_mask = models.PositiveSmallIntegerField(
        null=True,
        editable=False,
        help_text="What is not, a bit each.",
    )

    size_bytes = models.BigIntegerField(default=0)
    file_count = models.PositiveIntegerField(default=0)
    modified_at = models.DateTimeField(null=True, blank=True)
    added_at = models.DateTimeField()
    changed_at = models.DateTimeField(help_text="When a scan or a person last changed this record.")
    missing_since = models.DateTimeField(null=True, blank=True)
    arrived_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When a scan found these weights here; empty: added_at.",
    )
    seen_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Of a missing model: when a scan had last seen it.",
    )
    validated_at = models.DateTimeField(
        null=True, blank=True, help_text="When its headers and names were last checked."
    )
    deep_validated_at = models.DateTimeField(
        null=True,
        blank=True,
        db_index=True,
        help_text="When all its bytes were last read and compared.",
    )
    quarantined_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Only administrators see it until somebody lifts the quarantine.",
    )

    visibility = WordField(max_length=12, choices=Visibility.choices, default=Visibility.RESTRICTED)
    visibility_source = WordField(
        max_length=8,
        choices=VisibilitySource.choices,
        default=VisibilitySource.DEFAULT,
        editable=False,
        help_text="Who decided its visibility.",
    )
    audience = models.ForeignKey(
        Audience,
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="models",
        help_text="Its groups, collections and access rules together; empty: it has none.",
    )
    groups = models.ManyToManyField(
        Group, blank=True, related_name="models", help_text="Who may see it while it is restricted."
    )
    collections = models.ManyToManyField("discovery.Collection", blank=True, related_name="models")
    tagged = models.ManyToManyField(
        "discovery.Tag",
        blank=True,
        related_name="models",
        help_text="Its tags, as lists and facets ask for them.",
    )
    favoured_by = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="favourites"
    )

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = "model"
        permissions = OF_MODELS
        constraints = [models.UniqueConstraint(fields=["root", "path"], name="unique_model_path")]
        indexes = [
            models.Index(fields=["name", "id"]),
            models.Index(fields=["sort_name", "id"]),
            models.Index(fields=["size_bytes", "id"]),
            models.Index(fields=["parameter_count", "id"]),
            models.Index(fields=["context_length", "id"]),
            models.Index(fields=["added_at"]),
            # Wide enough that the report never opens a row it does not show.
            models.Index(fields=["completeness", "sort_name", "id"], name="models_by_completeness"),
            models.Index(
                fields=["missing_mask", "completeness", "sort_name", "id"],
                name="models_by_missing_mask",
            ),
            models.Index(fields=["changed_at"]),
            models.Index(fields=["base_model"]),
            # The Overview's sums, and its count of models that look alike, are answered from these
            # alone.
            models.Index(
                fields=["primary", "type", "status", "root", "visibility", "size_bytes"],
                name="kinds_of_models",
            ),
            models.Index(fields=["fingerprint", "status", "size_bytes"], name="alike_models"),
        ]

    def __str__(self) -> str:
        return self.display_name or self.name

    @property
    def title(self) -> str:
        return self.display_name or self.name

    @property
    def is_hosted(self) -> bool:
        """Whether another server runs it."""
        return self.type == ModelType.OPENAI or "endpoint" in self.extracted

    def value(self, field: str) -> Any:
        """The resolved value of a document field: curated, else extracted, else ``None``."""
        entry = self.curated.get(field) or self.extracted.get(field)
        return entry["value"] if entry else None
