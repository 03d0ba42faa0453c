"""What the OpenAPI document says of each call: a description and an example of everything, and the
headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from django.test import Client

#: Calls whose parameters and properties are not described yet. This set shrinks to nothing.
LATER: set[str] = set()

#: Schemas of theirs that other calls answer with too.
LATER_SCHEMAS: set[str] = set()


@pytest.fixture(scope="module")
def document() -> Any:
    return Client().get("/api/openapi.json").json()


def operations(document: Any) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what it is, its content) of what is sent and of each good answer."""
    if "requestBody" in operation:
        yield "body", operation["requestBody"]["content"]["application/json"]
    for status, response in operation["responses"].items():
        if status < "300" and "content" in response:
            yield status, response["content"]["application/json"]


def properties(schema: Any, document: Any, seen: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, property) of everything that a schema holds."""
    if isinstance(schema, list):
        for part in schema:
            yield from properties(part, document, seen)
    elif isinstance(schema, dict):
        name = schema.get("$ref", "").rpartition("/")[2]
        if name and name not in seen | LATER_SCHEMAS:
            seen.add(name)
            yield from properties(document["components"]["schemas"][name], document, seen)
        for key, each in schema.get("properties", {}).items():
            yield f"{schema.get('title', '')}.{key}", each
            yield from properties(each, document, seen)
        for word in ("anyOf", "items", "additionalProperties"):
            yield from properties(schema.get(word), document, seen)


def is_shown(each: dict[str, Any]) -> bool:
    """Whether it has an example, or says by itself what an instance looks like."""
    if any(word in each for word in ("examples", "example", "enum", "const", "$ref")):
        return True
    if each.get("type") in ("boolean", "null"):
        return True
    inner = [each["items"]] if isinstance(each.get("items"), dict) else each.get("anyOf", [])
    return bool(inner) and any("$ref" in part or "enum" in part for part in inner)


def test_each_call_parameter_and_property_has_a_description_and_an_example(document: Any) -> None:
    faults = []
    for operation in operations(document):
        name = operation["operationId"]
        if name in LATER:
            continue
        if len(operation["description"].split("\n\n")) < 2:
            faults.append(f"{name} says nothing of what it does")
        for item in operation["parameters"]:
            if not item.get("description"):
                faults.append(f"{name}: {item['name']} has no description")
            if "example" not in item and not is_shown(item["schema"]):
                faults.append(f"{name}: {item['name']} has no example")
        for _, content in bodies(operation):
            for path, each in properties(content["schema"], document, set()):
                if not each.get("description"):
                    faults.append(f"{name}: {path} has no description")
                if not is_shown(each):
                    faults.append(f"{name}: {path} has no example")
    assert sorted(set(faults)) == []


def test_what_is_described_leaves_the_list(document: Any) -> None:
    assert {each["operationId"] for each in operations(document)} >= LATER


def test_each_example_is_one(document: Any) -> None:
    for operation in operations(document):
        if operation["operationId"] in LATER:
            continue
        for what, content in bodies(operation):
            schema = {**content["schema"], "components": document["components"]}
            faults = list(jsonschema_rs.iter_errors(schema, content["example"]))
            assert faults == [], (operation["operationId"], what, content["example"])


def test_each_answer_that_says_to_wait_says_how_long(document: Any) -> None:
    for operation in operations(document):
        for status in ("429", "503"):
            assert "Retry-After" in operation["responses"][status]["headers"]


def test_what_may_be_stale_takes_if_match(document: Any) -> None:
    for operation in operations(document):
        taken = {item["name"] for item in operation["parameters"] if item["in"] == "header"}
        assert ("If-Match" in taken) == ("412" in operation["responses"]), operation["operationId"]


def test_what_is_made_says_where_it_is(document: Any) -> None:
    for operation in operations(document):
        if "201" in operation["responses"] and operation["operationId"] != "register_model":
            headers = operation["responses"]["201"].get("headers", {})
            assert "Location" in headers, operation["operationId"]


def test_no_parameter_has_a_default_that_would_be_refused(document: Any) -> None:
    """Clients that are generated send defaults, and an empty parameter is 422."""
    assert [
        (operation["operationId"], parameter["name"])
        for operation in operations(document)
        for parameter in operation["parameters"]
        if parameter["schema"].get("default") == ""
    ] == []


#: Calls that put one thing into a state, whatever it was in: none of them replaces a value.
SWITCHES = {"add_favorite", "switch_plugin", "update_schedule"}


def test_every_call_that_replaces_values_can_be_told_what_was_seen(document: Any) -> None:
    blind = set()
    for methods in document["paths"].values():
        for operation in (methods[method] for method in ("put",) if method in methods):
            headers = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
            fields = document["components"]["schemas"].get(name, {}).get("properties", {})
            if "If-Match" not in headers and "seen" not in fields:
                blind.add(operation["operationId"])
    assert blind == SWITCHES
