"""The closed lists of words of the service around models: changes, jobs, scans, access, accounts.

Values are the words of the contract; what is stored and what programs are told never changes.
"""

from __future__ import annotations

from discovery.engine.core.word import Word


class VisibilitySource(Word):
    """Who decided the visibility of a model. Later entries override earlier ones."""

    DEFAULT = "default", "Default"
    FILE = "file", "Access file"
    RULE = "rule", "Access rule"
    PERSON = "person", "Set on the model"


class RuleKind(Word):
    """What the models of an access rule have in common."""

    CATEGORY = "category", "Category", "plain", "A category, use or domain."
    TAG = "tag", "Tag", "plain", "A tag, as it is written."
    FOLDER = (
        "folder",
        "Folder",
        "plain",
        "Below a root, such as language/chat, or an absolute path.",
    )
    LICENSE = "license", "License", "plain", "As model cards write it, such as apache-2.0."
    ROOT = "root", "Root", "plain", "Path or name of a root."
    NAME = "name", "Name", "plain", "ID or name of a model, name of a collection or of a tag."
    PATTERN = "pattern", "Pattern", "plain", "Held against IDs, names and paths, such as llama-*."


class Channel(Word):
    """The surface that a change came through."""

    PAGE = "page"
    API = "api", "API"
    ADMIN = "admin"
    IMPORT = "import"
    COMMAND = "command"
    SCAN = "scan"
    FILE = "file", "access file"


class LogTopic(Word):
    """What a line of the log is about."""

    DISCOVERY = "discovery"
    VALIDATION = "validation"
    METADATA = "metadata"
    CATEGORIZATION = "categorization"
    ACCESS = "access"


class PluginSource(Word):
    """Where a discovery plugin was found."""

    FOLDER = "folder", "Plugins folder"
    CONFIG = "config", "model_discovery.json"
    ENTRY_POINT = "entry point", "Installed package"


class RegistryFault(Word):
    """Why an external registry does not answer, or not with what it was asked for."""

    UNREACHABLE = "unreachable", "Not reachable", "bad"
    REFUSED = "refused", "Address refused", "bad"
    BUSY = "busy", "Too many requests", "warn"
    KEY = "key", "Key refused", "bad"
    UNREADABLE = "unreadable", "Answer cannot be read", "bad"
    GONE = "gone", "Not there", "warn"
    GATED = "gated", "Gated", "warn"
    NAME = "name", "Not a name", "warn"
    SETTINGS = "settings", "Settings are wrong", "bad"


class MatchState(Word):
    """Whether a local model is one of a registry's."""

    PROPOSED = "proposed", "To review", "warn"
    ACCEPTED = "accepted", "Linked", "ok"
    REJECTED = "rejected", "Rejected"


class JobState(Word):
    """How far a job is."""

    QUEUED = "queued", "Queued", "plain"
    RUNNING = "running", "Running", "accent"
    DONE = "done", "Done", "ok"
    CANCELLED = "cancelled", "Stopped", "warn"
    FAILED = "failed", "Failed", "bad"
    INTERRUPTED = "interrupted", "Interrupted", "warn"


class DownloadState(Word):
    """How far a download is: the states of a job, and that a person has paused it."""

    QUEUED = "queued", "Queued", "plain"
    RUNNING = "running", "Downloading", "accent"
    PAUSED = "paused", "Paused", "warn"
    DONE = "done", "Done", "ok"
    CANCELLED = "cancelled", "Canceled", "plain"
    FAILED = "failed", "Failed", "bad"
    INTERRUPTED = "interrupted", "Interrupted", "warn"


class DownloadFault(Word):
    """Why a download failed."""

    REGISTRY = "registry", "Registry", "bad"
    CHECKSUM = "checksum", "Wrong checksum", "bad"
    FILES = "files", "Files refused", "bad"
    DISK = "disk", "Disk", "bad"
    PLACE = "place", "Target folder", "bad"
    UNSAFE = "unsafe", "Unsafe", "bad"


class DeliveryState(Word):
    """How far a message for a webhook is: the states of a job, as people say them of messages."""

    QUEUED = "waiting", "Waiting", "accent"
    RUNNING = "sending", "Sending", "accent"
    DONE = "delivered", "Delivered", "ok"
    CANCELLED = "cancelled", "Stopped", "warn"
    FAILED = "failed", "Given up", "bad"
    INTERRUPTED = "interrupted", "Interrupted", "warn"


class Trigger(Word):
    """Who asked for a scan."""

    PAGE = "page", "Scan now"
    COMMAND = "command"
    SCHEDULE = "schedule"
    STARTUP = "startup", "Start-up"
    API = "api", "API"
    DOWNLOAD = "download"


class ScanEvent(Word):
    """What a scan did to a model."""

    NEW = "new", "New", "ok"
    CHANGED = "changed", "Changed", "accent"
    BACK = "back", "Back", "ok"
    MOVED = "moved", "Moved", "accent"
    MISSING = "missing", "Missing", "warn"
    SKIPPED = "skipped", "Skipped", "plain"


class Difference(Word):
    """How two scans differ in a model, besides what a scan does to it."""

    ADDED = "added", "Added", "ok"
    GONE = "gone", "Gone", "warn"


class FindingSource(Word):
    """What found a problem."""

    SCAN = "scan"
    DEEP = "deep", "Deep validation"
    LOAD = "load", "Test load"


class LoadResult(Word):
    """What came of a test load."""

    PASSED = "passed", "Loads", "ok"
    FAILED = "failed", "Won't load", "bad"
    UNSUPPORTED = "unsupported", "Cannot be tried", "plain"
    REFUSED = "refused", "Refused", "warn"


class TokenScope(Word):
    """What an API token may do at most."""

    READ = "read", "Read only"
    WRITE = "write", "Read and write"
    ADMIN = "admin", "Full admin access"


class SignInKind(Word):
    """What a count of failed sign-ins is about."""

    PAIR = "pair", "Account and address"
    ACCOUNT = "account"
    ADDRESS = "address"
    TOKEN = "token", "Address, by token"
    KNOWN = "known", "Signed in from there"


class SignInSource(Word):
    """The service that authenticates people who sign in without a password."""

    OPENID = "openid", "Sign-in provider"
    PROXY = "proxy", "Trusted proxy"


class ProviderStatus(Word):
    """What a provider can make an account, beside a member of groups."""

    SUPERUSER = "superuser", "Superuser"
    STAFF = "staff", "Staff"


class TagColor(Word):
    """The color that a tag is shown in."""

    NONE = "", "None"
    BLUE = "blue"
    TEAL = "teal"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    PURPLE = "purple"


class ImportStage(Word):
    """What an import job does: it checks the file first and applies it later."""

    CHECK = "check"
    APPLY = "apply", "Import"


class ExpectedBy(Word):
    """Who says what a file should contain."""

    PUBLISHED = "published", "Its publisher"
    POINTER = "pointer", "Its git-lfs pointer"
    EARLIER = "earlier", "An earlier reading, from which it has departed unwritten"


class AccountKind(Word):
    """What a change of the account history is about."""

    USER = "user"
    GROUP = "group"


class Theme(Word):
    """The colors that a person has chosen for the pages."""

    SYSTEM = "system", "As on this device"
    LIGHT = "light"
    DARK = "dark"


#: Variables of the environment that may hold the key of a server begin with this;
#: services.integrations.endpoint_keys sends no other one.
KEY_PREFIX = "KAREN_ENDPOINT_KEY"
