"""The database: the registry itself, what people make of it, and how far it can be trusted."""

from discovery.models.curation import BulkEdit, Collection, MetadataChange, SavedView, Tag
from discovery.models.registry import Channel, LogEntry, RegisteredModel, RegisteredModelQuerySet, Root, ScanRun, Skipped, Visibility
from discovery.models.trust import DeepValidation, FileChecksum, Finding, LoadTest

__all__ = [
    "BulkEdit", "Channel", "Collection", "DeepValidation", "FileChecksum", "Finding", "LoadTest", "LogEntry", "MetadataChange", "RegisteredModel",
    "RegisteredModelQuerySet", "Root", "SavedView", "ScanRun", "Skipped", "Tag", "Visibility",
]  # fmt: skip
