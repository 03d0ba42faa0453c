"""The database: the registry itself, and what is known about how far it can be trusted."""

from discovery.models.registry import (
    Channel,
    Collection,
    LogEntry,
    MetadataChange,
    RegisteredModel,
    RegisteredModelQuerySet,
    Root,
    ScanRun,
    Skipped,
    Visibility,
)  # fmt: skip
from discovery.models.trust import DeepValidation, FileChecksum, Finding, LoadTest

__all__ = [
    "Channel", "Collection", "DeepValidation", "FileChecksum", "Finding", "LoadTest", "LogEntry", "MetadataChange", "RegisteredModel",
    "RegisteredModelQuerySet", "Root", "ScanRun", "Skipped", "Visibility",
]  # fmt: skip
