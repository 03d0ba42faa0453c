"""Ready-made examples, one for each call of the guide, in its order.

The tests run them unchanged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PREAMBLE = """\
import os

import httpx

headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
karen = httpx.Client(base_url=os.environ["KAREN"], headers=headers, timeout=60)
"""


@dataclass(frozen=True, slots=True)
class Example:
    """One example.

    ``address`` is relative to the server; ``show`` are lines of Python that print the main parts of
    ``answer``.
    """

    title: str
    note: str
    method: str
    address: str
    show: str
    body: Any = None

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")

    @property
    def curl(self) -> str:
        lines = [
            f'curl -X {self.method} "$KAREN{self.address}"',
            '-H "Authorization: Bearer $TOKEN"',
        ]
        if self.body is not None:
            lines += [
                '-H "Content-Type: application/json"',
                f"-d '{json.dumps(self.body, indent=2)}'",
            ]
        return " \\\n  ".join(lines)

    @property
    def python(self) -> str:
        sent = f", json={_literal(self.body)}" if self.body is not None else ""
        call = f'answer = karen.{self.method.lower()}("{self.address}"{sent})'
        return f"{PREAMBLE}\n{call}\nanswer.raise_for_status()\n{self.show}\n"


def _literal(value: Any) -> str:
    """JSON as Python writes it; the examples hold no true, false or null."""
    return json.dumps(value, indent=4)


EXAMPLES = (
    Example(
        "Scan now",
        "Queues a scan, and answers at once. While one is under way it is that one: created is"
        " false.",
        "POST",
        "/api/models/discovery/refresh",
        'print(answer.json()["scan_id"], answer.json()["status"])',
    ),
    Example(
        "How discovery stands",
        "The scan under way with its progress, the last one with its result, and models by status.",
        "GET",
        "/api/models/discovery/status",
        'print(answer.json()["state"], answer.json()["models"])',
    ),
    Example(
        "List models",
        "Filters are repeatable, facets count what is found. Follow next for the following page.",
        "GET",
        "/api/models/discovered?primary=LANGUAGE&ordering=-size_bytes&facets=true",
        'for model in answer.json()["results"]:\n    print(model["model_id"],'
        ' model["parameter_count"])',
    ),
    Example(
        "Every model once",
        "With a cursor no model is missed or comes twice, even while a scan adds and changes some.",
        "GET",
        "/api/models/discovered?cursor=&page_size=500",
        "while True:\n"
        '    for model in answer.json()["results"]:\n        print(model["model_id"])\n'
        '    if not answer.json()["next"]:\n        break\n'
        '    answer = karen.get(answer.json()["next"]).raise_for_status()',
    ),
    Example(
        "Register a model by hand",
        "For what scans do not find. The path is absolute, or below a root. Answers 409 when it is"
        " registered already.",
        "POST",
        "/api/models/register",
        'print(answer.json()["model_id"], answer.json()["type"])',
        {
            "name": "custom-model",
            "path": "custom-model",
            "type": "HUGGINGFACE",
            "modalities": ["TEXT"],
            "capabilities": ["CHAT", "CODE"],
        },
    ),
    Example(
        "Update metadata",
        "Only what is sent changes: objects merge key by key, lists replace, null gives a field"
        " back to what the files say.",
        "PUT",
        "/api/models/llama-2-7b-chat/metadata",
        'print(answer.json()["display_name"], answer.json()["sources"]["tags"])',
        {
            "display_name": "Updated Model Name",
            "tags": ["new_tag", "updated"],
            "performance_metrics": {"accuracy_score": 0.9},
        },
    ),
    Example(
        "Update many models",
        "Up to 1,000 in one call and one batch, each with its own result; ?atomic=true makes it all"
        " or nothing.",
        "POST",
        "/api/models/metadata/bulk-update",
        'print(answer.json()["updated"], answer.json()["failed"])',
        {
            "updates": [
                {"model_id": "llama-2-7b-chat", "metadata": {"license": "llama2"}},
                {
                    "model_id": "mistral-7b-instruct",
                    "metadata": {"license": "apache-2.0", "tags": ["reviewed"]},
                },
            ]
        },
    ),
    Example(
        "Set the category",
        "Any of the three; null is what the rules say.",
        "PUT",
        "/api/models/llama-2-7b-chat/category",
        'print(answer.json()["category"])',
        {"primary": "LANGUAGE", "secondary": "CODE", "specialization": "TECHNICAL"},
    ),
    Example(
        "Discovery log",
        "Newest first. Filter by level, channel, scan_id, model_id and since.",
        "GET",
        "/api/models/discovery/logs?level=warning&level=error",
        'for event in answer.json()["results"]:\n    print(event["at"], event["channel"],'
        ' event["message"])',
    ),
    Example(
        "Try to load a model",
        "In a child process with limits. Without wait, or when it takes longer, 202 says where the"
        " result will be.",
        "POST",
        "/api/models/llama-2-7b-chat/test-load?wait=30",
        'print(answer.json()["status"], answer.json().get("message", ""))',
    ),
    Example(
        "Validate a model",
        "Reads its headers again and tells what is wrong, where, and what to do. ?deep=true queues"
        " reading all bytes.",
        "GET",
        "/api/models/llama-2-7b-chat/validate",
        'for check in answer.json()["checks"]:\n    print(check["status"], check["name"],'
        ' check["message"])',
    ),
    Example(
        "System resources",
        "Processor, memory, GPUs, disks and workers.",
        "GET",
        "/api/system/resources",
        'print(answer.json()["memory"]["available_bytes"])',
    ),
)
