"""What registries say that files here should hold, where it is known which revision they are."""

from __future__ import annotations

from discovery.engine.core.service_words import MatchState
from discovery.engine.integrity.expected_checksums import Expected
from discovery.models import RegisteredModel, RemoteMatch
from discovery.services.registries.configured import configured
from discovery.services.registries.local_models import remote_path
from discovery.services.registry.model_files import below, home


def checksums(model: RegisteredModel) -> dict[str, Expected]:
    """Path of a file → what its registry says of it, for links whose revision is known.

    Of another revision a file may well have other bytes: nothing is said of that.
    """
    found: dict[str, Expected] = {}
    known = configured()
    folder = home(model)
    rows = RemoteMatch.objects.filter(model=model, state=MatchState.ACCEPTED)
    for match in rows.exclude(local_revision="").select_related("entry"):
        is_latest = match.entry.revision == match.local_revision
        files = match.entry.files if is_latest else match.base_files
        label = known[match.registry].label if match.registry in known else match.registry
        sums = {file["path"]: file["sha256"] for file in files if file["sha256"]}
        for path, _ in model.files:
            name = remote_path(below(path, folder), match.local_revision)
            if name in sums:
                source = f"{label} ({match.entry.remote_id})"
                found.setdefault(path, Expected(sums[name], source))
    return found
