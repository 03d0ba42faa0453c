"""Where somebody is signed in, and what they prefer there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils import timezone

from discovery.engine.core.text import clean
from discovery.models import Profile, UserSession
from discovery.services.core.client_address import address

#: Where a session keeps when and from where it began.
_KEY = "signed_in"


class Accounts(ModelBackend):
    """Django's, which fetches what people prefer together with their accounts."""

    def get_user(self, user_id: Any) -> User | None:
        person = User.objects.select_related("profile").filter(pk=user_id).first()
        return person if person is not None and self.user_can_authenticate(person) else None


@dataclass(frozen=True, slots=True)
class Place:
    """One browser; ``began`` is unknown for a session that a program opened."""

    key: str
    began: datetime | None
    address: str
    browser: str
    here: bool


def places(user: User, here: str | None) -> list[Place]:
    """Return where this user is signed in: the session ``here`` first, then the newest."""
    found = []
    for row in UserSession.objects.filter(user_id=user.pk, expire_date__gt=timezone.now()):
        data = row.get_decoded().get(_KEY, {})
        began = datetime.fromisoformat(data["at"]) if data else None
        found.append(
            Place(
                row.session_key,
                began,
                data.get("address", ""),
                data.get("browser", ""),
                row.session_key == here,
            )
        )
    oldest = timezone.now().replace(year=1970)
    return sorted(found, key=lambda each: (each.here, each.began or oldest), reverse=True)


def sign_out_elsewhere(user: User, here: str | None) -> int:
    """End all other sessions; return how many there were."""
    rows = UserSession.objects.filter(user_id=user.pk).exclude(session_key=here or "")
    return rows.delete()[0]


def zone(user: Any) -> ZoneInfo | None:
    """The time zone that somebody chose; ``None``: they did not, or it is not known any more."""
    name = profile(user).time_zone
    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return None


def theme(user: Any) -> str:
    return profile(user).theme


def start_page(user: Any) -> str:
    return profile(user).start_page


def profile(user: Any) -> Profile:
    """What somebody chose; the defaults for who chose nothing, and for visitors."""
    try:
        found: Profile = user.profile
    except (AttributeError, Profile.DoesNotExist):
        return Profile()
    return found


def _began(request: HttpRequest | None, **_: Any) -> None:
    if request is not None and hasattr(request, "session"):
        request.session[_KEY] = {
            "at": timezone.now().isoformat(),
            "address": address(request),
            "browser": browser(request.META.get("HTTP_USER_AGENT", "")),
        }


#: Marks in what browsers say of themselves → names; the first that is there counts: most claim to
#: be others as well.
_BROWSERS = {
    "Edg": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari",
}  # fmt: skip
_SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows",
    "Mac OS": "macOS", "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


def browser(agent: str) -> str:
    """``Firefox on Linux``; what it says itself where it is none of those known."""
    name = next((name for mark, name in _BROWSERS.items() if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in agent), "")
    return f"{name} on {system}" if name and system else name or clean(agent, 60)


def listen() -> None:
    """Called once, when the application is ready."""
    user_logged_in.connect(_began, dispatch_uid="karen-session-began")
