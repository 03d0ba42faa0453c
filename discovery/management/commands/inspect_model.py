"""``inspect_model PATH…``: show the models at a path, without using the database."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from typing import Any

from tqdm import tqdm

from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import categorized
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.paths import to_text
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.types import Candidate, Found, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk.walk import walk
from discovery.engine.identify.document import document
from discovery.engine.identify.identify import identify
from discovery.engine.identify.model_ids import new_id
from discovery.management.own_command import OwnCommand
from discovery.services.core import config_files
from discovery.services.machine.hardware import this_machine
from discovery.services.plugins.inspecting import Inspection


class Command(OwnCommand):
    help = "Read every model at or under PATH and show what it is. Nothing is written."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "paths", nargs="+", metavar="PATH", help="a model, or a folder of models"
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON list of model documents"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        documents: list[dict[str, Any]] = []
        problems: list[Problem] = []
        for path in options["paths"]:
            root = os.path.abspath(path)
            if not os.path.isdir(root):
                missing = "is not a folder" if os.path.exists(root) else "does not exist"
                self.stderr.write(
                    f"{to_text(root)} {missing}: give a model's folder, or one with models"
                    " below it."
                )
                sys.exit(2)
            try:
                documents += _inspect(root, problems)
            except OSError as error:
                self.stderr.write(f"{to_text(root)} cannot be read: {error.strerror}.")
                sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(documents, ensure_ascii=False, indent=1))
        else:
            self._print(documents, problems)
        bad = [p for p in problems if p.severity is Severity.ERROR] or any(
            p["severity"] == "error" for d in documents for p in d["problems"]
        )
        sys.exit(1 if bad else 0)

    def _print(self, documents: list[dict[str, Any]], problems: list[Problem]) -> None:
        for item in documents:
            self.stdout.write(f"{item['name']}  [{item['status'].lower()}]  {item['path']}")
            self.stdout.write(f"    {_facts(item)}")
            for problem in item["problems"]:
                self.stdout.write(f"    {problem['severity']}: {problem['message']}")
        for problem in problems:
            self.stdout.write(
                f"{problem.severity.value}: {to_text(problem.path)}: {problem.message}"
            )
        self.stdout.write(f"{plural(len(documents), 'model')}.")


def _facts(item: dict[str, Any]) -> str:
    count = item["parameter_count"]
    facts = [
        item["type"],
        item["format"],
        item["architecture"],
        f"{count:,} parameters" if count else None,
        item["quantization"] or item["dtype"],
        f"context {item['context_length']:,}" if item["context_length"] else None,
        item["license"],
        plural(len(item["variants"]), "variant") if len(item["variants"]) > 1 else None,
        human_bytes(item["size_bytes"]),
    ]
    return " · ".join(fact for fact in facts if fact)


def _inspect(root: str, problems: list[Problem]) -> list[dict[str, Any]]:
    settings = config_files.discovery()
    categorizer = Categorizer(config_files.rules())
    machine = this_machine().machine
    memory = machine.ram_bytes
    found: list[Found] = []
    plugins = Inspection(root, settings)
    items = tqdm(
        walk(root, settings, ledger=plugins.ledger),
        desc="Reading",
        unit=" models",
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
        leave=False,
    )
    for item in items:
        if isinstance(item, Problem):
            problems.append(item)
            continue
        models = _read(root, item, settings, memory, problems)
        if not plugins.offer(item, models):
            found += models
    found += plugins.found()
    problems += plugins.problems
    taken: set[str] = set()
    documents = []
    for each in found:
        model_id = new_id(to_text(each.name), to_text(each.path), taken.__contains__)
        taken.add(model_id)
        documents.append(document(categorized(each, categorizer), root, model_id, machine))
    return documents


def _read(
    root: str,
    candidate: Candidate,
    settings: Any,
    memory: int,
    problems: list[Problem],
) -> list[Found]:
    try:
        return identify(root, candidate, settings, memory)
    except NotAModel as error:
        problems.extend(candidate.problems)
        problems.append(
            Problem("not_a_model", f"not a model: {error.reason}", candidate.place, Severity.INFO)
        )
        return []
