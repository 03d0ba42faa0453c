"""The Access page for administrators: who may see which models.

It is a matrix of groups by collections and rules, the rules and their history, and an explanation
of why one person sees a model or does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.engine.core.service_words import RuleKind
from discovery.engine.core.text import clean
from discovery.models import (
    AccessChange,
    AccessRule,
    Collection,
    RegisteredModel,
    Right,
    Visibility,
)
from discovery.services.access import (
    access_file,
    access_rules,
    audiences,
    matrix,
    rule_preview,
    rule_terms,
    view_as,
    visibility,
)
from discovery.services.activity.sources import access_sentences
from discovery.services.core.form_stamps import Conflict
from discovery.web.shared import shown
from discovery.web.shared.shortcuts import as_key, needs, numbered, page_or_partial, require

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Groups beside each other, rows and changes below each other.
COLUMNS, ROWS, CHANGES = 8, 50, 50

ADMINISTRATORS = needs(*view_as.RIGHTS)


@require_safe
@ADMINISTRATORS
def index(request: HttpRequest) -> HttpResponse:
    text = clean(request.GET.get("group", ""), 150)
    groups = Paginator(
        Group.objects.filter(name__icontains=text).order_by("name"), COLUMNS
    ).get_page(request.GET.get("columns", "1")[:20])
    page = numbered(request, matrix.Matrix().rows, ROWS)
    context = {
        "groups": groups,
        "group_text": text,
        "page": page,
        "rows": [(row, [(group, group.pk in row.groups) for group in groups]) for row in page],
        "default": audiences.default_verdict()[0],
        "own_default": AccessRule.objects.filter(is_default=True, file_key="").first(),
        "choices": Visibility.choices,
        "warnings": access_file.warnings(),
        "file": access_rules.FILE,
        **_explained(request),
    }
    return page_or_partial(request, "discovery/access.html", "results", context)


def _explained(request: HttpRequest) -> dict[str, Any]:
    """The answer for the person and the model that the address names."""
    who, which = (clean(request.GET.get(name, ""), 200).strip() for name in ("user", "model"))
    told: dict[str, Any] = {"who": who, "which": which}
    if not who or not which:
        return told
    record = RegisteredModel.objects.visible_to(request.user).filter(model_id=which).first()
    if record is None:
        return {**told, "explain_error": f"There is no model with the ID {which}."}
    return {**told, "model": record, "answer": visibility.of_person(record, who)}


@require_POST
@ADMINISTRATORS
def cell(request: HttpRequest) -> HttpResponse:
    """One click in the matrix; ``rule-7 3 1`` grants the rule 7 to the group 3."""
    row, _, rest = request.POST.get("cell", "").partition(" ")
    group_key, _, wanted = rest.partition(" ")
    kind, _, key = row.partition("-")
    group = get_object_or_404(Group, pk=as_key(group_key))
    by, on = cast("User", request.user), wanted == "1"
    try:
        if kind == "collection":
            require(request, Right.CHANGE_COLLECTION)
            collection = get_object_or_404(Collection, pk=as_key(key))
            changed = access_rules.grant_collection(collection, group, on, by=by)
            label = collection.name
        elif kind == "rule":
            rule = get_object_or_404(AccessRule, pk=as_key(key), is_default=False)
            changed = access_rules.grant(rule, group, on, by=by)
            label = visibility.called(rule)
        else:
            raise Http404(row)
    except rule_terms.AccessRuleError as error:
        messages.error(request, str(error))
        return _back(request.POST)
    if changed:
        verb = "sees" if on else "no longer sees"
        messages.success(request, f"{group.name} {verb} the restricted models of {label}.")
    return _back(request.POST)


def _back(sent: QueryDict) -> HttpResponse:
    """To the part of the matrix that was clicked in."""
    kept = {name: sent[name][:150] for name in ("page", "columns", "group") if sent.get(name)}
    return redirect(f"{reverse('access')}?{urlencode(kept)}" if kept else "access")


@require_http_methods(["GET", "HEAD", "POST"])
@ADMINISTRATORS
def rule(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """The form of a new rule, or of one that people made; ``step`` is preview, save or delete."""
    standing = get_object_or_404(AccessRule, pk=pk, file_key="", is_default=False) if pk else None
    if request.method != "POST":
        return _rule_form(request, standing, _given(standing))
    sent, by = request.POST, cast("User", request.user)
    given: dict[str, Any] = {
        "kind": sent.get("kind", ""),
        "value": sent.get("value", ""),
        "visibility": "".join(shown.sent(sent, "visibility")[-1:]),
        "groups": sorted(
            key for text in shown.sent(sent, "groups") if (key := as_key(text)) is not None
        ),
    }
    seen = shown.seen(sent, given)
    groups = list(Group.objects.filter(pk__in=given["groups"]).order_by("name"))
    try:
        if standing and sent.get("step") == "delete":
            access_rules.delete(standing, by=by)
            messages.success(request, "Rule deleted. You can undo this in the history of access.")
            return redirect("access")
        wanted = (
            rule_terms.terms_of(standing)[0]
            if standing
            else rule_terms.term(given["kind"], given["value"])
        )
        if sent.get("step") != "save":
            told = rule_preview.preview(wanted, given["visibility"], groups)
            return _rule_form(request, standing, given, stamps=seen, preview=told)
        if standing:
            access_rules.change(
                standing, visibility=given["visibility"], groups=groups, by=by, seen=seen
            )
        else:
            access_rules.make(wanted, visibility=given["visibility"], groups=groups, by=by)
    except rule_terms.AccessRuleError as error:
        return _rule_form(request, standing, given, stamps=seen, error=error)
    except Conflict as conflict:
        return _disputed_rule(request, cast("AccessRule", standing), given, conflict)
    messages.success(request, "Rule saved.")
    return redirect("access")


def _disputed_rule(
    request: HttpRequest, standing: AccessRule, given: dict[str, Any], conflict: Conflict
) -> HttpResponse:
    """The form as the rule is now, with both values of what two people have changed."""
    now = access_rules.settable(standing)
    seen = shown.seen(request.POST, now)
    disputes = shown.disputes(
        conflict.theirs, given, {"visibility": "Visibility", "groups": "Groups"}, _in_words
    )
    filled = shown.again(given, now, seen, conflict.theirs)
    return _rule_form(request, standing, filled, disputes=disputes)


def _in_words(name: str, value: Any) -> str:
    if name == "groups":
        return ", ".join(Group.objects.filter(pk__in=value).values_list("name", flat=True))
    return dict(Visibility.choices).get(value, "Leave as it is")


def _given(standing: AccessRule | None) -> dict[str, Any]:
    if standing is None:
        return {"kind": RuleKind.CATEGORY, "value": "", "visibility": "", "groups": []}
    return access_rules.settable(standing)


def _rule_form(
    request: HttpRequest,
    standing: AccessRule | None,
    given: dict[str, Any],
    *,
    stamps: dict[str, str] | None = None,
    preview: list[str] | None = None,
    error: rule_terms.AccessRuleError | None = None,
    disputes: list[shown.Dispute] | None = None,
) -> HttpResponse:
    """``stamps`` are those that the form had before, unless it shows the rule as it is now."""
    if stamps is None:
        stamps = shown.stamps(access_rules.settable(standing)) if standing else {}
    context = {
        "stamps": stamps,
        "disputes": disputes,
        "rule": standing,
        "label": visibility.called(standing) if standing else "",
        "given": given,
        "kinds": [(each.value, each.label, each.hint) for each in RuleKind],
        "choices": Visibility.choices,
        "groups": list(Group.objects.order_by("name")),
        "preview": preview,
        "error": error,
    }
    status = 422 if error else 409 if disputes else 200
    return page_or_partial(request, "discovery/access_rule.html", "form", context, status=status)


@require_POST
@ADMINISTRATORS
def default(request: HttpRequest) -> HttpResponse:
    try:
        wanted = request.POST.get("visibility", "")
        seen = shown.seen(request.POST, {"visibility": ""})
        changed = access_rules.set_default(wanted, by=cast("User", request.user), seen=seen)
    except rule_terms.AccessRuleError as error:
        messages.error(request, str(error))
    except Conflict as conflict:
        words = {"": "as the file says", **dict(Visibility.choices)}
        messages.error(
            request,
            f"Somebody else set the default to “{words[conflict.theirs['visibility']]}” since you"
            f" opened this page; you chose “{words[wanted]}”. Nothing was saved.",
        )
    else:
        messages.success(request, "Default saved." if changed else "Nothing was changed.")
    return redirect("access")


@require_safe
@ADMINISTRATORS
def changes(request: HttpRequest) -> HttpResponse:
    """The history of rules, default, access file and the groups of collections."""
    rows = AccessChange.objects.select_related("by", "undoes").prefetch_related("undone_by")
    page = numbered(request, rows, CHANGES)
    told = [(row, access_sentences(row)) for row in page]
    context = {"page": page, "rows": told}
    return page_or_partial(request, "discovery/access_changes.html", "results", context)


@require_POST
@ADMINISTRATORS
def undo(request: HttpRequest) -> HttpResponse:
    row = get_object_or_404(AccessChange, pk=as_key(request.POST.get("change", "")))
    try:
        access_rules.undo(row, by=cast("User", request.user))
    except rule_terms.AccessRuleError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Undone.")
    return redirect("access-changes")
