"""``/models/{model_id}/access?user=``: why one person sees a model, or does not."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.models import RegisteredModel
from discovery.services.access import access_rules, rule_terms

Make = Callable[..., RegisteredModel]

URL = "/api/models/m/access"


def test_administrators_are_told_rule_by_rule(
    administrator: Client, admin_user: User, user: User, make_model: Make
) -> None:
    make_model("m", license="mit")
    group = Group.objects.create(name="developers")
    user.groups.add(group)
    access_rules.make(
        rule_terms.term("license", "mit"), visibility="RESTRICTED", groups=[group], by=admin_user
    )
    told = administrator.get(URL, {"user": "reader"}).json()
    assert told["visibility_source"] == "rule"
    assert told["rules"] == [
        {"rule": "License: mit", "visibility": "RESTRICTED", "groups": ["developers"]}
    ]
    assert told["person"]["allowed"] is True
    assert [step["allows"] for step in told["person"]["steps"]] == [None, True]
    user.groups.clear()
    assert administrator.get(URL, {"user": "reader"}).json()["person"]["allowed"] is False
    assert administrator.get(URL).json()["person"] is None


def test_an_unknown_user_is_not_found(administrator: Client, make_model: Make) -> None:
    make_model("m")
    answer = administrator.get(URL, {"user": "nobody"})
    assert answer.status_code == 404
    assert "no user nobody" in answer.json()["detail"]


def test_others_may_not_ask_about_people(reader: Client, make_model: Make) -> None:
    make_model("m", visibility="PUBLIC")
    assert reader.get(URL, {"user": "reader"}).status_code == 403
    assert reader.get(URL).status_code == 200
