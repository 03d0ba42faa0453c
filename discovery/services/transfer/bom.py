"""A machine-learning bill of materials, in CycloneDX 1.6 (ECMA-424), for any number of models.

What others claim and what was verified here are told apart: licenses are marked as declared, each
claimed value names its source, and a hash stands only where a deep validation read the file and
the file has not changed since.

The library makes each component; the list of them is written a batch at a time, so that memory
stays flat.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.model.license import License, LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema.schema import SchemaVersion1Dot6
from packageurl import PackageURL

from discovery.models import FileChecksum, RegisteredModel, RegisteredModelQuerySet
from discovery.services.access.redaction import Sight
from discovery.services.machine import versions
from discovery.services.transfer.batches import batches

#: Of a model with more files than this, none is listed.
MOST_FILES = 1_000
#: Begins the names of our properties.
_OURS = "karen-admin:"

#: Facts of a model that have no place of their own in the format.
_FACTS = (
    "type", "format", "status", "parameter_count", "context_length", "quantization", "dtype",
    "size_bytes",
)  # fmt: skip
#: Values that somebody claims, whose source is told.
_CLAIMED = ("license", "author", "version", "base_model", "description")

#: ``models--org--name/snapshots/<commit>`` of a Hub cache.
_HUB = re.compile(r"(?:^|/)models--(?:(?P<owner>[^/]+?)--)?(?P<name>[^/]+)(?:/|$)")
_COMMIT = re.compile(r"/snapshots/([0-9a-f]{7,64})(?:/|$)")


def cyclonedx(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """Yield a JSON document with one component for each model, in the order of ``rows``."""
    sight = sight or Sight(None)
    head = json.dumps(_head(), ensure_ascii=False, indent=1).removesuffix("\n}")
    lead = f'{head},\n "components": [\n'
    for batch in batches(rows.select_related("root").defer("signals", "evidence", "memory_shape")):
        checksums = _checksums(batch)
        yield lead + ",\n".join(
            json.dumps(_component(record, checksums[record.pk], sight), ensure_ascii=False)
            for record in batch
        )
        lead = ",\n"
    yield "\n ]\n}\n" if lead == ",\n" else f"{lead} ]\n}}\n"


def _head() -> dict[str, Any]:
    """Everything but the components, as the library writes it."""
    bom = Bom()
    bom.metadata.tools.components.add(
        Component(name="Karen Admin", version=versions.own(), type=ComponentType.APPLICATION)
    )
    head: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    return {
        name: value for name, value in head.items() if name not in ("components", "dependencies")
    }


def _checksums(batch: Iterable[RegisteredModel]) -> dict[int, dict[str, FileChecksum]]:
    found: dict[int, dict[str, FileChecksum]] = defaultdict(dict)
    for row in FileChecksum.objects.filter(model__in=batch):
        found[row.model_id][row.path] = row
    return found


def _component(
    record: RegisteredModel, checksums: dict[str, FileChecksum], sight: Sight
) -> dict[str, Any]:
    component = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=record.model_id,
        name=record.title,
        version=record.version or None,
        description=record.description or None,
        publisher=record.author or None,
        licenses=[_license(record.license)] if record.license else None,
        purl=_hub_address(record),
        pedigree=_pedigree(record),
        properties=_properties(record, sight),
        components=list(_files(record, checksums)),
    )
    found: dict[str, Any] = json.loads(
        component.as_json(view_=SchemaVersion1Dot6)  # type: ignore[attr-defined]
    )
    if card := _card(record):
        found["modelCard"] = card
    return found


@lru_cache(maxsize=1_000)
def _license(text: str) -> License:
    return LicenseFactory().make_from_string(
        text, license_acknowledgement=LicenseAcknowledgement.DECLARED
    )


def _hub_address(record: RegisteredModel) -> PackageURL | None:
    """The package URL of the repository and commit that a Hub cache names."""
    path = record.variants[0]["path"] if record.variants else record.path
    found, commit = _HUB.search(path) or _HUB.search(record.path), _COMMIT.search(path)
    if found is None:
        return None
    return PackageURL("huggingface", found["owner"], found["name"], commit[1] if commit else None)


def _pedigree(record: RegisteredModel) -> Pedigree | None:
    if not record.base_model:
        return None
    base = Component(name=record.base_model, type=ComponentType.MACHINE_LEARNING_MODEL)
    return Pedigree(ancestors=[base], notes=record.base_model_relation or None)


def _properties(record: RegisteredModel, sight: Sight) -> list[Property]:
    facts = {name: getattr(record, name) for name in _FACTS}
    facts["model_id"], facts["path"] = record.model_id, record.path
    facts["root"] = sight.root(record.root)
    if record.deep_validated_at:
        facts["deep_validated_at"] = record.deep_validated_at.isoformat()
    facts |= {f"claimed_by:{name}": _source(record, name) for name in _CLAIMED}
    facts |= {f"check:{check['name']}": check["status"] for check in record.checks}
    return [
        Property(name=f"{_OURS}{name}", value=str(value))
        for name, value in facts.items()
        if value not in (None, "")
    ]


def _source(record: RegisteredModel, name: str) -> str:
    """Who says what a field holds; empty where nobody does."""
    if name in record.curated:
        return "a person"
    return str((record.extracted.get(name) or {}).get("source", ""))


def _files(record: RegisteredModel, checksums: dict[str, FileChecksum]) -> Iterator[Component]:
    if len(record.files) > MOST_FILES:
        return
    for path, size in record.files:
        below = path.removeprefix(f"{record.path}/")
        row = checksums.get(below)
        facts = {"size_bytes": str(size)}
        hashes = []
        if row is not None and _is_current(record, row, size):
            hashes = [
                HashType(alg=HashAlgorithm.SHA_256, content=row.sha256),
                HashType(alg=HashAlgorithm.BLAKE3, content=row.blake3),
            ]
            facts["hashes"] = f"verified by reading the file at {row.checked_at.isoformat()}"
        if row is not None and row.expected_sha256:
            facts["claimed_sha256"] = row.expected_sha256
            facts["claimed_by"] = row.expected_from
        yield Component(
            type=ComponentType.FILE,
            bom_ref=f"{record.model_id}#{below}",
            name=below,
            hashes=hashes,
            properties=[
                Property(name=f"{_OURS}{name}", value=text) for name, text in facts.items()
            ],
        )


def _is_current(record: RegisteredModel, row: FileChecksum, size: int) -> bool:
    """Whether the file is still the one that was read, as far as the last scan tells."""
    newest = record.modified_at
    return row.size == size and (newest is None or newest <= row.checked_at)


def _card(record: RegisteredModel) -> dict[str, Any]:
    """The model card, for which the library has no class yet."""
    shape = {"architectureFamily": record.model_family, "modelArchitecture": record.architecture}
    parameters = {name: value for name, value in shape.items() if value}
    return {"modelParameters": parameters} if parameters else {}
