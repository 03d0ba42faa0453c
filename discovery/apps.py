from typing import Any

from django.apps import AppConfig
from django.core.management import call_command
from django.db.models.signals import post_migrate, pre_migrate


class DiscoveryConfig(AppConfig):
    name = "discovery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from discovery import checks  # noqa: F401  (registers the system checks)
        from discovery.models import listing, listing_version
        from discovery.services.access import (
            account_journal,
            audiences,
            external_groups,
            signed_in,
            signing_in,
        )
        from discovery.services.jobs import allowed_tasks

        for followed in (listing_version, listing):
            pre_migrate.connect(followed.uninstall, sender=self)
            post_migrate.connect(followed.install, sender=self)
        post_migrate.connect(make_cache_tables, sender=self)
        signing_in.listen()
        signed_in.listen()
        account_journal.listen()
        audiences.listen()
        external_groups.listen()
        allowed_tasks.guard()


def make_cache_tables(using: str, **_: Any) -> None:
    """Create the table of the cache that ``CACHES`` has for PostgreSQL.

    Django does not create it by itself.
    """
    call_command("createcachetable", database=using, verbosity=0)
