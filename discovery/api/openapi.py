"""The OpenAPI document: what ninja knows of each endpoint, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any

from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from discovery.api import glossary, openapi_details
from discovery.api.authentication import Access, words

SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token made on the page API tokens, or by create_token.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "A signed-in browser; changes need the header X-CSRFToken.",
    },
}

ERROR = {
    "title": "Error",
    "type": "object",
    "required": ["detail", "errors"],
    "properties": {
        "detail": {"type": "string", "description": "One sentence."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["loc", "msg"],
                "properties": {
                    "loc": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    },
                    "msg": {"type": "string"},
                },
            },
        },
    },
}

#: Operations that somebody else may be ahead of.
_MEETING = {
    "register_model": {
        409: "Registered already, or the first request with this Idempotency-Key is under way"
    },
    "forget_model": {409: "An alias was named: forget the model by its own id"},
    "refresh": {409: "The first request with this Idempotency-Key is under way"},
    "create_access_rule": {409: "There is a rule for this already"},
    "update_access_rule": {409: "It stands in the access file"},
    "delete_access_rule": {409: "It stands in the access file"},
    "undo_access_change": {409: "It is undone already, or was changed again since"},
    "create_bulk_edit": {
        409: "No model was chosen, one cannot be changed, or the first request is under way"
    },
    "create_tag": {409: "There is a tag of that name"},
    "update_tag": {409: "There is a tag of the new name: merge the two"},
    "change_tags": {409: "The model cannot be changed now"},
    "change_collections": {409: "The model cannot be changed now"},
    "create_collection": {409: "There is a collection of that name"},
    "update_collection": {409: "There is a collection of the new name"},
    "change_members": {409: "It follows a filter"},
    "create_view": {409: "You have a view of that name"},
    "update_view": {409: "Its owner has a view of the new name"},
    "join_move": {409: "The two cannot be joined, or not any more"},
    "support_formats": {409: "The configuration file is broken or cannot be written"},
    "undo_change": {409: "It is undone already, or what it set was changed again since"},
    "undo_batch": {409: "Nothing of it can be undone, or it is still under way"},
    "apply_import": {409: "It is being imported already, or was"},
    "discard_import": {409: "It is being read at this moment"},
    "get_rules": {409: "The rules file is broken"},
    "save_rules": {409: "The rules file is broken"},
    "undo_rules": {409: "There is no earlier version, or it is not valid any more"},
    "plan_clean_up": {409: "Differences have to be confirmed"},
    "revoke_token": {409: "This call comes with that token"},
    "sync_registry": {409: "The registry is off"},
    "search_registry": {409: "The registry is off"},
    "link_model": {409: "The registry is off, or does not answer with that model"},
    "confirm_match": {409: "The model is linked to another one of this registry"},
    "remove_root": {409: "A scan of it is running"},
    "run_schedule": {409: "It does not exist yet, or is off"},
    "update_settings": {409: "Somebody has changed one since they were read (`seen`)"},
    "undo_setting_change": {409: "The value has changed since, or is not valid any more"},
    "accept_problems": {409: "Somebody has decided since they were read (`seen`)"},
    "snooze_problems": {409: "Somebody has decided since they were read (`seen`)"},
    "reopen_problems": {409: "Somebody has decided since they were read (`seen`)"},
}

_ALWAYS = {422: "Well-formed but wrong", 429: "Too many requests", 503: "Not now"}


class Document(OpenAPISchema):
    """Adds the errors that each endpoint may answer with, and who may call it."""

    def get_components(self) -> dict[str, Any]:
        components: dict[str, Any] = super().get_components()
        components["schemas"]["Error"] = ERROR
        components["securitySchemes"] = SECURITY
        components["headers"] = openapi_details.limits()
        return components

    def add_schema_definitions(self, definitions: dict[str, Any]) -> None:
        """Two schemas of one name would silently become one."""
        for name, schema in definitions.items():
            for each, described in schema.get("properties", {}).items():
                glossary.describe(each, described, name)
            assert self.schemas.setdefault(name, deepcopy(schema)) == schema, (
                f"there are two schemas called {name}"
            )

    def _extract_parameters(self, model: Any) -> list[dict[str, Any]]:
        """Ninja lists several examples, where OpenAPI has one or names each."""
        found: list[dict[str, Any]] = super()._extract_parameters(model)
        for parameter in found:
            if examples := parameter.pop("examples", None):
                parameter["example"] = examples[0]
            if parameter["schema"].get("default") == "":
                # Clients send defaults, and an empty value is refused.
                del parameter["schema"]["default"]
            openapi_details.describe_part(parameter)
            glossary.describe_parameter(parameter)
        return found

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        details: dict[str, Any] = super().operation_details(operation)
        details["parameters"] += openapi_details.sent(details["operationId"])
        door = next(door for door in operation.auth_callbacks if isinstance(door, Access))
        needed = door.needed
        open_to_all: list[dict[str, list[str]]] = [] if needed else [{}]
        details["security"] = [*open_to_all, {"token": []}, {"session": []}]
        for status, text in {**_ALWAYS, **self._errors(operation, details, needed)}.items():
            content = (
                details["responses"].get(status, {}).get("content", {}).get("application/json")
            )
            either = (
                {"application/json": {"schema": {"anyOf": [content["schema"], _REF]}}}
                if content
                else _CONTENT
            )
            details["responses"][status] = {"description": text, "content": either}
        self._add_examples(details)
        many = "s" if len(door.rights) > 1 else ""
        owner = (
            f" of somebody with the permission{many} {words(door.rights, ' and ')}"
            if door.rights
            else f" of somebody with one of the permissions {words(door.some, ' or ')}"
            if door.some
            else ""
        )
        note = (
            f"Needs a token with the scope `{needed}`{owner}."
            if needed
            else "Without credentials: public models only."
        )
        details["description"] = f"{details.get('description', '').strip()}\n\n{note}".strip()
        return details

    def _add_examples(self, details: dict[str, Any]) -> None:
        """An example of the body and of each answer, and the headers of the answers."""
        bodies = [details["requestBody"]] if "requestBody" in details else []
        for status, response in details["responses"].items():
            if status < 300:
                bodies.append(response)
            if headers := openapi_details.given(details["operationId"], status):
                response["headers"] = headers
        for body in bodies:
            for content in body.get("content", {}).values():
                content["example"] = openapi_details.example_of(content["schema"], self.schemas)

    @staticmethod
    def _errors(operation: Operation, details: Mapping[str, Any], needed: object) -> dict[int, str]:
        found = {
            401: "Not a valid token" if needed is None else "No credentials, or not valid ones"
        }
        if needed is not None or "GET" not in operation.methods:
            found[403] = "Not allowed"
        if "{" in operation.path:
            found[404] = "Not there, or not to be seen"
        if "requestBody" in details:
            found |= {400: "Malformed JSON", 413: "Body over 5 MiB"}
        if openapi_details.IF_MATCH in openapi_details.SENT.get(operation.operation_id or "", ()):
            found[412] = "Changed since it was read (If-Match)"
        return found | _MEETING.get(operation.operation_id or "", {})

    @cached_property
    def queries(self) -> dict[tuple[str, str], dict[str, Any]]:
        """{(path, METHOD): {name: query parameter that exists}}."""
        return {
            (path, method.upper()): {
                item["name"]: item for item in details["parameters"] if item["in"] == "query"
            }
            for path, methods in self["paths"].items()
            for method, details in methods.items()
        }


_REF = {"$ref": "#/components/schemas/Error"}
_CONTENT = {"application/json": {"schema": _REF}}
