"""``/access``: access rules, the default visibility, who is granted what, and its history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status

from discovery.api import access_schemas as schemas
from discovery.api import paging
from discovery.api.authentication import Access, caller_of
from discovery.api.closed_lists import not_known
from discovery.api.errors import ApiError, Loc
from discovery.api.inputs import Key
from discovery.api.preconditions import answered, require_seen
from discovery.engine.core.service_words import RuleKind, TokenScope
from discovery.models import AccessChange, AccessRule, Root
from discovery.services.access import (
    access_rules,
    audiences,
    matrix,
    rule_preview,
    rule_terms,
    view_as,
    visibility,
)
from discovery.services.access.rule_matches import Term

router = Router(tags=["Access"])
READ = Access(TokenScope.READ, *view_as.RIGHTS)
CHANGE = Access(TokenScope.WRITE, *view_as.RIGHTS)


@router.get(
    "/access/matrix",
    auth=READ,
    response=schemas.Matrix,
    operation_id="get_access_matrix",
    summary="Groups by collections and access rules",
)
def grid(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Each collection and each rule, with the groups that see its restricted models through it.

    Grant and take by the `groups` of `/access/rules/{rule_id}` and `/collections/{collection_id}`.
    """
    names = dict(Group.objects.values_list("pk", "name"))

    def shown(row: matrix.GrantRow) -> dict[str, Any]:
        return {
            "kind": "rule" if row.is_rule else "collection",
            "id": row.pk,
            "label": row.label,
            "file": row.from_file,
            "visibility": row.visibility or None,
            "models": row.models,
            "restricted": row.restricted,
            "groups": sorted(names[key] for key in row.groups if key in names),
        }

    return paging.numbered(request, matrix.Matrix().rows, query, shown)


@router.get(
    "/access/rules",
    auth=READ,
    response=schemas.Rules,
    operation_id="list_access_rules",
    summary="Access rules",
)
def rules(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Rules that people made, and those of the access file."""
    rows = AccessRule.objects.filter(is_default=False).order_by("file_key", "pk")
    return paging.numbered(
        request,
        rows.prefetch_related("terms", "groups"),
        query,
        together=_documents,
    )


@router.post(
    "/access/rules/preview",
    auth=READ,
    response=schemas.RulePreview,
    operation_id="preview_access_rule",
    summary="What a new access rule would do",
)
def preview(request: HttpRequest, payload: schemas.NewRule) -> dict[str, Any]:  # noqa: ARG001
    """Takes the body of `POST /access/rules`, and writes nothing."""
    return {
        "sentences": rule_preview.preview(
            _term(payload), payload.visibility or "", _groups(payload.groups)
        )
    }


@router.post(
    "/access/rules",
    auth=CHANGE,
    response={201: schemas.RuleRow},
    operation_id="create_access_rule",
    summary="Create an access rule",
)
def create(
    request: HttpRequest, payload: schemas.NewRule, response: HttpResponse
) -> Status[dict[str, Any]]:
    """Sets who sees the models that have something in common, today and later.

    409 where there is a rule for this already.
    """
    try:
        rule = access_rules.make(
            _term(payload),
            visibility=payload.visibility or "",
            groups=_groups(payload.groups),
            by=caller_of(request).person,
            channel="api",
        )
    except rule_terms.AccessRuleError as error:
        raise _refused(error) from None
    response["Location"] = request.build_absolute_uri(f"/api/access/rules/{rule.pk}")
    return Status(201, answered(_fetch(rule.pk)[1], response))


@router.get(
    "/access/rules/{rule_id}",
    auth=READ,
    response=schemas.RuleRow,
    operation_id="get_access_rule",
    summary="One access rule",
)
# Ninja passes the request.
def one(request: HttpRequest, rule_id: Path[Key], response: HttpResponse) -> dict[str, Any]:  # noqa: ARG001
    """A rule, whether people made it or the access file has it."""
    return answered(_fetch(rule_id)[1], response)


@router.put(
    "/access/rules/{rule_id}",
    auth=CHANGE,
    response=schemas.RuleRow,
    operation_id="update_access_rule",
    summary="Change an access rule",
)
def update(
    request: HttpRequest, rule_id: Path[Key], payload: schemas.RuleEdit, response: HttpResponse
) -> dict[str, Any]:
    """Its visibility and its groups. What it means stays: create another rule for that.

    A rule of the access file is changed there: 409.
    """
    with transaction.atomic():
        rule, shown = _fetch(rule_id, lock=True)
        require_seen(request, shown)
        changes = payload.changes(shown)
        groups = changes.get("groups", shown["groups"])
        wanted = changes.get("visibility", shown["visibility"])
        try:
            access_rules.change(
                rule,
                visibility=wanted or "",
                groups=_groups(groups),
                by=caller_of(request).person,
                channel="api",
            )
        except rule_terms.AccessRuleError as error:
            raise _refused(error) from None
    return answered(_fetch(rule_id)[1], response)


@router.delete(
    "/access/rules/{rule_id}",
    auth=CHANGE,
    response={204: None},
    operation_id="delete_access_rule",
    summary="Delete an access rule",
)
def delete(request: HttpRequest, rule_id: Path[Key]) -> Status[None]:
    """Who sees its models is decided anew. Undo it in the history of access."""
    with transaction.atomic():
        rule, shown = _fetch(rule_id, lock=True)
        require_seen(request, shown)
        try:
            access_rules.delete(rule, by=caller_of(request).person, channel="api")
        except rule_terms.AccessRuleError as error:
            raise _refused(error) from None
    return Status(204, None)


@router.get(
    "/access/default",
    auth=READ,
    response=schemas.Default,
    operation_id="get_default_visibility",
    summary="Visibility of models that nothing else decides",
)
# Ninja passes the request.
def default(request: HttpRequest, response: HttpResponse) -> dict[str, Any]:  # noqa: ARG001
    """What it is, and who decides it."""
    return answered(_default(), response)


@router.put(
    "/access/default",
    auth=CHANGE,
    response=schemas.Default,
    operation_id="set_default_visibility",
    summary="Set the visibility of models that nothing else decides",
)
def set_default(
    request: HttpRequest, payload: schemas.DefaultEdit, response: HttpResponse
) -> dict[str, Any]:
    """Undo it in the history of access."""
    person = caller_of(request).person
    with transaction.atomic():
        require_seen(request, _default())
        access_rules.set_default(payload.visibility or "", by=person, channel="api")
    return answered(_default(), response)


@router.get(
    "/access/changes",
    auth=READ,
    response=schemas.AccessChanges,
    operation_id="list_access_changes",
    summary="History of access",
)
def changes(request: HttpRequest, query: Query[paging.Paged]) -> dict[str, Any]:
    """Changes of rules, of the default, of the access file and of the groups of collections."""
    rows = AccessChange.objects.select_related("by").prefetch_related("undone_by")
    return paging.numbered(request, rows.order_by("-pk"), query, _change)


@router.post(
    "/access/changes/{access_change_id}/undo",
    auth=CHANGE,
    response={201: schemas.AccessChangeRow},
    operation_id="undo_access_change",
    summary="Undo a change of access",
)
def undo(
    request: HttpRequest, access_change_id: Path[Key], response: HttpResponse
) -> Status[dict[str, Any]]:
    """Gives it back what it had before; the answer is the change that does so.

    What was changed again since is kept: 409.
    """
    rows = AccessChange.objects.select_related("by").prefetch_related("undone_by")
    row = rows.filter(pk=access_change_id).first()
    if row is None:
        raise Http404(f"There is no change of access {access_change_id}.")
    try:
        access_rules.undo(row, by=caller_of(request).person, channel="api")
    except rule_terms.AccessRuleError as error:
        place: list[tuple[Loc, str]] = [(("path", "access_change_id"), str(error))]
        raise ApiError(409, "Nothing was undone.", errors=place) from None
    made = rows.filter(undoes=row).latest("pk")
    response["Location"] = request.build_absolute_uri("/api/access/changes")
    return Status(201, _change(made))


def _change(row: AccessChange) -> dict[str, Any]:
    return {
        "access_change_id": row.pk,
        "subject": str(row.subject),
        "subject_id": row.subject_id,
        "label": row.label,
        "before": row.before,
        "after": row.after,
        "by": row.by.get_username() if row.by else None,
        "at": row.at,
        "through": str(row.channel),
        "undoes": row.undoes_id,
        "undone": bool(row.undone_by.all()),
    }


def _default() -> dict[str, Any]:
    rows = AccessRule.objects.filter(is_default=True).exclude(visibility="")
    keys = set(rows.values_list("file_key", flat=True))
    source = "person" if "" in keys else "file" if "default" in keys else "default"
    return {"visibility": str(audiences.default_verdict()[0]), "source": source}


def _documents(page: Iterable[AccessRule]) -> list[dict[str, Any]]:
    """Rules as they are answered, in a fixed number of queries."""
    counted = {row.pk: row for row in matrix.Matrix().rows if row.is_rule}
    roots = {str(root.pk): root.path for root in Root.objects.only("path")}
    told = []
    for rule in page:
        terms = [
            {
                "kind": str(term.kind),
                "value": (
                    roots.get(term.value, term.value) if term.kind == RuleKind.ROOT else term.value
                ),
            }
            for term in rule.terms.all()
        ]
        row = counted.get(rule.pk)
        told.append(
            {
                "rule_id": rule.pk,
                "label": row.label if row else visibility.called(rule),
                "terms": terms,
                "visibility": rule.visibility or None,
                "groups": sorted(group.name for group in rule.groups.all()),
                "file_key": rule.file_key or None,
                "models": row.models if row else 0,
                "restricted": row.restricted if row else 0,
            }
        )
    return told


def _fetch(rule_id: int, *, lock: bool = False) -> tuple[AccessRule, dict[str, Any]]:
    rows = AccessRule.objects.filter(is_default=False, pk=rule_id)
    rule = (rows.select_for_update() if lock else rows).first()
    if rule is None:
        raise Http404(f"There is no access rule {rule_id}.")
    return rule, _documents([rule])[0]


def _term(payload: schemas.NewRule) -> Term:
    try:
        return rule_terms.term(payload.kind, payload.value)
    except rule_terms.AccessRuleError as error:
        known = _known(payload.kind)
        text = not_known(payload.value, known) if known else str(error)
        raise ApiError(422, "This cannot be a rule.", errors=[(("body", "value"), text)]) from None


def _known(kind: str) -> list[str]:
    """The values that rules of this kind may have, where these are a closed list."""
    if kind == RuleKind.CATEGORY:
        return list(rule_terms.CATEGORIES)
    if kind == RuleKind.ROOT:
        return [text for root in Root.objects.all() for text in (root.path, root.name) if text]
    return []


def _groups(names: Sequence[str]) -> list[Group]:
    """The groups of these names. Raises ``ApiError`` for those that nothing has."""
    found = {group.name: group for group in Group.objects.filter(name__in=names)}
    unknown = [(number, name) for number, name in enumerate(names) if name not in found]
    if unknown:
        known = list(Group.objects.order_by("name").values_list("name", flat=True)[:500])
        faults: list[tuple[Loc, str]] = [
            (("body", "groups", number), not_known(name, known)) for number, name in unknown
        ]
        raise ApiError(422, "There are no such groups.", errors=faults)
    return list(found.values())


def _refused(error: rule_terms.AccessRuleError) -> ApiError:
    """409 for what stands against it in the registry, 422 for what is wrong in the body."""
    taken = error.field == "rule" or "already" in str(error)
    return ApiError(409 if taken else 422, str(error), errors=[(("body", error.field), str(error))])
