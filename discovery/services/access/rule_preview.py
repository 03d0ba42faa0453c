"""Tell what an access rule would do before anybody saves it."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import Group

from discovery.engine.core.text import plural
from discovery.models import Opening, Visibility
from discovery.services.access import rule_matches
from discovery.services.access.rule_matches import Term


def preview(wanted: Term, visibility: str, groups: Sequence[Group]) -> list[str]:
    """Sentences: what a rule that is not saved yet would do, nothing of which is done."""
    models = rule_matches.models_of([wanted])
    count = models.count()
    told = [f"{plural(count, 'model')} {'matches' if count == 1 else 'match'} now."]
    if visibility:
        free = models.filter(quarantined_at=None).exclude(visibility_source="person")
        other = free.exclude(visibility=visibility).count()
        named = Visibility(visibility).label.lower()
        told.append(f"{plural(other, 'model')} would become {named}.")
    restricted = models.filter(visibility=Visibility.RESTRICTED)
    for group in groups:
        opened = Opening.audiences_for(Group.objects.filter(pk=group.pk))
        new = restricted.exclude(audience_id__in=opened).count()
        told.append(f"{group.name} would see {plural(new, 'more restricted model')}.")
    return told
