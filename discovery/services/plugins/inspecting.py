"""What plugins find below a folder, without the database: for ``inspect_model``."""

from __future__ import annotations

from collections.abc import Iterator

from discovery.engine.core.config import Discovery
from discovery.engine.core.types import Candidate, Found, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk.ledger import Ledger
from discovery.engine.identify.path_desk import PathDesk
from discovery.services.plugins import catalogue


class Inspection:
    """One walk of ``root``, an absolute path. All plugins are asked, switched on or not.

    ``ledger`` is for the walk; ``None`` where there are no plugins. ``problems`` are those of no
    model.
    """

    def __init__(self, root: str, settings: Discovery) -> None:
        self.problems = [
            Problem("plugin_failed", reason, root, Severity.WARNING) for reason in catalogue.load()
        ]
        self.desk = PathDesk(root, settings)
        self.ledger = Ledger(root) if self.desk.kinds else None
        if self.ledger is not None:
            self.ledger.on_loose = self.desk.loose
        self._waiting: list[tuple[Candidate, list[Found]]] = []

    def offer(self, candidate: Candidate, models: list[Found]) -> bool:
        """Whether a place waits for the plugins: it has no model, or one without weights."""
        waits = self.ledger is not None and (not models or _is_weightless(models))
        if waits:
            self.desk.loose(candidate.files)
            self._waiting.append((candidate, models))
        return waits

    def found(self) -> Iterator[Found]:
        """Asks the plugins. What waited comes first, unless a plugin reads a file of it."""
        try:
            places = {candidate.place for candidate, _ in self._waiting}
            claims = [each for each in self.desk.claims() if each.candidate.place not in places]
            claimed = {claim.candidate.place for claim in claims}
            for candidate, models in self._waiting:
                if claimed.isdisjoint(entry.path for entry in candidate.files):
                    yield from models
            for answer in self.desk.answers(claims):
                if answer.found is not None:
                    yield answer.found
                elif answer.reason:
                    place = answer.claim.candidate.place
                    self.problems.append(Problem("plugin_failed", answer.reason, place))
        finally:
            self.desk.rest()


def _is_weightless(models: list[Found]) -> bool:
    return len(models) == 1 and any(each.code == "weights_missing" for each in models[0].problems)
