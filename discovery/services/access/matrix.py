"""The matrix of the Access page: collections and access rules by groups.

It also counts the models that each opens.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, OuterRef, Subquery
from django.utils.functional import cached_property

from discovery.models import AccessRule, AccessTerm, Audience, Collection, Listing, Visibility
from discovery.services.access import rule_terms
from discovery.services.access.rule_matches import Term


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A collection or a rule: what it means, and whom it opens that to while it is restricted.

    ``models`` have it, ``restricted`` of them are opened to each group that is granted it.
    """

    key: str
    pk: int
    label: str
    is_rule: bool
    from_file: bool
    visibility: str
    models: int
    restricted: int
    groups: frozenset[int]


class Matrix:
    """All rows, in a fixed number of queries."""

    @cached_property
    def rows(self) -> list[GrantRow]:
        return [*self._collections(), *self._rules()]

    def _rules(self) -> list[GrantRow]:
        first = AccessTerm.objects.filter(rule=OuterRef("pk")).order_by("pk")
        rules = (
            AccessRule.objects.filter(is_default=False)
            .annotate(
                kind=Subquery(first.values("kind")[:1]),
                value=Subquery(first.values("value")[:1]),
                count=Count("terms"),
            )
            .prefetch_related("groups")
            .order_by("file_key", "kind", "value")
        )
        roots = rule_terms.root_labels()
        every, restricted = self._counts("rules", "accessrule_id")
        found = []
        for rule in rules:
            more = f" and {rule.count - 1:,} more" if rule.count > 1 else ""
            label = (
                f"{rule.file_key} ({rule.value}{more})"
                if rule.file_key and rule.count
                else rule.file_key or rule_terms.label([Term(rule.kind, rule.value)], roots)
            )
            found.append(
                GrantRow(
                    f"rule-{rule.pk}",
                    rule.pk,
                    label,
                    True,
                    bool(rule.file_key),
                    rule.visibility,
                    every[rule.pk],
                    restricted[rule.pk],
                    frozenset(group.pk for group in rule.groups.all()),
                )
            )
        return found

    def _collections(self) -> list[GrantRow]:
        every, restricted = self._counts("collections", "collection_id")
        return [
            GrantRow(
                f"collection-{each.pk}",
                each.pk,
                each.name,
                False,
                False,
                "",
                every[each.pk],
                restricted[each.pk],
                frozenset(group.pk for group in each.groups.all()),
            )
            for each in Collection.objects.order_by("name").prefetch_related("groups")
        ]

    @cached_property
    def _models(self) -> tuple[dict[int, int], dict[int, int]]:
        """(models, restricted models) of each audience."""
        every: Counter[int] = Counter()
        restricted: Counter[int] = Counter()
        rows = (
            Listing.objects.filter(audience_id__isnull=False)
            .order_by()
            .values_list("audience_id", "visibility")
            .annotate(models=Count("pk"))
        )
        for audience, visibility, models in rows:
            every[audience] += models
            if visibility == Visibility.RESTRICTED:
                restricted[audience] += models
        return every, restricted

    def _counts(self, relation: str, column: str) -> tuple[Counter[int], Counter[int]]:
        every, restricted = self._models
        totals: tuple[Counter[int], Counter[int]] = Counter(), Counter()
        through: Any = getattr(Audience, relation).through
        for audience, target in through.objects.values_list("audience_id", F(column)):
            totals[0][target] += every.get(audience, 0)
            totals[1][target] += restricted.get(audience, 0)
        return totals
