"""Downloads: whole or not at all, whatever a registry, a disk or a killed worker does."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_q.brokers import Broker

from discovery.models import (
    Download,
    LogEntry,
    RegisteredModel,
    RemoteEntry,
    RemoteMatch,
    Root,
    Webhook,
    WebhookDelivery,
)
from discovery.services import jobs
from discovery.services.downloads import (
    automatic,
    fetching,
    places,
    planning,
    progress,
    queue,
    remote_files,
)
from discovery.services.downloads.planning import Wish
from discovery.services.downloads.queue import NotDownloaded
from discovery.services.registries.protocol import RegistryError, RemoteFile
from tests.support import builders
from tests.support import hub as hub_support
from tests.support.hub import Answer, Hub, HubFile, HubModel

pytestmark = pytest.mark.django_db
State = Download.State
WEIGHTS = "model.safetensors"
FOLDER = "language/chat/llama-chat"


@pytest.fixture
def hub(
    settings: Any, config_dir: Path, monkeypatch: pytest.MonkeyPatch, task_queue: Broker
) -> Iterator[Hub]:
    """A hub with one model on it, named by the config file."""
    settings.REGISTRY_PRIVATE = ["127.0.0.1"]
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(progress, "EVERY", 0)
    monkeypatch.setattr(progress, "LOOKS", 0)
    with hub_support.running() as server:
        named = {"huggingface": {"enabled": True, "endpoint": server.endpoint}}
        file = config_dir / "external_registries.json"
        file.write_text(json.dumps({"external_registries": named}))
        settle(config_dir)
        yield server
    huggingface_hub.close_session()


def settle(config_dir: Path, **downloads: int) -> None:
    told = {"reserve_gb": 0, **downloads}
    (config_dir / "model_discovery.json").write_text(json.dumps({"downloads": told}))


@pytest.fixture
def llama(hub: Hub, tmp_path: Path) -> HubModel:
    """A whole model in safetensors."""
    made = tmp_path / "made" / "llama-chat"
    builders.transformers(made)
    files = {
        path.relative_to(made).as_posix(): HubFile(
            path.read_bytes(), is_lfs=path.suffix == ".safetensors"
        )
        for path in made.rglob("*")
        if path.is_file()
    }
    info = {"tags": ["conversational", "transformers"]}
    return hub.add(HubModel("acme/Llama-Chat", files, info=info))


@pytest.fixture
def root(models_root: Path) -> Root:
    return Root.objects.create(path=str(models_root))


def asked(**more: Any) -> Download:
    return queue.request(Wish("huggingface", "acme/Llama-Chat", **more), by=None)[0]


def run(job: Download) -> Download:
    done: Download = jobs.execute(job)
    return done


def everything_below(root: Root) -> list[str]:
    return sorted(path.relative_to(root.path).as_posix() for path in Path(root.path).rglob("*"))


def faults(**more: Any) -> dict[str, str]:
    with pytest.raises(NotDownloaded) as raised:
        asked(**more)
    return raised.value.faults


# -- whole


def test_a_model_is_placed_in_the_recommended_layout_and_scanned(
    llama: HubModel, root: Root, user: User
) -> None:
    job, created = queue.request(Wish("huggingface", "acme/Llama-Chat"), by=user)
    assert (created, job.state, job.folder, job.revision) == (True, "queued", FOLDER, "a" * 40)
    done = run(job)
    assert (done.state, done.fault, done.done_bytes) == (State.DONE, "", done.total_bytes), (
        done.message
    )
    placed = Path(root.path) / FOLDER
    for name, file in llama.files.items():
        assert (placed / name).read_bytes() == file.content
    record = RegisteredModel.objects.get()
    assert (record.path, record.status, done.model) == (FOLDER, "READY", record)
    assert not (Path(root.path) / ".karen-downloads").exists()
    told = LogEntry.objects.filter(message__startswith="download").values_list("message", flat=True)
    assert [text.split(":")[0] for text in told] == [
        "download of acme/Llama-Chat from huggingface done",
        "download of acme/Llama-Chat from huggingface queued by reader",
    ]


def test_other_systems_are_told_how_it_ended(
    llama: HubModel, root: Root, django_capture_on_commit_callbacks: Any, user: User
) -> None:
    url = "https://example.org/hook"
    Webhook.objects.create(url=url, events=["download.finished"], secret="s", created_by=user)
    llama.gated = "manual"
    with django_capture_on_commit_callbacks(execute=True):
        done = run(asked())
    body = WebhookDelivery.objects.get().body
    assert (body["event"], body["data"]["status"]) == ("download.finished", "failed")
    with django_capture_on_commit_callbacks(execute=True):
        queue.cancel(done)
    assert WebhookDelivery.objects.latest("pk").body["data"]["status"] == "cancelled"


def test_nothing_is_seen_of_it_before_it_is_whole(llama: HubModel, root: Root) -> None:
    def look(_offset: int) -> None:
        assert not (Path(root.path) / "language").exists()
        assert (Path(root.path) / ".karen-downloads").is_dir()
        seen.append(1)

    seen: list[int] = []
    llama.files[WEIGHTS].before = look
    assert run(asked()).state == State.DONE
    assert seen


def test_what_is_staged_is_no_model_for_scans(
    llama: HubModel, root: Root, scan: Callable[..., Any]
) -> None:
    job = asked()
    llama.files[WEIGHTS].content = b"x" * llama.files[WEIGHTS].size
    assert run(job).fault == "checksum"
    assert "config.json" in "".join(everything_below(root))
    scan(root.path)
    assert not RegisteredModel.objects.exists()


def test_two_of_one_model_are_one(llama: HubModel, root: Root) -> None:
    first = asked()
    second, created = queue.request(Wish("huggingface", "acme/Llama-Chat"), by=None)
    assert (second, created) == (first, False)
    run(first)
    third, created = queue.request(Wish("huggingface", "acme/Llama-Chat"), by=None)
    assert (created, third.folder) == (True, f"{FOLDER}-{'a' * 7}")


def test_another_model_does_not_go_to_a_folder_that_is_taken(
    hub: Hub, llama: HubModel, root: Root
) -> None:
    job = asked()
    hub.add(HubModel("acme/other", dict(llama.files)))
    wish = Wish("huggingface", "acme/other", folder=job.folder)
    with pytest.raises(NotDownloaded, match="Another download"):
        queue.request(wish, by=None)


# -- checksums, sizes and connections


def test_a_wrong_checksum_is_refused_and_nothing_placed(llama: HubModel, root: Root) -> None:
    job = asked()
    weights = llama.files[WEIGHTS]
    right, weights.content = weights.content, b"x" * weights.size
    done = run(job)
    assert (done.state, done.fault) == (State.FAILED, "checksum")
    assert "SHA-256 of model.safetensors" in done.message
    assert not (Path(root.path) / "language").exists()
    weights.content = right
    assert queue.resume(done)
    assert run(done).state == State.DONE


def test_a_wrong_git_id_is_refused(llama: HubModel, root: Root) -> None:
    job = asked()
    llama.files["config.json"].content = b"{" + b" " * (llama.files["config.json"].size - 2) + b"}"
    done = run(job)
    assert (done.fault, "Git ID of config.json" in done.message) == ("checksum", True)


def test_a_cut_connection_is_tried_again_from_where_it_was(
    hub: Hub, llama: HubModel, root: Root
) -> None:
    weights = llama.files[WEIGHTS]
    weights.step, cut_at = 1 << 16, 3 << 16

    def cut(offset: int) -> None:
        if offset >= cut_at:
            raise ConnectionResetError

    weights.before = cut
    done = run(asked())
    assert (done.state, done.attempts) == (State.QUEUED, 1), done.message
    assert done.retry_at > timezone.now()
    assert jobs.kind_of(done).ready(Download.objects.all()).count() == 0
    weights.before = None
    Download.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert run(done).state == State.DONE
    assert ranges(hub) == [None, f"bytes={3 << 16}-"]


def ranges(hub: Hub) -> list[str | None]:
    """What the weights were asked for from."""
    return [headers.get("range") for _, path, headers in hub.asked if "/lfs/" in path]


def test_a_server_without_ranges_begins_anew(hub: Hub, llama: HubModel, root: Root) -> None:
    job, weights = asked(), llama.files[WEIGHTS]
    staged(job, weights.content[:700])
    hub.instead[f"/lfs/{weights.digest}"] = Answer(200, weights.content)
    assert run(job).state == State.DONE


def staged(job: Download, content: bytes) -> Path:
    """What a run that was killed has left of the weights."""
    place = places.locate(job.root, job.folder)
    folder = places.staging_of(job, place)
    file = next(row for row in job.files if row["path"] == WEIGHTS)
    part = fetching.part_of(folder, fetching.RemoteFile(file["path"]))
    part.write_bytes(content)
    return part


def test_more_than_was_listed_is_cut(hub: Hub, llama: HubModel, root: Root) -> None:
    job = asked()
    digest = llama.files[WEIGHTS].digest
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b"x" * 65_536

    hub.instead[f"/lfs/{digest}"] = Answer(200, endless())
    done = run(job)
    assert (done.fault, "sends more" in done.message) == ("files", True)
    assert len(sent) < 200


@pytest.mark.parametrize("wait", ["120", None])
def test_a_busy_registry_is_left_alone(
    hub: Hub, llama: HubModel, root: Root, wait: str | None
) -> None:
    job = asked()
    hub.instead["*"] = Answer(429, b"{}", {"Retry-After": wait} if wait else {})
    done = run(job)
    assert (done.state, done.attempts) == (State.QUEUED, 1)
    seconds = (done.retry_at - timezone.now()).total_seconds()
    assert abs(seconds - float(wait or 5)) < 5
    assert jobs.dispatch_all() == 0, "its pause is not over"
    Download.objects.update(attempts=6, retry_at=None)
    assert run(done).state == State.FAILED, "it has been tried often enough"


def test_a_gated_model_fails_at_once(hub: Hub, llama: HubModel, root: Root) -> None:
    llama.gated = "manual"
    done = run(asked())
    assert (done.state, done.fault) == (State.FAILED, "registry")
    assert "owner" in done.message


def test_a_registry_that_is_off_is_not_asked(
    hub: Hub, llama: HubModel, root: Root, config_dir: Path
) -> None:
    job = asked()
    before = len(hub.asked)
    (config_dir / "external_registries.json").write_text("{}")
    with pytest.raises(RegistryError, match="is off"):
        asked()
    done = run(job)
    assert (done.state, "is off" in done.message) == (State.FAILED, True)
    assert len(hub.asked) == before


# -- stopping and going on


def test_it_pauses_and_goes_on(hub: Hub, llama: HubModel, root: Root) -> None:
    job = asked()
    real = progress.Progress.add

    def pausing(self: progress.Progress, count: int) -> None:
        if self.current == WEIGHTS and self.done > (2 << 16):
            queue.pause(job)
        real(self, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Progress, "add", pausing)
        done = run(job)
    assert (done.state, done.pause_requested) == (State.PAUSED, False)
    assert 0 < done.done_bytes < done.total_bytes
    assert jobs.dispatch_all() == 0
    assert queue.resume(done)
    assert run(done).state == State.DONE
    assert ranges(hub) == [None, f"bytes={3 << 16}-"]


def test_a_queued_one_pauses_at_once_and_is_one_with_another_request(
    llama: HubModel, root: Root
) -> None:
    job = asked()
    assert queue.pause(job)
    job.refresh_from_db()
    assert job.state == State.PAUSED
    assert asked() == job
    assert queue.resume(job)
    assert not queue.resume(job)


def test_what_is_canceled_leaves_nothing(llama: HubModel, root: Root) -> None:
    job = asked()
    real = progress.Progress.add

    def canceling(self: progress.Progress, count: int) -> None:
        if self.current == WEIGHTS:
            assert queue.cancel(job)
        real(self, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Progress, "add", canceling)
        done = run(job)
    assert done.state == State.CANCELLED
    assert everything_below(root) == []
    assert not queue.cancel(done)


def test_a_failed_one_is_canceled_with_what_it_has_fetched(llama: HubModel, root: Root) -> None:
    job = asked()
    llama.files[WEIGHTS].content = b"x" * llama.files[WEIGHTS].size
    done = run(job)
    assert everything_below(root)
    assert queue.cancel(done)
    assert (done.state, everything_below(root)) == (State.CANCELLED, [])


def test_a_killed_one_goes_on_with_what_is_on_the_disk(
    hub: Hub, llama: HubModel, root: Root, dead: dict[str, Any]
) -> None:
    job, weights = asked(), llama.files[WEIGHTS]
    staged(job, weights.content[:700])
    Download.objects.update(state=State.RUNNING, **dead)
    told = jobs.housekeep()
    assert (told["reaped"], told["resumed"]) == (1, 1)
    job.refresh_from_db()
    assert job.state == State.QUEUED
    assert run(job).state == State.DONE
    assert ranges(hub) == ["bytes=700-"]


def test_one_that_was_killed_between_its_move_and_its_end_is_scanned(
    llama: HubModel, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = asked()

    def killed(*_: Any) -> None:
        raise jobs.Lost

    with monkeypatch.context() as patch:
        patch.setattr("discovery.services.downloads.placing.register", killed)
        run(job)
    assert (Path(root.path) / FOLDER).is_dir()
    assert not RegisteredModel.objects.exists()
    Download.objects.update(state=State.QUEUED, started_at=None)
    job.refresh_from_db()
    done = run(job)
    assert (done.state, done.model) == (State.DONE, RegisteredModel.objects.get())
    assert everything_below(root)[0] != ".karen-downloads"


# -- names


BAD = {
    "../x": "leads out",
    "/etc/x": "not a relative",
    "a\0b": "characters",
    "con.json": "Windows",
    "x.": "Windows",
    "Config.json": "upper and lower case",
    "config.json/inner": "needs a folder",
    "y" * 300: "longer",
    "half \ud800": "characters",
    ".git/hooks/post-checkout": "never look",
    "/".join("abcdefghijklmnopqrst"): "folders deep",
}


@pytest.mark.parametrize("name", BAD, ids=lambda name: repr(name)[:20])
def test_malicious_names_are_refused(llama: HubModel, root: Root, name: str) -> None:
    llama.files[name] = HubFile(b"bad")
    told = faults()["files"]
    assert ("refused" in told, BAD[name] in told) == (True, True), told
    assert not Download.objects.exists()
    good = [path for path in llama.files if path not in (name, "config.json")]
    assert asked(files=[*good]).state == State.QUEUED, "the others may be chosen"


def test_a_name_that_no_column_holds_is_refused(llama: HubModel, root: Root) -> None:
    llama.info["sha"] = "a" * 64
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "MAX_REVISION", 40)
        with pytest.raises(RegistryError, match="longer than any real one"):
            asked()
    assert not Download.objects.exists()


def test_a_size_below_nothing_is_refused() -> None:
    assert "less than nothing" in remote_files.faults_of([RemoteFile("x", -1)])["x"]


def test_a_file_that_is_not_there_cannot_be_chosen(llama: HubModel, root: Root) -> None:
    assert faults(files=["../../etc/passwd"]) == {"files": "It has no file ../../etc/passwd."}
    assert faults(files=[]) == {"files": "Choose at least one file."}


@pytest.mark.parametrize(
    "folder",
    ["../x", "/tmp/x", "a/../../b", "con", "x.", ".karen-downloads/x", "a\0b", "a/b/c/d/e/f/g"],
)
def test_a_target_that_leads_elsewhere_is_refused(llama: HubModel, root: Root, folder: str) -> None:
    assert "folder" in faults(folder=folder)


def test_a_link_out_of_the_root_is_not_followed(
    llama: HubModel, root: Root, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (Path(root.path) / "language").symlink_to(tmp_path / "outside")
    assert "is not a folder of this root" in faults(folder="language/x")["folder"]
    assert list((tmp_path / "outside").iterdir()) == []


def test_what_exists_is_never_overwritten(llama: HubModel, root: Root) -> None:
    own = Path(root.path) / "mine"
    own.mkdir()
    assert "exists already" in faults(folder="mine")["folder"]
    job = asked(folder="theirs")
    llama.files[WEIGHTS].before = lambda _offset: (Path(root.path) / "theirs").mkdir(exist_ok=True)
    done = run(job)
    assert (done.state, done.fault) == (State.FAILED, "place")
    assert list((Path(root.path) / "theirs").iterdir()) == []


def test_a_staging_folder_that_is_a_link_is_refused(
    llama: HubModel, root: Root, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (Path(root.path) / ".karen-downloads").symlink_to(tmp_path / "outside")
    assert run(asked()).fault == "place"
    assert list((tmp_path / "outside").iterdir()) == []


def test_read_only_and_disabled_roots_take_nothing(llama: HubModel, root: Root) -> None:
    for change in ({"read_only": True}, {"read_only": False, "enabled": False}):
        Root.objects.update(**change)
        root.refresh_from_db()
        assert "There is no root" in faults()["root"]
        assert "folder" in faults(root=root)


# -- what is chosen


def test_pickles_come_only_when_asked_for_where_there_are_safetensors(
    llama: HubModel, root: Root
) -> None:
    pickle = HubFile(b"\x80\x04N.")
    llama.files |= {"pytorch_model.bin": pickle, "training_args.bin": pickle}
    plan = planning.make(Wish("huggingface", "acme/Llama-Chat"))
    assert not plan.chosen_paths & {"pytorch_model.bin", "training_args.bin"}
    assert any("Pickles are left out" in note for note in plan.notes)
    assert "pickle" in faults(files=["config.json", "pytorch_model.bin"])["files"]
    wish = Wish("huggingface", "acme/Llama-Chat", pickles=True)
    assert "pytorch_model.bin" in planning.make(wish).chosen_paths
    del llama.files[WEIGHTS]
    plan = planning.make(Wish("huggingface", "acme/Llama-Chat"))
    assert "pytorch_model.bin" in plan.chosen_paths


def test_of_many_quantizations_one_is_chosen(hub: Hub, root: Root) -> None:
    files = {
        f"x-{name}.gguf": HubFile(size=1_000 * number, is_lfs=True)
        for number, name in enumerate(("Q2_K", "Q4_K_M", "Q8_0", "F16"), 1)
    }
    hub.add(HubModel("acme/x-GGUF", {**files, "README.md": HubFile(b"# x")}))
    plan = planning.make(Wish("huggingface", "acme/x-GGUF"))
    assert plan.chosen_paths == {"x-Q4_K_M.gguf", "README.md"}


def test_a_model_that_runs_code_is_not_placed_unless_somebody_wants_it(
    llama: HubModel, root: Root
) -> None:
    code = b"cos\nsystem\n(S'true'\ntR."
    llama.files["extra.pkl"] = HubFile(code, is_lfs=True)
    done = run(asked(pickles=True))
    assert (done.state, done.fault) == (State.FAILED, "unsafe"), done.message
    assert not (Path(root.path) / "language").exists()
    assert queue.resume(done, accept_unsafe=True)
    assert run(done).state == State.DONE
    assert RegisteredModel.objects.filter(status="UNSAFE").exists()


# -- limits


def test_limits_of_files_and_bytes(llama: HubModel, root: Root, config_dir: Path) -> None:
    settle(config_dir, max_files=1)
    assert "more than the 1" in faults()["files"]
    settle(config_dir, max_gb=1)
    llama.files["large.safetensors"] = HubFile(size=2 * 10**9, is_lfs=True, sha256="0" * 64)
    assert "2.0 GB are more than the 1 GB" in faults()["files"]


def test_room_is_looked_at_before_with_what_others_still_need(
    hub: Hub, llama: HubModel, root: Root, monkeypatch: pytest.MonkeyPatch, config_dir: Path
) -> None:
    total = planning.make(Wish("huggingface", "acme/Llama-Chat")).total_bytes
    real = places.shutil.disk_usage

    def free(path: Any) -> Any:
        return real(path)._replace(free=int(total * 1.5))

    monkeypatch.setattr(places.shutil, "disk_usage", free)
    job = asked()
    hub.add(HubModel("acme/other", dict(llama.files)))
    with pytest.raises(NotDownloaded, match="other downloads take"):
        queue.request(Wish("huggingface", "acme/other"), by=None)
    queue.cancel(job)
    queue.request(Wish("huggingface", "acme/other"), by=None)
    settle(config_dir, reserve_gb=1)
    assert "1.0 GB have to stay free" in faults()["root"]


def test_a_disk_that_fills_ends_it_and_keeps_what_is_there(
    llama: HubModel, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Any, _chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    job = asked()
    with monkeypatch.context() as patch:
        patch.setattr(fetching._Part, "write", full)
        done = run(job)
    assert (done.state, done.fault) == (State.FAILED, "disk")
    assert "Make room" in done.message
    assert not (Path(root.path) / "language").exists()
    assert queue.resume(done)
    assert run(done).state == State.DONE


def test_no_more_at_once_than_allowed(
    hub: Hub, llama: HubModel, root: Root, config_dir: Path, dead: dict[str, Any]
) -> None:
    settle(config_dir, at_once=2)
    hub.models |= {f"acme/m{n}": HubModel(f"acme/m{n}", dict(llama.files)) for n in range(4)}
    made = [queue.request(Wish("huggingface", f"acme/m{n}"), by=None)[0] for n in range(4)]
    alive = {**dead, "pid": os.getpid(), "process_started": None}
    Download.objects.filter(pk__in=[job.pk for job in made[:2]]).update(
        state=State.RUNNING, **alive
    )
    kind = jobs.kind_of(made[2])
    assert jobs.execute(made[2], in_turn=True).state == State.QUEUED
    assert kind.ready(Download.objects.filter(state=State.QUEUED)).count() == 0
    Download.objects.filter(pk=made[0].pk).update(state=State.DONE)
    assert kind.ready(Download.objects.filter(state=State.QUEUED)).count() == 2
    assert jobs.execute(made[2], in_turn=True).state == State.DONE


def test_the_line_is_taken_as_the_limit_says(
    hub: Hub, root: Root, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(config_dir, kb_per_second=1_000)
    monkeypatch.setattr(progress, "EVERY", 0.1)
    hub.add(HubModel("acme/x", {"x.bin": HubFile(size=2_000_000, is_lfs=True)}))
    job, _ = queue.request(Wish("huggingface", "acme/x"), by=None)
    begun = time.monotonic()
    run(job)
    seconds = time.monotonic() - begun
    assert 1.6 < seconds < 4, "2 MB at 1 MB a second"


def test_a_checksum_is_noted_as_the_hub_s_client_does(llama: HubModel, root: Root) -> None:
    run(asked())
    record = Path(root.path) / FOLDER / f".cache/huggingface/download/{WEIGHTS}.metadata"
    commit, etag, _ = record.read_text().splitlines()
    digest = hashlib.sha256(llama.files[WEIGHTS].content).hexdigest()
    assert (commit, etag) == ("a" * 40, digest)


# -- where it came from, and what is newer


def test_a_placed_model_is_linked_with_its_registry(llama: HubModel, root: Root) -> None:
    run(asked())
    match = RemoteMatch.objects.select_related("entry", "model").get()
    assert (match.state, match.local_revision) == ("accepted", "a" * 40)
    assert match.entry.remote_id == "acme/Llama-Chat"
    assert match.model.remote_values["license"]["source"].endswith("acme/Llama-Chat")


def newer(llama: HubModel) -> None:
    """Another revision on the hub, of which the last sync knows."""
    changed = HubFile(b'{"changed": 1}')
    llama.commit("b" * 40, generation_config__json=changed)
    match = RemoteMatch.objects.get()
    match.update = {"from": "a" * 40, "to": "b" * 40, "license": None}
    match.has_update = True
    match.save()


def test_newer_revisions_come_by_themselves_only_where_that_is_on(
    hub: Hub, llama: HubModel, root: Root, config_dir: Path
) -> None:
    run(asked())
    newer(llama)
    automatic.queue_newer()
    assert not Download.objects.filter(is_automatic=True).exists()
    switch_on(hub, config_dir)
    automatic.queue_newer()
    job = Download.objects.get(is_automatic=True)
    assert (job.folder, job.files, job.updates) == (f"{FOLDER}-bbbbbbb", [], job.updates)
    done = run(job)
    assert (done.state, done.revision) == (State.DONE, "b" * 40), done.message
    changed = Path(root.path) / f"{FOLDER}-bbbbbbb" / "generation_config.json"
    assert changed.read_bytes() == b'{"changed": 1}'
    assert (Path(root.path) / FOLDER / WEIGHTS).is_file(), "what was there stays"
    automatic.queue_newer()
    assert Download.objects.filter(is_automatic=True).count() == 1


def switch_on(hub: Hub, config_dir: Path) -> None:
    named = {"huggingface": {"enabled": True, "endpoint": hub.endpoint, "auto_download": True}}
    text = json.dumps({"external_registries": named})
    (config_dir / "external_registries.json").write_text(text)


@pytest.mark.parametrize("case", ["license", "gated", "read-only", "tried"])
def test_what_a_person_has_to_decide_does_not_come_by_itself(
    hub: Hub, llama: HubModel, root: Root, config_dir: Path, case: str
) -> None:
    run(asked())
    newer(llama)
    switch_on(hub, config_dir)
    match = RemoteMatch.objects.select_related("entry").get()
    if case == "license":
        match.update["license"] = ["mit", "other"]
        match.save()
    elif case == "gated":
        RemoteEntry.objects.update(gated="manual")
    elif case == "read-only":
        Root.objects.update(read_only=True)
    else:
        asked(revision="b" * 40)
    automatic.queue_newer()
    assert not Download.objects.filter(is_automatic=True).exists()


def test_a_newer_revision_has_the_quantization_that_is_here() -> None:
    files = [
        RemoteFile(name, 1)
        for name in (
            "README.md", "x-Q4_K_M.gguf", "x-Q5_K_M.gguf", "pytorch_model.bin",
            "model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors",
        )
    ]  # fmt: skip
    own = {"x-Q5_K_M.gguf", "model-00001-of-00002.safetensors"}
    offered = remote_files.offered(files, own=own)
    assert [each.path for each in offered if each.is_chosen] == [
        "README.md",
        "x-Q5_K_M.gguf",
        "model-00001-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
    ]


def test_what_is_placed_is_for_other_programs_too(
    llama: HubModel, root: Root, private_files: None
) -> None:
    run(asked())
    for path in (FOLDER, f"{FOLDER}/config.json", "language"):
        mode = (Path(root.path) / path).stat().st_mode & 0o777
        assert mode in (0o755, 0o644), path
