"""What fuzzing found (``tests/fuzz/headers.py``), each as the smallest bytes that showed it."""

from __future__ import annotations

import pytest

from discovery.engine.untrusted import chat_templates
from tests.support import timing

#: Loops of plain Python that reading a megabyte may take.
LOOPS = 25


@pytest.mark.parametrize(
    "piece",
    [
        "{{ a ",
        "{# a ",
        "{% a ",
        "{{ '\\'",
        '{{ "\\"',
        "{{ (",
        "{{ [}} ",
        "{% raw %}",
        "{%raw%} {% endraw ",
        "{{ range(9*9",
    ],
)
def test_a_template_whose_tags_never_end_takes_no_longer_than_others(piece: str) -> None:
    template = piece * (chat_templates.MAX_TEMPLATE // len(piece))
    with timing.at_most(LOOPS):
        chat_templates.oddities(template)


@pytest.mark.slow
@pytest.mark.parametrize("piece", [" ", "\\'", '\\"', "[", "9*", "1,", ". ", "['_"])
def test_a_tag_as_long_as_the_template_takes_no_longer_than_others(piece: str) -> None:
    count = chat_templates.MAX_TEMPLATE // len(piece) - 20
    for start in ("{{ '", "{{ range(", "{% ", "{% x.", "{{ x |", "{{ x["):
        with timing.at_most(LOOPS):
            chat_templates.oddities(f"{start}{piece * count} }}}}")
