"""Accounts and groups in Django's administration.

People who may change them cannot give anybody, including themselves, more rights than they have.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from discovery.services.access import accounts, elsewhere, permissions

#: What gives rights. Groups do: by their permissions, and by the models that are shared with them.
PRIVILEGES = ("is_staff", "is_superuser", "groups", "user_permissions")

#: Of django-q2: the function of a task or a schedule is as good as a shell. Schedules are looked
#: after on the System page. Of django-allauth nothing but its sign-in is used.
_NOT_OURS = ("django_q", "account", "socialaccount")
for _model in [model for model in admin.site._registry if model._meta.app_label in _NOT_OURS]:
    admin.site.unregister(_model)

admin.site.unregister(User)
admin.site.unregister(Group)


class PasswordForm(AdminAuthenticationForm):
    """Where signing in with a password is turned off, superusers still may."""

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if fault := elsewhere.password_fault(user):
            raise ValidationError(fault, code="local_off")


admin.site.login_form = PasswordForm


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


class AccountForm(UserChangeForm):  # type: ignore[type-arg]
    """Show an error at the field when the last superuser would lose the role."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        now = {name: cleaned.get(name, getattr(self.instance, name)) for name in _STATES}
        try:
            accounts.check_superuser_remains(
                self.instance, superuser=now["is_superuser"], active=now["is_active"]
            )
        except accounts.LastSuperuser as error:
            self.add_error(next(name for name in _STATES if not now[name]), str(error))
        return cleaned


_STATES = ("is_superuser", "is_active")


@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]
    """Privileges are for superusers to give.

    Others change, reset and delete accounts that can do no more than their own.
    """

    form = AccountForm

    def own_history(self, obj: Any) -> str:
        return reverse("account-changes")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if _is_superuser(request) else (*fields, *PRIVILEGES)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._reaches(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._reaches(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return the objects to delete; the last superuser is among the protected ones."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        if not needed:
            try:
                accounts.check_superuser_remains(*objs)
            except accounts.LastSuperuser as error:
                protected.append(str(error))
        return deleted, counts, needed, protected

    @staticmethod
    def _reaches(request: HttpRequest, obj: User | None) -> bool:
        return obj is None or permissions.outranks(cast("User", request.user), obj)


@admin.register(Group)
class PeopleAdmin(GroupAdmin):
    """The administration of groups.

    Only superusers change a group with permissions; others manage the groups that models are shared
    with.
    """

    def get_readonly_fields(
        self, request: HttpRequest, obj: Group | None = None
    ) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if _is_superuser(request) else (*fields, "permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._reaches(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._reaches(request, obj)

    def own_history(self, obj: Any) -> str:
        return reverse("account-changes")

    @staticmethod
    def _reaches(request: HttpRequest, obj: Group | None) -> bool:
        return _is_superuser(request) or obj is None or not obj.permissions.exists()
