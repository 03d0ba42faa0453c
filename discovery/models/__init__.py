"""The database: the registry itself, what people make of it, how far it can be trusted, and which programs use it."""

from discovery.models.access import ApiToken, IdempotentCall, Webhook, WebhookDelivery
from discovery.models.curation import (
    BulkEdit,
    Collection,
    Forgotten,
    MetadataChange,
    MetadataImport,
    SavedView,
    Tag,
)
from discovery.models.listing import Listing
from discovery.models.registry import (
    Channel,
    LogEntry,
    RegisteredModel,
    RegisteredModelQuerySet,
    Root,
    ScanRun,
    Skipped,
    Visibility,
)
from discovery.models.trust import DeepValidation, FileChecksum, Finding, LoadTest

__all__ = [
    "ApiToken", "BulkEdit", "Channel", "Collection", "DeepValidation", "FileChecksum", "Finding", "Forgotten", "IdempotentCall", "Listing",
    "LoadTest", "LogEntry", "MetadataChange", "MetadataImport", "RegisteredModel", "RegisteredModelQuerySet", "Root", "SavedView", "ScanRun",
    "Skipped", "Tag", "Visibility", "Webhook", "WebhookDelivery",
]  # fmt: skip
