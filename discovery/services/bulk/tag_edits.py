"""Create, color, rename, merge and delete tags everywhere at once.

Each is a change of many models that can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from discovery.engine.core.service_words import TagColor
from discovery.engine.core.vocabulary import Severity
from discovery.models import BulkEdit, LogTopic, RegisteredModel, RegisteredModelQuerySet, Tag
from discovery.models.registry import sees_all
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.core import event_log
from discovery.services.core.form_stamps import agree, touched
from discovery.services.metadata import metadata

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class TagError(Exception):
    """The text says why and what to do. Nothing was changed."""


class NameTaken(TagError):
    """There is a tag of that name: the two can be merged."""


def create(name: str, colour: str, *, by: User) -> Tag:
    """Create a tag that no model has yet.

    It needs a color, which keeps it from being removed as unused. Raises ``TagError``.
    """
    name = _name(name)
    if not colour:
        raise TagError("Choose a colour for it.")
    try:
        with transaction.atomic():
            tag = Tag.objects.create(name=name, colour=_colour(colour))
    except IntegrityError:
        raise NameTaken(f"There is a tag {name} already.") from None
    event_log.record(LogTopic.METADATA, Severity.INFO, f"{by.get_username()} made the tag {name}")
    return tag


def recolour(tag: Tag, colour: str, *, seen: Mapping[str, str] | None = None) -> None:
    """Change the color of a tag; ``seen`` maps ``colour`` to the stamp of the color that was shown.

    Raises ``TagError``, and ``Conflict`` when somebody else chose another.
    """
    changes = touched({"colour": _colour(colour)}, seen or {})
    with transaction.atomic():
        tag = Tag.objects.select_for_update().get(pk=tag.pk)
        agree(changes, {"colour": tag.colour}, seen or {})
        for name, value in changes.items():
            setattr(tag, name, value)
        tag.save(update_fields=list(changes))


def rename(tag: Tag, name: str, *, by: User, merge: bool = False) -> BulkEdit | None:
    """Replace the tag by the other name on all its models.

    Raises ``TagError``, and ``NameTaken`` unless ``merge``.

    Returns the change of the models, which a worker may still be at; ``None`` when no model had the
    tag.
    """
    old, name = tag.name, _name(name)
    if name == old:
        raise TagError("That is its name already.")
    other = Tag.objects.filter(name=name).first()
    if other and not merge:
        raise NameTaken(f"There is a tag {name} already. Merge the two, or choose another name.")
    with transaction.atomic():
        # The colour goes along; an old tag without one disappears with the last model that has it.
        Tag.objects.filter(pk=tag.pk).update(colour="")
        if other is None:
            Tag.objects.create(name=name, colour=tag.colour)
        elif tag.colour and not other.colour:
            Tag.objects.filter(pk=other.pk).update(colour=tag.colour)
        edit = _change(
            Operation.read("tags", add={"tags": [name]}, remove={"tags": [old]}), old, by
        )
        sweep()
    event_log.record(
        LogTopic.METADATA,
        Severity.INFO,
        f"{by.get_username()} {'merged' if merge else 'renamed'} the tag {old} into {name}",
    )
    return edit


def delete(tag: Tag, *, by: User) -> BulkEdit | None:
    """Remove the tag from all its models.

    A later scan that reads it in a file does not add it to them again.
    """
    with transaction.atomic():
        Tag.objects.filter(pk=tag.pk).update(colour="")
        edit = _change(Operation.read("tags", remove={"tags": [tag.name]}), tag.name, by)
        sweep()
    event_log.record(
        LogTopic.METADATA, Severity.INFO, f"{by.get_username()} deleted the tag {tag.name}"
    )
    return edit


def is_within_reach(tag: Tag, user: User) -> bool:
    """Return whether this person sees all models that have the tag.

    A tag is renamed on all its models or on none.
    """
    visible = RegisteredModel.objects.visible_to(user).values("pk")
    return sees_all(user) or not tag.models.exclude(pk__in=visible).exists()


def sweep() -> None:
    """Delete tags that no model has and that have no color.

    Renaming and deleting leave such tags behind.
    """
    Tag.objects.filter(models=None, colour="").delete()


@dataclass(frozen=True, slots=True)
class _Tagged(Selection):
    """The models that have a tag.

    No address of the Models page: one may be called like a word of the search.
    """

    tag: str = ""

    def models(self, user: User) -> RegisteredModelQuerySet:
        return RegisteredModel.objects.visible_to(user).filter(tagged__name=self.tag).order_by("pk")


def _change(operation: Operation, name: str, by: User) -> BulkEdit | None:
    try:
        return bulk_edits.request(operation, _Tagged(tag=name), by=by, atomic=False)
    except bulk_edits.EmptySelection:
        return None


def _name(name: str) -> str:
    try:
        (tidy,) = metadata.clean({"tags": [" ".join(name.split())]})["tags"]
    except metadata.InvalidMetadata as error:
        raise TagError(f"This cannot be a tag: {error.errors['tags']}.") from None
    return str(tidy)


def _colour(colour: str) -> str:
    if colour not in TagColor.values:
        raise TagError("Choose one of the colours.")
    return colour
