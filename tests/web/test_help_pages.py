"""Help: short answers that lead somewhere, and the one that looks at the disk for administrators
alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from django.test import Client
from django.utils.html import escape

from discovery.models import RegisteredModel, Root
from discovery.web import help_pages
from tests.support import builders
from tests.support.page_text import page_text

HTMX = {"HX-Request": "true"}


def get(client: Client, address: str, status: int = 200, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == status
    return page_text(response)


def leading_nowhere(client: Client, html: str, seen: set[str]) -> list[str]:
    """Links of a page that lead nowhere; what was ``seen`` by the same reader is not asked for
    again: every page has the navigation.
    """
    links = {href for href in re.findall(r'href="(/[^"#]*)"', html) if "/static/" not in href}
    new = sorted(links - seen)
    seen |= links
    return [href for href in new if client.get(href).status_code != 200]


def test_every_file_of_help_is_a_topic_with_a_title_and_a_summary() -> None:
    assert sorted(path.stem for path in help_pages.FOLDER.glob("*.md")) == sorted(help_pages.TOPICS)
    for name in help_pages.TOPICS:
        topic = help_pages.topic(name)
        assert topic.title
        assert topic.summary.endswith(".")
        assert "<h1" not in topic.html


def test_topics_are_rendered_and_their_links_lead_somewhere(admin_client: Client) -> None:
    seen: set[str] = set()
    for name in help_pages.TOPICS:
        html = get(admin_client, f"/help/{name}/")
        assert f"<h1>{escape(help_pages.topic(name).title)}</h1>" in html
        assert html.count("<h1") == 1
        assert leading_nowhere(admin_client, html, seen) == [], name


def test_readers_are_told_what_concerns_them(
    client: Client, user: object, admin_client: Client
) -> None:
    reader = Client()
    reader.force_login(user)  # type: ignore[arg-type]
    html = get(reader, "/help/")
    assert [name for name in help_pages.TOPICS if f"/help/{name}/" in html] == list(
        help_pages.FOR_ALL
    )
    html = get(admin_client, "/help/")
    assert [name for name in help_pages.TOPICS if f"/help/{name}/" in html] == list(
        help_pages.TOPICS
    )
    assert reader.get("/help/commands/").status_code == 404
    seen: set[str] = set()
    for name in help_pages.FOR_ALL:
        assert leading_nowhere(reader, get(reader, f"/help/{name}/"), seen) == [], name


@pytest.mark.parametrize("name", ["nothing", "..", "__init__"])
def test_topics_that_do_not_exist_are_not_found(name: str, admin_client: Client) -> None:
    assert admin_client.get(f"/help/{name}/").status_code == 404


def test_a_path_is_looked_up_for_administrators(
    admin_client: Client, register: Callable[..., RegisteredModel], models_root: Path
) -> None:
    builders.transformers(models_root / "bert", hidden=64)
    register("bert")
    html = get(admin_client, "/help/appear/", path=f"{models_root}/bert")
    assert "It is registered as bert." in html
    assert '<a class="link" href="/models/bert/"><bdi>bert</bdi></a>' in html
    assert f'value="{models_root}/bert"' in html
    part = page_text(
        admin_client.get("/help/appear/", {"path": f"{models_root}/zzz"}, headers=HTMX)
    )
    assert "There is nothing at this path." in part
    assert "<html" not in part


def test_what_a_scan_would_find_can_be_scanned_from_here(
    admin_client: Client, db: None, models_root: Path
) -> None:
    builders.transformers(models_root / "bert", hidden=64)
    root = Root.objects.create(path=str(models_root))
    html = get(admin_client, "/help/appear/", path=str(models_root / "bert"))
    assert "It is a model that no scan has seen yet: bert." in html
    assert (
        f'<input type="hidden" name="root" value="{root.pk}"><button class="btn">Scan this root'
        " now</button>" in html
    )


def test_what_scans_pass_by_can_be_registered_from_here(
    admin_client: Client, db: None, models_root: Path
) -> None:
    builders.transformers(models_root / "run & more/checkpoint-500", hidden=64)
    builders.transformers(models_root / "run & more/final", hidden=72)
    Root.objects.create(path=str(models_root))
    html = get(admin_client, "/help/appear/", path=str(models_root / "run & more/checkpoint-500"))
    found = re.search(r'href="(/register/\?path=[^"]*)"', html)
    assert found
    form = get(admin_client, unescape(found[1]))
    assert "run &amp; more/checkpoint-500" in form


@pytest.mark.parametrize(
    ("path", "said"),
    [("", "Type or paste a path"), ("/a\0b", "NUL"), ("x" * 100_000, "100,000 characters")],
)
def test_what_is_no_path_is_refused_with_the_reason(
    path: str, said: str, admin_client: Client
) -> None:
    html = get(admin_client, "/help/appear/", 422, path=path)
    assert said in html
    assert 'aria-invalid="true"' in html
    assert len(html) < 40_000


def test_hostile_names_stay_text(admin_client: Client, db: None, models_root: Path) -> None:
    Root.objects.create(path=str(models_root))
    for name in ('"><script>alert(1)</script>', "\u202egpj.exe", "../../etc/passwd", "‮" * 300):
        html = get(admin_client, "/help/appear/", path=f"{models_root}/{name}")
        assert "<script>alert" not in html
        assert "There is nothing at this path." in html or "It lies under no root." in html
        assert name.replace("../../", "") in unescape(html)


def test_others_are_not_told_what_lies_on_the_disk(
    client: Client, user: object, models_root: Path
) -> None:
    Root.objects.create(path=str(models_root))
    client.force_login(user)  # type: ignore[arg-type]
    html = get(client, "/help/appear/", path=str(models_root))
    assert str(models_root) not in html
    assert "Ask an administrator" in html
