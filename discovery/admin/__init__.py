"""Django's administration of the registry.

What scans write is shown, not edited; what people decide goes through the services.
"""

from django.contrib import admin

from discovery.admin import (
    accounts,
    collections,
    curation,
    integrations,
    records,
    registered_models,
    roots,
)

__all__ = [
    "accounts",
    "collections",
    "curation",
    "integrations",
    "records",
    "registered_models",
    "roots",
]

admin.site.site_header = "Karen Admin"
admin.site.site_title = "Karen Admin"
admin.site.index_title = "Administration"
