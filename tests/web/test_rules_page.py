"""The Rules page and its editors: rules in words, trying, saving, undoing, and what is said about
bad rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_q.brokers import Broker
from pytest_django import DjangoAssertNumQueries

from discovery.engine.classify.rules import Rule
from discovery.models import RegisteredModel
from discovery.services.core import config_files
from discovery.services.scans import categorization
from discovery.web import evidence, rule_form
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

HTMX = {"HX-Request": "true"}
CODE = "/rules/secondary/code/"

RULES = {
    "categorization_rules": {
        "primary_category": {"LANGUAGE": [{"modalities": ["TEXT"]}]},
        "secondary_category": {
            "CHAT": {"weight": 2, "keywords": ["chat"]},
            "CODE": [
                {"keywords": ["code", "coder"], "places": ["name"]},
                {"tags": ["programming"], "weight": 1.5},
            ],
        },
        "specialization": {"LEGAL": [{"keywords": ["law"]}]},
    }
}


@pytest.fixture
def rules_file(config_dir: Path) -> Path:
    """A small rules file of the test's own."""
    path = config_dir / "model_categorization.json"
    path.write_text(json.dumps(RULES))
    return path


@pytest.fixture
def coder(make_model: Make, rules_file: Path) -> RegisteredModel:
    """A model whose name says "wizard coder", categorized by the rules of the file."""
    signals = {"words": {"name": ["wizard", "coder"]}, "phrases": {"name": " wizard coder "}}
    record = make_model("wizard-coder", signals=signals)
    categorization.recategorize()
    record.refresh_from_db()
    assert record.secondary == "CODE"
    return record


def form(**changes: Any) -> dict[str, Any]:
    """What a browser sends for the rules of CODE as they stand."""
    mark = re.search(r'name="base" value="(\w*)"', changes.pop("page"))
    assert mark
    fields = {
        "base": mark[1],
        "rule": ["0", "1"],
        "r0-keywords": "code, coder",
        "r0-places": ["name"],
        "r1-tags": "programming",
        "r1-weight": "1.5",
        "action": "try",
    }
    return {**fields, **changes}


def page(client: Client, path: str = "/rules/") -> str:
    response = client.get(path)
    assert response.status_code == 200
    return page_text(response)


def post_form(client: Client, expected: int = 200, **changes: Any) -> str:
    response = client.post(CODE, form(page=page(client, CODE), **changes))
    assert response.status_code == expected, page_text(response)
    return page_text(response)


def post_json(client: Client, text: str, action: str = "try", expected: int = 200) -> str:
    mark = re.search(r'name="base" value="(\w*)"', page(client, "/rules/json/"))
    assert mark
    response = client.post("/rules/json/", {"text": text, "action": action, "base": mark[1]})
    assert response.status_code == expected, page_text(response)
    return page_text(response)


def beside(html: str, field: str) -> str:
    """The message beside a field."""
    match = re.search(rf'id="{field}-error">(.*?)</div></div>', html, re.DOTALL)
    assert match, html
    return " ".join(re.sub(r"<[^>]+>", " ", match[1]).split())


@pytest.mark.parametrize("path", ["/rules/", "/rules/json/", CODE])
def test_the_rules_are_for_administrators(
    path: str, reader_client: Client, rules_file: Path
) -> None:
    assert reader_client.get(path).status_code == 403
    assert reader_client.post("/rules/undo/").status_code == 403
    assert reader_client.post("/rules/json/", {"text": "{}", "action": "save"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/rules/secondary/poetry/",
        "/rules/tertiary/code/",
        "/rules/secondary/CODE/",
        "/rules/primary/code/",
    ],
)
def test_a_category_that_is_not_there_is_not_found(
    path: str, admin_client: Client, rules_file: Path
) -> None:
    assert admin_client.get(path).status_code == 404


def test_each_category_says_its_rules_and_how_many_models_have_it(
    admin_client: Client, coder: RegisteredModel
) -> None:
    html = page(admin_client)
    assert "the words code or coder in the name" in html
    assert 'the tag programming <span class="faint small nowrap"' in html
    assert "× 1.5" in html
    assert "takes or gives text" in html
    row = html.split("the words code or coder")[1].split("</tr>")[0]
    assert '<td class="num">1</td>' in row
    assert "belongs to no other domain" in html
    assert "1 model without a verdict" in html
    assert 'href="/rules/" aria-current="page"' in html
    for axis, names in {
        "primary": ("language", "vision"),
        "secondary": ("chat", "reasoning"),
        "specialization": ("medical", "general"),
    }.items():
        assert all(f'href="/rules/{axis}/{name}/"' in html for name in names)


def test_htmx_gets_the_part_it_asks_for(admin_client: Client, rules_file: Path) -> None:
    for path, part in (
        ("/rules/", '<div class="grid" id="rules">'),
        (CODE, '<div id="editor"'),
        ("/rules/json/", '<div id="editor"'),
    ):
        response = admin_client.get(path, headers=HTMX)
        html = page_text(response)
        assert part in html
        assert "<html" not in html
        assert "HX-Request" in response.headers["Vary"]
        assert part in page(admin_client, path)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"modalities": ["TEXT"]}, "takes or gives text"),
        (
            {"modalities": ["TEXT", "IMAGE"], "outputs": ["TEXT"]},
            "takes text and image, gives text",
        ),
        ({"outputs": ["IMAGE"]}, "gives image"),
        ({"keywords": ["nlp"]}, "the word nlp in names, tags and cards"),
        (
            {"keywords": ["a", "b", "c"], "places": ["name", "tags"]},
            "the words a, b or c in the name and the tags",
        ),
        (
            {
                "keywords": ["a"],
                "places": ["name", "tags", "title", "folder", "base model", "description"],
            },
            "the word a anywhere but the card",
        ),
        ({"tags": ["story"], "file_patterns": ["*.onnx"]}, "the tag story; or a file named *.onnx"),
        (
            {"architectures": ["*ForCTC"], "model_types": ["clip", "sam"]},
            "the class name *ForCTC; or the model types clip or sam",
        ),
        ({"pipeline_tags": ["text-to-image"]}, "the task text-to-image"),
        (
            {"signals": ["chat_template", "library:setfit", "x:y"]},
            "a chat template, the library setfit or x:y",
        ),
        ({"tags": list("abcdefghij")}, "the tags a, b, c, d, e, f or 4 more"),
        (
            {"modalities": ["TEXT"], "keywords": ["nlp", "text"]},
            "takes or gives text; or the words nlp or text in names, tags and cards",
        ),
    ],
)
def test_a_rule_reads_as_a_sentence(rule: dict[str, Any], words: str) -> None:
    assert evidence.rule_words(Rule(**rule)) == words


def test_the_form_shows_the_rules_as_they_stand(admin_client: Client, rules_file: Path) -> None:
    html = page(admin_client, CODE)
    assert ">\ncode, coder</textarea>" in html
    assert ">\nprogramming</textarea>" in html
    assert 'name="r0-places" value="name" checked' in html
    assert 'name="r0-places" value="card">' in html
    assert 'name="r1-weight" type="text" inputmode="decimal" value="1.5"' in html
    assert "Rule 3" not in html


def test_trying_shows_what_would_change_and_writes_nothing(
    admin_client: Client, coder: RegisteredModel, rules_file: Path, task_queue: Broker
) -> None:
    before = rules_file.read_bytes()
    html = post_form(admin_client, **{"r0-keywords": "code"})
    assert "1 model of 1 would change" in html
    assert "no rule matches any more" in html
    assert '<a class="name" href="/models/wizard-coder/">' in html
    assert ">\ncode</textarea>" in html
    assert rules_file.read_bytes() == before
    assert not categorization.can_undo()
    assert task_queue.queue_size() == 0
    coder.refresh_from_db()
    assert coder.secondary == "CODE"
    assert "No model would change" in post_form(admin_client)


def test_a_trial_says_from_what_to_what_and_why(
    admin_client: Client, coder: RegisteredModel
) -> None:
    changed = json.loads(json.dumps(RULES))
    changed["categorization_rules"]["secondary_category"]["CHAT"]["keywords"].append("wizard")
    html = post_json(admin_client, json.dumps(changed))
    assert re.search(
        r'Code</span>\s*</td><td><span class="chip">Chat</span>\s*</td><td class="num">1</td>', html
    )
    assert "&quot;wizard&quot;" in html.split("<textarea")[1]


def test_what_a_person_decided_is_kept_and_said_so(
    admin_client: Client, coder: RegisteredModel
) -> None:
    RegisteredModel.objects.update(
        curated={"secondary": {"value": "REASONING", "by": "anna", "at": "2026-01-01"}}
    )
    html = post_form(admin_client, **{"r0-keywords": "code"})
    assert "No model would change" in html
    assert "kept: a person decided" in html


def test_saving_writes_the_file_keeps_the_previous_and_starts_the_task(
    admin_client: Client, coder: RegisteredModel, rules_file: Path, task_queue: Broker
) -> None:
    response = admin_client.post(
        CODE,
        form(
            page=page(admin_client, CODE),
            action="save",
            **{"r0-keywords": "code\nsql,  coder,\n\n"},
        ),
        follow=True,
    )
    assert response.redirect_chain == [("/rules/", 302)]
    assert "Saved. Re-categorizing 1 model…" in page_text(response)
    assert "Undo the last change" in page_text(response)
    written = json.loads(rules_file.read_text())
    expected = json.loads(json.dumps(RULES))
    expected["categorization_rules"]["secondary_category"]["CODE"][0]["keywords"] = [
        "code",
        "sql",
        "coder",
    ]
    assert json.dumps(written) == json.dumps(expected), (
        "nothing else moved, not even the order of keys"
    )
    assert json.loads(categorization.previous_path().read_text()) == RULES
    assert task_queue.queue_size() == 1
    assert list(rules_file.parent.glob("*.tmp")) == []


def test_undoing_puts_the_previous_rules_back(admin_client: Client, rules_file: Path) -> None:
    assert "Undo the last change" not in page(admin_client)
    post_form(admin_client, 302, action="save", **{"r0-keywords": "sql"})
    html = page_text(admin_client.post("/rules/undo/", follow=True))
    assert "The last change is undone." in html
    assert json.loads(rules_file.read_text()) == RULES


def test_undoing_without_a_previous_version_says_so(admin_client: Client, rules_file: Path) -> None:
    assert "There is no earlier version of the rules." in page_text(
        admin_client.post("/rules/undo/", follow=True)
    )
    assert admin_client.get("/rules/undo/").status_code == 405


def test_undoing_to_rules_that_are_not_valid_changes_nothing(
    admin_client: Client, rules_file: Path
) -> None:
    categorization.previous_path().write_text('{"categorization_rules": {"x": 1}}')
    html = page_text(admin_client.post("/rules/undo/", follow=True))
    assert "not valid any more, so nothing was changed" in html
    assert json.loads(rules_file.read_text()) == RULES


def test_a_rule_is_added_and_another_removed(admin_client: Client, rules_file: Path) -> None:
    html = post_form(admin_client, action="add")
    assert 'name="r2-new"' in html
    assert html.count("<fieldset") == 3
    changes = {
        "rule": ["0", "1", "2"],
        "r2-new": "1",
        "r2-model_types": "codegen*",
        "r0-remove": "on",
        "action": "save",
    }
    post_form(admin_client, 302, **changes)
    written = json.loads(rules_file.read_text())["categorization_rules"]["secondary_category"]
    assert written["CODE"] == [
        {"tags": ["programming"], "weight": 1.5},
        {"model_types": ["codegen*"]},
    ]
    assert list(written) == ["CHAT", "CODE"]


def test_a_new_rule_that_stays_empty_is_left_out(admin_client: Client, rules_file: Path) -> None:
    post_form(admin_client, 302, rule=["0", "1", "2"], action="save", **{"r2-new": "1"})
    assert json.loads(rules_file.read_text()) == RULES


def test_the_last_rule_may_go_and_the_category_keeps_its_place(
    admin_client: Client, rules_file: Path
) -> None:
    post_form(admin_client, 302, action="save", **{"r0-remove": "on", "r1-remove": "on"})
    assert list(
        json.loads(rules_file.read_text())["categorization_rules"]["secondary_category"].items()
    )[1] == ("CODE", [])
    assert "Rule 1" in page(admin_client, CODE)


def test_a_single_rule_without_brackets_stays_one(admin_client: Client, rules_file: Path) -> None:
    base = re.search(r'name="base" value="(\w+)"', page(admin_client, "/rules/secondary/chat/"))
    assert base
    data = {
        "base": base[1],
        "rule": "0",
        "r0-keywords": "chat, talk",
        "r0-weight": "2",
        "action": "save",
    }
    assert admin_client.post("/rules/secondary/chat/", data).status_code == 302
    written = json.loads(rules_file.read_text())["categorization_rules"]["secondary_category"][
        "CHAT"
    ]
    assert json.dumps(written) == '{"weight": 2, "keywords": ["chat", "talk"]}'


def test_items_with_commas_quotes_and_brackets_survive_the_form() -> None:
    rule = {
        "keywords": ["a, b", 'say "hi"', "plain"],
        "file_patterns": ["[a,b]*.bin"],
        "weight": 0.5,
    }
    fieldsets = rule_form.of_rules([rule])
    assert rule_form.as_rules(fieldsets, [rule])[0] == [rule]


def test_every_shipped_rule_survives_the_form() -> None:
    document = json.loads(config_files.SHIPPED_RULES.read_text())
    for section, names in document["categorization_rules"].items():
        axis = section.removesuffix("_category")
        for name in names:
            rules = rule_form.stored(document, axis, name)
            made = rule_form.as_rules(rule_form.of_rules(rules), rules)[0]
            assert json.dumps(rule_form.replaced(document, axis, name, made)) == json.dumps(
                document
            )


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        (
            "r0-keywords",
            "code, , coder",
            "Entry 2 is empty: remove it or one of the commas around it.",
        ),
        (
            "r0-keywords",
            "code, --",
            "A keyword without a letter or digit matches nothing; remove it.",
        ),
        ("r0-keywords", f"code, {'x' * 201}", "should have at most 200 characters"),
        (
            "r1-file_patterns",
            "[a-z",
            "&#x27;[a-z&#x27; is not a valid pattern: a [ is never closed.",
        ),
        ("r1-weight", "much", "Input should be a valid number"),
        ("r1-weight", "0", "Input should be greater than 0."),
        ("r1-weight", "nan", "Input should be"),
        ("r1-weight", "101", "Input should be less than or equal to 100."),
        ("r0-modalities", "SMELL", "&#x27;SMELL&#x27; is not a modality"),
        ("r0-places", "attic", "&#x27;attic&#x27; is not a place"),
    ],
)
def test_a_broken_rule_shows_its_error_beside_the_field(
    field: str, typed: str, message: str, admin_client: Client, rules_file: Path
) -> None:
    before = rules_file.read_bytes()
    for action in ("try", "save"):
        html = post_form(admin_client, 422, action=action, **{field: typed})
        assert message in beside(html, field)
        assert "Fix 1 error. Nothing was saved." in html
        assert f'href="#{field[:2]}"' in html
    assert rules_file.read_bytes() == before


def test_a_rule_that_was_emptied_says_so(admin_client: Client, rules_file: Path) -> None:
    html = post_form(admin_client, 422, **{"r1-tags": ""})
    assert "The rule is empty: give it keywords" in html.split('id="r1"')[1]


def test_faults_go_to_the_fieldset_they_belong_to_when_others_are_removed(
    admin_client: Client, rules_file: Path
) -> None:
    html = post_form(admin_client, 422, **{"r0-remove": "on", "r1-tags": "!"})
    assert "A keyword without a letter" in beside(html, "r1-tags")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n  nonsense", "line 2, column 3"),
        ("", "the file is empty"),
        ("[]", "the top level is an array, not an object"),
        ('{"rules": {}}', "rules: this key is not known here; check its spelling"),
        (
            '{"categorization_rules": {"tertiary": {}}}',
            "categorization_rules.tertiary: this key is not known here",
        ),
        (
            (
                '{"categorization_rules": {"secondary_category": {"CODE": [{"keywords": ["a"]},'
                ' {"tags": ["a"], "color": "red"}]}}}'
            ),
            "categorization_rules.secondary_category.CODE.1.color: this key is not known here",
        ),
        (
            '{"categorization_rules": {"secondary_category": {"POETRY": {"keywords": ["poem"]}}}}',
            "secondary_category.POETRY: there is no such category; choose from CHAT",
        ),
        (
            '{"categorization_rules": {"specialization": {"LEGAL": {"keywords": ["law", ""]}}}}',
            (
                "categorization_rules.specialization.LEGAL.0.keywords.1: string should have at"
                " least 1 character"
            ),
        ),
        (
            '{"categorization_rules": {"secondary_category": {"CODE": {"file_patterns": ["[a"]}}}}',
            (
                "categorization_rules.secondary_category.CODE.0.file_patterns: &#x27;[a&#x27; is"
                " not a valid pattern"
            ),
        ),
        (
            '{"categorization_rules": {"secondary_category": {"CODE": {}}}}',
            "secondary_category.CODE.0: the rule is empty",
        ),
        (
            '{"categorization_rules": {"secondary_category": {"CODE": {"keywords": ["\\ud800"]}}}}',
            "CODE.0.keywords.0",
        ),
        ("[" * 100_000, "nested too deep"),
        (
            json.dumps(
                {
                    "categorization_rules": {
                        "secondary_category": {"CODE": [{"keywords": ["a"]}] * 10_000}
                    }
                }
            ),
            "there are 10,000 rules, at most 2,000 are evaluated",
        ),
    ],
)
def test_bad_json_names_the_place_and_the_last_good_rules_stay(
    text: str, message: str, admin_client: Client, rules_file: Path
) -> None:
    before = rules_file.read_bytes()
    for action in ("try", "save"):
        html = post_json(admin_client, text, action, 422)
        assert message in html.split("<textarea")[0]
    assert rules_file.read_bytes() == before
    assert config_files.RULES.faults() == ()
    assert not categorization.can_undo()


def test_many_faults_are_counted_not_all_listed(admin_client: Client, rules_file: Path) -> None:
    text = json.dumps(
        {"categorization_rules": {"secondary_category": {"CODE": [{"x": 1, "tags": ["a"]}] * 100}}}
    )
    html = post_json(admin_client, text, expected=422)
    assert "Fix 100 errors" in html
    assert "… and 80 more" in html
    assert html.count("<li>categorization_rules") == 20


def test_json_is_saved_indented_and_a_byte_order_mark_is_dropped(
    admin_client: Client, rules_file: Path
) -> None:
    post_json(admin_client, "\ufeff" + json.dumps(RULES), "save", 302)
    assert rules_file.read_text() == json.dumps(RULES, indent=2) + "\n"


def test_somebody_elses_change_is_not_overwritten_unseen(
    admin_client: Client, admin_user: User, rules_file: Path
) -> None:
    mine = form(page=page(admin_client, CODE), action="save", **{"r0-keywords": "mine"})
    theirs = json.loads(json.dumps(RULES))
    theirs["categorization_rules"]["secondary_category"]["CODE"].pop()
    categorization.save(json.dumps(theirs), by=admin_user)
    response = admin_client.post(CODE, mine)
    html = page_text(response)
    assert response.status_code == 409
    assert "Somebody else has changed these rules" in html
    assert ">\nmine</textarea>" in html
    assert re.search(r"<pre[^>]*>[^<]*\+\s+&quot;mine&quot;", html)
    assert "keep theirs</a>" in html
    assert json.loads(rules_file.read_text()) == theirs


def test_undoing_takes_back_only_the_change_that_the_page_showed(
    admin_client: Client, admin_user: User, rules_file: Path
) -> None:
    post_form(admin_client, 302, action="save", **{"r0-keywords": "sql"})
    seen = re.search(r'name="seen" value="(\w+)"', page(admin_client))
    assert seen
    theirs = json.loads(rules_file.read_text())
    theirs["categorization_rules"]["secondary_category"]["CODE"].pop()
    categorization.save(json.dumps(theirs), by=admin_user)
    assert "nothing was undone" in page_text(
        admin_client.post("/rules/undo/", {"seen": seen[1]}, follow=True)
    )
    assert json.loads(rules_file.read_text()) == theirs


def test_a_config_folder_that_cannot_be_written_says_so(
    admin_client: Client, rules_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(config_files, "write_atomically", refuse)
    html = post_form(admin_client, 422, action="save")
    assert (
        f"The config folder {rules_file.parent} cannot be written: Permission denied. Nothing was"
        " changed." in html
    )
    categorization.previous_path().write_text(json.dumps(RULES))
    assert "cannot be written" in page_text(admin_client.post("/rules/undo/", follow=True))


def test_a_broken_file_is_told_on_top_and_mended_as_json(
    admin_client: Client, rules_file: Path
) -> None:
    page(admin_client)
    rules_file.write_text(
        '{"categorization_rules": {"secondary_category": {"CODE": {"keyword": ["a"]}}}}'
    )
    html = page(admin_client)
    assert (
        "categorization_rules.secondary_category.CODE.0.keyword: this key is not known here" in html
    )
    assert '<a href="/rules/json/">Fix it</a>' in html
    assert "the words code or coder in the name" in html, "the last good rules are in force"
    response = admin_client.get(CODE, follow=True)
    assert response.redirect_chain == [("/rules/json/", 302)]
    assert "The rules file is broken" in page_text(response)


def test_a_category_of_very_many_rules_is_edited_as_json(
    admin_client: Client, rules_file: Path
) -> None:
    many = {
        "categorization_rules": {
            "secondary_category": {
                "CODE": [{"keywords": [f"w{n}"]} for n in range(rule_form.MAX_FIELDSETS + 1)]
            }
        }
    }
    rules_file.write_text(json.dumps(many))
    assert "33 rules are too many for a form" in page_text(admin_client.get(CODE, follow=True))


def test_a_form_of_the_most_rules_has_fewer_fields_than_django_reads() -> None:
    one = rule_form.blank(0)
    most = (
        len(one.texts)
        + sum(len(each.choices) for each in one.ticks)
        + len(("rule", "new", "remove", "weight"))
    )
    assert rule_form.MAX_FIELDSETS * most + 10 < 1_000


def test_hostile_words_stay_text(admin_client: Client, rules_file: Path) -> None:
    html = post_form(admin_client, **{"r0-keywords": "</textarea><script>alert(1)</script>"})
    assert "<script>alert" not in html


def test_the_page_costs_the_same_however_many_models_there_are(
    admin_client: Client,
    make_model: Make,
    rules_file: Path,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(30):
        make_model(f"m{number}", primary="LANGUAGE", secondary="CODE")
    with django_assert_max_num_queries(13):
        page(admin_client)
    with django_assert_max_num_queries(15):  # the form, then the trial of it
        assert "No model would change" not in post_form(admin_client)
