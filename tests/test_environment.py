"""Settings from the environment: what cannot be used is told in one sentence that names the
variable, never in a traceback.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from karen_admin import environment

NAME = "KAREN_OF_THE_TEST"

WRONG: list[tuple[Callable[[Path], object], str, str]] = [
    (lambda _: environment.flag(NAME, default=False), "maybe", "write true or false"),
    (lambda _: environment.count(NAME, 0), "x", "whole number"),
    (lambda _: environment.count(NAME, 0), "-1", "whole number"),
    (lambda _: environment.count(NAME, 0), "1.5", "whole number"),
    (lambda _: environment.count(NAME, 0), "", "whole number"),
    (lambda _: environment.rate(NAME), "many", "like 600/min"),
    (lambda _: environment.origins(NAME), "chat.example.org", "http:// or https://"),
    (
        lambda _: environment.origins(NAME),
        "https://a.example,https://b.example/path",
        "http:// or https://",
    ),
    (lambda _: environment.directory(NAME, Path("/srv")), "~nobody-of-that-name/x", "not a folder"),
    (lambda p: environment.database(NAME, "", p), "foo://x/y", "postgres://user"),
    (lambda p: environment.database(NAME, "", p), "mysql://a:b@host/name", "postgres://user"),
    (lambda p: environment.database(NAME, "", p), "not a url", "postgres://user"),
    (
        lambda p: environment.database(NAME, "", p),
        "postgres://u:secret@host:port/name",
        "postgres://user",
    ),
    (lambda p: environment.database(NAME, "", p), "postgres://u:secret@host/", "postgres://user"),
    (lambda p: environment.database(NAME, "", p), "postgres://u:secret/x@host/name", "%2F"),
    (lambda p: environment.database(NAME, "", p), "sqlite://", "postgres://user"),
    (lambda p: environment.database(NAME, "", p), "sqlite://:memory:", "postgres://user"),
    (lambda _: environment.redis(NAME), "http://127.0.0.1", "redis://host"),
    (lambda _: environment.redis(NAME), "127.0.0.1:6379", "redis://host"),
    (lambda _: environment.choice(NAME, ("ignore", "create")), "drop", "ignore or create"),
    (lambda _: environment.networks(NAME), "10.0.0.1,here", "like 127.0.0.1"),
    (lambda _: environment.networks(NAME), "10.0.0.1/8", "like 127.0.0.1"),
    (lambda _: environment.header(NAME), "Remote User", "like Remote-User"),
    (lambda _: environment.header(NAME), "Remote_User", "like Remote-User"),
    (lambda _: environment.header(NAME), "X-Forwarded-For", "like Remote-User"),
    (lambda _: environment.url(NAME), "//evil.example", "a path like"),
    (lambda _: environment.url(NAME), "javascript:x", "a path like"),
    (lambda _: environment.groups(NAME), "admins", "provider-group=Group"),
    (lambda _: environment.groups(NAME), "admins=", "provider-group=Group"),
    (lambda _: environment.groups(NAME), '{"admins": 7}', "provider-group=Group"),
    (lambda _: environment.groups(NAME), '{"admins"', "not valid JSON"),
    (lambda _: environment.names(NAME), "[7]", "not a list of names"),
]


@pytest.mark.parametrize(("read", "given", "said"), WRONG)
def test_what_cannot_be_used_is_told_with_the_name_of_the_variable_and_no_password(
    read: Callable[[Path], object],
    given: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, given)
    with pytest.raises(ImproperlyConfigured) as told:
        read(tmp_path)
    text = str(told.value)
    assert NAME in text
    assert said in text
    assert "secret" not in text
    assert "\n" not in text


@pytest.mark.parametrize("given", ["1", "true", "True", "YES", "on"])
def test_flags(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.flag(NAME, default=False) is False
    monkeypatch.setenv(NAME, given)
    assert environment.flag(NAME, default=False) is True


@pytest.mark.parametrize(
    ("missing", "url", "read"),
    [("psycopg", "postgres://u@h/n", "database"), ("redis", "redis://h/0", "redis")],
)
def test_a_driver_that_is_not_installed_is_told_with_what_installs_it(
    missing: str, url: str, read: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, url)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        environment, "find_spec", lambda name: None if name.startswith(missing) else real(name)
    )
    with pytest.raises(ImproperlyConfigured, match="not installed: pip install -e"):
        environment.database(NAME, "", tmp_path) if read == "database" else environment.redis(NAME)


def test_a_relative_sqlite_file_is_the_same_wherever_a_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, "sqlite:///own.sqlite3")
    assert environment.database(NAME, "", tmp_path)["NAME"] == str(tmp_path / "own.sqlite3")
    monkeypatch.setenv(NAME, "sqlite:////srv/own.sqlite3")
    assert environment.database(NAME, "", tmp_path)["NAME"] == "/srv/own.sqlite3"


def test_nothing_given_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "")
    assert environment.database(NAME, "sqlite:////x", tmp_path)["NAME"] == "/x"
    assert environment.directory(NAME, tmp_path) == tmp_path
    assert environment.redis(NAME) == ""
    assert environment.origins(NAME) == []


def test_an_env_file_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.read_file(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ImproperlyConfigured, match="not UTF-8"):
        environment.read_file(tmp_path / "binary")
    with pytest.raises(ImproperlyConfigured, match="Is a directory"):
        environment.read_file(tmp_path)
    monkeypatch.delenv(NAME, raising=False)
    (tmp_path / "good").write_text(f"{NAME}=7\n")
    monkeypatch.setitem(os.environ, "KAREN_UNDONE", "")
    environment.read_file(tmp_path / "good")
    assert environment.count(NAME, 0) == 7
    del os.environ[NAME]


def test_the_secret_key_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    key = environment.secret_key(NAME, path)
    assert len(key) >= 50
    assert environment.secret_key(NAME, path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret_key"]


def test_a_key_that_a_full_disk_cut_off_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.touch()
    key = environment.secret_key(NAME, path)
    assert key
    assert path.read_text() == key


def test_two_processes_that_start_at_once_have_one_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret_key"
    publish = environment._publish

    def overtaken(fresh: Path, target: Path) -> None:
        target.write_text("the other one's")
        monkeypatch.setattr(Path, "exists", lambda _: False)
        publish(fresh, target)

    monkeypatch.setattr(environment, "_publish", overtaken)
    assert environment.secret_key(NAME, path) == "the other one's"


def test_a_full_disk_leaves_no_half_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert environment.secret_key(NAME, tmp_path / "secret_key")
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"secret key in .* cannot be read"):
        environment.secret_key(NAME, tmp_path)


def test_groups_of_a_provider_are_pairs_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.groups(NAME) == {}
    monkeypatch.setenv(NAME, "/admins=Registry administrators, a=b=Editors ,/admins=Lab,")
    found = environment.groups(NAME)
    assert found == {"/admins": ("Registry administrators", "Lab"), "a=b": ("Editors",)}
    monkeypatch.setenv(NAME, '{"CN=a,OU=b": ["Editors", "Lab"], "x": "Viewers"}')
    assert environment.groups(NAME) == {"CN=a,OU=b": ("Editors", "Lab"), "x": ("Viewers",)}


def test_names_networks_and_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.names(NAME) == frozenset()
    assert environment.header(NAME) == ""
    assert environment.url(NAME) == ""
    assert environment.choice(NAME, ("ignore", "create")) == "ignore"
    monkeypatch.setenv(NAME, "a, b,")
    assert environment.names(NAME) == {"a", "b"}
    monkeypatch.setenv(NAME, '["CN=a,OU=b"]')
    assert environment.names(NAME) == {"CN=a,OU=b"}
    monkeypatch.setenv(NAME, "10.1.0.0/16, ::1")
    assert [str(each) for each in environment.networks(NAME)] == ["10.1.0.0/16", "::1/128"]
    monkeypatch.setenv(NAME, "/oauth2/sign_out?rd=%2F")
    assert environment.url(NAME) == "/oauth2/sign_out?rd=%2F"


def test_a_secret_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.secret(NAME) == ""
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))
    with pytest.raises(ImproperlyConfigured, match=f"{NAME}_FILE names .*cannot be read"):
        environment.secret(NAME)
    (tmp_path / "secret").write_text("from-the-file\n")
    assert environment.secret(NAME) == "from-the-file"
    monkeypatch.setenv(NAME, "from-the-variable")
    assert environment.secret(NAME) == "from-the-variable"
