"""What to say of values that pydantic refuses: what to send instead, in a few words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from discovery.api import closed_lists

_MOMENT = "write the time as ISO 8601, like 2026-11-25T18:00:00Z"
#: Kinds of pydantic's faults, in words that say what to send.
_SENTENCES = {
    "missing": "is missing",
    "list_type": "must be a list",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object"),
    "string_type": "must be a text",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    "int_parsing_size": "is too large a number",
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_from_date_parsing"), _MOMENT),
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "too_long": "takes at most {max_length} entries, not {actual_length}",
    "too_short": "takes at least {min_length} entries, not {actual_length}",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "is shorter than {min_length} characters",
}
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")


def of_validation(fault: dict[str, Any], model: Any) -> str | None:
    """The text for a fault of pydantic's, with what may be meant; ``None`` where ours says it.

    ``model`` is what the input was held against.
    """
    value, kind = fault["input"], fault["type"]
    if kind == "string_too_short" and value == "":
        return closed_lists.EMPTY if _may_be_left_out(model, fault["loc"]) else "is empty"
    if kind == "extra_forbidden":
        return closed_lists.not_known(fault["loc"][-1], _names_at(model, fault["loc"][:-1]))
    if kind not in ("literal_error", "enum"):
        told = _SENTENCES.get(kind)
        return told.format_map(fault.get("ctx", {})) if told else None
    return closed_lists.not_known(
        value, _QUOTED.findall(str(fault.get("ctx", {}).get("expected", "")))
    )


def _may_be_left_out(model: Any, loc: Iterable[str | int]) -> bool:
    *before, name = (part for part in loc if isinstance(part, str))
    fields = getattr(_at(model, before), "model_fields", {})
    return name not in fields or not fields[name].is_required()


def _names_at(model: Any, loc: Iterable[str | int]) -> list[str]:
    """The fields of the object at a place inside ``model``."""
    return list(getattr(_at(model, loc), "model_fields", {}))


def _at(model: Any, loc: Iterable[str | int]) -> Any:
    """What stands at a place inside ``model``."""
    for part in loc:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = _model_in(fields[part].annotation)
    return model


def _model_in(annotation: Any) -> Any:
    """The model that a type is, or has inside: that of ``list[Model] | None`` is ``Model``."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
