"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from discovery import startup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karen_admin.settings")

startup.die_with_worker_parent()
startup.keep_files_private()
application = get_wsgi_application()
