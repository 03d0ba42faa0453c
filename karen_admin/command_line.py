"""``manage.py``: Django's command line.

What is wrong with the installation is one sentence and exit code 2, not a traceback.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence

from discovery import startup
from karen_admin import streams


def main() -> None:
    # Starting makes a hundred thousand objects that stay: at Python's own threshold of 700, looking
    # for garbage among them was a tenth of the start.
    gc.set_threshold(50_000, 20, 20)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karen_admin.settings")
    startup.keep_files_private()
    streams.open_standard()
    sys.exit(run(sys.argv))


def run(argv: Sequence[str]) -> int:
    """The exit code.

    ``--traceback`` shows where the trouble came from, as with Django's own errors.
    """
    from django.conf import settings

    from discovery.management.own_command import Utility
    from discovery.services.core import failures

    try:
        # Django puts off what is wrong with the settings until something asks for them: a command,
        # or none at all.
        _ = settings.INSTALLED_APPS
        code = _ended(Utility(list(argv)).execute)
        streams.flush()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        failure = failures.explain(error)
        if failure is None or "--traceback" in argv:
            raise
        sys.stderr.write(f"{failure}\n")
        return 2
    return code


def _ended(command: Callable[[], None]) -> int:
    """Run the command; return the code that it exits with."""
    try:
        command()
    except SystemExit as ended:
        if isinstance(ended.code, str):  # as Python itself does
            sys.stderr.write(f"{ended.code}\n")
            return 1
        return ended.code or 0
    return 0


if __name__ == "__main__":
    main()
