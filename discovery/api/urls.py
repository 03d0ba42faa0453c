"""Addresses of the API. It has its own door: the redirect to the sign-in form is for pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from discovery.api import (
    access,
    accounts,
    bulk_edits,
    changes,
    cleanup,
    collections,
    discovery,
    docs,
    downloads,
    health,
    insight,
    integrations,
    machinery,
    metadata,
    model_details,
    model_list,
    models,
    moves,
    openai,
    plugins,
    probes,
    problems,
    registration,
    registries,
    registry_matches,
    roots,
    rules,
    saved_views,
    scans,
    system,
    tags,
    taxonomies,
    transfer,
)
from discovery.api.app import api

#: What stands in the place of a model_id comes first.
for resource in (
    model_list,
    discovery,
    moves,
    scans,
    registration,
    metadata,
    models,
    model_details,
    health,
    problems,
    insight,
    transfer,
    rules,
    cleanup,
    roots,
    integrations,
    machinery,
    taxonomies,
    tags,
    collections,
    saved_views,
    access,
    accounts,
    changes,
    bulk_edits,
    system,
    plugins,
    registry_matches,
    registries,
    downloads,
):
    api.add_router("", resource.router)

_addresses, _app_name, _namespace = api.urls
for _address in _addresses:
    if isinstance(_address, URLPattern):
        _address.callback.login_required = False  # type: ignore[attr-defined]

urlpatterns = [
    path("api/docs", docs.docs, name="openapi-page"),
    path("api/examples", docs.examples, name="openapi-examples"),
    path("api/", docs.root, name="api"),
    path("api/", (_addresses, _app_name, _namespace)),
    path("v1/models", openai.listed, name="openai-models"),
    path("v1/models/<str:model_id>", openai.one, name="openai-model"),
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.prometheus, name="metrics"),
]
