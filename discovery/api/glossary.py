"""What the OpenAPI document says of names that many calls share: a sentence and an example each.

A field that says more of itself where it is declared keeps that. Metadata fields are described by
the field catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.engine.core import fields
from discovery.engine.core.fields import Kind

_TIME = "2026-11-29T08:30:00Z"

#: Name, or schema and name → (what it is, an example).
WORDS: dict[str, tuple[str, Any]] = {
    # -- lists
    "count": ("How many there are on all pages.", 41),
    "next": ("Address of the next page, if there is one.", None),
    "previous": ("Address of the page before, if there is one.", None),
    "results": ("Those on this page.", []),
    "search": ("Words that must all occur.", "llama"),
    "cursor": ("Empty for the first page, then as `next` has it.", ""),
    "unknown": ("Values that were asked for and that nothing has: {parameter: values}.", {}),
    "facets": ("The values of each field, with how many of the models found have each.", {}),
    "value": ("A value of the field.", "LANGUAGE"),
    "FacetValue.count": ("Models found that have it.", 12),
    # -- models
    "model_id": ("The model's id.", "llama-2-7b-chat"),
    "alias": ("Another id of the model.", "llama2-chat"),
    "name": ("What it is called.", "llama-2-7b-chat"),
    "path": ("Where it is, relative to its root.", "llama-2-7b-chat"),
    "root": ("The root that it is in: its path, or for viewers its name.", "/srv/models"),
    "status": ("How it stands.", "READY"),
    "size_bytes": ("Bytes on disk.", 13_476_925_163),
    "file_count": ("How many files it has.", 9),
    "memory_bytes": ("Bytes to run the first variant.", 15_032_385_536),
    "modified_at": ("When its newest file was written.", _TIME),
    "added_at": ("When it was registered.", _TIME),
    "last_seen_at": ("When a check saw it last.", _TIME),
    "visibility": ("Who may see it.", "RESTRICTED"),
    "groups": ("Names of groups.", ["Editors"]),
    "collections": ("Collections that it is in.", ["Shortlist"]),
    "category": ("Its place on each of the three axes.", {}),
    "format": ("Format of the main weight files.", "safetensors"),
    "type": ("The library or program that runs it.", "TRANSFORMERS"),
    "dtype": ("Precision of the weights.", "BF16"),
    "bits_per_weight": ("Bits of one weight on average.", 16.0),
    "family": ("As `model_family` has it.", ["llama"]),
    "tag": ("A tag.", ["chat"]),
    "collection": ("Name of a collection.", ["Shortlist"]),
    "variants": ("What programs load, the first one best for this machine.", []),
    "memory": ("Bytes that loading takes.", {}),
    "sources": ("Where each value comes from.", {}),
    "source": ("The file, the rule or the person that it comes from.", "config.json"),
    "curated": ("A person or a program set it.", False),
    "evidence": ("Why each verdict was reached.", {}),
    "rule": ("The rule that decided.", "keyword chat"),
    "matched": ("What the rule matched.", "chat"),
    "where": ("Where the rule matched it.", "name"),
    "weight": ("How much it counts.", 1.0),
    "problems": ("What is wrong with it.", []),
    "weights_bytes": ("Bytes of the weights.", 13_476_925_163),
    "kv_cache_bytes": ("Bytes of the key-value cache.", 2_147_483_648),
    "overhead_bytes": ("Bytes that the runtime takes itself.", 536_870_912),
    "projector_bytes": ("Bytes of the projector of images or sound.", 0),
    "total_bytes": ("Bytes in all.", 16_160_892_723),
    "Memory.at_least": ("Terms that are not known and missing from the sum.", []),
    "kv_type": ("Type of the values in the key-value cache.", "f16"),
    "min_params": ("Parameters from.", 7_000_000_000),
    "max_params": ("Parameters up to.", 13_000_000_000),
    "min_context": ("Tokens of context from.", 32_768),
    "max_context": ("Tokens of context up to.", 131_072),
    "min_size": ("Bytes on disk from.", 1_000_000_000),
    "max_size": ("Bytes on disk up to.", 20_000_000_000),
    "min_memory": ("Bytes to run it from.", 1_000_000_000),
    "max_memory": ("Bytes to run it up to.", 24_000_000_000),
    **{
        f"{name}.path": ("Absolute path of the folder.", "/srv/models")
        for name in (
            "Disk",
            "RootStatus",
            "PathExplanation",
            "RootRow",
            "NewRoot",
            "RootMove",
            "RemovedRoot",
        )
    },
    **{
        f"{name}.path": ("The only folder that is scanned; null: every root.", None)
        for name in ("ScanResult", "ScanDetails")
    },
    "Gpu.name": ("Name of the card.", "NVIDIA RTX 4090"),
    "TagRow.name": ("The tag.", "chat"),
    "CollectionRow.name": ("Name of the collection.", "Shortlist"),
    "SharingCollection.name": ("Name of the collection.", "Shortlist"),
    "Variant.name": ("Name of the variant.", "Q4_K_M"),
    "TensorRow.name": ("Name of the tensor.", "model.embed_tokens.weight"),
    "UnrecognizedFile.path": ("Below the root.", "notes/photo.psd"),
    # -- files and tensors
    "file": ("A weight file, relative to the root.", "bert/model.safetensors"),
    "files": ("How many files.", 2),
    "files_read": ("How many of them were read.", 2),
    "bytes": ("Bytes in them together.", 1_048_576),
    "shape": ("Elements in each direction.", [4096, 4096]),
    "elements": ("How many values it has.", 16_777_216),
    "first_bytes": ("Its first bytes, in hexadecimal.", "89504e470d0a1a0a"),
    "guess": ("What its first bytes are like.", "PNG image"),
    "totals": ("All files under the roots by what they are.", {}),
    # -- problems and checks
    "problem_id": ("The id of the problem.", 7),
    "code": ("Kind of problem, the same in every release.", "truncated"),
    "severity": ("How bad it is.", "error"),
    "message": ("What happened or is wrong, in a sentence.", "The file ends after 12 of 20 MB."),
    "advice": ("What to do about it.", "Download the file again, then scan."),
    "offset": ("The byte in the file at which it shows.", 4096),
    "resolved_at": ("When a check no longer found it.", None),
    "snoozed_until": ("Until when it is snoozed.", None),
    "first_seen_at": ("When a check found it first.", _TIME),
    "reason": ("Why, in a sentence.", "We trust the publisher."),
    "by": ("Who did it.", "anna"),
    "at": ("When it happened.", _TIME),
    "decision": ("Changes with each decision.", "1f0c2a0e4b7d4f0e"),
    "seen": ("What was decided when it was read.", {"7": "1f0c2a0e4b7d4f0e"}),
    "days": ("How many days.", 7),
    "quarantined_at": ("Since when it is in quarantine.", None),
    "checks": ("Each check with its outcome.", []),
    "valid": ("False exactly when a check failed.", True),
    "completeness": ("How well it is described.", {}),
    "score": ("0 to 100.", 80),
    "missing": ("Models whose files are gone.", 0),
    "Completeness.missing": ("What nobody has filled in, in words.", ["a license"]),
    "Check.name": ("Name of the check.", "header_parses"),
    "Check.path": ("The file that it is about.", None),
    **{
        f"{name}.problems": ("Ids of problems.", [7, 9])
        for name in ("AcceptProblems", "SnoozeProblems", "ReopenProblems")
    },
    # -- jobs
    "location": ("Where its progress and its result are.", "http://127.0.0.1:8000/api/…"),
    "created": ("False while the same was under way already.", True),
    "created_at": ("When it was asked for or made.", _TIME),
    "started_at": ("When it began.", _TIME),
    "finished_at": ("When it ended.", _TIME),
    "seconds": ("How long it took.", 3.2),
    "requested_by": ("Who asked for it.", "anna"),
    "wait": ("Seconds to wait for the end.", 30),
    "validation_id": ("The id of the deep validation.", 8),
    "done_bytes": ("Bytes read so far.", 1_048_576),
    "current_path": ("What it is at now.", None),
    "report": ("The checks of the model now.", {}),
    "test_id": ("The id of the test load.", 3),
    "variant": ("Name of the variant.", "Q4_K_M"),
    "loader": ("The library that loaded it.", "transformers 4.57.1"),
    "peak_memory_bytes": ("The most memory that it took.", 1_048_576),
    # -- scans
    "scan_id": ("The id of the scan.", 25),
    "found": ("Models that the scan found.", 41),
    "new": ("Models that are new.", 2),
    "changed": ("Models that changed.", 1),
    "unchanged": ("Models that did not change.", 38),
    "moved": ("Models that moved.", 0),
    "errors": ("Models with an error, and places that could not be read.", 0),
    "BulkResult.errors": ("What is wrong with the item.", []),
    "expected": ("Models known before the scan.", 39),
    "done": ("How many it is done with.", 12),
    "full": ("Every model is read again, changed or not.", False),
    "trigger": ("What asked for it.", "schedule"),
    "event": ("What a scan did.", "new"),
    "events": ("How many there were of each event.", {"new": 2}),
    "ScanDifference.events": ("What happened in between, the oldest first.", ["missing"]),
    "previous_scan_id": ("The scan before it.", 24),
    "kind": ("Which kind it is.", "added"),
    "first": ("The earlier scan.", 24),
    "second": ("The later scan.", 25),
    "scans": ("How many scans.", 1),
    "untold": ("How many of them have no log any more.", 0),
    "level": ("How important it is.", "warning"),
    "channel": ("What it is about.", "discovery"),
    "since": ("Only what is not older.", _TIME),
    "state": ("How it stands.", "idle"),
    "scan": ("The scan that is under way.", None),
    "last_scan": ("The last scan that is over.", None),
    "next_scan_at": ("When the schedule scans next.", _TIME),
    "DiscoveryStatus.models": ("Models by status.", {"READY": 40, "CORRUPT": 1}),
    "roots": ("The roots.", []),
    "enabled": ("Whether it is scanned.", True),
    "read_only": ("Nothing is written below it.", False),
    "interval_minutes": ("Minutes between scans by the clock; null: as the others.", 60),
    "max_depth": ("Folders that scans go down into; null: as the others.", 8),
    "reachable": ("The folder can be read now.", True),
    "last_scan_at": ("End of the last scan that saw all of it.", _TIME),
    "fault": ("Why it cannot be read.", None),
    "frozen_reason": ("Why nothing is marked missing until a person confirms.", None),
    "title": ("The answer in a few words.", "It is registered as llama-2-7b-chat."),
    "detail": ("The answer in a sentence or two.", "Its files are as the last scan saw them."),
    "PathExplanation.problems": ("What is wrong there, a sentence each.", []),
    # -- catalogue
    "models": ("How many models.", 12),
    "PathExplanation.models": ("Ids of the models there.", ["llama-2-7b-chat"]),
    "colour": ("Color of the tag.", "blue"),
    "query": ("The saved filter; none where models are selected by hand.", None),
    "primary": ("What kind of data it works on.", "LANGUAGE"),
    "secondary": ("What it is used for.", "CHAT"),
    "specialization": ("The subject that it knows best.", "GENERAL"),
    # -- access
    "rules": ("Access rules that mean it.", []),
    "users": ("User names.", ["anna"]),
    "user": ("User name.", "anna"),
    "allowed": ("Whether this person may see it.", True),
    "allows": ("What the step says.", True),
    "steps": ("Each step of the decision, in order.", []),
    "text": ("A sentence.", "The group Editors may see it."),
    "why": ("The decision in a sentence.", "The group Editors may see it."),
    # -- changes of many
    "updates": ("The models and their changes.", []),
    "metadata": ("What is to change.", {"license": "apache-2.0"}),
    "updated": ("How many were changed.", 2),
    "failed": ("How many were not.", 0),
    "loc": ("Where in the request.", ["body", "license"]),
    "msg": ("What is wrong there.", "must be a text"),
    "scope": ("What a token may do at most.", "read"),
    # -- machine
    "cpu": ("The processor.", {}),
    "cores": ("Cores of the processor.", 16),
    "load_percent": ("How busy it is.", 12.5),
    "gpus": ("Graphics cards.", []),
    "disks": ("File systems that hold models.", []),
    "workers": ("Processes that do the work.", []),
    "host": ("Name of the machine.", "atlas"),
    "pid": ("Number of the process.", 4711),
    "available_bytes": ("Bytes that are available.", 8_589_934_592),
    "free_bytes": ("Bytes that are free.", 107_374_182_400),
    "models_bytes": ("Bytes of models on it.", 53_687_091_200),
}

_OF_KIND: Mapping[Kind, Any] = {
    Kind.NUMBER: 4096,
    Kind.FRACTION: 4.5,
    Kind.LIST: ["example"],
    Kind.OBJECT: {"note": "example"},
}
_OF_FIELD: Mapping[str, Any] = {
    "parameter_count": 6_738_415_616,
    "active_parameter_count": 6_738_415_616,
    "layer_count": 32,
    "vocab_size": 32_000,
    "license": "apache-2.0",
    "author": "Meta",
    "version": "1.0",
    "architecture": "LlamaForCausalLM",
    "model_family": "llama",
    "quantization": "Q4_K_M",
    "base_model": "meta-llama/Llama-2-7b-hf",
    "tags": ["chat", "reviewed"],
    "language_support": ["en", "de"],
    "use_cases": ["summaries"],
    "specialized_domains": ["medicine"],
    "display_name": "Llama 2 7B Chat",
    "description": "A chat model for short answers.",
    "endpoint": "http://127.0.0.1:8080/v1",
    "api_key_variable": "KAREN_ENDPOINT_KEY_LOCAL",
}

_TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def describe(name: str, schema: dict[str, Any], of: str = "") -> None:
    """Add what is missing of description and example to a property of the schema ``of``."""
    text, example = _known(name, of)
    if not schema.get("description") and text:
        schema["description"] = text
    if _is_shown(schema):
        return
    if text and _takes(schema, example):
        schema["examples"] = [example]
    elif any(part.get("format") == "date-time" for part in (schema, *schema.get("anyOf", ()))):
        schema["examples"] = [_TIME]


def describe_parameter(parameter: dict[str, Any]) -> None:
    """Add what is missing of description and example to a parameter."""
    schema, (text, example) = parameter["schema"], _known(parameter["name"], "")
    if not parameter.get("description") and text:
        parameter["description"] = text
    if schema.get("type") == "array" and not isinstance(example, list):
        example = [example]
    if "example" not in parameter and not _is_shown(schema) and _takes(schema, example):
        parameter["example"] = example


def _known(name: str, of: str) -> tuple[str, Any]:
    if found := WORDS.get(f"{of}.{name}"):
        return found
    if field := fields.FIELDS.get(name):
        words = [str(word) for word in field.words]
        example = _OF_FIELD.get(name) or (words[0] if words else _OF_KIND.get(field.kind, name))
        if field.kind is Kind.WORDS:
            example = words[:1]
        return field.help or f"{field.label}.", example
    return WORDS.get(name, ("", None))


def _is_shown(schema: Mapping[str, Any]) -> bool:
    """Whether an example can be made of it without one of its own."""
    if any(word in schema for word in ("examples", "example", "enum", "const", "$ref")):
        return True
    inner = [schema["items"]] if isinstance(schema.get("items"), dict) else schema.get("anyOf", [])
    return any("$ref" in part or "enum" in part for part in inner)


def _takes(schema: Mapping[str, Any], example: Any) -> bool:
    """Whether a value of this type may stand there at all."""
    if "anyOf" in schema:
        return any(_takes(part, example) for part in schema["anyOf"])
    kind = schema.get("type")
    return kind is None or kind == _TYPES[type(example)] or (kind, type(example)) == ("number", int)
