"""A page as a test compares it: where a template breaks its lines is no matter."""

from __future__ import annotations

import re
from typing import Protocol


class Answer(Protocol):
    @property
    def content(self) -> bytes: ...


def page_text(response: Answer) -> str:
    """The page's HTML with each run of white space as one space, and none between two tags.

    What a ``textarea`` holds stays as it is.
    """
    parts = re.split(r"(?<=>)([^<>]*</textarea>)", response.content.decode())
    for number in range(0, len(parts), 2):
        line = " ".join(f"|{parts[number]}|".split())[1:-1]
        parts[number] = line.replace(" >", ">").replace("> <", "><")
    return "".join(parts)
