#!/usr/bin/env python
"""Django's command line, and the front door of Karen Admin: ``python manage.py serve``."""

from karen_admin.command_line import main

if __name__ == "__main__":
    main()
