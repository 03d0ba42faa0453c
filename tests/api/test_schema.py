"""The published OpenAPI document: valid, whole, and kept by every endpoint, as schemathesis finds
by trying.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver
from schemathesis.specs.openapi.definitions import OPENAPI_31

from discovery.api.urls import urlpatterns
from discovery.models import RegisteredModel
from discovery.services.integrations import api_tokens
from tests.support.waiting import DEADLINE

SCHEMA = "/api/openapi.json"
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def document(anybody: Client, db: None) -> Any:
    return anybody.get(SCHEMA).json()


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    jsonschema_rs.validator_for(OPENAPI_31).validate(document)
    broken = {**document, "paths": {"x": {"get": {"responses": 5}}}}
    assert not jsonschema_rs.validator_for(OPENAPI_31).is_valid(broken)


def test_every_address_of_the_api_is_in_the_document(document: Any) -> None:
    [resolver] = [item for item in urlpatterns if isinstance(item, URLResolver)]
    routes = {
        f"/api/{pattern.pattern}"
        for pattern in resolver.url_patterns
        if isinstance(pattern, URLPattern)
    }
    described = {re.sub(r"[{](\w+)[}]", r"<\1>", path) for path in document["paths"]}
    assert routes - described == {"/api/", SCHEMA}


def test_each_operation_says_what_it_needs_and_how_it_fails(document: Any) -> None:
    operations = [details for methods in document["paths"].values() for details in methods.values()]
    assert len({details["operationId"] for details in operations}) == len(operations)
    for details in operations:
        assert details["summary"]
        assert {"401", "422", "429", "503"} <= set(details["responses"])
        assert {"token": []} in details["security"]
    assert {} in document["paths"]["/api/models/discovered"]["get"]["security"]
    assert {} not in document["paths"]["/api/system/resources"]["get"]["security"]


def test_what_somebody_else_may_have_done_first_is_in_the_document(document: Any) -> None:
    paths = document["paths"]
    assert "409" in paths["/api/models/register"]["post"]["responses"]
    assert "409" in paths["/api/models/discovery/refresh"]["post"]["responses"]
    for what in ("metadata", "category"):
        assert "412" in paths[f"/api/models/{{model_id}}/{what}"]["put"]["responses"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_endpoint_breaks_its_promises(
    live_server: Any,
    make_model: Callable[..., RegisteredModel],
    admin_user: User,
    tmp_path: Path,
    config_dir: Path,
) -> None:
    make_model(
        "bert",
        variants=[
            {"name": "Q4", "path": "bert", "status": "READY", "size_bytes": 5, "weights_bytes": 5}
        ],
    )
    _, token = api_tokens.create(admin_user, "schemathesis", "admin")
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        str(program),
        "--config-file",
        str(CONFIG),
        "run",
        f"{live_server.url}{SCHEMA}",
        "--checks",
        "all",
        "--exclude-checks",
        "ignored_auth",
        "--phases",
        "fuzzing",
    ]
    command += [
        "--max-examples",
        "1",
        "--seed",
        "7",
        "--no-color",
        "-H",
        f"Authorization: Bearer {token}",
    ]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=5 * DEADLINE, check=False
    )
    assert ended.returncode == 0, ended.stdout[-6_000:] + ended.stderr[-2_000:]
    assert "Rate limited" not in ended.stdout
    assert "No issues found" in ended.stdout or "passed" in ended.stdout
