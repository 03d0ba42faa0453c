"""The Rules page for administrators: the rules that decide categories, in words.

Its editors, a form and one for JSON, preview before they save.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from discovery.engine.classify.rules import Rule
from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import AXES, CATEGORIES
from discovery.models import RegisteredModel, Right
from discovery.services.core import config_files
from discovery.services.scans import categorization
from discovery.web import evidence, rule_form
from discovery.web.shared.shortcuts import needs, page_or_partial
from discovery.words import AXES as AXIS_WORDS

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Faults shown at once; the rest is counted.
MAX_FAULTS = 20
#: Lines of the difference between theirs and mine.
MAX_DIFFERENCE = 400


@dataclass(frozen=True, slots=True)
class CategoryRules:
    """One category: its rules in words, each with its weight, and how many models have it now."""

    axis: str
    name: str
    rules: list[tuple[str, str]]
    models: int


@require_safe
@needs(Right.RULES, Right.VIEW_ALL)
def index(request: HttpRequest) -> HttpResponse:
    rules, counts = config_files.rules(), categorization.counts()
    total = RegisteredModel.objects.count()
    axes = []
    for axis in AXES:
        section = rules.section(axis)
        names = [*section, *(name for name in CATEGORIES[axis] if name not in section)]
        rows = [
            CategoryRules(
                axis,
                name,
                [_said(rule) for rule in section.get(name, ())],
                counts.get((axis, name), 0),
            )
            for name in names
        ]
        axes.append((axis, AXIS_WORDS[axis], rows, total - sum(row.models for row in rows)))
    context = {
        "axes": axes,
        "can_undo": categorization.can_undo(),
        "seen": _mark(_text()),
        "shipped": not config_files.RULES.path.exists(),
    }
    return page_or_partial(request, "discovery/rules.html", "rules", context)


def _said(rule: Rule) -> tuple[str, str]:
    return evidence.rule_words(rule), "" if rule.weight == 1 else f"{rule.weight:g}"


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.RULES, Right.VIEW_ALL)
def category(request: HttpRequest, axis: str, category: str) -> HttpResponse:
    """The rules of one category as a form."""
    name = category.upper()
    if category != category.lower() or name not in CATEGORIES.get(axis, ()):
        raise Http404(f"no category {category} of {axis}")
    text = _text()
    try:
        categorization.parse(text)
    except categorization.InvalidRules:
        messages.warning(
            request,
            "The rules file is broken, so its rules cannot be shown one by one. Fix it here first.",
        )
        return redirect("rules-json")
    document = json.loads(text)
    before = rule_form.stored(document, axis, name)
    if len(before) > rule_form.MAX_FIELDSETS:
        messages.warning(
            request, f"{plural(len(before), 'rule')} are too many for a form. Edit them as JSON."
        )
        return redirect("rules-json")
    context: dict[str, Any] = {
        "axis": axis,
        "axis_word": AXIS_WORDS[axis],
        "name": name,
        "base": _mark(before),
    }
    if request.method != "POST":
        return _render(
            request,
            "category",
            {**context, "fieldsets": rule_form.of_rules(before) or [rule_form.blank(0, new=True)]},
        )
    fieldsets = rule_form.sent(request.POST)
    context["fieldsets"] = fieldsets
    action = request.POST.get("action")
    if action == "add":
        number = max((each.number for each in fieldsets), default=len(before) - 1) + 1
        if len(fieldsets) < rule_form.MAX_FIELDSETS:
            context["fieldsets"] = [*fieldsets, rule_form.blank(number, new=True)]
        return _render(
            request,
            "category",
            {**context, "base": request.POST.get("base", ""), "added": f"r{number}-keywords"},
        )
    rules, placed = rule_form.as_rules(fieldsets, before)
    source = json.dumps(rule_form.replaced(document, axis, name, rules), ensure_ascii=False)

    def place(reasons: list[str]) -> list[str]:
        return rule_form.place_faults(reasons, axis, name, placed)

    return _try_or_save(request, "category", context, source, place)


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Right.RULES, Right.VIEW_ALL)
def as_json(request: HttpRequest) -> HttpResponse:
    """Show the rules file as text."""
    text = _text()
    context = {"base": _mark(text), "text": text}
    if request.method != "POST":
        return _render(request, "json", context)
    source = request.POST.get("text", "").replace("\r\n", "\n").removeprefix("\ufeff")
    return _try_or_save(request, "json", {**context, "text": source}, source, list)


@require_POST
@needs(Right.RULES, Right.VIEW_ALL)
def undo(request: HttpRequest) -> HttpResponse:
    if request.POST.get("seen", _mark(_text())) != _mark(_text()):
        messages.warning(
            request,
            "Somebody else has changed the rules since you opened this page, so nothing was"
            " undone.",
        )
        return redirect("rules")
    try:
        categorization.undo(by=cast("User", request.user))
    except FileNotFoundError:
        messages.warning(request, "There is no earlier version of the rules.")
    except categorization.InvalidRules as error:
        messages.warning(
            request,
            "The earlier rules are not valid any more, so nothing was changed."
            f" {error.faults[0].reason}",
        )
    except OSError as error:
        messages.warning(request, _unwritable(error))
    else:
        messages.success(request, f"The last change is undone. {_recategorizing()}")
    return redirect("rules")


def _try_or_save(
    request: HttpRequest, editor: str, context: dict[str, Any], source: str, place: Any
) -> HttpResponse:
    """Show what ``source`` would change, or put it into effect.

    ``place`` puts errors at their fields and returns the others.
    """
    try:
        rules = categorization.parse(source)
    except categorization.InvalidRules as error:
        reasons = [fault.reason for fault in error.faults]
        faults = place(reasons)
        told = {
            "faults": faults[:MAX_FAULTS],
            "faults_left": len(faults[MAX_FAULTS:]),
            "fault_count": len(reasons),
        }
        return _render(
            request, editor, {**context, **told, "base": request.POST.get("base", "")}, status=422
        )
    if request.POST.get("action") != "save":
        trial = categorization.try_out(rules)
        return _render(
            request,
            editor,
            {
                **context,
                "trial": trial,
                "moves": _moves(trial),
                "base": request.POST.get("base", ""),
            },
        )
    if request.POST.get("base") != context["base"]:
        return _render(
            request,
            editor,
            {**context, "overtaken": True, "difference": _difference(source)},
            status=409,
        )
    try:
        categorization.save(source, by=cast("User", request.user))
    except OSError as error:
        return _render(
            request,
            editor,
            {**context, "faults": [_unwritable(error)], "fault_count": 1},
            status=422,
        )
    messages.success(request, f"Saved. {_recategorizing()}")
    return redirect("rules")


def _difference(mine: str) -> str:
    """Theirs and mine, line by line, where they differ."""
    theirs = _text()
    with contextlib.suppress(ValueError):  # broken by hand: shown as it stands
        theirs = categorization.tidy(theirs)
    lines = difflib.unified_diff(
        theirs.splitlines(), categorization.tidy(mine).splitlines(), "theirs", "yours", lineterm=""
    )
    return "\n".join(itertools.islice(lines, MAX_DIFFERENCE))


def _moves(trial: categorization.Trial) -> list[dict[str, Any]]:
    """How many models go from what to what, the most first."""
    return [
        {
            "axis": AXIS_WORDS[axis],
            "axis_name": axis,
            "before": before,
            "after": after,
            "count": count,
        }
        for (axis, before, after), count in trial.moves.most_common()
    ]


def _render(
    request: HttpRequest, editor: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    return page_or_partial(
        request, f"discovery/rules_{editor}.html", "editor", context, status=status
    )


def _text() -> str:
    return categorization.text().removeprefix("\ufeff")


def _mark(state: Any) -> str:
    """Return a stamp that tells whether the file is still the one that somebody began to edit."""
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def _recategorizing() -> str:
    count = RegisteredModel.objects.count()
    return f"Re-categorizing {plural(count, 'model')}…"


def _unwritable(error: OSError) -> str:
    return (
        f"The config folder {config_files.RULES.path.parent} cannot be written:"
        f" {error.strerror or error}. Nothing was changed."
    )
