"""``manage.py check``: config files that are not in force because something is wrong with them."""

from __future__ import annotations

from typing import Any

from django.core import checks

from discovery.services import configs

HINT = "The last good version stays in force until the file is mended."


@checks.register()
def config_files(**_: Any) -> list[checks.CheckMessage]:
    """Warnings, not errors: a config file that is wrong stops nothing."""
    return [
        checks.Warning(str(fault), hint=HINT, id="discovery.W001") for fault in configs.faults()
    ]
