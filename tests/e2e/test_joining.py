"""A part of another model is joined with it, and the old address leads there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from discovery.models import ProposedJoin, RegisteredModel
from discovery.services.metadata import metadata

Make = Callable[..., RegisteredModel]


def test_two_records_are_compared_and_joined(
    make_model: Make, sign_in: Callable[..., None], page: Page, live_server: Any
) -> None:
    sign_in(to="/scans/")
    anna = User.objects.get(is_superuser=True)
    old = make_model("part", status="MISSING", missing_since=timezone.now(), fingerprint="1" * 32)
    new = make_model("whole", fingerprint="2" * 32)
    for record in (old, new):
        metadata.edit(record, {"license": f"of-{record.name}"}, by=anna, channel="page")
    ProposedJoin.objects.create(old=old, new=new, at=timezone.now())
    page.goto(f"{live_server.url}/scans/")
    page.get_by_role("link", name="Review moves").click()
    page.get_by_role("link", name="Compare part with").click()
    expect(page.get_by_role("heading", name="Is part part of whole?")).to_be_visible()
    page.get_by_role("button", name="Join").click()
    page.wait_for_url("**/models/whole/")
    page.goto(f"{live_server.url}/models/part/history/")
    page.wait_for_url("**/models/whole/history/")
    expect(page.get_by_text("Was known as part until")).to_be_visible()
