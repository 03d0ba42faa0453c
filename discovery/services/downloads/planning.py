"""What a download would be: its files, their size, where it goes, and what speaks against it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from discovery.engine.core.service_words import RegistryFault
from discovery.engine.core.text import clean, human_bytes, plural
from discovery.models import Download, RegisteredModel, Root
from discovery.services.core import config_files
from discovery.services.downloads import places, remote_files, suggesting
from discovery.services.downloads.places import GB, Place, Refused
from discovery.services.downloads.remote_files import Offered
from discovery.services.downloads.source import registry_of
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registries.configured import Configured, connect
from discovery.services.registries.protocol import (
    MAX_FILES,
    Registry,
    RegistryError,
    RemoteFile,
    RemoteModel,
)
from discovery.services.registry.model_files import below

#: Folders that are tried where the suggested one is there already.
MAX_TRIES = 20
#: Characters of what a registry calls a model and a state of it.
MAX_ID, MAX_REVISION = 300, 100


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. Empty: the latest revision, the files by default, the first root that
    can be used, the recommended folder.
    """

    registry: str
    remote_id: str
    revision: str = ""
    files: Sequence[str] | None = None
    root: Root | None = None
    folder: str = ""
    pickles: bool = False


@dataclass(slots=True)
class Plan:
    """``faults`` is {field of the wish: a sentence}: with any, nothing is downloaded.

    ``suggested`` is the folder of the recommended layout; ``known`` the download that this is.
    """

    wish: Wish
    registry: Configured
    model: RemoteModel
    offered: list[Offered]
    chosen: list[RemoteFile]
    suggested: str
    folder: str
    roots: list[Root]
    root: Root | None = None
    place: Place | None = None
    known: Download | None = None
    faults: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def total_bytes(self) -> int:
        return remote_files.total(self.chosen)

    @property
    def chosen_paths(self) -> set[str]:
        return {file.path for file in self.chosen}


def make(wish: Wish, *, own: Collection[str] = (), but: int | None = None) -> Plan:
    """Look at a wish, and ask its registry. Writes nothing. Raises ``RegistryError``.

    ``own`` are files of the model that are here in another revision, and ``but`` is the download
    that the plan is of.
    """
    registry = registry_of(wish.registry)
    with closing(connect(registry)) as connection:
        model = connection.model(wish.remote_id, wish.revision)
        if len(model.remote_id) > MAX_ID or len(model.revision) > MAX_REVISION:
            told = "It gives the model a name, or a revision, that is longer than any real one."
            raise RegistryError(RegistryFault.UNREADABLE, told)
        plan = _begun(wish, registry, model, connection, own)
    _choose(plan)
    _settle(plan, but)
    _note(plan)
    return plan


def _begun(
    wish: Wish,
    registry: Configured,
    model: RemoteModel,
    connection: Registry,
    own: Collection[str],
) -> Plan:
    offered = remote_files.offered(model.files or (), pickles=wish.pickles, own=own)
    suggested = suggesting.folder(model, connection)
    roots = places.usable_roots()
    return Plan(
        wish=wish,
        registry=registry,
        model=model,
        offered=offered,
        chosen=[],
        suggested=suggested,
        folder=wish.folder.strip() or suggested,
        roots=roots,
        root=wish.root or next(iter(roots), None),
    )


def _choose(plan: Plan) -> None:
    """The chosen files, and what is wrong with them."""
    wanted = plan.wish.files
    by_path = {each.path: each for each in reversed(plan.offered)}
    unknown = [path for path in wanted or () if path not in by_path]
    if unknown:
        plan.faults["files"] = f"It has no file {clean(unknown[0], 200)}."
        return
    chosen = (
        [each for each in plan.offered if each.is_chosen]
        if wanted is None
        else [by_path[path] for path in dict.fromkeys(wanted)]
    )
    chosen = list({each.path: each for each in chosen}.values())
    plan.chosen = [each.file for each in chosen]
    plan.faults |= _files_fault(plan, chosen)


def _files_fault(plan: Plan, chosen: Sequence[Offered]) -> dict[str, str]:
    limits = config_files.downloads()
    if bad := next((each for each in chosen if each.fault), None):
        told = f"{clean(bad.path, 200) or 'A file without a name'} is refused: {bad.fault}."
        return {"files": told}
    if not chosen:
        return {"files": "Choose at least one file."}
    has_safetensors = any(each.path.endswith(".safetensors") for each in plan.offered)
    pickle = next((each for each in chosen if each.is_pickle), None)
    if pickle and has_safetensors and not plan.wish.pickles:
        told = "is a pickle, which can run code, and there are safetensors: ask for pickles too."
        return {"files": f"{clean(pickle.path, 200)} {told}"}
    if len(chosen) > limits.max_files or len(plan.offered) >= MAX_FILES:
        most = min(limits.max_files, MAX_FILES)
        return {"files": f"{len(chosen):,} files are more than the {most:,} of one download."}
    if plan.total_bytes > limits.max_gb * GB:
        told = f"{human_bytes(plan.total_bytes)} are more than the {limits.max_gb:,} GB"
        return {"files": f"{told} of one download."}
    return {}


def own_paths(record: RegisteredModel) -> list[str]:
    """The files of a model that is a folder, as its registry calls them."""
    return [below(path, record.path) for path, _ in record.files]


def _settle(plan: Plan, but: int | None) -> None:
    """Where it goes, and whether it fits there."""
    if plan.root is None:
        plan.faults["root"] = "There is no root that may be written to: add one under Settings."
        return
    chosen = plan.wish.folder.strip()
    if chosen and (fault := places.folder_fault(plan.root, plan.folder)):
        plan.faults["folder"] = fault  # before the database is asked: some names it cannot hold
        return
    plan.known = same_as(plan) if but is None else None
    if plan.known is not None:
        return
    try:
        plan.place = _located(plan, plan.root)
    except Refused as error:
        plan.faults["folder"] = str(error)
        return
    except RootSilent as error:
        plan.faults["root"] = str(error)
        return
    if other := _active_in(plan.root, plan.folder, but):
        plan.faults["folder"] = f"Another download ({other.remote_id}) goes to this folder."
    fault = places.room_fault(plan.place, plan.total_bytes, [but] if but else ())
    if fault and "files" not in plan.faults:
        plan.faults["root"] = fault


def _located(plan: Plan, root: Root) -> Place:
    """The place; of a folder that nobody chose, the first name of it that is free."""
    if plan.wish.folder.strip():
        return places.locate(root, plan.folder)
    short = plan.model.revision[:7]
    names = [plan.suggested, *([f"{plan.suggested}-{short}"] if short else [])]
    names += [f"{plan.suggested}-{number}" for number in range(2, MAX_TRIES)]
    for name in names:
        plan.folder = name
        try:
            if _active_in(root, name) is None:
                return places.locate(root, name)
        except Refused as error:
            if "exists already" not in str(error):
                raise
    raise AssertionError("every name has been tried")


def same_as(plan: Plan) -> Download | None:
    """The download of this model in this revision into this place, that is under way or can go on;
    one that somebody else has asked for is the same.
    """
    rows = Download.objects.filter(
        registry=plan.registry.name,
        remote_id=plan.model.remote_id,
        revision=plan.model.revision,
        root=plan.root,
        state__in=(*Download.OPEN, *Download.RESUMABLE),
    )
    if plan.wish.folder.strip():
        rows = rows.filter(folder=plan.folder)
    return rows.select_related("root").first()


def _active_in(root: Root, folder: str, but: int | None = None) -> Download | None:
    rows = Download.objects.filter(root=root, folder=folder, state__in=Download.OPEN)
    return rows.exclude(pk=but or 0).first()


def _note(plan: Plan) -> None:
    """What a person should know before."""
    model = plan.model
    if model.gated and not plan.registry.key().value:
        plan.notes.append(
            "Its owner gives it only to people with access: ask for it on its page, and set a key."
        )
    elif model.gated:
        plan.notes.append("Its owner gives it only to people with access.")
    if refused := [each for each in plan.offered if each.fault]:
        plan.notes.append(f"{plural(len(refused), 'file')} cannot be downloaded: see the list.")
    if plan.wish.files is None and any(
        not each.is_chosen and each.is_pickle for each in plan.offered
    ):
        plan.notes.append("Pickles are left out: there are safetensors, which run no code.")
    unproved = sum(not (file.sha256 or file.git_sha1) for file in plan.chosen)
    if unproved:
        plan.notes.append(f"Its registry lists no checksum of {plural(unproved, 'file')}.")
    if any(file.size is None for file in plan.chosen):
        plan.notes.append("Its registry does not say how large all files are.")
