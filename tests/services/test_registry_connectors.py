"""The Hub is asked by its own client, through the filter of outgoing calls.

What it does wrong is told in a sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import huggingface_hub
import pytest

from discovery.engine.core.registries_config import RegistrySettings
from discovery.engine.core.service_words import RegistryFault
from discovery.services.integrations import filtered_client
from discovery.services.registries.configured import Configured, connect
from discovery.services.registries.protocol import (
    Registry,
    RegistryError,
    RemoteFile,
    colliding,
    path_fault,
)
from tests.support import hub as hub_support
from tests.support.hub import TOKEN, Answer, Hub, HubFile, HubModel

Connect = Callable[..., Registry]


@pytest.fixture
def hub(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    settings.REGISTRY_PRIVATE = ["127.0.0.1"]
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with hub_support.running() as server:
        weights = HubFile(b"weights of llama", is_lfs=True)
        card = HubFile(b"---\nlicense: apache-2.0\n---\n# Llama\n")
        files = {"README.md": card, "model.safetensors": weights}
        server.add(HubModel("acme/llama", files))
        yield server
    huggingface_hub.close_session()


@pytest.fixture
def connected(hub: Hub) -> Iterator[Connect]:
    made: list[Registry] = []

    def make(**settings: Any) -> Registry:
        told = {"kind": "huggingface", "enabled": True, "endpoint": hub.endpoint, **settings}
        made.append(connect(Configured("huggingface", RegistrySettings.model_validate(told))))
        return made[-1]

    yield make
    for registry in made:
        registry.close()


def fault_of(ask: Any) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        ask()
    return raised.value


def test_a_model_comes_with_revision_license_and_files_with_their_checksums(
    hub: Hub, connected: Connect
) -> None:
    model = connected().model("acme/llama")
    assert (model.revision, model.license, model.downloads) == ("a" * 40, "apache-2.0", 10)
    assert (model.tags, model.languages) == (("transformers", "safetensors"), ("en",))
    assert model.files is not None
    files = {file.path: file for file in model.files}
    weights = files["model.safetensors"]
    assert weights.sha256 == hashlib.sha256(b"weights of llama").hexdigest()
    assert (weights.size, files["README.md"].sha256) == (16, "")
    assert len(files["README.md"].git_sha1) == 40


def test_the_card_is_read_in_the_revision_of_the_model(hub: Hub, connected: Connect) -> None:
    registry = connected()
    model = registry.model("acme/llama")
    assert registry.card(model).endswith("# Llama")
    assert hub.paths()[-1] == f"/acme/llama/resolve/{'a' * 40}/README.md"


def test_a_file_in_lfs_is_read_from_an_offset_and_the_key_stays_with_the_registry(
    hub: Hub, connected: Connect
) -> None:
    registry = connected(api_key=TOKEN)
    model = registry.model("acme/llama")
    assert model.files is not None
    with registry.open(model, model.files[1], start=8) as stream:
        assert (stream.start, stream.size) == (8, 16)
        assert b"".join(stream.chunks) == b"of llama"
    assert hub.asked[-1][2]["range"] == "bytes=8-"


def test_a_key_is_not_handed_to_another_server_that_a_redirect_names(
    hub: Hub, connected: Connect
) -> None:
    with hub_support.running() as other:
        file = hub.models["acme/llama"].files["model.safetensors"]
        other.add(HubModel("acme/copy", {"model.safetensors": file}))
        there = {"Location": f"{other.endpoint}/lfs/{file.digest}"}
        path = f"/acme/llama/resolve/{'a' * 40}/model.safetensors"
        hub.instead[path] = Answer(302, b"", there)
        registry = connected(api_key=TOKEN)
        model = registry.model("acme/llama")
        assert model.files is not None
        with registry.open(model, model.files[1]) as stream:
            assert b"".join(stream.chunks) == b"weights of llama"
        assert hub.asked[-1][2]["authorization"] == f"Bearer {TOKEN}"
        assert "authorization" not in other.asked[-1][2]


def test_many_models_of_an_author_are_asked_for_in_one_request(
    hub: Hub, connected: Connect
) -> None:
    for number in range(500):
        hub.add(HubModel(f"many/model-{number}"))
    registry = connected()
    found = list(registry.summaries(hub.models))
    assert len(found) == 500
    assert len(hub.asked) == registry.requests == 1


def test_a_search_is_one_request_and_never_turns_pages(hub: Hub, connected: Connect) -> None:
    for number in range(30):
        hub.add(HubModel(f"acme/llama-{number}", downloads=number))
    hub.page = 10
    found = connected().search("llama", limit=10)
    assert [model.remote_id for model in found[:2]] == ["acme/llama-29", "acme/llama-28"]
    assert len(hub.asked) == 1


FAULTS = {
    "busy": (Answer(429, b"{}", {"Retry-After": "120"}), RegistryFault.BUSY, "120 seconds"),
    "limit": (
        Answer(429, b"{}", {"RateLimit": '"api";r=0;t=55'}),
        RegistryFault.BUSY,
        "55 seconds",
    ),
    "down": (Answer(503), RegistryFault.BUSY, "HTTP 503"),
    "broken": (Answer(502, b"<html>"), RegistryFault.UNREACHABLE, "HTTP 502"),
    "page": (Answer(200, b"<!doctype html><html>sign in"), RegistryFault.UNREADABLE, "not the Hub"),
    "list": (Answer(200, b"[1, 2]"), RegistryFault.UNREADABLE, "not the Hub"),
    "loop": (Answer(302, b"", {"Location": "/again"}), RegistryFault.UNREACHABLE, "redirects"),
    "inside": (
        Answer(302, b"", {"Location": "http://10.0.0.1/"}),
        RegistryFault.REFUSED,
        "inside this network",
    ),
    "file": (Answer(302, b"", {"Location": "file:///etc"}), RegistryFault.REFUSED, "http"),
    "packed": (
        Answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"}),
        RegistryFault.UNREACHABLE,
        "packs",
    ),
    "key": (Answer(401, b"{}"), RegistryFault.KEY, "wants a key"),
    "forbidden": (Answer(403, b"{}"), RegistryFault.KEY, "wants a key"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_server_does_wrong_is_one_sentence_after_one_try(
    hub: Hub, name: str, connected: Connect
) -> None:
    hub.instead["*"], fault, words = FAULTS[name]
    error = fault_of(lambda: connected().model("acme/llama"))
    assert (error.fault, words in str(error)) == (fault, True), str(error)
    tries = filtered_client.MAX_REDIRECTS + 1 if name == "loop" else 1
    assert len(hub.asked) == tries


def test_how_long_to_wait_is_kept(hub: Hub, connected: Connect) -> None:
    hub.instead["*"] = FAULTS["busy"][0]
    assert fault_of(lambda: connected().search("llama")).seconds == 120
    assert len(hub.asked) == 1


def test_an_endless_answer_is_cut(hub: Hub, connected: Connect) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b" " * (1 << 20)

    hub.instead["*"] = Answer(200, endless())
    error = fault_of(lambda: connected().model("acme/llama"))
    assert error.fault == RegistryFault.UNREACHABLE
    assert "the answer was cut" in str(error)
    assert len(sent) < 64


def test_a_revoked_key_is_told(hub: Hub, connected: Connect) -> None:
    error = fault_of(lambda: connected(api_key="hf_revoked").model("acme/llama"))
    assert (error.fault, "may have been revoked" in str(error)) == (RegistryFault.KEY, True)


def test_a_gated_model_is_described_and_its_files_say_that_they_are_gated(
    hub: Hub, connected: Connect
) -> None:
    hub.models["acme/llama"].gated = "manual"
    registry = connected(api_key=TOKEN)
    model = registry.model("acme/llama")
    assert model.gated == "manual"
    assert fault_of(lambda: registry.card(model)).fault == RegistryFault.GATED


def test_a_server_inside_the_network_is_asked_only_where_it_is_permitted(
    hub: Hub, settings: Any, connected: Connect
) -> None:
    settings.REGISTRY_PRIVATE = []
    error = fault_of(lambda: connected().model("acme/llama"))
    assert (error.fault, "KAREN_REGISTRY_PRIVATE" in str(error)) == (RegistryFault.REFUSED, True)
    assert hub.asked == []


def test_a_server_that_is_gone_is_told(hub: Hub, connected: Connect) -> None:
    registry = connected(endpoint="http://127.0.0.1:9")
    assert fault_of(lambda: registry.model("acme/llama")).fault == RegistryFault.UNREACHABLE


def test_a_name_that_the_hub_does_not_have_is_not_asked_for(hub: Hub, connected: Connect) -> None:
    error = fault_of(lambda: connected().model("../../etc/passwd"))
    assert error.fault == RegistryFault.NAME
    assert hub.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/x",
        "a//b",
        "a/./b",
        "",
        "a\0b",
        "C:x",
        "con",
        "a/NUL.txt",
        "a\\b",
        "x.",
        "a\nb",
    ],
)
def test_a_path_that_would_leave_its_folder_is_found_out(path: str) -> None:
    assert path_fault(path)
    assert RemoteFile(path).path_fault


def test_usual_paths_are_fine_and_twins_in_case_are_named() -> None:
    usual = ["model.safetensors", "onnx/model.onnx", ".gitattributes", "a b/c-1.json"]
    assert not any(path_fault(path) for path in usual)
    assert colliding([RemoteFile("Model.bin"), RemoteFile("model.bin")]) == ["model.bin"]
