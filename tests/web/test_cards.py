"""Model cards come from strangers: nothing of them runs, loads or leads anywhere unexpected, and
none takes long.
"""

from __future__ import annotations

import re

import pytest

from discovery.web.shared import cards
from tests.support.timing import at_most

SAFE = re.compile(
    r"</?[a-z][a-z0-9]*"
    r'(?: (?:href="(?:https?:|mailto:)[^"]*"|title="[^"]*"|rel="noopener noreferrer'
    r' nofollow"|class="picture"|align="\w+"))*>'
)
LOADING = re.compile(
    r"</?(script|img|svg|iframe|object|embed|video|audio|style|link|base|meta|form|input|button|"
    r"math|textarea|noscript)\b"
)


def test_github_tables_lists_and_code_are_rendered() -> None:
    html = cards.render(
        "# Title\n\n| a | b |\n|:-:|---|\n| 1 | ~~2~~ |\n\n- [x]"
        " done\n\n```python\nprint(1)\n```\n\nhttps://example.org\n"
    )
    assert "<h3>Title</h3>" in html
    assert '<th align="center">a</th>' in html
    assert "<del>2</del>" in html
    assert "<pre><code>print(1)" in html
    assert '<a href="https://example.org" rel="noopener noreferrer nofollow">' in html


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("# a", "h3"),
        ("## a", "h4"),
        ("### a", "h5"),
        ("#### a", "h6"),
        ("###### a", "h6"),
        ("<h1 class=x>a</h1>", "h3"),
    ],
)
def test_headings_stand_below_those_of_the_page(written: str, shown: str) -> None:
    assert cards.render(written).strip() == f"<{shown}>a</{shown}>"


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<SCRIPT SRC=//evil></SCRIPT>",
        "<img src=x onerror=alert(1)>",
        "![x](http://evil/pixel.png)",
        "![x](data:image/png;base64,AAAA)",
        "<svg/onload=alert(1)>",
        "<iframe src='//evil'></iframe>",
        "<object data=//evil></object><embed src=//evil>",
        "<video src=//evil autoplay></video><audio src=//evil></audio>",
        "<style>body{display:none}</style>",
        (
            "<link rel=stylesheet href=//evil><base href=//evil><meta http-equiv=refresh"
            " content='0;url=//evil'>"
        ),
        "<form action=//evil><input name=csrfmiddlewaretoken><button>go</button></form>",
        "<p style='background:url(//evil)'>x</p>",
        "<div id=live class=toast hx-get=/logout/ hx-trigger=load data-copy=x>x</div>",
        "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](data:text/html,x) [v](vbscript:x)",
        "[x](//evil) [y](/logout/) [z](\\\\evil)",
        "<a href='jav&#x09;ascript:alert(1)'>x</a><a href=' https:javascript:alert(1)'>y</a>",
        "<math><a xlink:href='javascript:alert(1)'>x</a></math>",
        "<details open ontoggle=alert(1)><summary>s</summary></details>",
        "<img alt='\"><script>alert(1)</script>'>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
        "<textarea><img title='</textarea><img src=x onerror=alert(1)>'></textarea>",
        "<table background=//evil><td background=//evil>x</td></table>",
    ],
)
def test_nothing_hostile_survives(hostile: str) -> None:
    html = cards.render(hostile)
    tags = re.findall(r"<[^>]*>", html)
    for tag in tags:
        assert SAFE.fullmatch(tag), tag
        assert not LOADING.match(tag), tag


def test_images_leave_their_words_behind() -> None:
    html = cards.render(
        '![A <chart> of "loss"](http://x/y.png) [![badge](http://x/b.svg)](https://license.org)'
        " ![](z.png)"
    )
    assert '<span class="picture">A &lt;chart&gt; of "loss"</span>' in html.replace("&quot;", '"')
    assert (
        '<a href="https://license.org" rel="noopener noreferrer nofollow"><span'
        ' class="picture">badge</span></a>' in html
    )
    assert "http://x" not in html


def test_direction_overrides_and_control_characters_are_gone() -> None:
    assert cards.render("safe\u202egpj.exe\x00\x1b[31m").strip() == "<p>safegpj.exe[31m</p>"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "> " * 100_000 + "x",
        ">" * 200_000,
        "*a_ " * 50_000,
        "\n".join("  " * level + "- x" for level in range(600)),
        "|a" * 5000 + "|\n" + "|-" * 5000 + "|\n" + ("|x" * 5000 + "|\n") * 18,
        "<a " * 60_000,
        "<div>" * 40_000,
        "`" * 200_000,
        "![" * 100_000,
        "<!--" * 50_000,
        "&#x" * 60_000,
        (" " * 1000 + ">") * 190,
    ],
    ids=[
        "brackets",
        "quotes",
        "tight quotes",
        "emphasis",
        "lists",
        "table",
        "open tags",
        "divs",
        "backticks",
        "images",
        "comments",
        "entities",
        "spaces",
    ],
)
def test_no_card_takes_long(text: str) -> None:
    with at_most(loops=20):
        cards.render(text)
