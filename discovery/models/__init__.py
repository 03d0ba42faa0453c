"""The database tables.

They hold the registry itself, people's decisions, problems and checks, access rights, and the
programs that use the registry.
"""

from discovery.engine.core.service_words import LogTopic
from discovery.engine.core.vocabulary import Visibility
from discovery.models.curation import (
    Alias,
    BulkEdit,
    Collection,
    Forgotten,
    MetadataChange,
    MetadataImport,
    ProposedJoin,
    Recategorization,
    RejectedMove,
    SavedView,
    Tag,
)
from discovery.models.downloads import Download
from discovery.models.grants import AccessChange, AccessRule, AccessTerm, Audience, Opening
from discovery.models.integrations import (
    ApiToken,
    IdempotentCall,
    Notice,
    SignInCount,
    Webhook,
    WebhookDelivery,
)
from discovery.models.job import Job, QueueKey, TimedJob
from discovery.models.listing import Listing
from discovery.models.listing_version import ListingVersion
from discovery.models.people import AccountChange, ExternalGrant, ExternalIdentity, Profile
from discovery.models.permissions import Right
from discovery.models.plugins import Plugin, PluginAnswers
from discovery.models.registry import RegisteredModel, RegisteredModelQuerySet
from discovery.models.remote import (
    NameSearch,
    RegistryState,
    RegistrySync,
    RemoteEntry,
    RemoteMatch,
)
from discovery.models.roots import Root, SkippedPath, Unrecognized
from discovery.models.scans import LogEntry, ScanRun
from discovery.models.sessions import UserSession
from discovery.models.settings import SettingChange
from discovery.models.trust import DeepValidation, FileChecksum, Finding, LoadTest

__all__ = [
    "AccessChange",
    "AccessRule",
    "AccessTerm",
    "AccountChange",
    "Alias",
    "ApiToken",
    "Audience",
    "BulkEdit",
    "Collection",
    "DeepValidation",
    "Download",
    "ExternalGrant",
    "ExternalIdentity",
    "FileChecksum",
    "Finding",
    "Forgotten",
    "IdempotentCall",
    "Job",
    "Listing",
    "ListingVersion",
    "LoadTest",
    "LogEntry",
    "LogTopic",
    "MetadataChange",
    "MetadataImport",
    "NameSearch",
    "Notice",
    "Opening",
    "Plugin",
    "PluginAnswers",
    "Profile",
    "ProposedJoin",
    "QueueKey",
    "Recategorization",
    "RegisteredModel",
    "RegisteredModelQuerySet",
    "RegistryState",
    "RegistrySync",
    "RejectedMove",
    "RemoteEntry",
    "RemoteMatch",
    "Right",
    "Root",
    "SavedView",
    "ScanRun",
    "SettingChange",
    "SignInCount",
    "SkippedPath",
    "Tag",
    "TimedJob",
    "Unrecognized",
    "UserSession",
    "Visibility",
    "Webhook",
    "WebhookDelivery",
]  # fmt: skip
