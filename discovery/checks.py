"""``manage.py check``: errors in config files, keys, plugin files and the product's folders."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.db import OperationalError, ProgrammingError

from discovery.services.access import access_file, elsewhere
from discovery.services.core import config_files as configs
from discovery.services.core import private_files
from discovery.services.integrations import endpoint_keys
from discovery.services.plugins import sources

HINT = "The last good version stays in force until the file is mended."


@checks.register()
def config_files(**_: Any) -> list[checks.CheckMessage]:
    """Warnings, not errors: a config file that is wrong stops nothing."""
    return [
        checks.Warning(str(fault), hint=HINT, id="discovery.W001") for fault in configs.faults()
    ]


@checks.register()
def access_names(**_: Any) -> list[checks.CheckMessage]:
    """Warnings: a name that nothing has opens and closes nothing."""
    try:
        return [checks.Warning(text, id="discovery.W005") for text in access_file.warnings()]
    except (OperationalError, ProgrammingError):
        # Before the first ``migrate`` there is nothing that a name could match, and commands that
        # need the database say themselves that it cannot be read.
        return []


@checks.register()
def endpoint_environment(**_: Any) -> list[checks.CheckMessage]:
    """Warnings: a key that is bound to no host stops nothing, it is not sent."""
    return [checks.Warning(fault, id="discovery.W002") for fault in endpoint_keys.faults()]


@checks.register()
def sign_in_from_elsewhere(**_: Any) -> list[checks.CheckMessage]:
    """Warnings, although ``check`` fails for the first of them: what is half configured is off.

    Errors would stop every command, those for emergency access among them.
    """
    found: list[checks.CheckMessage] = [
        checks.Warning(text, id="discovery.W009") for text in elsewhere.errors()
    ]
    try:
        return found + [checks.Warning(text, id="discovery.W006") for text in elsewhere.warnings()]
    except (OperationalError, ProgrammingError):
        return found  # before the first ``migrate`` no group is there


@checks.register(deploy=True)
def sign_in_from_elsewhere_deployed(**_: Any) -> list[checks.CheckMessage]:
    """Warnings of ``check --deploy``."""
    return [checks.Warning(text, id="discovery.W007") for text in elsewhere.deployment_warnings()]


@checks.register()
def plugin_files(**_: Any) -> list[checks.CheckMessage]:
    """Warnings: a plugin that is not loaded stops nothing."""
    return [checks.Warning(fault, id="discovery.W008") for fault in sources.faults()]


@checks.register()
def folders(**_: Any) -> list[checks.CheckMessage]:
    """Warnings, not errors: events are kept in the database too."""
    log_fault = private_files.log_fault()
    told: list[checks.CheckMessage] = (
        [checks.Warning(log_fault, id="discovery.W003")] if log_fault else []
    )
    return told + [
        checks.Warning(text, id="discovery.W004") for text in private_files.open_folders()
    ]
