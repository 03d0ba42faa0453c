"""What an access rule matches, as people enter it and as it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from discovery.engine.core.service_words import RuleKind
from discovery.engine.core.text import clean
from discovery.engine.core.vocabulary import Primary, Secondary, Specialization
from discovery.models import AccessRule, Root
from discovery.services.access.rule_matches import WILDCARDS, Term

MAX_VALUE = 1_000

CATEGORIES: tuple[str, ...] = (*Primary.values, *Secondary.values, *Specialization.values)


class AccessRuleError(Exception):
    """The change was refused: ``field`` is the invalid one, the text says why and what to do."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def term(kind: str, value: str) -> Term:
    """What somebody entered, as rules keep it. Raises ``AccessRuleError``."""
    if kind not in RuleKind.values:
        raise AccessRuleError("kind", "Choose what the models have in common.")
    text = clean(value, MAX_VALUE + 1).strip()
    if not text or len(text) > MAX_VALUE:
        raise AccessRuleError("value", f"Enter a value of at most {MAX_VALUE:,} characters.")
    return Term(kind, _VALUES.get(kind, str)(text))


def _category(value: str) -> str:
    if value.upper() not in CATEGORIES:
        raise AccessRuleError("value", f"Choose one of {', '.join(CATEGORIES)}.")
    return value.upper()


def _folder(value: str) -> str:
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise AccessRuleError(
            "value", "Enter a folder below a root, such as language/chat, without “..”."
        )
    return ("/" if value.startswith("/") else "") + "/".join(parts)


def _root(value: str) -> str:
    roots = {
        key: str(root.pk) for root in Root.objects.order_by("-pk") for key in (root.name, root.path)
    }
    if value not in roots:
        raise AccessRuleError("value", "There is no root with this path or name.")
    return roots[value]


def _pattern(value: str) -> str:
    if not any(each in value for each in WILDCARDS):
        raise AccessRuleError("value", "A pattern has at least one * or ?. Use a name otherwise.")
    if not value.strip(WILDCARDS + "/"):
        raise AccessRuleError(
            "value", "This pattern matches every model. Change the default instead."
        )
    return value


_VALUES: dict[str, Callable[[str], str]] = {
    RuleKind.CATEGORY: _category,
    RuleKind.FOLDER: _folder,
    RuleKind.ROOT: _root,
    RuleKind.PATTERN: _pattern,
}


def label(terms: Sequence[Term], roots: Mapping[str, str] | None = None) -> str:
    """``Tag: prod``: what a rule is called."""
    if not terms:
        return "Default"
    first = terms[0]
    known = root_labels() if roots is None and first.kind == RuleKind.ROOT else roots or {}
    said = (
        known.get(first.value, "a root that is gone")
        if first.kind == RuleKind.ROOT
        else (first.value)
    )
    more = f" and {len(terms) - 1:,} more" if len(terms) > 1 else ""
    return f"{RuleKind.label_of(first.kind)}: {said}{more}"


def root_labels() -> dict[str, str]:
    """{value of a term: what the root is called}."""
    return {str(root.pk): root.label for root in Root.objects.only("path", "name")}


def terms_of(rule: AccessRule) -> list[Term]:
    return [Term(*each) for each in rule.terms.order_by("pk").values_list("kind", "value")]
