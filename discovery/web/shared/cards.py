"""Model cards as HTML: GitHub's dialect rendered by cmark, cleaned by an allow-list.

Nothing of it loads or runs anything.
"""

from __future__ import annotations

import re

import cmarkgfm
import nh3
from cmarkgfm.cmark import Options
from django.utils.safestring import SafeString, mark_safe

from discovery.engine.core.text import clean
from discovery.services.insight.model_contents import MAX_CARD

_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "center", "code", "dd", "del", "details",
    "div", "dl", "dt", "em", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp",
    "small", "span", "strike", "strong", "sub",
    "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
}  # fmt: skip
_CELL = {"align", "colspan", "rowspan"}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "img": {"alt"},
    "ol": {"start"},
    "td": _CELL,
    "th": _CELL,
}
_NO_CONTENT = {
    "script", "style", "iframe", "object", "svg", "math", "template", "noscript", "noembed",
    "noframes", "title", "textarea", "xmp", "plaintext",
}  # fmt: skip
_EXTENSIONS = ["table", "autolink", "strikethrough", "tasklist"]
_ABSOLUTE = re.compile(r"https?://|mailto:", re.IGNORECASE)
_NUMBERS = frozenset({"start", "colspan", "rowspan"})

#: Quotes inside quotes, more than twenty deep: browsers and the cleaner pay for each level.
_QUOTES = re.compile(r"^((?:[ \t]{0,3}>){20})(?:[ \t]*>)+", re.MULTILINE)

#: The cleaner's time grows with the square of the depth.
_MAX_DEPTH = 1_000
_NESTING = re.compile(
    r"<(/?)(?!(?:p|li|dt|dd|td|th|tr|br|hr|img|input|link|meta|col|wbr|source)\b)[a-z]",
    re.IGNORECASE,
)

# What follows works on the cleaner's output, where a tag has one spelling only.
_IMAGE = re.compile(r'<img(?: alt="([^"]*)")?>')
_HEADING = re.compile(r"(</?)h([1-6])>")

#: The card's own h1 stands below the page's h1 and the panel's h2.
_SHIFT = 2


def render(text: str) -> SafeString:
    """Render ``text``, a card without its front matter; text beyond ``MAX_CARD`` is cut."""
    source = _QUOTES.sub(r"\1", clean(text, MAX_CARD))
    # Not github_flavored_markdown_to_html: its tag filter turns scripts into text that the cleaner
    # would keep.
    html = cmarkgfm.markdown_to_html_with_extensions(
        source, Options.CMARK_OPT_UNSAFE, extensions=_EXTENSIONS
    )
    if _depth(html) > _MAX_DEPTH:
        # Without the HTML that is in it.
        html = cmarkgfm.markdown_to_html_with_extensions(source, 0, extensions=_EXTENSIONS)
    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_NO_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    cleaned = _IMAGE.sub(_words_of_image, cleaned)
    return mark_safe(_HEADING.sub(_lower_heading, cleaned))  # noqa: S308  (cleaned above)


def _depth(html: str) -> int:
    """Return how deeply elements are nested; those that close by themselves do not count."""
    depth = deepest = 0
    for closing in _NESTING.findall(html):
        depth = max(depth + (-1 if closing else 1), 0)
        deepest = max(deepest, depth)
    return deepest


def _attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "href":  # an address without a host would be one of ours
        return value if _ABSOLUTE.match(value.strip()) else None
    if name == "align":
        return value if value in ("left", "center", "right") else None
    if name in _NUMBERS:
        return value if value.isascii() and value.isdigit() and len(value) < 4 else None
    return value


def _words_of_image(match: re.Match[str]) -> str:
    return f'<span class="picture">{match[1]}</span>' if match[1] else ""


def _lower_heading(match: re.Match[str]) -> str:
    return f"{match[1]}h{min(int(match[2]) + _SHIFT, 6)}>"
