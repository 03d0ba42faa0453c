"""What all commands of ours say where they are called in a wrong way, or cannot run."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import Any, NoReturn

from django.core.management import ManagementUtility, get_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser

EXIT_CODES = "Exit codes: 0 done; 1 done, and problems were found; 2 could not run."


class Utility(ManagementUtility):
    """Django's command line, with one sentence for a command that does not exist."""

    def fetch_command(self, subcommand: str) -> BaseCommand:
        known = get_commands()
        if subcommand not in known:
            meant = "".join(get_close_matches(subcommand, known, n=1))
            hint = f"Did you mean {meant}?" if meant else "manage.py help lists them."
            sys.stderr.write(f"There is no command {subcommand[:80]}. {hint}\n")
            sys.exit(2)
        return super().fetch_command(subcommand)


class OwnCommand(BaseCommand):
    """One sentence on standard error and exit code 2, without Django's usage and class names."""

    # Checking everything would import each page and endpoint.
    requires_system_checks: list[str] = []
    # Django sets it where manage.py runs the command, and not another program.
    _called_from_command_line: bool

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        options.setdefault("epilog", EXIT_CODES)
        parser = super().create_parser(prog_name, subcommand, **options)

        def wrong(message: str) -> NoReturn:
            if not self._called_from_command_line:
                raise CommandError(f"Error: {message}")
            sys.stderr.write(
                f"{subcommand}: {message}. manage.py {subcommand} --help lists what it takes.\n"
            )
            sys.exit(2)

        parser.error = wrong  # type: ignore[method-assign]
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            result: str | None = super().execute(*args, **options)
        except CommandError as error:
            if not self._called_from_command_line or options.get("traceback"):
                raise
            self.stderr.write(str(error))
            sys.exit(error.returncode)
        return result
