"""What the OpenAPI document says of the parts of addresses and of headers, and its examples.

Each is described here once, whichever calls have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schemas = Mapping[str, dict[str, Any]]

#: Headers of answers to each caller that has a limit → (what it says, an example).
LIMITS = {
    "RateLimit-Limit": ("Requests that the caller may make in one period.", 12_000),
    "RateLimit-Remaining": ("How many of them are left.", 11_999),
    "RateLimit-Reset": ("Seconds until all of them may be made again.", 42),
}

#: Schemas that hold themselves end somewhere.
MAX_DEPTH = 12

#: Part of an address → (what it is, an example).
PARTS: dict[str, tuple[str, Any]] = {
    "model_id": ("The id of the model, or one that it had before.", "llama-2-7b-chat"),
    "change_id": ("The id of the change, as lists of changes have it.", 4711),
    "batch": (
        "What changes that were made together share.",
        "6f1c2a0e-4b7d-4f0e-9a55-0d3c5f6b7a81",
    ),
    "edit_id": ("The id of the change of many models.", 12),
    "rule_id": ("The id of the access rule.", 7),
    "access_change_id": ("The id of the change of access.", 31),
    "tag_id": ("The id of the tag.", 7),
    "collection_id": ("The id of the collection.", 3),
    "view_id": ("The id of the saved view.", 5),
    "scan_id": ("The id of the scan.", 25),
    "plugin_key": (
        "The key of the plugin, as the list of plugins has it.",
        "tensor_pack.TensorPackPlugin",
    ),
    "registry": ("The name of the registry in external_registries.json.", "huggingface"),
    "sync_id": ("The id of the sync.", 5),
    "match_id": ("The id of the match.", 9),
    "test_id": ("The id of the test load.", 3),
    "name": ("Its name.", "scan-the-roots"),
    "import_id": ("The id of the import.", 4),
    "kind": ("What kind of things.", "copies"),
    "token_id": ("The id of the token.", 3),
    "webhook_id": ("The id of the webhook.", 2),
    "root_id": ("The id of the root.", 1),
    "schedule_id": ("The id of the schedule.", 9),
    "setting_change_id": ("The id of the change of a setting.", 5),
    "notice_id": ("The id of the notice.", 1),
    "download_id": ("The id of the download.", 3),
    "validation_id": ("The id of the deep validation.", 8),
}

IF_MATCH = "If-Match"
IDEMPOTENCY_KEY = "Idempotency-Key"

#: Header of a request → (what it does, an example).
_SENT = {
    IF_MATCH: (
        "The `ETag` of what was read: nothing is written once it has changed (412).",
        '"0f3c5f6b7a816f1c2a0e4b7d4f0e9a55"',
    ),
    IDEMPOTENCY_KEY: (
        (
            "1 to 200 visible characters of your choice. A repeated request with the same key gets"
            " the first answer again, and does nothing twice."
        ),
        "a6c1-nightly-2026-11-29",
    ),
}

#: Header of a response → (what it says, an example).
_GIVEN = {
    "ETag": ("Names this state, for `If-Match` and `If-None-Match`.", '"0f3c5f6b7a816f1c"'),
    "Location": ("The address of what was made, or of what tells how far it is.", "/api/changes/7"),
    "Retry-After": ("Seconds to wait before the next try.", 1),
}

#: Call → the headers that it takes.
SENT: dict[str, tuple[str, ...]] = {
    "update_metadata": (IF_MATCH,),
    "update_category": (IF_MATCH,),
    "forget_model": (IF_MATCH,),
    "update_root": (IF_MATCH,),
    "remove_root": (IF_MATCH,),
    "update_webhook": (IF_MATCH,),
    "delete_webhook": (IF_MATCH,),
    "set_default_visibility": (IF_MATCH,),
    "save_rules": (IF_MATCH,),
    "undo_rules": (IF_MATCH,),
    "quarantine_model": (IF_MATCH,),
    "lift_quarantine": (IF_MATCH,),
    "create_bulk_edit": (IF_MATCH, IDEMPOTENCY_KEY),
    "update_access_rule": (IF_MATCH,),
    "delete_access_rule": (IF_MATCH,),
    "update_tag": (IF_MATCH,),
    "merge_tag": (IF_MATCH,),
    "delete_tag": (IF_MATCH,),
    "change_tags": (IF_MATCH,),
    "change_collections": (IF_MATCH,),
    "update_collection": (IF_MATCH,),
    "delete_collection": (IF_MATCH,),
    "update_view": (IF_MATCH,),
    "delete_view": (IF_MATCH,),
    "register_model": (IDEMPOTENCY_KEY,),
    "refresh": (IDEMPOTENCY_KEY,),
}

#: Call → the headers of its answers, by status.
GIVEN: dict[str, dict[int, tuple[str, ...]]] = {
    "get_model": {200: ("ETag",)},
    "update_metadata": {200: ("ETag",)},
    "update_category": {200: ("ETag",)},
    "register_model": {201: ("ETag", "Location")},
    "join_move": {200: ("ETag",)},
    "link_model": {201: ("Location",)},
    "refresh": {200: ("Location",), 202: ("Location",)},
    "validate_model_now": {200: ("Location",), 202: ("Location",)},
    "get_validation": {200: ("Location",), 202: ("Location",)},
    "test_load": {202: ("Location",)},
    "get_test_load": {202: ("Location",)},
    "create_access_rule": {201: ("ETag", "Location")},
    "get_access_rule": {200: ("ETag",)},
    "update_access_rule": {200: ("ETag",)},
    "undo_access_change": {201: ("Location",)},
    "preview_bulk_edit": {200: ("ETag",)},
    "create_bulk_edit": {201: ("Location",), 202: ("Location",)},
    "change_tags": {200: ("ETag",)},
    "change_collections": {200: ("ETag",)},
    **{f"create_{what}": {201: ("ETag", "Location")} for what in ("tag", "collection", "view")},
    **{f"get_{what}": {200: ("ETag",)} for what in ("tag", "collection", "view")},
    **{f"update_{what}": {200: ("ETag",)} for what in ("collection", "view")},
    **{
        f"{what}_tag": {200: ("ETag", "Location"), 202: ("ETag", "Location")}
        for what in ("update", "merge")
    },
    "delete_tag": {200: ("Location",), 202: ("Location",)},
    "change_members": {200: ("ETag",), 202: ("ETag",)},
    "create_token": {201: ("Location",)},
    "create_webhook": {201: ("ETag", "Location")},
    **{f"{verb}_webhook": {200: ("ETag",)} for verb in ("get", "update")},
    **{f"{verb}_default_visibility": {200: ("ETag",)} for verb in ("get", "set")},
    "check_import": {201: ("Location",)},
    "apply_import": {200: ("Location",), 202: ("Location",)},
    "get_rules": {200: ("ETag",)},
    "save_rules": {200: ("ETag",)},
    "undo_rules": {200: ("ETag",)},
    "request_download": {202: ("Location",)},
    "add_root": {201: ("ETag", "Location")},
    "get_root": {200: ("ETag",)},
    "update_root": {200: ("ETag",)},
    "undo_change": {201: ("Location",)},
    "undo_batch": {201: ("Location",), 202: ("Location",)},
}


def sent(operation: str) -> list[dict[str, Any]]:
    """The headers that a call takes, as parameters."""
    return [
        {
            "in": "header",
            "name": name,
            "schema": {"type": "string"},
            "required": False,
            "description": _SENT[name][0],
            "example": _SENT[name][1],
        }
        for name in SENT.get(operation, ())
    ]


def given(operation: str, status: int) -> dict[str, Any]:
    """The headers of an answer."""
    names = ("Retry-After",) if status in (429, 503) else GIVEN.get(operation, {}).get(status, ())
    own = {
        name: _header(*_GIVEN[name], "integer" if name == "Retry-After" else "string")
        for name in names
    }
    limited = LIMITS if status < 300 or status == 429 else {}
    return own | {name: {"$ref": f"#/components/headers/{name}"} for name in limited}


def limits() -> dict[str, Any]:
    """The headers that tell what is left of the caller's limit."""
    return {name: _header(*each, "integer") for name, each in LIMITS.items()}


def _header(text: str, example: Any, kind: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": kind}, "example": example}


def describe_part(parameter: dict[str, Any]) -> None:
    """Adds description and example to a part of an address."""
    if parameter["in"] == "path" and parameter["name"] in PARTS:
        text, example = PARTS[parameter["name"]]
        parameter.setdefault("description", text)
        parameter.setdefault("example", example)


def example_of(schema: Mapping[str, Any], schemas: Schemas, depth: int = 0) -> Any:
    """An instance of a schema, from the examples of its properties."""
    if "$ref" in schema:
        if depth > MAX_DEPTH:
            return {}
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, depth + 1)
    if schema.get("examples"):
        return schema["examples"][0]
    if "example" in schema:
        return schema["example"]
    if "properties" in schema:
        return {
            name: example_of(each, schemas, depth + 1)
            for name, each in schema["properties"].items()
        }
    if "default" in schema:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas, depth + 1)
    return _plain(schema, schemas, depth)


def _plain(schema: Mapping[str, Any], schemas: Schemas, depth: int) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return [example_of(schema["items"], schemas, depth + 1)] if "items" in schema else []
    if kind == "integer":
        return schema.get("minimum", 1)
    if kind == "string" and schema.get("format") == "date-time":
        return "2026-11-29T08:30:00Z"
    return {"number": 1.5, "boolean": True, "object": {}, "null": None}.get(str(kind), "text")
