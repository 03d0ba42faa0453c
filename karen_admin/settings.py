"""Settings, read from the environment and from a ``.env`` beside manage.py (section 3 of the contract; see README)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def _directory(name: str, default: str) -> Path:
    return Path(env.str(name, default=str(BASE_DIR / default))).expanduser().absolute()


DATA_DIR = _directory("KAREN_DATA_DIR", "var")
CONFIG_DIR = _directory("KAREN_CONFIG_DIR", "config")
MODELS_DIR = _directory("KAREN_MODELS_DIR", "models")
PLUGINS_DIR = _directory("KAREN_PLUGINS_DIR", "plugins")
LOGS_DIR = _directory("KAREN_LOGS_DIR", "logs")


def _writable(directory: Path) -> bool:
    """Makes the directory where it is missing. What to say when that fails is up to the commands that need it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


def _secret_key() -> str:
    """``KAREN_SECRET_KEY``, else one made once and kept in the data directory, readable by its owner alone."""
    given: str = env.str("KAREN_SECRET_KEY", default="")
    if given:
        return given
    path = DATA_DIR / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    except OSError:
        # The commands that need the directory say so in their own words; sessions of this process die with it.
        return get_random_secret_key()
    with os.fdopen(descriptor, "w") as file:
        key = get_random_secret_key()
        file.write(key)
    return key


def _rate(name: str, default: str) -> str:
    rate: str = env.str(name, default=default)
    if rate and not re.fullmatch(r"[1-9]\d{0,8}/(s|min|h)", rate):
        raise ImproperlyConfigured(
            f"{name} is {rate!r}: write a number and s, min or h, like 600/min, or nothing for no limit."
        )
    return rate


_writable(DATA_DIR)
_LOGS_WRITABLE = _writable(LOGS_DIR)

DEBUG = env.bool("KAREN_DEBUG", default=False)
SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.list("KAREN_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("KAREN_CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "django_q",
    "discovery",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # before what serves the static files: scripts and styles are most of a first visit
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "discovery.api.middleware.ApiMiddleware",
    "discovery.api.middleware.ApiConditionalGetMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "karen_admin.middleware.SignInMiddleware",
    "discovery.web.errors.method_not_allowed",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "karen_admin.urls"
WSGI_APPLICATION = "karen_admin.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "discovery.web.context.sidebar",
            ],
        },
    }
]

DATABASES = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'karen.sqlite3'}")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Writers queue up instead of failing: WAL lets readers go on, IMMEDIATE takes the write lock at the start of a transaction. Pages are read
    # where the system has them in memory already, instead of being copied one by one.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; PRAGMA mmap_size=2147418112;",
    }
else:
    DATABASES["default"].update({"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
# Where task clusters say every second that they are alive, for the System page to hear (in Redis itself where that is the broker). Beside
# SQLite all of them are on this machine and files do, which take no write lock; beside PostgreSQL they may be anywhere.
_ONE_MACHINE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    },
    "clusters": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(DATA_DIR / "clusters"),
    }
    if _ONE_MACHINE
    else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cluster_states"},
}
Q_CLUSTER: dict[str, Any] = {
    "name": "karen-admin",
    "label": "Tasks",
    "workers": 2,
    "timeout": 6
    * 86_400,  # a scan takes as long as the disks need; it is stopped by its own Stop button
    "retry": 7 * 86_400,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 250,
    "bulk": 1,
    "poll": 1,
    "guard_cycle": 1,
    "cache": "clusters",
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
CSRF_FAILURE_VIEW = "discovery.web.errors.csrf_failure"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
USE_THOUSAND_SEPARATOR = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served straight from where they lie: no collectstatic step between a checkout and a running server.
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 300

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
# Behind a proxy that speaks HTTPS, an https:// origin among the trusted ones turns the secure cookies on.
_HTTPS = any(origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _HTTPS else None
# HTTPS and HSTS are the proxy's: on 127.0.0.1, where `serve` listens, there is none to redirect to.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"] + (
    [] if _HTTPS else ["security.W012", "security.W016"]
)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 << 20

#: Requests that one token or signed-in person, and one address without credentials, may make of the API: ``600/s``, ``600/min``, ``600/h``,
#: or empty for no limit. Each web process counts by itself.
API_RATE_TOKEN = _rate("KAREN_API_RATE_TOKEN", "12000/min")
API_RATE_ADDRESS = _rate("KAREN_API_RATE_ADDRESS", "1200/min")
#: Origins (``https://chat.example.org``) whose pages may call the API with a token; empty: none but our own.
API_CORS_ORIGINS = env.list("KAREN_API_CORS_ORIGINS", default=[])
#: Hosts and networks inside this one (``10.1.0.0/16``, ``hooks.local``) that webhooks may reach; others are refused.
WEBHOOK_PRIVATE = env.list("KAREN_WEBHOOK_PRIVATE", default=[])
#: Proxies in front of the server whose X-Forwarded-For is to be believed.
API_PROXIES = env.int("KAREN_API_PROXIES", default=0)

#: The guide's log files: channel → file name. One line an event.
LOG_FILES = {
    "discovery": "model_discovery.log",
    "validation": "model_validation.log",
    "metadata": "metadata_extraction.log",
    "categorization": "categorization.log",
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "event": {"format": "%(message)s"},
        "plain": {"format": "{levelname} {name}: {message}", "style": "{"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain", "stream": sys.stderr},
        **{
            channel: {
                "class": "concurrent_log_handler.ConcurrentRotatingFileHandler"
                if _LOGS_WRITABLE
                else "logging.NullHandler",
                **(
                    {
                        "filename": str(LOGS_DIR / name),
                        "maxBytes": 5_000_000,
                        "backupCount": 5,
                        "formatter": "event",
                        "encoding": "utf-8",
                    }
                    if _LOGS_WRITABLE
                    else {}
                ),
            }
            for channel, name in LOG_FILES.items()
        },
    },
    "loggers": {
        f"karen.{channel}": {"handlers": [channel], "level": "INFO", "propagate": False}
        for channel in LOG_FILES
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
}
