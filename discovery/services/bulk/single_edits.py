"""Apply an operation of a bulk edit to one model, if it still is what somebody has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from django.db import transaction

from discovery.models import RegisteredModel
from discovery.services.bulk.bulk_edits import EditRefused
from discovery.services.metadata import merge_patch, metadata

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from discovery.services.bulk.operations import Operation


def apply(
    operation: Operation,
    model: RegisteredModel,
    *,
    by: User,
    channel: str,
    if_match: Callable[[RegisteredModel], bool] = lambda _: True,
) -> RegisteredModel:
    """Change the model as ``operation`` says, and return it as it is then.

    Raises ``merge_patch.Stale``, ``EditRefused``.
    """
    with transaction.atomic():
        rows = RegisteredModel.objects.select_for_update(of=("self",)).select_related("root")
        record = rows.get(pk=model.pk)
        if not if_match(record):
            raise merge_patch.Stale
        plan = operation.plan([record])
        if plan.faults:
            raise EditRefused(plan.faults)
        metadata.edit_many(plan.changes, by=by, channel=channel, batch=uuid4())
    return RegisteredModel.objects.select_related("root").get(pk=model.pk)
