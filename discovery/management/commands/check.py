"""``check``: Django's own, which fails for what is configured and not in force as well."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.commands import check

from discovery.services.access import elsewhere
from discovery.services.core import config_files


class Command(check.Command):
    def handle(self, *app_labels: Any, **options: Any) -> None:
        """Run the checks; exit with code 1 for a broken config file or half configured sign-in.

        Everything else continues with the file's last good version, and without that sign-in.
        """
        super().handle(*app_labels, **options)
        if config_files.faults() or any(elsewhere.errors()):
            sys.exit(1)
