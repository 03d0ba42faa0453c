"""The registries beside the Hub: a Model Zoo endpoint, a folder of JSON, Ollama's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from discovery.engine.core.service_words import RegistryFault
from discovery.models import RegisteredModel, RemoteMatch
from discovery.services.registries import syncing
from discovery.services.registries.configured import configured, connect
from discovery.services.registries.connectors import ollama as ollama_connector
from discovery.services.registries.protocol import Registry, RegistryError
from tests.support import hub as hub_support
from tests.support.hub import Answer, Hub
from tests.support.registries import Make, loose

WEIGHTS = b"weights"
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()

#: As docs/registries.md describes it.
MODEL = {
    "id": "labs/tiny",
    "name": "model-0",
    "description": "A tiny one.",
    "license": "Apache 2.0",
    "tags": ["small"],
    "languages": ["en"],
    "author": "Labs",
    "version": "1.2",
    "updated_at": "2026-01-02T03:04:05Z",
    "downloads": 5,
    "likes": 0,
    "gated": True,
    "card": "# Tiny",
    "files": [{"path": "model.safetensors", "size": 7, "sha256": DIGEST, "url": "bytes/tiny.bin"}],
}


@pytest.fixture
def server(settings: Any, db: None) -> Iterator[Hub]:
    settings.REGISTRY_PRIVATE = ["127.0.0.1"]
    with hub_support.running() as made:
        yield made


@pytest.fixture
def opened(config_dir: Path) -> Iterator[Callable[..., Registry]]:
    made: list[Registry] = []

    def connected(name: str, **settings: Any) -> Registry:
        document = {"external_registries": {name: {"enabled": True, **settings}}}
        (config_dir / "external_registries.json").write_text(json.dumps(document))
        made.append(connect(configured()[name]))
        return made[-1]

    yield connected
    for registry in made:
        registry.close()


def as_json(body: Any) -> Answer:
    return Answer(200, json.dumps(body).encode())


def fault_of(ask: Callable[[], Any]) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        ask()
    return raised.value


def test_a_zoo_is_read_page_by_page_once(server: Hub, opened: Any) -> None:
    server.instead["/api/models"] = as_json({"models": [MODEL], "next": "more?page=2"})
    server.instead["/api/more"] = as_json([{"name": "other", "downloads": 9}, {"x": 1}, 7])
    zoo = opened("model_zoo", endpoint=f"{server.endpoint}/api")
    assert [model.remote_id for model in zoo.search("")] == ["other", "labs/tiny"]
    model = zoo.model("labs/tiny")
    assert (model.revision, model.gated, model.likes, model.tags) == (
        "1.2",
        "manual",
        0,
        ("small",),
    )
    assert zoo.card(model) == "# Tiny"
    assert [each.remote_id for each in zoo.summaries(["labs/tiny", "none"])] == ["labs/tiny"]
    assert zoo.requests == len(server.asked) == 2
    assert fault_of(lambda: zoo.model("none")).fault == RegistryFault.GONE


def test_a_file_of_a_zoo_is_where_it_says_and_its_key_stays_there(server: Hub, opened: Any) -> None:
    with hub_support.running() as elsewhere:
        elsewhere.instead["/b"] = Answer(200, b"abc")
        files = [*MODEL["files"], {"path": "x", "url": f"{elsewhere.endpoint}/b"}]
        server.instead["/api/models"] = as_json([{**MODEL, "files": files}])
        server.instead["/api/bytes/tiny.bin"] = Answer(200, WEIGHTS)
        zoo = opened("model_zoo", endpoint=f"{server.endpoint}/api", api_key="zoo-key")
        model = zoo.model("labs/tiny")
        for file, content in zip(model.files, (WEIGHTS, b"abc"), strict=True):
            with zoo.open(model, file) as stream:
                assert b"".join(stream.chunks) == content
        assert server.asked[-1][2]["authorization"] == "Bearer zoo-key"
        assert "authorization" not in elsewhere.asked[0][2]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(200, b"<html>"), RegistryFault.UNREADABLE),
        (Answer(200, b'{"models": 7}'), RegistryFault.UNREADABLE),
        (Answer(200, b"[" * 100_000), RegistryFault.UNREADABLE),
        (Answer(401), RegistryFault.KEY),
        (Answer(404), RegistryFault.GONE),
    ],
)
def test_what_a_zoo_does_wrong_is_told(
    server: Hub, opened: Any, answer: Answer, fault: RegistryFault
) -> None:
    server.instead["*"] = answer
    zoo = opened("model_zoo", endpoint=server.endpoint)
    assert fault_of(lambda: zoo.search("x")).fault == fault


def test_a_zoo_that_turns_pages_for_ever_is_left(
    server: Hub, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discovery.services.registries.connectors.model_zoo.MAX_PAGES", 3)
    server.instead["/models"] = as_json({"models": [MODEL], "next": "models"})
    opened("model_zoo", endpoint=server.endpoint).search("")
    assert len(server.asked) == 3


def test_a_folder_is_read_and_its_models_are_compared(
    config_dir: Path, tmp_path: Path, opened: Any, make_model: Make
) -> None:
    folder = tmp_path / "catalog"
    (folder / "bytes").mkdir(parents=True)
    (folder / "one.json").write_text(json.dumps(MODEL))
    (folder / "bytes/tiny.bin").write_bytes(WEIGHTS)
    registry = opened("folder", path=str(folder))
    model = registry.model("labs/tiny")
    with registry.open(model, model.files[0], start=3) as stream:
        assert (stream.start, stream.size, b"".join(stream.chunks)) == (3, 7, b"ghts")
    loose(make_model)
    job, _ = syncing.run_now("folder", dry_run=False, report=[])
    assert (job.state, job.proposed, job.requests) == ("done", 1, 0), job.message
    assert RemoteMatch.objects.get().entry.card == "# Tiny"


def test_nothing_outside_the_folder_is_opened(
    config_dir: Path, tmp_path: Path, opened: Any
) -> None:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret")
    files = [
        {"path": "a", "url": "../secret"},
        {"path": "b", "url": "/etc/passwd"},
        {"path": "link"},
    ]
    (folder / "m.json").write_text(json.dumps({**MODEL, "files": files}))
    registry = opened("folder", path=str(folder))
    model = registry.model("labs/tiny")
    for file in model.files:
        with pytest.raises(RegistryError), registry.open(model, file):
            pass


def test_a_folder_that_is_not_there_or_broken_is_told(
    config_dir: Path, tmp_path: Path, opened: Any
) -> None:
    registry = opened("folder", path=str(tmp_path / "none"))
    assert fault_of(lambda: registry.search("x")).fault == RegistryFault.UNREACHABLE
    (tmp_path / "broken.json").write_text("{")
    registry = opened("folder", path=str(tmp_path))
    assert "broken.json" in str(fault_of(lambda: registry.search("x")))


LICENSE_TEXT = b"Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/\n"


def manifest(weights: bytes = WEIGHTS) -> dict[str, Any]:
    layers = [
        ("application/vnd.ollama.image.model", weights),
        (ollama_connector.LICENSE, LICENSE_TEXT),
    ]
    return {
        "schemaVersion": 2,
        "layers": [
            {
                "mediaType": kind,
                "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
                "size": len(content),
            }
            for kind, content in layers
        ],
    }


def serve_ollama(server: Hub, weights: bytes = WEIGHTS) -> None:
    told = manifest(weights)
    server.instead["/v2/library/llama3/manifests/8b"] = as_json(told)
    for layer, content in zip(told["layers"], (weights, LICENSE_TEXT), strict=True):
        server.instead[f"/v2/library/llama3/blobs/{layer['digest']}"] = Answer(200, content)


def test_a_manifest_of_ollama_is_a_model_whose_files_are_its_layers(
    server: Hub, opened: Any
) -> None:
    serve_ollama(server)
    registry = opened("ollama", endpoint=server.endpoint)
    model = registry.model("llama3:8b")
    assert (model.remote_id, model.license, model.revision[:7]) == (
        "llama3:8b",
        "apache-2.0",
        "sha256:",
    )
    assert model.files[0].path == f"blobs/sha256-{DIGEST}"
    with registry.open(model, model.files[0]) as stream:
        assert b"".join(stream.chunks) == WEIGHTS
    assert [each.remote_id for each in registry.search("llama3:8b")] == ["llama3:8b"]
    assert registry.search("none:8b") == registry.search("../../x") == []
    accept = server.asked[0][2]["accept"]
    assert accept == ollama_connector.MANIFEST


def in_store(make: Make) -> RegisteredModel:
    files = [
        ["manifests/registry.ollama.ai/library/llama3/8b", 300],
        *(
            [f"blobs/sha256-{hashlib.sha256(each).hexdigest()}", len(each)]
            for each in (WEIGHTS, LICENSE_TEXT)
        ),
    ]
    return make("llama3", path="manifests/registry.ollama.ai/library/llama3", files=files)


def test_a_model_of_ollamas_store_is_linked_and_its_new_layers_are_an_update(
    server: Hub, opened: Any, make_model: Make
) -> None:
    serve_ollama(server)
    opened("ollama", endpoint=server.endpoint)
    in_store(make_model)
    job, _ = syncing.run_now("ollama", dry_run=False, report=[])
    match = RemoteMatch.objects.get()
    assert (job.state, match.state, match.has_update) == ("done", "accepted", False), job.message
    assert [each["kind"] for each in match.evidence] == ["checksums", "manifest", "name"]
    assert RegisteredModel.objects.get().license == "apache-2.0"
    serve_ollama(server, b"better weights")
    syncing.run_now("ollama", dry_run=False, report=[])
    match.refresh_from_db()
    assert match.update is not None
    assert match.update["counts"] == {"added": 1, "removed": 1, "changed": 0}


PLUGIN = """
from discovery.plugins import ModelRegistryPlugin


class Shelf(ModelRegistryPlugin):
    def read_models(self, path):
        with open(path) as file:
            lines = file.read().splitlines()
        if "boom" in lines:
            raise ValueError("boom")
        models = [{"id": name, "name": name} for name in lines if not name.startswith("next=")]
        following = [line[5:] for line in lines if line.startswith("next=")]
        return {"models": models, "next": following[0] if following else None}
"""


def test_a_plugin_makes_models_of_what_a_registry_answers(
    server: Hub, opened: Any, tmp_path: Path, settings: Any
) -> None:
    settings.PLUGINS_DIR = tmp_path / "plugins"
    settings.PLUGINS_DIR.mkdir(mode=0o755)
    (settings.PLUGINS_DIR / "shelf.py").write_text(PLUGIN)
    (settings.PLUGINS_DIR / "shelf.py").chmod(0o644)
    server.instead["/list"] = Answer(200, b"one\ntwo\nnext=more")
    server.instead["/more"] = Answer(200, b"three")
    told = {"kind": "plugin", "plugin": "shelf.Shelf", "endpoint": f"{server.endpoint}/list"}
    found = opened("lab", **told).search("")
    assert [model.remote_id for model in found] == ["one", "two", "three"]
    server.instead["/more"] = Answer(200, b"boom")
    error = fault_of(lambda: opened("lab", **told).search(""))
    assert (error.fault, "shelf.Shelf failed: ValueError: boom" in str(error)) == (
        RegistryFault.UNREADABLE,
        True,
    )
    (settings.PLUGINS_DIR / "shelf.py").chmod(0o666)
    error = fault_of(lambda: opened("lab", **told).search(""))
    assert (error.fault, "chmod go-w" in str(error)) == (RegistryFault.SETTINGS, True)
