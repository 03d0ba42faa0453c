"""Settings: what is in force and where it comes from, written back in the file's own text, with a
history that can be undone.
"""

from __future__ import annotations

import errno
import json
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from django_q.models import Schedule

from discovery.models import LogEntry, Recategorization, RegisteredModel, Root, SettingChange
from discovery.services import scans
from discovery.services.core import config_files
from discovery.services.core.form_stamps import Conflict, stamp
from discovery.services.machine import reach, root_probes
from discovery.services.settings import editing, exclusions, roots, watch
from discovery.services.settings.catalogue import SCANNING, SETTINGS
from tests.support import builders

pytestmark = pytest.mark.django_db

INTERVAL, EXCLUDED = "discovery.scan_interval_minutes", "discovery.exclude_patterns"
WRITTEN = """{
    "machines": {},
    "discovery": {
        "max_scan_depth": 7,
        "scan_interval_minutes": 45,
        "exclude_patterns": ["*.tmp"]
    }
}
"""


@pytest.fixture
def file(config_dir: Path) -> Path:
    path = config_dir / "model_discovery.json"
    path.write_text(WRITTEN)
    return path


def sources() -> dict[str, str]:
    return {now.setting.key: now.source for now in editing.in_force(SCANNING)}


def test_only_the_value_changes_in_the_file(file: Path, admin_user: User) -> None:
    assert editing.save({INTERVAL: 5}, by=admin_user, seen={}) == [INTERVAL]
    assert file.read_text() == WRITTEN.replace("45", "5")
    assert config_files.discovery().scan_interval_minutes == 5


def test_a_value_that_the_file_does_not_hold_yet_comes_last_in_its_own_style(
    file: Path, admin_user: User
) -> None:
    editing.save({"discovery.auto_refresh_on_startup": False}, by=admin_user, seen={})
    wanted = WRITTEN.replace('["*.tmp"]', '["*.tmp"],\n        "auto_refresh_on_startup": false')
    assert file.read_text() == wanted


def test_a_file_that_is_not_there_is_made(config_dir: Path, admin_user: User) -> None:
    editing.save({"retention.log_days": 7}, by=admin_user, seen={})
    made = json.loads((config_dir / "model_discovery.json").read_text())
    assert made == {"retention": {"log_days": 7}}


def test_each_value_says_where_it_comes_from(
    file: Path, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sources()[INTERVAL] == "file"
    assert sources()["discovery.auto_refresh_on_startup"] == "default"
    editing.save({INTERVAL: 5}, by=admin_user, seen={})
    assert sources()[INTERVAL] == "page"
    file.write_text(file.read_text().replace(": 5,", ": 6,"))
    assert sources()[INTERVAL] == "file"
    monkeypatch.setenv("KAREN_API_RATE_TOKEN", "5/s")
    (rate,) = editing.in_force((SETTINGS["throttles.api_per_caller"],))
    assert (rate.source, rate.value) == ("environment", "5/s")


def test_what_is_in_force_costs_one_query(
    file: Path, django_assert_num_queries: Any, admin_user: User
) -> None:
    editing.save({INTERVAL: 5}, by=admin_user, seen={})
    with django_assert_num_queries(1):
        assert [now.change and now.change.by for now in editing.in_force(SCANNING)]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (INTERVAL, -1, "greater than or equal to 0"),
        ("discovery.max_scan_depth", 65, "less than or equal to 64"),
        ("discovery.supported_formats", ["gguf", "nonsense"], "'nonsense' is not a format"),
        ("throttles.api_per_caller", "fast", "600/min"),
        ("machines", {"x": {"ram_gb": 0}}, "greater than 0"),
    ],
)
def test_a_value_that_does_not_fit_is_blamed_and_nothing_is_written(
    key: str, value: Any, reason: str, file: Path, admin_user: User
) -> None:
    with pytest.raises(editing.SettingsError) as refusal:
        editing.save(
            {key: value, "discovery.auto_refresh_on_startup": False}, by=admin_user, seen={}
        )
    assert reason in refusal.value.faults[key]
    assert file.read_text() == WRITTEN
    assert not SettingChange.objects.exists()


def test_a_broken_file_is_not_written_over(file: Path, admin_user: User) -> None:
    config_files.discovery()
    file.write_text(WRITTEN.replace('"machines"', '"machnies"'))
    with pytest.raises(editing.SettingsError, match=r"machnies.*Fix the file first"):
        editing.save({INTERVAL: 5}, by=admin_user, seen={})
    assert "machnies" in file.read_text()


def test_a_file_that_cannot_be_written_is_told(
    file: Path, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(config_files, "write_atomically", full)
    with pytest.raises(editing.SettingsError, match="cannot be written: No space left on device"):
        editing.save({INTERVAL: 5}, by=admin_user, seen={})
    assert not SettingChange.objects.exists()


def test_nobody_overwrites_a_change_that_they_have_not_seen(file: Path, admin_user: User) -> None:
    seen = {INTERVAL: stamp(45), EXCLUDED: stamp(["*.tmp"])}
    editing.save({INTERVAL: 5}, by=admin_user, seen=seen)
    with pytest.raises(Conflict) as conflict:
        editing.save({INTERVAL: 6, EXCLUDED: ["*.bak"]}, by=admin_user, seen=seen)
    assert conflict.value.theirs == {INTERVAL: 5}
    editing.save({INTERVAL: 45, EXCLUDED: ["*.bak"]}, by=admin_user, seen=seen)
    held = config_files.discovery()
    assert (held.scan_interval_minutes, held.exclude_patterns) == (5, ("*.bak",))


def test_a_change_is_undone_once_and_only_while_it_stands(file: Path, admin_user: User) -> None:
    editing.save({INTERVAL: 5}, by=admin_user, seen={})
    change = SettingChange.objects.get()
    editing.undo(change, by=admin_user)
    assert file.read_text() == WRITTEN
    with pytest.raises(editing.SettingsError, match="changed since"):
        editing.undo(change, by=admin_user)


def test_undoing_the_first_setting_of_a_value_takes_it_out_of_the_file(
    file: Path, admin_user: User
) -> None:
    editing.save({"discovery.scan_subdirectories": False}, by=admin_user, seen={})
    editing.undo(SettingChange.objects.get(), by=admin_user)
    assert file.read_text() == WRITTEN


def test_a_change_on_disk_is_followed_and_told_once(
    file: Path, models_root: Path, admin_user: User
) -> None:
    watch.follow()
    assert not SettingChange.objects.exists()
    more = models_root.parent / "more"
    more.mkdir()
    document = json.loads(WRITTEN)
    document["discovery"] |= {"scan_interval_minutes": 10, "roots": [str(models_root), str(more)]}
    file.write_text(json.dumps(document))
    watch.follow()
    watch.follow()
    assert Schedule.objects.get(name="scan the roots").minutes == 10
    assert set(Root.objects.values_list("path", flat=True)) == {str(models_root), str(more)}
    changes = SettingChange.objects.filter(channel="file").values_list("key", flat=True)
    assert sorted(changes) == ["discovery.roots", INTERVAL]


def test_a_change_made_on_a_page_is_in_the_history_once(file: Path, admin_user: User) -> None:
    watch.follow()
    editing.save({INTERVAL: 5}, by=admin_user, seen={})
    watch.follow()
    assert SettingChange.objects.get().by == admin_user


def test_rules_changed_on_disk_are_applied(config_dir: Path) -> None:
    watch.follow()
    (config_dir / "model_categorization.json").write_text('{"categorization_rules": {}}')
    watch.follow()
    assert Recategorization.objects.count() == 1


def test_a_broken_file_reaches_the_log_once_and_fails_check(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch.follow()
    call_command("check")
    file.write_text(WRITTEN.replace("45", '"often"'))
    watch.follow()
    watch.follow()
    told = LogEntry.objects.filter(level="warning")
    assert ["scan_interval_minutes" in entry.message for entry in told] == [True]
    with pytest.raises(SystemExit) as ended:
        call_command("check")
    assert ended.value.code == 1
    file.write_text(WRITTEN)
    watch.follow()
    assert "is in force" in LogEntry.objects.latest("pk").message
    call_command("check")


def test_a_root_is_added_by_its_path(file: Path, tmp_path: Path, admin_user: User) -> None:
    (tmp_path / "more").mkdir()
    root = roots.add(f"{tmp_path}/more/", by=admin_user, name="More")
    assert (root.path, root.name) == (f"{tmp_path}/more", "More")
    held = json.loads(file.read_text())["discovery"]["roots"]
    assert held == [{"path": f"{tmp_path}/more", "name": "More"}]


def test_of_two_roots_that_are_added_at_once_both_are_kept(
    file: Path, tmp_path: Path, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is read when its turn has come, not when the form was sent."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    turn = editing._one_at_a_time

    def after_somebody_else() -> AbstractContextManager[None]:
        monkeypatch.setattr(editing, "_one_at_a_time", turn)
        roots.add(str(tmp_path / "first"), by=admin_user)
        return turn()

    monkeypatch.setattr(editing, "_one_at_a_time", after_somebody_else)
    roots.add(str(tmp_path / "second"), by=admin_user)
    named = json.loads(file.read_text())["discovery"]["roots"]
    assert {str(tmp_path / "first"), str(tmp_path / "second")} <= set(map(str, named))


def test_the_first_list_of_roots_in_the_file_keeps_those_that_were_scanned_before(
    file: Path, models_root: Path, tmp_path: Path, admin_user: User
) -> None:
    scans.sync_roots()
    before = Root.objects.get().path
    (tmp_path / "more").mkdir()
    roots.add(f"{tmp_path}/more", by=admin_user)
    held = json.loads(file.read_text())["discovery"]["roots"]
    assert held == [before, f"{tmp_path}/more"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "Enter the path"),
        ("models", "is not an absolute path"),
        ("/", "is the whole machine"),
        ("/\0", "Enter the path"),
        ("{tmp}/nowhere", "does not exist"),
        ("{tmp}/file", "is a file"),
        ("{tmp}/root", "is a root already"),
        ("{tmp}/root/inner", "is inside the root"),
        ("{tmp}/link", "is inside the root"),
        ("/" + "x" * 1_001, "The limit is 1,000"),
    ],
)
def test_a_folder_that_cannot_be_a_root_is_refused_with_the_reason(
    path: str, reason: str, file: Path, tmp_path: Path, admin_user: User
) -> None:
    (tmp_path / "root/inner").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "root/inner")
    roots.add(f"{tmp_path}/root", by=admin_user)
    before = file.read_text()
    with pytest.raises(editing.SettingsError, match=reason):
        roots.add(path.format(tmp=tmp_path), by=admin_user)
    assert file.read_text() == before


def test_a_folder_that_hangs_is_refused_with_the_reason(
    file: Path, tmp_path: Path, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(_key: Any, _question: Any, path: str, **_: Any) -> None:
        raise root_probes.RootSilent(path)

    monkeypatch.setattr(reach, "elsewhere", hangs)
    with pytest.raises(editing.SettingsError, match="did not answer within 1 second"):
        roots.add(str(tmp_path), by=admin_user)
    assert file.read_text() == WRITTEN


def test_a_root_that_was_removed_is_scanned_again_once_it_is_added(
    file: Path, tmp_path: Path, admin_user: User
) -> None:
    (tmp_path / "more").mkdir()
    root = roots.add(f"{tmp_path}/more", by=admin_user)
    roots.remove(root, forget=False, by=admin_user)
    assert roots.add(f"{tmp_path}/more", by=admin_user).enabled


def test_undoing_a_change_of_roots_follows_it_back(
    file: Path, tmp_path: Path, admin_user: User
) -> None:
    (tmp_path / "more").mkdir()
    root = roots.add(f"{tmp_path}/more", by=admin_user)
    roots.undo(SettingChange.objects.latest("pk"), by=admin_user)
    root.refresh_from_db()
    assert not root.enabled
    roots.remove(roots.add(f"{tmp_path}/more", by=admin_user), forget=False, by=admin_user)
    roots.undo(SettingChange.objects.latest("pk"), by=admin_user)
    root.refresh_from_db()
    assert root.enabled


def test_settings_of_a_root_are_kept_in_the_file(
    file: Path, tmp_path: Path, admin_user: User
) -> None:
    (tmp_path / "more").mkdir()
    root = roots.add(f"{tmp_path}/more", by=admin_user)
    wanted = {"enabled": False, "read_only": True, "interval_minutes": 90, "max_depth": 2}
    roots.change(root, wanted, by=admin_user)
    root.refresh_from_db()
    assert {name: getattr(root, name) for name in wanted} == wanted
    assert json.loads(file.read_text())["discovery"]["roots"] == [{"path": root.path, **wanted}]


def test_a_root_with_an_interval_of_its_own_waits_for_its_turn(
    file: Path, tmp_path: Path, admin_user: User
) -> None:
    (tmp_path / "more").mkdir()
    root = roots.add(f"{tmp_path}/more", by=admin_user)
    root.interval_minutes, root.last_scan_at = 600, timezone.now() - timedelta(minutes=60)
    root.save()
    other = Root.objects.create(path=f"{tmp_path}/other", last_scan_at=root.last_scan_at)
    assert not scans.roots.is_due(root, timezone.now())
    assert scans.roots.is_due(other, timezone.now())
    assert scans.roots.scan_minutes() == 45


@pytest.mark.parametrize("forget", [False, True])
def test_a_root_that_is_removed_keeps_or_forgets_its_models(
    forget: bool, file: Path, tmp_path: Path, admin_user: User
) -> None:
    builders.transformers(tmp_path / "more/tiny")
    root = roots.add(f"{tmp_path}/more", by=admin_user)
    run, _ = scans.start_now("command", path=root.path)
    scans.execute(run)
    assert roots.remove(root, forget=forget, by=admin_user) == forget
    assert RegisteredModel.objects.count() == (not forget)
    assert json.loads(file.read_text())["discovery"]["roots"] == []
    assert list(Root.objects.filter(path=root.path, enabled=True)) == []
    assert (tmp_path / "more/tiny/config.json").exists()


def test_formats_are_tried_before_they_are_saved(
    file: Path, tmp_path: Path, admin_user: User
) -> None:
    builders.transformers(tmp_path / "more/tiny")
    (tmp_path / "more/small").mkdir()
    builders.gguf(
        tmp_path / "more/small/small-F32.gguf",
        {"general.architecture": "llama", "llama.block_count": 1},
        [("token_embd.weight", "F32", (32, 4))],
    )
    root = roots.add(f"{tmp_path}/more", by=admin_user)
    run, _ = scans.start_now("command", path=root.path)
    scans.execute(run)
    trial = exclusions.try_out({"supported_formats": ["safetensors"]})
    assert [Path(place).name for place in trial.gone] == ["small"]
    assert (trial.new, trial.formats) == ([], {})
    editing.save({"discovery.supported_formats": ["safetensors"]}, by=admin_user, seen={})
    run, _ = scans.start_now("command", path=root.path)
    scans.execute(run)
    status = dict(RegisteredModel.objects.values_list("name", "status"))
    assert status == {"tiny": "READY", "small": "MISSING"}
    again, _ = scans.start_now("command", path=root.path)
    scans.execute(again)
    assert (again.found, again.changed, again.missing) == (1, 0, 0)
    trial = exclusions.try_out({"supported_formats": ["safetensors", "gguf"]})
    assert (trial.gone, trial.new, list(trial.formats)) == ([], [], ["gguf"])
    assert trial.formats["gguf"].files == 1


def test_exclusions_are_tried_before_they_are_saved(
    file: Path, tmp_path: Path, admin_user: User
) -> None:
    for name in ("kept", "draft-one", "x.tmp"):
        builders.transformers(tmp_path / "more" / name)
    roots.add(f"{tmp_path}/more", by=admin_user)
    before = file.read_text()
    trial = exclusions.try_out({"exclude_patterns": ["draft-*"]})
    assert trial.gone == [f"{tmp_path}/more/draft-one"]
    assert trial.new == [f"{tmp_path}/more/x.tmp"]
    assert file.read_text() == before
