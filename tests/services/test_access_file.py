"""``access_control.json``: what the guide says of it, and what a file that is wrong does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command

from discovery.engine.core.service_words import VisibilitySource
from discovery.models import AccessChange, AccessRule, Collection, LogEntry, RegisteredModel
from discovery.services.access import access_file, access_rules, audiences, rule_terms
from discovery.services.core import config_files
from discovery.services.metadata import metadata
from discovery.services.registry import tags
from discovery.services.settings import watch

Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db

GUIDE = """{
  "access_control": {
    "public_models": ["llama-2-7b-chat", "mistral-7b"],
    "restricted_models": ["gpt-4", "claude-3"],
    "admin_only_models": ["experimental-model"],
    "user_groups": {
      "developers": ["code-models"],
      "researchers": ["research-models"],
      "production": ["stable-models"]
    }
  }
}
"""


def write(config_dir: Path, control: Any) -> bool:
    text = control if isinstance(control, str) else json.dumps({"access_control": control})
    (config_dir / "access_control.json").write_text(text)
    return access_file.follow()


def state(model: RegisteredModel) -> tuple[str, str]:
    model.refresh_from_db()
    return model.visibility, model.visibility_source


def seen(user: User) -> set[str]:
    return set(RegisteredModel.objects.visible_to(user).values_list("name", flat=True))


def test_the_block_of_the_guide_works_as_it_stands(
    config_dir: Path, make_model: Make, user: User
) -> None:
    public, gpt, secret = (
        make_model(name) for name in ("mistral-7b", "gpt-4", "experimental-model")
    )
    coder, lab, other = (
        make_model("coder", tags=["code-models"]),
        make_model("lab"),
        make_model("x"),
    )
    tags.sync([coder])
    lab.collections.add(Collection.objects.create(name="research-models"))
    assert write(config_dir, GUIDE)
    assert state(public) == ("PUBLIC", VisibilitySource.FILE)
    assert state(gpt) == ("RESTRICTED", VisibilitySource.FILE)
    assert state(secret) == ("ADMIN_ONLY", VisibilitySource.FILE)
    assert state(other) == ("RESTRICTED", VisibilitySource.DEFAULT)
    assert seen(user) == {"mistral-7b"}
    user.groups.add(Group.objects.get(name="developers"))
    assert seen(user) == {"mistral-7b", "coder"}
    user.groups.add(Group.objects.get(name="researchers"))
    assert seen(user) == {"mistral-7b", "coder", "lab"}
    assert not write(config_dir, GUIDE)


def test_what_people_decided_wins_over_the_file(
    config_dir: Path, make_model: Make, admin_user: User
) -> None:
    own, ruled = make_model("own"), make_model("ruled", license="mit")
    metadata.edit(own, {"visibility": "RESTRICTED"}, by=admin_user, channel="page")
    access_rules.make(
        rule_terms.term("license", "mit"), visibility="ADMIN_ONLY", groups=[], by=admin_user
    )
    access_rules.set_default("ADMIN_ONLY", by=admin_user)
    free = make_model("free")
    write(config_dir, {"public_models": ["own", "ruled"], "default": "PUBLIC"})
    audiences.refresh()
    assert state(own) == ("RESTRICTED", VisibilitySource.PERSON)
    assert state(ruled) == ("ADMIN_ONLY", VisibilitySource.RULE)
    assert state(free) == ("ADMIN_ONLY", VisibilitySource.DEFAULT)
    access_rules.set_default("", by=admin_user)
    assert state(free) == ("PUBLIC", VisibilitySource.DEFAULT)


def test_of_two_lists_the_stricter_one_wins(config_dir: Path, make_model: Make) -> None:
    model = make_model("m")
    write(config_dir, {"public_models": ["m"], "admin_only_models": ["m*"]})
    assert state(model) == ("ADMIN_ONLY", VisibilitySource.FILE)


@pytest.mark.parametrize("name", ["by-id", "By Name", "shelf", "word", "by-*", "lang*/m?", "?y-id"])
def test_a_name_is_a_model_a_collection_a_tag_or_a_pattern(
    name: str, config_dir: Path, make_model: Make
) -> None:
    model = make_model("By Name", model_id="by-id", path="language/m1", tags=["word"])
    tags.sync([model])
    model.collections.add(Collection.objects.create(name="shelf"))
    write(config_dir, {"public_models": [name]})
    assert state(model) == ("PUBLIC", VisibilitySource.FILE)


def test_models_follow_when_the_file_changes_or_goes(
    config_dir: Path, make_model: Make, user: User
) -> None:
    model = make_model("m")
    user.groups.add(Group.objects.create(name="g"))
    write(config_dir, {"public_models": ["m"]})
    assert write(config_dir, {"user_groups": {"g": ["m"]}})
    assert state(model) == ("RESTRICTED", VisibilitySource.DEFAULT)
    assert seen(user) == {"m"}
    (config_dir / "access_control.json").unlink()
    assert access_file.follow()
    assert seen(user) == set()
    assert not AccessRule.objects.exists()


def test_a_change_of_the_file_is_in_the_history_and_is_undone_in_the_file(
    config_dir: Path, make_model: Make, admin_user: User
) -> None:
    make_model("m")
    write(config_dir, {"public_models": ["m"]})
    change = AccessChange.objects.get()
    assert (change.channel, change.by, change.label) == (
        "file", None, "access_control.json: public_models",
    )  # fmt: skip
    with pytest.raises(rule_terms.AccessRuleError, match="Change the file"):
        access_rules.undo(change, by=admin_user)
    with pytest.raises(rule_terms.AccessRuleError, match="Change it there"):
        access_rules.delete(AccessRule.objects.get(), by=admin_user)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GUIDE[: len(GUIDE) // 2], "access_control.json"),
        ('{"access_control": {"public": []}}', "access_control.public"),
        ('{"access_control": {"public_models": "m"}}', "access_control.public_models"),
        ('{"access_control": {"default": "EVERYBODY"}}', "access_control.default"),
        ('{"access_control": {"user_groups": {"": ["m"]}}}', "name of a group"),
        ('{"access_control": {"user_groups": {"a\\nb": ["m"]}}}', "name of a group"),
        ('{"access_control": {"user_groups": {"' + "g" * 151 + '": []}}}', "name of a group"),
    ],
)
def test_a_broken_file_leaves_the_last_good_one_in_force_and_is_told(
    text: str, reason: str, config_dir: Path, make_model: Make
) -> None:
    model = make_model("m")
    write(config_dir, {"public_models": ["m"]})
    watch.follow()
    assert not write(config_dir, text)
    for _ in range(2):
        watch.follow()
    assert state(model) == ("PUBLIC", VisibilitySource.FILE)
    assert reason in str(config_files.ACCESS.faults()[0])
    told = LogEntry.objects.filter(level="warning")
    assert [reason in entry.message for entry in told] == [True]
    assert reason in _check()


def _check() -> str:
    err, out = StringIO(), StringIO()
    with suppress(SystemExit):  # a config file that is not in force fails the check
        call_command("check", stderr=err, stdout=out)
    return re.sub(r"\s+", " ", out.getvalue() + err.getvalue())


def test_names_that_match_nothing_are_warnings(config_dir: Path, make_model: Make) -> None:
    make_model("m")
    write(config_dir, {"public_models": ["m", "nope"], "user_groups": {"g": ["x*"]}})
    assert access_file.warnings() == [
        "access_control.json: public_models: no model, collection or tag is called 'nope'.",
        "access_control.json: user_groups/g: no model, collection or tag is called 'x*'.",
    ]
    assert "'nope'" in _check()


def test_a_deleted_group_stays_deleted_and_is_a_warning(config_dir: Path, make_model: Make) -> None:
    make_model("m")
    name = "ö \"'<b>%s"
    write(config_dir, {"user_groups": {name: ["m"]}})
    Group.objects.get(name=name).delete()
    access_file.forget()
    assert not access_file.follow()
    assert not Group.objects.filter(name=name).exists()
    assert "the group was deleted" in access_file.warnings()[0]


def test_a_file_that_names_ten_thousand_models_is_followed_in_few_statements(
    config_dir: Path, make_model: Make, user: User, django_assert_max_num_queries: Any
) -> None:
    make_model("m7")
    user.groups.add(Group.objects.create(name="g"))
    with django_assert_max_num_queries(66):
        write(config_dir, {"user_groups": {"g": [f"m{number}" for number in range(10_000)]}})
    assert seen(user) == {"m7"}
    assert "9,979 more names" in access_file.warnings()[0]


def test_too_many_patterns_are_refused(config_dir: Path) -> None:
    write(config_dir, {"public_models": [f"m{number}*" for number in range(501)]})
    assert "at most 500 patterns" in str(config_files.ACCESS.faults()[0])
