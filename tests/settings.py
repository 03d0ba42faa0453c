"""The product's settings on throw-away folders; ``DATABASE_URL`` and ``REDIS_URL`` choose what the
suite runs on.
"""

import os
import tempfile
from pathlib import Path

_FOLDER = Path(tempfile.mkdtemp(prefix="karen-tests-"))
os.environ.update(
    {
        "KAREN_DATA_DIR": str(_FOLDER / "data"),
        "KAREN_CONFIG_DIR": str(_FOLDER / "config"),
        "KAREN_LOGS_DIR": str(_FOLDER / "logs"),
        "KAREN_MODELS_DIR": str(_FOLDER / "models"),
        "KAREN_PLUGINS_DIR": str(_FOLDER / "plugins"),
        "KAREN_SECRET_KEY": "only-for-tests-" + "k" * 40,
    }
)

from karen_admin.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # A file, as in production: threads of the live server get connections of their own instead of
    # sharing one in memory.
    DATABASES["default"]["TEST"] = {"NAME": str(_FOLDER / "test.sqlite3")}  # noqa: F405

# What sign-in through a provider needs is there; a test configures one, and none is by default.
INSTALLED_APPS[-1:-1] = OIDC_APPS  # noqa: F405
MIDDLEWARE.append(OIDC_MIDDLEWARE)  # noqa: F405

# Each process of the suite has a queue of its own: on Redis they would share one.
Q_CLUSTER["name"] = f"karen-tests-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"  # noqa: F405
