"""Pages, the HTTP API, sign-in and Django's admin."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView

from discovery.web.sign_in import SetPassword, SignIn, SignOut, from_provider, to_provider

urlpatterns = [
    path(
        "login/",
        SignIn.as_view(),
        name="login",
    ),
    path(
        "set-password/<uidb64>/<token>/",
        login_not_required(SetPassword.as_view()),
        name="set-password",
    ),
    path("login/provider/", to_provider, name="openid"),
    path("login/provider/callback/", from_provider, name="openid-callback"),
    path("logout/", SignOut.as_view(), name="logout"),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account")),
    path("admin/password_change/done/", RedirectView.as_view(pattern_name="account")),
    path(
        "admin/discovery/skipped/",
        RedirectView.as_view(pattern_name="admin:discovery_skippedpath_changelist"),
    ),
    path("admin/", admin.site.urls),
    path("", include("discovery.api.urls")),
    path("", include("discovery.web.urls")),
]

handler400 = "discovery.web.shared.errors.bad_request"
handler403 = "discovery.web.shared.errors.permission_denied"
handler404 = "discovery.web.shared.errors.page_not_found"
handler500 = "discovery.web.shared.errors.server_error"
