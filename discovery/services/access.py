"""Who may see a model, and why."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Q

from discovery.models import RegisteredModel, Visibility


def explained(record: RegisteredModel) -> dict[str, Any]:
    """``users``: active people, no administrators, whom a group lets see the restricted model, directly or by a collection."""
    collections = list(record.collections.prefetch_related("groups").order_by("name"))
    own = list(record.groups.order_by("name"))
    granting = Group.objects.filter(Q(models=record) | Q(collections__models=record))
    people = User.objects.filter(is_active=True, is_staff=False, groups__in=granting).order_by("username").distinct()
    return {
        "model_id": record.model_id,
        "visibility": record.visibility,
        "quarantined_at": record.quarantined_at,
        "groups": [group.name for group in own],
        "collections": [{"name": item.name, "groups": sorted(group.name for group in item.groups.all())} for item in collections],
        "users": [user.username for user in people] if record.visibility == Visibility.RESTRICTED else [],
    }
