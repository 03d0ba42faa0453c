"""Pages, the HTTP API, sign-in and Django's admin."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from discovery.web.sign_in import SetPassword, SignIn

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
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account")),
    path("admin/password_change/done/", RedirectView.as_view(pattern_name="account")),
    path("admin/", admin.site.urls),
    path("", include("discovery.api.urls")),
    path("", include("discovery.web.urls")),
]

handler400 = "discovery.web.shared.errors.bad_request"
handler403 = "discovery.web.shared.errors.permission_denied"
handler404 = "discovery.web.shared.errors.page_not_found"
handler500 = "discovery.web.shared.errors.server_error"
