"""The panel "Disk use" of the Overview.

It shows categories, the models of one category, or the variants of one model; each level has a URL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from discovery.engine.core.text import human_bytes, plural, word
from discovery.engine.disk.ledger import Use
from discovery.models import RegisteredModel, Right, Root
from discovery.services.access import permissions
from discovery.services.insight import overview
from discovery.services.insight.overview import Registry, Share
from discovery.services.registry import aliases
from discovery.services.scans import ledgers
from discovery.services.search import filters
from discovery.templatetags.karen import category_class
from discovery.web.shared import treemap
from discovery.web.shared.treemap import Group, Item, Map

#: Models named in one picture; the others share a rectangle.
MAX_MODELS = 60

#: The picture for wide screens, and the one for phones.
SHAPES = ((760, 280), (340, 400))

#: Address value and name of models without a category.
NONE = "NONE"
UNSORTED = "Uncategorized"

Layout = Callable[[int, int], Map]


def context(request: HttpRequest, registry: Registry) -> dict[str, Any]:
    """Return what the panel shows: ``?disk=LANGUAGE`` a category, ``&model=ID`` one of its models.

    Where one does not exist, all categories are shown with a message.
    """
    asked, model_id = request.GET.get("disk", ""), request.GET.get("model", "")
    share = next((share for share in registry.by("primary") if _value(share.value) == asked), None)
    record = _model(request, model_id) if share and model_id else None
    crumbs = [("All", _address())]
    if share is None:
        layout, told = (
            _categories(request, registry),
            f"{plural(registry.models, 'model')}, {human_bytes(registry.size)} on disk",
        )
    else:
        crumbs.append((_name(share.value), _address(share.value)))
        layout, told = (
            _category(request, share),
            f"{plural(share.models, 'model')}, {human_bytes(share.size)} on disk",
        )
    if share and record:
        crumbs.append((record.title, _address(share.value, record.model_id)))
        layout, told = (
            _variants(record, share.value),
            f"{plural(len(record.variants), 'variant')}, {human_bytes(record.size_bytes)}",
        )
    lost = bool((asked and share is None) or (model_id and record is None))
    return {
        "maps": [layout(*shape) for shape in SHAPES],
        "crumbs": crumbs,
        "told": told,
        "chosen": record,
        "lost": lost,
    }


def _value(primary: str) -> str:
    return primary or NONE


def _name(primary: str) -> str:
    return word(primary) or UNSORTED


def _tone(primary: str) -> str:
    return category_class(primary) or "cat-none"


def _address(primary: str | None = None, model_id: str = "") -> str:
    query = (
        {}
        if primary is None
        else {"disk": _value(primary), **({"model": model_id} if model_id else {})}
    )
    return reverse("home") + (f"?{urlencode(query)}" if query else "")


def _model(request: HttpRequest, model_id: str) -> RegisteredModel | None:
    visible = RegisteredModel.objects.visible_to(request.user).only(
        "model_id", "name", "display_name", "variants", "size_bytes", "primary"
    )
    return aliases.find(visible, model_id)


def _categories(request: HttpRequest, registry: Registry) -> Layout:
    named: dict[str, list[RegisteredModel]] = {}
    for record in overview.largest(request.user, MAX_MODELS):
        named.setdefault(record.primary or "", []).append(record)
    groups = [
        Group(_heading(share), _models(named.get(share.value, []), share))
        for share in registry.by("primary")
    ]
    if strays := _strays(request):
        groups.append(strays)
    return lambda width, height: treemap.grouped(groups, width, height)


def _strays(request: HttpRequest) -> Group | None:
    """Return the unrecognized files, for people who may see everything on the disk."""
    if not permissions.may_all(request.user, (Right.VIEW_SCANS, Right.VIEW_ALL)):
        return None
    count = ledgers.sums(Root.objects.filter(enabled=True))[Use.UNRECOGNIZED]
    address, told = reverse("unrecognized"), plural(count.files, "file")
    heading = Item("Unrecognized", count.bytes, address, "cat-none", told)
    return Group(heading, (heading,)) if count.bytes else None


def _heading(share: Share) -> Item:
    return Item(
        _name(share.value),
        share.size,
        _address(share.value),
        _tone(share.value),
        plural(share.models, "model"),
    )


def _models(records: list[RegisteredModel], share: Share, rest: str = "") -> tuple[Item, ...]:
    tone = _tone(share.value)
    items = [
        Item(record.title, record.size_bytes, _address(share.value, record.model_id), tone)
        for record in records
    ]
    others, size = (
        share.models - len(records),
        share.size - sum(record.size_bytes for record in records),
    )
    if others > 0 and size > 0:
        items.append(
            Item("others", size, rest or _address(share.value), tone, plural(others, "model"))
        )
    return tuple(items)


def _category(request: HttpRequest, share: Share) -> Layout:
    query = {"sort": "-size", "primary": share.value or filters.NONE}
    records = overview.largest(request.user, MAX_MODELS, share.value)
    items = _models(records, share, f"{reverse('models')}?{urlencode(query)}")
    return lambda width, height: treemap.flat(items, width, height)


def _variants(record: RegisteredModel, primary: str) -> Layout:
    """Its variants, and what else lies in its folder.

    Variants may share files (an Ollama blob), so that they come to more than the model.
    """
    href = reverse("model-files", args=[record.model_id])
    items = [
        Item(item["name"], item["size_bytes"] or 0, href, _tone(primary), _status(item))
        for item in record.variants
    ]
    rest = record.size_bytes - sum(item.size for item in items)
    if rest > 0:
        items.append(Item("other files", rest, href, "cat-none"))
    return lambda width, height: treemap.flat(items, width, height)


def _status(variant: dict[str, Any]) -> str:
    return "" if variant["status"] == "READY" else word(variant["status"]).lower()
