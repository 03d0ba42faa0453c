"""A server on loopback that speaks the Hub's HTTP API, for tests with the real ``huggingface_hub``.

By the public documentation (https://huggingface.co/docs/hub/api) and what the client sends and
reads: lists with ``Link`` pages, model info with blobs, files by ``resolve`` with ranges, files in
LFS behind a redirect, and the errors that ``X-Error-Code`` names.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

TOKEN = "hf_of_the_tests"
CHUNK = 1 << 20


@dataclass
class HubFile:
    """``content``, or ``size`` zeros that are never held in memory. ``is_lfs``: with a SHA-256."""

    content: bytes = b""
    size: int = -1
    is_lfs: bool = False
    #: What the API says of it, where that is not true.
    sha256: str = ""
    #: Called with the offset of each part before it is sent: it may sleep, or cut the connection
    #: with a ``ConnectionResetError``.
    before: Callable[[int], None] | None = None
    step: int = CHUNK

    def __post_init__(self) -> None:
        self.size = len(self.content) if self.size < 0 else self.size

    @property
    def digest(self) -> str:
        if self.sha256:
            return self.sha256
        found = hashlib.sha256(self.content)
        left = self.size - len(self.content)
        while left > 0:
            part = min(left, CHUNK)
            found.update(bytes(part))
            left -= part
        self.sha256 = found.hexdigest()
        return self.sha256

    @property
    def blob(self) -> str:
        """The git ID: of the content, or of the LFS pointer that stands for it."""
        content = f"oid sha256:{self.digest}\n".encode() if self.is_lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def part(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            until = min(start + self.step, end)
            if self.before is not None:
                self.before(start)
            held = self.content[start:until]
            yield held + bytes(until - start - len(held))
            start = until


@dataclass
class HubModel:
    """A repository. ``older`` are its files by an earlier commit; ``info`` is laid over the API."""

    id: str
    files: dict[str, HubFile] = field(default_factory=dict)
    sha: str = "a" * 40
    older: dict[str, dict[str, HubFile]] = field(default_factory=dict)
    license: str = "apache-2.0"
    gated: Any = False
    private: bool = False
    downloads: int = 10
    likes: int = 1
    info: dict[str, Any] = field(default_factory=dict)

    def commit(self, sha: str, **files: HubFile | None) -> None:
        """A new commit: files by name (``__`` for a dot), ``None`` for one that is deleted."""
        self.older[self.sha] = dict(self.files)
        self.sha = sha
        for name, file in files.items():
            path = name.replace("__", ".")
            if file is None:
                self.files.pop(path)
            else:
                self.files[path] = file

    def at(self, revision: str) -> dict[str, HubFile] | None:
        return self.files if revision in ("main", self.sha) else self.older.get(revision)

    def told(
        self, expand: list[str], *, blobs: bool = False, files: bool = True, revision: str = ""
    ) -> dict[str, Any]:
        own = self.at(revision or self.sha) or {}
        made: dict[str, Any] = {
            "author": self.id.rpartition("/")[0],
            "cardData": {"license": self.license, "language": ["en"]},
            "downloads": self.downloads,
            "gated": self.gated,
            "lastModified": "2025-06-01T12:00:00.000Z",
            "library_name": "transformers",
            "likes": self.likes,
            "pipeline_tag": "text-generation",
            "private": self.private,
            "sha": self.sha if revision in ("", "main") else revision,
            "tags": ["transformers", "safetensors", f"license:{self.license}"],
            **self.info,
        }
        if expand:
            made = {key: value for key, value in made.items() if key in expand}
        elif files:
            made["siblings"] = [_sibling(path, own[path], blobs) for path in sorted(own)]
        return {"id": self.id, "modelId": self.id, **made}


def _sibling(path: str, file: HubFile, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    lfs = {"lfs": {"sha256": file.digest, "size": file.size, "pointerSize": 134}}
    told = {"rfilename": path, "size": file.size, "blobId": file.blob}
    return {**told, **(lfs if file.is_lfs else {})}


def _leaf(path: str, file: HubFile) -> dict[str, Any]:
    lfs = {"lfs": {"oid": file.digest, "size": file.size, "pointerSize": 134}}
    told = {"type": "file", "path": path, "size": file.size, "oid": file.blob}
    return {**told, **(lfs if file.is_lfs else {})}


@dataclass
class Answer:
    status: int = 200
    body: bytes | Iterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


class Hub:
    """``models`` by ID. ``allowed`` are the tokens that are good; ``granted`` may see gated models.

    ``instead`` maps a path to an ``Answer`` that is given in its place, ``{}`` for none; ``asked``
    is every (method, path with query, headers).
    """

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.models: dict[str, HubModel] = {}
        self.allowed = {TOKEN}
        self.granted: set[str] = set()
        self.instead: dict[str, Answer] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.page = 1_000
        self._lock = threading.Lock()

    def add(self, model: HubModel) -> HubModel:
        self.models[model.id] = model
        return model

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]

    def answer(self, method: str, target: str, headers: dict[str, str]) -> Answer:
        with self._lock:
            self.asked.append((method, target, headers))
        parts = urlsplit(target)
        path, query = unquote(parts.path), parse_qs(parts.query)
        given = self.instead.get(path) or self.instead.get("*")
        if given is not None:
            return given
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self.allowed and not path.startswith("/lfs/"):
            told = "Invalid credentials in Authorization header"
            return _error(401, told, {"X-Error-Message": told})
        if path == "/api/models":
            return self._list(query, token)
        if path.startswith("/api/models/"):
            return self._info(path.removeprefix("/api/models/"), query, token)
        if "/resolve/" in path:
            return self._resolve(path.strip("/"), headers, token)
        if path.startswith("/lfs/"):
            return self._object(path.removeprefix("/lfs/"), headers, query)
        return _error(404, "Sorry, we can't find the page you are looking for.")

    def _list(self, query: dict[str, list[str]], token: str) -> Answer:
        author, search = query.get("author", [""])[0], query.get("search", [""])[0].lower()
        found = [
            model
            for model in sorted(self.models.values(), key=lambda each: -each.downloads)
            if (not author or model.id.startswith(f"{author}/"))
            and search in model.id.lower()
            and (not model.private or token)
        ]
        size = min(int(query.get("limit", ["1000"])[0]), self.page)
        start = int(query.get("cursor", ["0"])[0])
        expand = query.get("expand", [])
        told = [model.told(expand, files=False) for model in found[start : start + size]]
        headers = {}
        if start + size < len(found):
            again = urlencode({**query, "cursor": [str(start + size)]}, doseq=True)
            headers["Link"] = f'<{self.endpoint}/api/models?{again}>; rel="next"'
        return _json(told, headers)

    def _info(self, rest: str, query: dict[str, list[str]], token: str) -> Answer:
        remote_id, _, of_tree = rest.partition("/tree/")
        remote_id, _, revision = remote_id.partition("/revision/")
        model = self.models.get(remote_id)
        if model is None or (model.private and not token):
            return _error(401 if not token else 404, "Repository not found", _NO_REPOSITORY)
        if of_tree:
            return _json([_leaf(path, file) for path, file in (model.at(of_tree) or {}).items()])
        if revision and model.at(revision) is None:
            return _error(404, "Invalid rev id", {"X-Error-Code": "RevisionNotFound"})
        expand, blobs = query.get("expand", []), "blobs" in query
        return _json(model.told(expand, blobs=blobs, revision=revision))

    def _resolve(self, path: str, headers: dict[str, str], token: str) -> Answer:
        remote_id, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        model = self.models.get(remote_id)
        if model is None or (model.private and not token):
            return _error(401 if not token else 404, "Repository not found", _NO_REPOSITORY)
        if model.gated and remote_id not in self.granted:
            told = f"Access to model {remote_id} is restricted."
            return _error(403 if token else 401, told, {"X-Error-Code": "GatedRepo"})
        file = (model.at(revision) or {}).get(name)
        if file is None:
            return _error(404, "Entry not found", {"X-Error-Code": "EntryNotFound"})
        commit = model.sha if revision == "main" else revision
        told = {"X-Repo-Commit": commit, "ETag": f'"{file.blob}"'}
        if not file.is_lfs:
            return _content(file, headers, told)
        linked = {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.digest}"'}
        there = {"Location": f"{self.endpoint}/lfs/{file.digest}?commit={commit}"}
        return Answer(302, b"", {**told, **linked, **there})

    def _object(self, digest: str, headers: dict[str, str], query: dict[str, list[str]]) -> Answer:
        """What a redirect leads to: on one host the client wants the same headers here."""
        file = self._by_digest(digest)
        if file is None:
            return _error(404, "no such object")
        told = {"ETag": f'"{digest}"', "X-Repo-Commit": query.get("commit", [""])[0]}
        return _content(file, headers, told)

    def _by_digest(self, digest: str) -> HubFile | None:
        every = (
            file
            for model in self.models.values()
            for files in (model.files, *model.older.values())
            for file in files.values()
        )
        return next((file for file in every if file.is_lfs and file.digest == digest), None)


_NO_REPOSITORY = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}


def _json(body: Any, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        200, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}
    )


def _error(status: int, told: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps({"error": told}).encode(), headers or {})


def _content(file: HubFile, headers: dict[str, str], told: dict[str, str] | None = None) -> Answer:
    made = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **(told or {})}
    wanted = headers.get("range", "").removeprefix("bytes=")
    if not wanted:
        return Answer(200, file.part(0, file.size), {**made, "Content-Length": str(file.size)})
    first, _, last = wanted.partition("-")
    start, end = int(first), min(int(last) + 1 if last else file.size, file.size)
    if start >= file.size:
        return Answer(416, b"", {**made, "Content-Range": f"bytes */{file.size}"})
    ranged = {"Content-Range": f"bytes {start}-{end - 1}/{file.size}"}
    return Answer(
        206, file.part(start, end), {**made, **ranged, "Content-Length": str(end - start)}
    )


def _handler(hub: list[Hub]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            sent = {name.lower(): value for name, value in self.headers.items()}
            answer = hub[0].answer(self.command, self.path, sent)
            body = answer.body
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if isinstance(body, bytes) and "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(body)))
            elif "Content-Length" not in answer.headers:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command == "HEAD":
                return
            try:
                for chunk in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(chunk)
            except (BrokenPipeError, ConnectionResetError):  # the client has read enough
                self.close_connection = True

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def handle(self) -> None:
            with suppress(ConnectionResetError):  # the client has gone
                super().handle()

        def log_message(self, *_: Any) -> None:
            return None

    return Handler


@contextmanager
def running() -> Iterator[Hub]:
    held: list[Hub] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(held)) as server:
        server.daemon_threads = True
        held.append(Hub(server.server_port))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield held[0]
        server.shutdown()
        thread.join()
