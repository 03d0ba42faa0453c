"""Tables of the help in Markdown, generated from declarations."""

from __future__ import annotations

from discovery.engine.core.fields import FIELDS
from discovery.engine.integrity.checks import CHECKS
from discovery.engine.sidecars.metadata_json import KEYS
from discovery.services.search.filters import FILTERS, NUMBERS


def search_words() -> str:
    """Return a row for each filter and number that the search box accepts before the colon."""
    rows = [
        f"| `{each.typed}:` | {each.label}. {each.description} | {_words(each.values)} |"
        for each in FILTERS.values()
    ]
    rows += [
        f"| `{each.name}:` | {each.label}. {each.description} | such as `{each.example}`;"
        f" units: {_words(tuple(each.units))} |"
        for each in NUMBERS.values()
    ]
    return _table("word | what it looks at | values", rows)


def checks() -> str:
    rows = [f"| {each.label} | {each.description} | `{each.name}` |" for each in CHECKS.values()]
    return _table("check | passed when | for programs", rows)


def metadata_keys() -> str:
    """What people may write into ``metadata.json``."""
    fields = [field for name, field in FIELDS.items() if name in KEYS]
    return _table(
        "key | called here | holds",
        [f"| `{each.name}` | {each.label} | {each.holds} |" for each in fields],
    )


def _table(heading: str, rows: list[str]) -> str:
    return "\n".join([f"| {heading} |", "|---" * (heading.count("|") + 1) + "|", *rows])


def _words(values: tuple[str, ...]) -> str:
    return ", ".join(f"`{value.lower()}`" for value in values) or "any, in any case of letters"
