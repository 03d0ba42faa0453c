"""The rights that people can hold: Django permissions, each named once, here.

Where Django's own ``view``, ``add``, ``change`` and ``delete`` say what is meant they are used; the
others are listed in ``OF_MODELS``, ``OF_SCANS``, ``OF_DOWNLOADS``, ``OF_FINDINGS`` and ``OF_ROOTS``
and belong to these models. Everybody sees what is shared with them without any right.
"""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """As ``user.has_perm`` and templates (``perms.discovery.…``) name it."""

    VIEW_ALL = "discovery.view_all_models"
    EDIT = "discovery.change_registeredmodel"
    REGISTER = "discovery.add_registeredmodel"
    FORGET = "discovery.delete_registeredmodel"
    GRANT = "discovery.grant_models"
    VALIDATE = "discovery.validate_models"
    IMPORT = "discovery.import_metadata"
    CLEAN_UP = "discovery.clean_up_models"
    DOWNLOAD = "discovery.download_models"
    RULES = "discovery.manage_rules"
    JOIN = "discovery.join_models"

    VIEW_FINDINGS = "discovery.view_finding"
    DECIDE = "discovery.decide_findings"

    VIEW_SCANS = "discovery.view_scanrun"
    SCAN = "discovery.run_scans"
    ROOTS = "discovery.change_root"

    ADD_COLLECTION = "discovery.add_collection"
    CHANGE_COLLECTION = "discovery.change_collection"
    DELETE_COLLECTION = "discovery.delete_collection"
    ADD_TAG = "discovery.add_tag"
    CHANGE_TAG = "discovery.change_tag"
    DELETE_TAG = "discovery.delete_tag"
    SHARE_VIEWS = "discovery.change_savedview"

    VIEW_WEBHOOKS = "discovery.view_webhook"
    ADD_WEBHOOK = "discovery.add_webhook"
    CHANGE_WEBHOOK = "discovery.change_webhook"
    DELETE_WEBHOOK = "discovery.delete_webhook"
    TOKENS = "discovery.change_apitoken"

    VIEW_LOG = "discovery.view_logentry"
    SYSTEM = "discovery.view_system"
    SCHEDULES = "discovery.manage_schedules"
    SETTINGS = "discovery.manage_settings"

    VIEW_USERS = "auth.view_user"
    ADD_USER = "auth.add_user"
    CHANGE_USER = "auth.change_user"
    DELETE_USER = "auth.delete_user"
    VIEW_GROUPS = "auth.view_group"
    ADD_GROUP = "auth.add_group"
    CHANGE_GROUP = "auth.change_group"
    DELETE_GROUP = "auth.delete_group"

    @property
    def codename(self) -> str:
        return self.partition(".")[2]


#: Django's own permissions over people and groups, which no role holds: see ``roles``.
OVER_ACCOUNTS = frozenset(right for right in Right if right.startswith("auth."))

#: Permissions of the models beside Django's own: (codename, what it allows).
OF_MODELS = (
    ("view_all_models", "Can see every model, whoever it is shared with"),
    ("grant_models", "Can set who sees a model, and quarantine it"),
    ("validate_models", "Can validate models and test whether they load"),
    ("import_metadata", "Can import metadata from files"),
    ("clean_up_models", "Can see duplicates and leftovers, and make clean-up scripts"),
    ("manage_rules", "Can change the rules of categories"),
    ("join_models", "Can review moves, and join models"),
)
OF_SCANS = (("run_scans", "Can start and stop scans"),)
OF_DOWNLOADS = (("download_models", "Can download models from external registries"),)
OF_FINDINGS = (("decide_findings", "Can accept, snooze and reopen problems"),)
OF_ROOTS = (
    ("view_system", "Can see the System page and the figures of the machine"),
    ("manage_schedules", "Can run, pause and move schedules"),
    ("manage_settings", "Can change settings"),
)

#: What each permission allows, for sentences: "You need the permission “…”."
WORDS: dict[Right, str] = {
    **{
        Right(f"discovery.{name}"): words
        for name, words in (*OF_MODELS, *OF_SCANS, *OF_DOWNLOADS, *OF_FINDINGS, *OF_ROOTS)
    },
    Right.EDIT: "Can change model",
    Right.REGISTER: "Can add model",
    Right.FORGET: "Can delete model",
    Right.VIEW_FINDINGS: "Can view finding",
    Right.VIEW_SCANS: "Can view scan run",
    Right.ROOTS: "Can change root",
    Right.ADD_COLLECTION: "Can add collection",
    Right.CHANGE_COLLECTION: "Can change collection",
    Right.DELETE_COLLECTION: "Can delete collection",
    Right.ADD_TAG: "Can add tag",
    Right.CHANGE_TAG: "Can change tag",
    Right.DELETE_TAG: "Can delete tag",
    Right.SHARE_VIEWS: "Can change saved view",
    Right.VIEW_WEBHOOKS: "Can view webhook",
    Right.ADD_WEBHOOK: "Can add webhook",
    Right.CHANGE_WEBHOOK: "Can change webhook",
    Right.DELETE_WEBHOOK: "Can delete webhook",
    Right.TOKENS: "Can change api token",
    Right.VIEW_LOG: "Can view log entry",
    Right.VIEW_USERS: "Can view user",
    Right.ADD_USER: "Can add user",
    Right.CHANGE_USER: "Can change user",
    Right.DELETE_USER: "Can delete user",
    Right.VIEW_GROUPS: "Can view group",
    Right.ADD_GROUP: "Can add group",
    Right.CHANGE_GROUP: "Can change group",
    Right.DELETE_GROUP: "Can delete group",
}
