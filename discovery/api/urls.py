"""Addresses of the API. It has its own door: the redirect to the sign-in form is for pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from discovery.api import discovered, documents
from discovery.api.app import api

for resource in (discovered, documents):
    api.add_router("", resource.router)

_addresses, _app_name, _namespace = api.urls
for _address in _addresses:
    if isinstance(_address, URLPattern):
        _address.callback.login_required = False  # type: ignore[attr-defined]

urlpatterns = [path("api/", (_addresses, _app_name, _namespace))]
