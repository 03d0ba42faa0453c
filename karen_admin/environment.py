"""Reading settings from the environment and from ``.env``.

What cannot be used is told in a sentence that names the variable.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import warnings
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

env = environ.Env()

_YES, _NO = ("true", "on", "ok", "y", "yes", "1"), ("false", "off", "n", "no", "0", "")
SQLITE, POSTGRESQL = "django.db.backends.sqlite3", "django.db.backends.postgresql"
#: Seconds that a PostgreSQL server has to answer: without a bound, a host that is not there is
#: waited for for minutes.
CONNECT_TIMEOUT = 10


def read_file(path: Path) -> None:
    """``.env``: what the environment does not say itself.

    A file that is there and cannot be read is not passed over.
    """
    try:
        path.read_text("utf-8")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ImproperlyConfigured(
            f"{path} cannot be read ({error.strerror}): give the user that runs Karen Admin the"
            " right to."
        ) from error
    except UnicodeDecodeError as error:
        raise ImproperlyConfigured(
            f"{path} is not UTF-8 text (byte {error.start}): write it anew, or remove it."
        ) from error
    environ.Env.read_env(path)


def directory(name: str, default: Path) -> Path:
    given: str = env.str(name, default=str(default))
    try:
        return Path(given or default).expanduser().absolute()
    except (RuntimeError, ValueError) as error:
        raise ImproperlyConfigured(
            f"{name} is {given!r}, which is not a folder: {error}"
        ) from error


def flag(name: str, *, default: bool) -> bool:
    given = env.str(name, default=str(default)).strip().lower()
    if given not in _YES + _NO:
        raise ImproperlyConfigured(f"{name} is {given!r}: write true or false.")
    return given in _YES


def count(name: str, default: int) -> int:
    given: str = env.str(name, default=str(default)).strip()
    if not re.fullmatch(r"\d{1,9}", given, re.ASCII):
        raise ImproperlyConfigured(f"{name} is {given!r}: write a whole number, 0 or more.")
    return int(given)


def rate(name: str) -> str | None:
    """``None`` where the environment does not say."""
    given: str | None = env.str(name, default=None)
    if given and not re.fullmatch(r"[1-9]\d{0,8}/(s|min|h)", given):
        raise ImproperlyConfigured(
            f"{name} is {given!r}: write a number and s, min or h, like 600/min, or nothing for no"
            " limit."
        )
    return given


def origins(name: str) -> list[str]:
    """``https://chat.example.org,http://10.0.0.7:3000``."""
    given: list[str] = [origin.strip() for origin in env.list(name, default=[])]
    for origin in given:
        if not re.fullmatch(r"https?://[^\s/]+", origin):
            raise ImproperlyConfigured(
                f"{name} holds {origin!r}: write origins with http:// or https:// and without a"
                " path, separated by commas."
            )
    return given


def secret(name: str) -> str:
    """What the variable says, else the text of the file that ``<name>_FILE`` names."""
    given: str = env.str(name, default="").strip()
    path: str = env.str(f"{name}_FILE", default="").strip()
    if given or not path:
        return given
    try:
        return Path(path).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ImproperlyConfigured(
            f"{name}_FILE names {path}, which cannot be read ({reason}): let the user that runs"
            " Karen Admin read it."
        ) from None


def choice(name: str, options: tuple[str, ...]) -> str:
    """One of ``options``, the first of which is the default."""
    given: str = env.str(name, default="").strip().lower() or options[0]
    if given not in options:
        raise ImproperlyConfigured(f"{name} is {given!r}: write {' or '.join(options)}.")
    return given


def names(name: str) -> frozenset[str]:
    """``admins,ops``; a JSON list where a name has a comma of its own."""
    given: str = env.str(name, default="").strip()
    if not given.startswith("["):
        return frozenset(part.strip() for part in given.split(",") if part.strip())
    found = _json(name, given)
    if not all(isinstance(part, str) for part in found):
        raise ImproperlyConfigured(f"{name} is not a list of names.")
    return frozenset(found)


def groups(name: str) -> dict[str, tuple[str, ...]]:
    """``admins=Registry administrators,ops=Editors``, or the same as a JSON object, whose values
    may be lists: what a sign-in provider calls its groups, and the groups here.
    """
    given: str = env.str(name, default="").strip()
    if given.startswith("{"):
        pairs = [
            (key, each if isinstance(each, list) else [each])
            for key, each in _json(name, given).items()
        ]
    else:
        parts = [part.rpartition("=") for part in given.split(",") if part.strip()]
        pairs = [(key.strip(), [each.strip()]) for key, _, each in parts]
    found: dict[str, tuple[str, ...]] = {}
    for key, values in pairs:
        if not key or not all(isinstance(each, str) and each for each in values):
            raise ImproperlyConfigured(
                f"{name} cannot be used: write provider-group=Group,other-group=Other group, or a"
                " JSON object where names hold commas or equals signs."
            )
        found[key] = (*found.get(key, ()), *values)
    return found


def _json(name: str, given: str) -> Any:
    try:
        return json.loads(given)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not valid JSON: {error}.") from None


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """``10.0.0.5,10.1.0.0/16``"""
    found: list[IPv4Network | IPv6Network] = []
    for part in env.list(name, default=[]):
        try:
            found.append(ip_network(part.strip()))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} holds {part.strip()!r} ({error}): write addresses or networks, separated"
                " by commas, like 127.0.0.1,10.1.0.0/16."
            ) from None
    return found


#: Headers that say something else, or that anybody sends.
_NO_NAMES = frozenset(
    {"authorization", "cookie", "host", "origin", "referer", "user-agent", "x-forwarded-for",
     "x-forwarded-host", "x-forwarded-proto"}
)  # fmt: skip


def header(name: str) -> str:
    """The name of a header that carries a name, such as ``Remote-User``."""
    given: str = env.str(name, default="").strip()
    if given and (not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", given) or given.lower() in _NO_NAMES):
        raise ImproperlyConfigured(
            f"{name} is {given!r}: write the name of a header that only the proxy sets, like"
            " Remote-User."
        )
    return given


def url(name: str) -> str:
    """A path of this server, or an address with ``https://`` or ``http://``."""
    given: str = env.str(name, default="").strip()
    if given and not re.fullmatch(r"(/(?!/)|https?://[^\s/])\S*", given):
        raise ImproperlyConfigured(
            f"{name} is {given!r}: write a path like /oauth2/sign_out, or an address with https://."
        )
    return given


def database(name: str, default: str, base: Path) -> dict[str, Any]:
    """``base`` is where a relative path of SQLite begins, whatever folder a process is
    started in.
    """
    url: str = env.str(name, default="") or default
    forms = (
        f"{name} cannot be used: write sqlite:////folder/file.sqlite3 or"
        " postgres://user:password@host:5432/name"
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is told below
            found: dict[str, Any] = env.db_url_config(url)
    except ValueError as error:
        # Its own words may hold a part of the password.
        raise ImproperlyConfigured(
            f"{forms}, with / : @ # in a password written as %2F %3A %40 %23."
        ) from error
    engine = found.get("ENGINE", "")
    # A database in memory would be another one in each process.
    if engine not in (SQLITE, POSTGRESQL) or found.get("NAME") in (None, "", ":memory:"):
        raise ImproperlyConfigured(f"{forms}.")
    if engine == SQLITE:
        found["NAME"] = str(base / found["NAME"])
    if engine == POSTGRESQL:
        if find_spec("psycopg") is None and find_spec("psycopg2") is None:
            raise ImproperlyConfigured(
                f"{name} names PostgreSQL, whose driver is not installed: pip install -e"
                ' ".[postgres]"'
            )
        found.setdefault("OPTIONS", {}).setdefault("connect_timeout", CONNECT_TIMEOUT)
    return found


def redis(name: str) -> str:
    url: str = env.str(name, default="")
    if not url:
        return ""
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise ImproperlyConfigured(
            f"{name} cannot be used: write redis://host:6379/0, or nothing to keep the queue in the"
            " database."
        )
    if find_spec("redis") is None:
        raise ImproperlyConfigured(
            f'{name} is set, but the redis library is not installed: pip install -e ".[redis]"'
        )
    return url


def patient(url: str) -> str:
    """The address of a Redis that is given up after some seconds where it hangs, unless it says
    otherwise.
    """
    if urlsplit(url).scheme not in ("redis", "rediss"):
        return url
    missing = [
        text
        for text in ("socket_connect_timeout=5", "socket_timeout=15")
        if text.partition("=")[0] not in url
    ]
    return f"{url}{'&' if '?' in url else '?'}{'&'.join(missing)}" if missing else url


def secret_key(name: str, path: Path) -> str:
    """What the variable says, else a key made once and kept in ``path``, readable by its owner
    alone.

    Where it cannot be kept, one that this process forgets: the commands that need the folder say
    what is wrong with it.
    """
    given: str = env.str(name, default="")
    if given:
        return given
    if kept := _kept(path):
        return kept
    key: str = get_random_secret_key()
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        _publish(fresh, path)
    except OSError:
        return _kept(path) or key
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return _kept(path) or key


def _kept(path: Path) -> str:
    """Empty where there is none yet, or one that a full disk cut off."""
    try:
        return path.read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ImproperlyConfigured(
            f"The secret key in {path} cannot be read ({reason}): let the user that runs Karen"
            " Admin read it."
        ) from error


def _publish(fresh: Path, path: Path) -> None:
    """Two processes may start at once: the first key stays.

    An empty file is no key and is replaced.
    """
    if path.exists():
        fresh.replace(path)
        return
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        fresh.replace(path)
