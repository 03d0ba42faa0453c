"""The demo shows what people make of a registry, and says that it is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.demo.tree import make_demo_tree
from discovery.management import demo_registry
from discovery.models import Collection, MetadataChange, RegisteredModel, Root
from discovery.services.insight import overview
from tests.support.page_text import page_text


@pytest.mark.slow
@pytest.mark.django_db
def test_the_demo_holds_collections_groups_history_and_growth(
    admin_user: User, models_root: Path, settings: Any, admin_client: Client
) -> None:
    make_demo_tree(models_root)
    Root.objects.create(path=str(models_root))
    demo_registry.furnish(admin_user)
    assert [each.models.count() > 1 for each in Collection.objects.all()] == [True] * 3
    assert all(each.groups.exists() for each in Collection.objects.all())
    members = {
        each.name: each.user_set.count()
        for each in Group.objects.filter(name__in=demo_registry.GROUPS)
    }
    assert members == {"Research": 2, "Product": 1}
    assert MetadataChange.objects.filter(by=admin_user).count() > 5
    grown = [point.found for point in overview.growth()]
    assert grown == sorted(grown)
    assert len(grown) > 10
    assert grown[-1] == RegisteredModel.objects.count()
    assert not User.objects.get(username="mei").has_usable_password()
    settings.DEMO = True
    assert "This is a demo." in page_text(admin_client.get("/"))


def test_nothing_else_says_that_it_is_a_demo(admin_client: Client) -> None:
    html = page_text(admin_client.get("/"))
    assert "This is a demo." not in html
    assert ">Demo<" not in html
