"""Finds the code that a configuration names: JSON, YAML and Keras's own.

The same few rules apply to every object of the document.

A configuration is data, yet loaders import what it names: Transformers ``auto_map``, Hydra
``_target_``, Keras ``module``, PyYAML a tag. Sources:
https://huggingface.co/docs/transformers/custom_models,
https://hydra.cc/docs/advanced/instantiate_objects/overview/,
https://keras.io/guides/serialization_and_saving/, https://pyyaml.org/wiki/PyYAMLDocumentation,
https://github.com/speechbrain/HyperPyYAML, https://docs.monai.io/en/stable/config_syntax.html,
https://mlflow.org/docs/latest/models.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from discovery.engine.core.text import clean
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.sidecars import yaml_file
from discovery.engine.sidecars.yaml_file import Tagged
from discovery.engine.untrusted.config_rules import (
    CALLS,
    MAY_CALL,
    RULES,
    Naming,
    expressions,
    tagged_naming,
)

#: Objects, lists and texts of one document.
MAX_NODES = 1_000_000
#: Things told of one file.
MAX_SHOWN = 20


#: What a JSON text holds that names code or has a template: a letter spelled by its number could be
#: any of it. Looked for one by one, which is faster than all at once by a pattern.
_TELLING = (
    b"auto_map",
    b"custom_pipelines",
    b"trust_remote_code",
    b"parent_library",
    b"attn_implementation",
    b"kernel",
    b"class_name",
    b"imports",
    b"chat_template",
    b"\\u",
)
_TELLING_KEY = re.compile(rb'"(?:%s)"' % "|".join(sorted(CALLS | MAY_CALL)).encode())


def is_telling(raw: bytes) -> bool:
    """``False`` for JSON that cannot name anything: most configurations, which need not be parsed
    for that.
    """
    return (
        raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        or b"\0" in raw
        or any(word in raw for word in _TELLING)
        or _TELLING_KEY.search(raw) is not None
    )


def namings(document: Any) -> Iterator[Naming]:
    """Everything that loading this configuration would import, call or fetch.

    Repeated objects are examined once, without recursion.

    Raises ``ValueError`` for more nodes than ``MAX_NODES``.
    """
    objects: list[dict[str, Any]] = []
    for item in _nodes(document):
        if isinstance(item, Tagged):
            yield from tagged_naming(item)
        else:
            objects.append(item)
            for rule in RULES:
                yield from rule(item)
    if any("_target_" in item or "imports" in item for item in objects):
        yield from expressions(objects)


def distinct(documents: Iterable[Any]) -> list[Naming]:
    """Everything that some documents name, without repetitions, errors first.

    Raises ``ValueError`` as :func:`namings`.
    """
    found = dict.fromkeys(naming for document in documents for naming in namings(document))
    return sorted(found, key=lambda naming: naming.severity is not Severity.ERROR)


def problems(name: str, raw: bytes) -> list[Problem]:
    """The same as problems of a file called ``name``, JSON or YAML, without repetitions.

    A document that cannot be parsed is a problem of its own.
    """
    try:
        documents = (
            yaml_file.documents(raw) if not name.lower().endswith(".json") else [json.loads(raw)]
        )
        found = distinct(documents)
    except (ValueError, RecursionError) as error:
        text = (
            f"{name} cannot be checked for code that it names:"
            f" {str(error)[:200] or 'it nests too deep'}"
        )
        return [Problem("config_unchecked", text, "", Severity.WARNING, key=name)]
    shown = found[:MAX_SHOWN]
    told = [
        Problem(each.code, f"{name} {each.reason}", "", each.severity, key=f"{name}:{each.subject}")
        for each in shown
    ]
    if len(found) > len(shown):
        more = f"{name} names {len(found) - len(shown):,} more such things"
        told.append(Problem("remote_code", more, "", Severity.WARNING, key=f"{name}:more"))
    return told


# -- rules: what one object names


def templates(document: Any) -> Iterator[tuple[str, str]]:
    """(name, chat template) in all forms: a text, or by name in a list or an object; the default
    template has no name.
    """
    for item in _nodes(document):
        for key, value in item.items() if isinstance(item, dict) else ():
            if isinstance(key, str) and key.startswith("chat_template"):
                for name, template in _named(value):
                    if isinstance(template, str):
                        yield clean(str(name), 60), template


def _named(value: Any) -> Iterator[tuple[Any, Any]]:
    """``[{"name": …, "template": …}]``, ``{name: template}``, or a template."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from (
            (each.get("name", ""), each.get("template")) if isinstance(each, dict) else ("", each)
            for each in value
        )
    else:
        yield "", value


# -- tags and expressions


def _nodes(document: Any) -> Iterator[dict[str, Any] | Tagged]:
    """Every object and every tagged text of a document, once each."""
    waiting, seen = [document], set[int]()
    while waiting:
        item = waiting.pop()
        if isinstance(item, Tagged):
            yield item
        elif isinstance(item, dict | list) and id(item) not in seen:
            seen.add(id(item))
            if len(seen) + len(waiting) > MAX_NODES:
                raise ValueError(f"it holds more than {MAX_NODES:,} objects")
            waiting += item
            if isinstance(item, dict):
                waiting += item.values()
                yield item
