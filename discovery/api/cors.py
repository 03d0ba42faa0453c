"""Cross-origin calls: pages of other sites may use the API with a token, where
``KAREN_API_CORS_ORIGINS`` names them. Off by default.

Never with cookies: a session stays with the pages it was made for. Source:
https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from corsheaders import middleware
from corsheaders.conf import conf
from django.http import HttpRequest


class CorsMiddleware(middleware.CorsMiddleware):
    """django-cors-headers, but where no origin is named the API answers as if it knew none of this:
    an ``OPTIONS`` is the endpoint's own, and no answer depends on the origin.
    """

    def is_enabled(self, request: HttpRequest) -> bool:
        return bool(conf.CORS_ALLOWED_ORIGINS) and super().is_enabled(request)
