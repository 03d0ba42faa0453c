"""Cross-origin calls, off by default.

Pages of other sites may use the API with a token, where ``KAREN_API_CORS_ORIGINS`` names their
origins.

Cookies are never accepted: a session only works on the pages of this site. Source:
https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

from corsheaders import middleware
from corsheaders.conf import conf
from django.http import HttpRequest


class CorsMiddleware(middleware.CorsMiddleware):
    """django-cors-headers, switched off completely where no origin is configured.

    An ``OPTIONS`` request then reaches the endpoint itself, and no response depends on the origin.
    """

    def is_enabled(self, request: HttpRequest) -> bool:
        return bool(conf.CORS_ALLOWED_ORIGINS) and super().is_enabled(request)
