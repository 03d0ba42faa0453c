"""Exports for other programs: each file is one that its program's own reader takes, whatever the
models are called, and holds what the program can serve and nothing else.
"""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from discovery.models import FileChecksum, RegisteredModel, Root
from discovery.services.transfer import batches
from discovery.services.transfer.export_formats import FORMATS
from tests.support import builders

Scan = Callable[[Path], Any]
Make = Callable[..., RegisteredModel]

#: A folder that is awkward to quote.
AWKWARD = 'it\'s "odd" $HOME `x` # y: z'


def exported(form: str, *names: str) -> str:
    rows = RegisteredModel.objects.order_by("name", "pk")
    return "".join(FORMATS[form].write(rows.filter(name__in=names) if names else rows, None))


@pytest.fixture
def shelf(models_root: Path, scan: Scan) -> dict[str, RegisteredModel]:
    """A GGUF file, a Transformers folder that writes text, one with an awkward name and a model
    that none of the programs serves.
    """
    builders.gguf_model(models_root / "tiny.gguf", "tiny", builders.Sizes(), "Q4_0")
    builders.transformers(models_root / "writer")
    builders.gguf_model(models_root / AWKWARD / "odd.gguf", "odd", builders.Sizes(), "Q4_0")
    builders.catboost(models_root / "trees.cbm")
    scan(models_root)
    return {record.name: record for record in RegisteredModel.objects.select_related("root")}


def test_the_shelf_holds_what_these_tests_are_about(shelf: dict[str, RegisteredModel]) -> None:
    assert len(shelf) == 4


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_written_for_no_model(form: str, db: None) -> None:
    assert "".join(FORMATS[form].write(RegisteredModel.objects.all(), None)) is not None


@pytest.mark.parametrize("form", ["llama-swap", "litellm", "localai"])
@pytest.mark.parametrize("some", [True, False])
def test_configuration_files_are_yaml(
    form: str, some: bool, shelf: dict[str, RegisteredModel]
) -> None:
    text = exported(form) if some else exported(form, "trees")
    found = yaml.safe_load(text)
    held = found if form == "localai" else found["models" if form == "llama-swap" else "model_list"]
    assert len(held or ()) == (3 if some else 0)
    assert "1 model is left out:" in text


def test_llama_swap_serves_gguf_files_and_folders_by_commands_that_the_shell_reads(
    shelf: dict[str, RegisteredModel], models_root: Path
) -> None:
    models = yaml.safe_load(exported("llama-swap"))["models"]
    odd = next(each for each in shelf.values() if AWKWARD in each.path)
    command = models[odd.model_id]["cmd"]
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {command.replace('${PORT}', '1')}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert words[:5] == ["llama-server", "--port", "1", "-m", f"{models_root}/{odd.path}"]
    assert models["writer"]["cmd"].startswith("vllm serve ")


def test_litellm_asks_hosted_models_at_their_own_address_and_others_behind_one(
    shelf: dict[str, RegisteredModel], make_model: Make
) -> None:
    remote, _ = Root.objects.get_or_create(path=Root.REMOTE)
    make_model(
        "gpt-x",
        root=remote,
        type="OPENAI",
        status="REMOTE",
        extracted={
            "endpoint": "http://127.0.0.1:9/v1/",
            "api_key_variable": "OUR_KEY",
        },
    )
    listed = {
        each["model_name"]: each for each in yaml.safe_load(exported("litellm"))["model_list"]
    }
    assert listed["gpt-x"]["litellm_params"] == {
        "model": "openai/gpt-x",
        "api_base": "http://127.0.0.1:9/v1",
        "api_key": "os.environ/OUR_KEY",
    }
    assert listed["tiny"]["litellm_params"]["api_base"] == "os.environ/LOCAL_MODELS_API_BASE"


@pytest.mark.parametrize("form", ["ollama", "vllm"])
def test_scripts_are_shell(form: str, shelf: dict[str, RegisteredModel]) -> None:
    text = exported(form)
    subprocess.run(["sh", "-n"], input=text.encode(), check=True)
    assert "left out:" in text


def test_the_script_for_ollama_gives_it_a_modelfile_for_each_gguf_file(
    shelf: dict[str, RegisteredModel], models_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "ollama").write_text('#!/bin/sh\necho "$2"\ncat "$4"\n')
    (tmp_path / "ollama").chmod(0o755)
    done = subprocess.run(
        ["sh"],
        input=exported("ollama"),
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    odd = next(each for each in shelf.values() if AWKWARD in each.path)
    assert f"FROM {models_root}/{odd.path}\n" in done.stdout
    assert done.stdout.count("PARAMETER num_ctx") == 2


def test_one_model_is_a_modelfile_for_ollama_and_a_configuration_for_vllm(
    shelf: dict[str, RegisteredModel], models_root: Path
) -> None:
    assert exported("ollama", "tiny").startswith(f"FROM {models_root}/tiny.gguf\nPARAMETER ")
    assert yaml.safe_load(exported("vllm", "writer")) == {
        "model": f"{models_root}/writer",
        "served-model-name": "writer",
    }


def test_the_script_for_vllm_serves_the_model_that_is_named(
    shelf: dict[str, RegisteredModel], models_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "vllm").write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    (tmp_path / "vllm").chmod(0o755)
    (tmp_path / "serve.sh").write_text(exported("vllm"))

    def serve(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", tmp_path / "serve.sh", *words],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = serve("writer", "--port", "1")
    assert done.stdout == f"serve|{models_root}/writer|--served-model-name|writer|--port|1|"
    assert (serve("nobody").returncode, serve().returncode) == (2, 2)


def test_the_script_for_mlflow_is_python_with_a_call_a_model(
    shelf: dict[str, RegisteredModel],
) -> None:
    tree = ast.parse(exported("mlflow"))
    calls = [
        [ast.literal_eval(each) for each in node.value.args]
        for node in tree.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    assert {call[0] for call in calls} == {record.model_id for record in shelf.values()}
    assert all(Path(call[2]).exists() for call in calls)


def test_unsafe_and_missing_models_are_given_to_no_program(
    shelf: dict[str, RegisteredModel],
) -> None:
    RegisteredModel.objects.filter(name="tiny").update(status="UNSAFE")
    RegisteredModel.objects.filter(name="writer").update(status="MISSING")
    for form in ("ollama", "llama-swap", "litellm", "vllm", "localai", "mlflow"):
        text = exported(form)
        assert "tiny.gguf" not in text
        assert "/writer" not in text


# -- bill of materials


def components(*names: str) -> dict[str, dict[str, Any]]:
    text = exported("cyclonedx", *names)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None, text[:2000]
    return {each["bom-ref"]: each for each in json.loads(text)["components"]}


def properties(component: dict[str, Any]) -> dict[str, str]:
    return {
        each["name"].removeprefix("karen-admin:"): each["value"] for each in component["properties"]
    }


def test_a_bill_of_materials_is_valid_with_any_number_of_models(
    shelf: dict[str, RegisteredModel],
) -> None:
    assert components().keys() == {record.model_id for record in shelf.values()}
    assert components("nobody") == {}
    assert components("tiny")["tiny"]["type"] == "machine-learning-model"


@pytest.mark.parametrize(
    ("license_", "written"),
    [
        ("apache-2.0", {"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}),
        ("llama3.2", {"license": {"name": "llama3.2", "acknowledgement": "declared"}}),
        ("MIT OR Apache-2.0", {"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}),
        ("(((", {"license": {"name": "(((", "acknowledgement": "declared"}}),
    ],
)
def test_a_license_is_declared_by_its_identifier_where_it_has_one(
    make_model: Make, license_: str, written: dict[str, Any]
) -> None:
    make_model("m", license=license_)
    assert components()["m"]["licenses"] == [written]


def test_hashes_are_those_that_were_read_and_claims_stand_apart(make_model: Make) -> None:
    now = timezone.now()
    record = make_model(
        "m",
        path="m",
        files=[["m/a.bin", 3], ["m/b.bin", 4], ["m/c.bin", 5]],
        modified_at=now - timedelta(days=1),
        license="mit",
    )
    record.extracted["license"] = {"value": "mit", "source": "card"}
    record.save()
    for name, size, at in (("a.bin", 3, now), ("b.bin", 4, now - timedelta(days=2))):
        FileChecksum.objects.create(
            model=record, path=name, size=size, mtime_ns=1, sha256="a" * 64, blake3="b" * 64,
            expected_sha256="c" * 64, expected_from="the Hub", checked_at=at,
        )  # fmt: skip
    model = components()["m"]
    files = {each["name"]: each for each in model["components"]}
    assert {each["alg"] for each in files["a.bin"]["hashes"]} == {"SHA-256", "BLAKE3"}
    assert "hashes" not in files["b.bin"]  # changed since it was read
    assert "hashes" not in files["c.bin"]  # never read
    assert properties(files["b.bin"])["claimed_sha256"] == "c" * 64
    assert properties(model)["claimed_by:license"] == "card"


def test_lineage_and_the_revision_of_a_hub_cache_are_told(make_model: Make) -> None:
    commit = "0" * 39 + "1"
    make_model(
        "m",
        path="models--acme--m",
        base_model="acme/base",
        base_model_relation="finetune",
        variants=[{"path": f"models--acme--m/snapshots/{commit}", "format": "safetensors",
                   "status": "READY"}],
    )  # fmt: skip
    model = components()["m"]
    assert model["purl"] == f"pkg:huggingface/acme/m@{commit}"
    assert model["pedigree"]["ancestors"][0]["name"] == "acme/base"


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_takes_a_fixed_number_of_queries_a_batch(
    form: str, make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 5)
    for number in range(20):
        make_model(f"m{number}", license="mit")
    with CaptureQueriesContext(connection) as queries:
        exported(form)
    assert len(queries) <= 3 + 4 * 2


# -- on the surfaces


def test_one_model_or_several_are_exported_by_their_ids(
    shelf: dict[str, RegisteredModel], admin_client: Client
) -> None:
    response = admin_client.get("/export/?format=cyclonedx&id=tiny")
    assert "tiny-" in response.headers["Content-Disposition"]
    assert response.headers["Content-Disposition"].endswith('.cdx.json"')
    assert [each["bom-ref"] for each in json.loads(b"".join(response))["components"]] == ["tiny"]
    both = admin_client.get("/export/?format=llama-swap&id=tiny&id=writer&id=nobody")
    assert set(yaml.safe_load(b"".join(both))["models"]) == {"tiny", "writer"}


def test_somebody_who_may_not_see_a_model_or_a_path_is_told_neither(
    shelf: dict[str, RegisteredModel], client: Client, user: User, models_root: Path
) -> None:
    client.force_login(user)
    RegisteredModel.objects.filter(name="tiny").update(visibility="PUBLIC")
    for form in FORMATS:
        response = client.get(f"/export/?format={form}&id=tiny&id=writer")
        text = b"".join(response).decode()
        assert "writer" not in text, form
        assert str(models_root) not in text, form


def test_the_pages_offer_every_format(
    shelf: dict[str, RegisteredModel], admin_client: Client
) -> None:
    models, one = (
        admin_client.get(address).content.decode() for address in ("/models/", "/models/tiny/")
    )
    for name, form in FORMATS.items():
        assert f"format={name}" in models
        assert (f"format={name}" in one) is not form.is_documents
