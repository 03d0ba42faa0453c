"""Settings, read from the environment and from a ``.env`` beside manage.py: see
docs/configuration.md.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from karen_admin import environment
from karen_admin.environment import env

BASE_DIR = Path(__file__).resolve().parent.parent

environment.read_file(BASE_DIR / ".env")

DATA_DIR = environment.directory("KAREN_DATA_DIR", BASE_DIR / "var")
CONFIG_DIR = environment.directory("KAREN_CONFIG_DIR", BASE_DIR / "config")
MODELS_DIR = environment.directory("KAREN_MODELS_DIR", BASE_DIR / "models")
PLUGINS_DIR = environment.directory("KAREN_PLUGINS_DIR", BASE_DIR / "plugins")
LOGS_DIR = environment.directory("KAREN_LOGS_DIR", BASE_DIR / "logs")

for _folder in (DATA_DIR, LOGS_DIR):
    # What cannot be made is told by what needs it: `serve`, `check` and the System page.
    with suppress(OSError):
        _folder.mkdir(mode=0o700, parents=True, exist_ok=True)

#: Whether ``serve --demo`` has begun: its data folder is one of a demo's own.
DEMO = env.str("KAREN_DEMO", default="") == str(DATA_DIR.parent)
DEBUG = environment.flag("KAREN_DEBUG", default=False)
SECRET_KEY = environment.secret_key("KAREN_SECRET_KEY", DATA_DIR / "secret_key")
ALLOWED_HOSTS = env.list("KAREN_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = environment.origins("KAREN_CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "discovery.site.Config",  # Django's admin, with forms that compare
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "django_htmx",
    "template_partials",
    "karen_admin",  # before django_q: its qcluster command is ours
    "django_q",
    "discovery",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Before what serves the static files: scripts and styles are most of a first visit.
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "karen_admin.middleware.private_answers",
    "karen_admin.middleware.reading_writes_nothing",
    # Around what makes the API's errors: those carry its headers too.
    "discovery.api.cors.CorsMiddleware",
    "discovery.api.middleware.ApiMiddleware",
    "discovery.api.middleware.ApiConditionalGetMiddleware",
    "csp.middleware.CSPMiddleware",
    "karen_admin.hosts.known_host",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "karen_admin.middleware.ProxySignInMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "karen_admin.middleware.PersonMiddleware",
    "discovery.web.view_as.ViewAsMiddleware",
    "karen_admin.middleware.SignInMiddleware",
    "karen_admin.middleware.LockedMiddleware",
    "discovery.web.shared.errors.method_not_allowed",
    "discovery.web.shared.errors.RootSilentMiddleware",
    "discovery.web.shared.errors.RenamedMiddleware",
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
                "discovery.web.shared.context.sidebar",
                "discovery.web.shared.context.theme",
            ],
        },
    }
]

DATABASES = {
    "default": environment.database(
        "DATABASE_URL", f"sqlite:///{DATA_DIR / 'karen.sqlite3'}", BASE_DIR
    )
}
if DATABASES["default"]["ENGINE"] == environment.SQLITE:
    # Writers queue up instead of failing: WAL lets readers go on, IMMEDIATE takes the write lock at
    # the start of a transaction. Pages are read where the system has them in memory already,
    # instead of being copied one by one.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; PRAGMA"
            " mmap_size=2147418112;"
        ),
    }
else:
    DATABASES["default"].update({"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = environment.redis("REDIS_URL")
# Where task clusters say every second that they are alive, for the System page to hear (in Redis
# itself where that is the broker). Beside SQLite all of them are on this machine and files do,
# which take no write lock; beside PostgreSQL they may be anywhere.
_ONE_MACHINE = DATABASES["default"]["ENGINE"] == environment.SQLITE
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    },
    "clusters": (
        {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(DATA_DIR / "clusters"),
        }
        if _ONE_MACHINE
        else {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "cluster_states",
        }
    ),
}
Q_CLUSTER: dict[str, Any] = {
    "name": "karen-admin",
    "label": "Tasks",
    # Three may read the roots at once (services.jobs.worker_slots): a deep validation, a test load
    # and a scan. One is left for everything else.
    "workers": 4,
    # A scan takes as long as the disks need; it is stopped by its own Stop button.
    "timeout": 6 * 86_400,
    "retry": 7 * 86_400,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 250,
    "bulk": 1,
    "poll": 1,
    "guard_cycle": 1,
    "cache": "clusters",
    "broker_class": (
        f"discovery.services.jobs.brokers.{'RedisBroker' if REDIS_URL else 'DatabaseBroker'}"
    ),
    **({"redis": environment.patient(REDIS_URL)} if REDIS_URL else {"orm": "default"}),
}

# Guard refuses while sign-in is locked, Accounts knows people and permissions, Objects knows rows.
AUTHENTICATION_BACKENDS = [
    "discovery.services.access.signing_in.Guard",
    "discovery.services.access.signed_in.Accounts",
    "discovery.services.access.permissions.Objects",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
CSRF_FAILURE_VIEW = "discovery.web.shared.errors.csrf_failure"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

# Sign-in from elsewhere: docs/access.md. Off unless the variables are there.
OIDC_ISSUER = env.str("KAREN_OIDC_ISSUER", default="").strip()
OIDC_CLIENT_ID = env.str("KAREN_OIDC_CLIENT_ID", default="").strip()
OIDC_CLIENT_SECRET = environment.secret("KAREN_OIDC_CLIENT_SECRET")
OIDC_LABEL = env.str("KAREN_OIDC_LABEL", default="").strip() or "Sign in with single sign-on"
OIDC_SCOPES = env.str("KAREN_OIDC_SCOPES", default="openid profile email").split()
OIDC_USERNAME_CLAIM = env.str("KAREN_OIDC_USERNAME_CLAIM", default="preferred_username").strip()
OIDC_GROUPS_CLAIM = env.str("KAREN_OIDC_GROUPS_CLAIM", default="groups").strip()
PROXY_USER_HEADER = environment.header("KAREN_PROXY_USER_HEADER")
PROXY_GROUPS_HEADER = environment.header("KAREN_PROXY_GROUPS_HEADER")
#: The only direct peers whose header is believed.
PROXY_ADDRESSES = environment.networks("KAREN_PROXY_ADDRESSES")
PROXY_SIGN_OUT_URL = environment.url("KAREN_PROXY_SIGN_OUT_URL")
#: What the provider or the proxy calls its groups → groups here.
SIGN_IN_GROUPS = environment.groups("KAREN_SIGN_IN_GROUPS")
SIGN_IN_UNKNOWN_GROUPS = environment.choice("KAREN_SIGN_IN_UNKNOWN_GROUPS", ("ignore", "create"))
SIGN_IN_REQUIRE_GROUP = environment.flag("KAREN_SIGN_IN_REQUIRE_GROUP", default=False)
SIGN_IN_SUPERUSERS = environment.names("KAREN_SIGN_IN_SUPERUSERS")
SIGN_IN_STAFF = environment.names("KAREN_SIGN_IN_STAFF")
SIGN_IN_CREATE_ACCOUNTS = environment.flag("KAREN_SIGN_IN_CREATE_ACCOUNTS", default=True)
SIGN_IN_MATCH = environment.choice("KAREN_SIGN_IN_MATCH", ("nothing", "username", "email"))
#: Without it only superusers sign in with a password.
SIGN_IN_LOCAL = environment.flag("KAREN_SIGN_IN_LOCAL", default=True)

#: What django-allauth needs, where the provider is configured and the extra is installed.
OIDC_APPS = [
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
]
OIDC_MIDDLEWARE = "allauth.account.middleware.AccountMiddleware"
OIDC_INSTALLED = all(find_spec(name) is not None for name in ("allauth", "jwt", "cryptography"))
if OIDC_ISSUER and OIDC_CLIENT_ID and OIDC_CLIENT_SECRET and OIDC_INSTALLED:
    INSTALLED_APPS[-1:-1] = OIDC_APPS  # before ours, which takes their pages out of the admin
    MIDDLEWARE.append(OIDC_MIDDLEWARE)
SOCIALACCOUNT_ADAPTER = "discovery.web.openid.Adapter"
ACCOUNT_EMAIL_VERIFICATION = SOCIALACCOUNT_EMAIL_VERIFICATION = "none"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
# As on the pages: 28 Nov 2026, 23:29.
DATE_FORMAT, DATETIME_FORMAT = "j M Y", "j M Y, H:i"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served straight from where they lie: no collectstatic step between a checkout and a running
# server.
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
SESSION_ENGINE = "discovery.models.sessions"
SESSION_COOKIE_HTTPONLY = True
# Behind a proxy that speaks HTTPS, an https:// origin among the trusted ones turns the secure
# cookies on.
_HTTPS = any(origin.startswith("https://") for origin in CSRF_TRUSTED_ORIGINS)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _HTTPS else None
# HTTPS and HSTS are the proxy's: on 127.0.0.1, where `serve` listens, there is none to redirect to.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"] + (
    [] if _HTTPS else ["security.W012", "security.W016"]
)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 << 20

#: Requests that one token or signed-in person, and one address without credentials, may make of the
#: API: ``600/s``, ``600/min``, ``600/h``, or empty for no limit; ``None``: ``throttles`` of the
#: config file. Each web process counts by itself.
API_RATE_TOKEN = environment.rate("KAREN_API_RATE_TOKEN")
API_RATE_ADDRESS = environment.rate("KAREN_API_RATE_ADDRESS")
#: Origins (``https://chat.example.org``) whose pages may call the API with a token; empty: none but
#: our own.
CORS_ALLOWED_ORIGINS = environment.origins("KAREN_API_CORS_ORIGINS")
CORS_URLS_REGEX = r"/(api|v1)/"
CORS_ALLOW_METHODS = ["GET", "POST", "PUT", "DELETE"]
CORS_ALLOW_HEADERS = [
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
]
CORS_EXPOSE_HEADERS = [
    "Content-Location",
    "ETag",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "Idempotency-Replayed",
]
CORS_PREFLIGHT_MAX_AGE = 600
#: Hosts and networks inside this one (``10.1.0.0/16``, ``hooks.local``) that webhooks may reach;
#: others are refused.
WEBHOOK_PRIVATE = env.list("KAREN_WEBHOOK_PRIVATE", default=[])
#: The same for the servers of hosted models (``127.0.0.1``); ``None``: those of webhooks.
ENDPOINT_PRIVATE = env.list("KAREN_ENDPOINT_PRIVATE", default=None)
#: The same for external registries and mirrors of them.
REGISTRY_PRIVATE = env.list("KAREN_REGISTRY_PRIVATE", default=[])
#: Proxies in front of the server whose X-Forwarded-For is to be believed.
API_PROXIES = environment.count("KAREN_API_PROXIES", default=0)

#: What the housekeeper does each round besides looking after jobs: dotted names of functions.
CHORES = [
    "discovery.services.settings.watch.follow",
    "discovery.services.access.access_file.follow",
    "discovery.services.registries.syncing.request_due",
    "discovery.services.downloads.queue.clean_up",
    "discovery.services.downloads.automatic.request_due",
]

#: The guide's log files, and one of our own for locked sign-ins: channel → file name. One line an
#: event.
LOG_FILES = {
    "discovery": "model_discovery.log",
    "validation": "model_validation.log",
    "metadata": "metadata_extraction.log",
    "categorization": "categorization.log",
    "access": "access.log",
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "event": {"format": "%(message)s"},
        "plain": {
            "()": "karen_admin.log_files.Plain",
            "format": "{levelname} {name}: {message}",
            "style": "{",
        },
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain", "stream": sys.stderr},
        **{
            channel: {
                "class": "karen_admin.log_files.EventFile",
                "filename": str(LOGS_DIR / name),
                "maxBytes": 5_000_000,
                "backupCount": 5,
                "formatter": "event",
                "encoding": "utf-8",
                "chmod": 0o600,
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
