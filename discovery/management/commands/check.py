"""``check``: Django's own, which fails for a config file that is not in force as well."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.commands import check

from discovery.services.core import config_files


class Command(check.Command):
    def handle(self, *app_labels: Any, **options: Any) -> None:
        """Run the checks; exit with code 1 for a broken config file.

        Everything else continues with the file's last good version.
        """
        super().handle(*app_labels, **options)
        if config_files.faults():
            sys.exit(1)
