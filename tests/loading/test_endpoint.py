"""Hosted models: what servers answer, well and badly, and what is never sent to whom."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.loading import supervise
from discovery.loading.errors import LoadFailed, LoadRefused
from discovery.loading.job import Job, Result
from discovery.loading.loaders import endpoint

MODELS = {"object": "list", "data": [{"id": "llama-3-8b"}, {"id": "qwen-2.5"}]}


class Server(ThreadingHTTPServer):
    """Answers each path as told, and remembers what was asked with which key."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.hanging = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def says(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = (
            status,
            {name.replace("_", "-"): value for name, value in headers.items()},
            raw,
        )


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/hang"):
            self.server.hanging.wait(60)
            return
        status, headers, body = self.server.answers.get(self.path, (404, {}, b"not here"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Not into the test's output."""


def _serve() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.hanging.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from _serve()


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    yield from _serve()


def ask(address: str, *, key: str = "", name: str = "llama-3-8b") -> str:
    return endpoint.load(
        Job(
            type="OPENAI",
            name=name,
            endpoint=address,
            api_key=key,
            memory_bytes=1 << 30,
            cpu_seconds=10,
        )
    )


def test_a_server_that_lists_its_models_passes(server: Server) -> None:
    server.says("/v1/models", MODELS)
    assert (
        ask(server.address)
        == f"{server.address}/v1/models answers: 2 models: llama-3-8b, qwen-2.5."
    )
    assert server.asked == [("/v1/models", None)]


def test_a_model_that_the_server_does_not_list_is_told(server: Server) -> None:
    server.says("/v1/models", MODELS)
    assert ask(server.address, name="gpt-5").endswith(
        "2 models: llama-3-8b, qwen-2.5. None of them is called gpt-5."
    )


def test_the_key_goes_with_the_question_and_stays_out_of_the_answer(server: Server) -> None:
    server.says("/openai/v1/models", MODELS)
    told = ask(
        f"http://anna:pass@127.0.0.1:{server.server_port}/openai/v1/chat/completions",
        key="sk-secret",
    )
    assert server.asked == [("/openai/v1/models", "Bearer sk-secret")]
    assert "secret" not in told
    assert "pass" not in told


@pytest.mark.parametrize(
    ("status", "body", "key", "said"),
    [
        (401, {}, "", "asks for a key (401 Unauthorized)."),
        (403, {}, "sk-old", "refuses the key (403 Forbidden)."),
        (404, {}, "", "answers 404 Not Found."),
        (500, b"boom", "", "answers 500 Internal Server Error."),
        (
            200,
            b"<!doctype html><title>Welcome</title>",
            "",
            "answers with a web page, not with a list of models: is it the right address?",
        ),
        (200, b"OK", "", "answers with text/plain that is not JSON."),
        (200, b"[" * 100_000, "", "answers with text/plain that is not JSON."),
        (200, [], "", "answers with JSON that is not a list of models ({'data': [...]})."),
        (200, {"data": "x" * (1 << 20)}, "", "answers with more than 1 MiB."),
    ],
)
def test_any_other_answer_fails_and_says_what_came_back(
    server: Server, status: int, body: object, key: str, said: str
) -> None:
    server.says("/v1/models", body, status)
    with pytest.raises(LoadFailed) as failure:
        ask(server.address, key=key)
    assert str(failure.value) == f"{server.address}/v1/models {said}"


def test_a_redirect_is_told_and_not_followed_so_the_key_stays_here(
    server: Server, elsewhere: Server
) -> None:
    elsewhere.says("/v1/models", MODELS)
    server.says("/v1/models", b"", 302, Location=f"{elsewhere.address}/v1/models")
    with pytest.raises(
        LoadFailed, match=f"sends on to {elsewhere.address}/v1/models, which is not followed"
    ):
        ask(server.address, key="sk-secret")
    assert elsewhere.asked == []


def test_a_server_that_does_not_answer_is_given_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "TIMEOUT", 0.3)
    with pytest.raises(LoadFailed, match="did not answer within"):
        ask(f"{server.address}/hang")


def test_a_server_that_is_not_there_is_told(server: Server) -> None:
    with Server() as gone:
        address = gone.address
    with pytest.raises(LoadFailed, match="cannot be reached: Connection refused"):
        ask(address)


def test_a_server_without_encryption_is_no_https_server(server: Server) -> None:
    with pytest.raises(LoadFailed, match="cannot be reached"):
        ask(server.address.replace("http:", "https:"))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost:8000",
        "file:///etc/passwd",
        "ftp://host/v1",
        "gopher://host",
        "http://",
        "http://host:0",
        "http://host:99999",
        "http://[::1",
    ],
)
def test_only_http_addresses_are_asked(address: str) -> None:
    with pytest.raises(LoadRefused):
        ask(address)


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y"])
def test_an_address_that_would_break_the_request_is_not_sent(server: Server, path: str) -> None:
    with pytest.raises(LoadFailed):
        ask(f"{server.address}{path}")
    assert server.asked == []


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", "/v1/models"), ("/", "/v1/models"), ("/v1", "/v1/models"), ("/v1/", "/v1/models"),
        ("/v1/chat/completions", "/v1/models"),
        ("/proxy", "/proxy/v1/models"), ("/proxy/v1/completions", "/proxy/v1/models"),
        ("/v10", "/v10/v1/models"),
    ],
)  # fmt: skip
def test_the_list_of_models_lies_beside_whatever_the_address_points_to(
    path: str, asked: str
) -> None:
    assert endpoint.models_path(path) == asked


@given(path=st.text(alphabet="v1/models", max_size=30))
def test_the_path_asked_for_is_its_own_answer(path: str) -> None:
    asked = endpoint.models_path(path)
    assert asked.endswith("/v1/models")
    assert endpoint.models_path(asked) == asked


def test_a_real_child_may_connect_and_do_nothing_else(server: Server, tmp_path: Path) -> None:
    server.says("/v1/models", MODELS)
    task = Job(
        type="OPENAI",
        name="qwen-2.5",
        endpoint=server.address,
        api_key="sk",
        memory_bytes=1 << 30,
        cpu_seconds=60,
    )
    outcome = supervise.run(task, wall_seconds=120)
    assert (outcome.result, outcome.loader, outcome.message) == (
        Result.PASSED,
        "endpoint",
        f"{server.address}/v1/models answers: 2 models: llama-3-8b, qwen-2.5.",
    )
    assert server.asked == [("/v1/models", "Bearer sk")]


def test_a_child_is_ended_when_the_server_keeps_it_waiting(server: Server) -> None:
    task = Job(
        type="OPENAI", endpoint=f"{server.address}/hang", memory_bytes=1 << 30, cpu_seconds=60
    )
    outcome = supervise.run(task, wall_seconds=2)
    assert (outcome.result, outcome.loader, outcome.message) == (
        Result.FAILED,
        "endpoint",
        "It took longer than 2 seconds and was ended.",
    )
