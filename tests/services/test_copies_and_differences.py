"""What is not a copy is never offered as one: every file counts, differences are confirmed one by
one, and the script compares all bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discovery.engine.core.vocabulary import Status
from discovery.models import RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.cleanup import (
    alternate_formats,
    duplicates,
    orphans,
    plan_output,
    removal,
    removal_plan,
)
from discovery.services.cleanup.removal import Plan, PlanError, Unconfirmed
from tests.support import builders
from tests.support.waiting import DEADLINE

Scan = Callable[..., ScanRun]


@pytest.fixture(autouse=True)
def fresh_disks() -> Iterator[None]:
    orphans.forget()
    yield
    orphans.forget()


def model(path: str) -> RegisteredModel:
    return RegisteredModel.objects.get(path=path)


def likenesses() -> list[duplicates.Likeness]:
    return duplicates.likenesses([fingerprint for fingerprint, _, _ in duplicates.fingerprints()])


def groups() -> list[duplicates.Group]:
    return duplicates.groups([fingerprint for fingerprint, _, _ in duplicates.fingerprints()])


def plan(*paths: str, confirmed: tuple[str, ...] = ()) -> Plan:
    return removal_plan.plan(
        "copies", [str(model(path).pk) for path in paths], by="ada", confirmed=confirmed
    )


def unconfirmed(*paths: str) -> Unconfirmed:
    with pytest.raises(Unconfirmed) as caught:
        plan(*paths)
    return caught.value


def run(made: Plan, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = folder / "clean-up.sh"
    script.write_bytes(plan_output.as_script(made))
    return subprocess.run(
        ["sh", str(script), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=DEADLINE,
    )


def _sound() -> bytes:
    """Weights that a reader knows, whatever their file is called."""
    with tempfile.TemporaryDirectory() as folder:
        builders.torch_zip(Path(folder) / "net.pt", [("w", "F32", (40, 50))])
        return (Path(folder) / "net.pt").read_bytes()


SOUND = _sound()


def twins(root: Path) -> None:
    builders.transformers(root / "a/llama")
    shutil.copytree(root / "a/llama", root / "b/llama")


def triplet(root: Path, graph: str, weights: str) -> None:
    for name in ("one", "two", "three"):
        (root / name).mkdir()
        (root / name / weights).write_bytes(SOUND)
        (root / name / graph).write_text(f"7767517\n1 1\nInput {name} 0 1 {name}\n")


@pytest.mark.parametrize(
    ("graph", "weights"),
    [
        ("net.pbtxt", "net.pt"),
        ("deploy.prototxt", "weights.bin"),
        ("yolov4.cfg", "yolov4.pt"),
        ("config.json", "model.bin"),
        ("graph/deep/net.txt", "pytorch_model.bin"),
    ],
)
def test_models_with_one_weight_file_and_different_graphs_are_never_copies(
    graph: str, weights: str, models_root: Path, scan: Scan
) -> None:
    for name in ("one", "two", "three"):
        (models_root / name / graph).parent.mkdir(parents=True)
        (models_root / name / weights).write_bytes(SOUND)
        (models_root / name / graph).write_text(f"graph of {name}")
    scan(models_root)
    assert RegisteredModel.objects.count() == 3
    assert groups() == []
    assert len(likenesses()) == 1
    for record in RegisteredModel.objects.all():
        with pytest.raises(PlanError, match=graph.rpartition("/")[2]):
            removal_plan.plan("copies", [str(record.pk)], by="ada")


def test_three_ncnn_graphs_over_hard_links_of_one_weight_file_are_no_copies(
    models_root: Path, scan: Scan
) -> None:
    triplet(models_root, "yolo.param", "yolo.bin")
    for name in ("two", "three"):
        (models_root / name / "yolo.bin").unlink()
        os.link(models_root / "one/yolo.bin", models_root / name / "yolo.bin")
    scan(models_root)
    assert groups() == []


def test_three_openvino_graphs_over_equal_weights_are_no_copies(
    models_root: Path, scan: Scan
) -> None:
    for name in ("one", "two", "three"):
        builders.openvino_folder(models_root / name)
        graph = models_root / name / "openvino_model.xml"
        graph.write_text(graph.read_text().replace("</net>", f"<!-- {name} --></net>"))
    scan(models_root)
    assert groups() == []


def test_the_same_graphs_over_the_same_weights_are_copies(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (models_root / name).mkdir()
        (models_root / name / "yolo.bin").write_bytes(SOUND)
        (models_root / name / "yolo.param").write_text("7767517\n1 1\nInput in0 0 1 in0\n")
    scan(models_root)
    (group,) = groups()
    assert len(group.copies) == 2
    made = removal_plan.plan("copies", [str(group.copies[1].record.pk)], by="ada")
    assert run(made, tmp_path, "--remove").returncode == 0
    assert sorted(path.name for path in models_root.rglob("yolo*")) == ["yolo.bin", "yolo.param"]


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "README.md", "generation_config.json"]
)
def test_one_file_that_differs_is_named_and_has_to_be_confirmed(
    name: str, models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root)
    changed = models_root / "b/llama" / name
    changed.write_bytes(changed.read_bytes()[:-1] + b" ")
    scan(models_root)
    assert groups() == []
    ((other, (difference,)),) = likenesses()[0].others
    assert (other.record.path, difference.name, difference.how) == ("b/llama", name, "differs")
    error = unconfirmed("b/llama")
    assert name in str(error)
    made = plan("b/llama", confirmed=tuple(choice.key for choice in error.choices))
    assert [each.name for each in made.steps[0].differences] == [name]
    assert plan_output.as_json(made)["steps"][0]["differences"][0]["name"] == name
    assert run(made, tmp_path, "--remove").returncode == 0
    assert not (models_root / "b/llama").exists()


def test_a_file_that_only_one_has_is_a_difference_on_either_side(
    models_root: Path, scan: Scan
) -> None:
    twins(models_root)
    (models_root / "b/llama/chat_template.jinja").write_text("{{ x }}")
    scan(models_root)
    assert [choice.difference.text for choice in unconfirmed("b/llama").choices] == [
        "chat_template.jinja (only here)"
    ]
    assert [choice.difference.text for choice in unconfirmed("a/llama").choices] == [
        "chat_template.jinja (only there)"
    ]


def test_what_was_confirmed_counts_for_the_file_as_it_was_seen(
    models_root: Path, scan: Scan
) -> None:
    twins(models_root)
    extra = models_root / "b/llama/chat_template.jinja"
    extra.write_text("one")
    scan(models_root)
    keys = tuple(choice.key for choice in unconfirmed("b/llama").choices)
    assert plan("b/llama", confirmed=keys)
    extra.write_text("two")
    os.utime(extra, (1, 1))
    with pytest.raises(Unconfirmed):
        plan("b/llama", confirmed=keys)


def test_shards_that_changed_places_are_not_the_same_model(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "a", shards=2)
    shutil.copytree(models_root / "a", models_root / "b")
    first, second = sorted((models_root / "b").glob("*.safetensors"))
    first.rename(first.with_suffix(".x"))
    second.rename(first)
    first.with_suffix(".x").rename(second)
    scan(models_root)
    assert groups() == []


def test_the_copy_that_really_agrees_stays_and_needs_no_confirmation(
    models_root: Path, scan: Scan
) -> None:
    twins(models_root)
    shutil.copytree(models_root / "a/llama", models_root / "c/llama")
    (models_root / "a/llama/README.md").write_text("other")
    scan(models_root)
    made = plan("b/llama")
    assert made.steps[0].keeps == str(models_root / "c/llama")
    assert made.steps[0].differences == ()


def test_every_file_of_a_copy_is_compared_by_the_script(models_root: Path, scan: Scan) -> None:
    twins(models_root)
    scan(models_root)
    removals = [each for each in plan("b/llama").steps[0].removals if each.piece.kind == "file"]
    assert len(removals) > 3
    assert all(each.same_as == each.absolute.replace("/b/", "/a/") for each in removals)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_one_byte_of_any_file_that_changed_since_leaves_the_step_alone(
    name: str, models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root)
    scan(models_root)
    made = plan("b/llama")
    target = models_root / "b/llama" / name
    status, data = target.stat(), bytearray(target.read_bytes())
    data[-1] ^= 1
    target.write_bytes(bytes(data))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = run(made, tmp_path, "--remove")
    assert done.returncode == 1
    assert "its bytes are not those of the copy that stays" in done.stdout
    assert (models_root / "b/llama/config.json").exists()


def test_what_stays_must_not_have_become_a_link_to_what_goes(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root)
    scan(models_root)
    made = plan("b/llama")
    shutil.rmtree(models_root / "a/llama")
    (models_root / "a/llama").symlink_to(models_root / "b/llama")
    assert run(made, tmp_path, "--remove").returncode == 1
    assert (models_root / "b/llama/model.safetensors").exists()
    (models_root / "a/llama").unlink()
    (models_root / "a/llama").mkdir()
    for path in (models_root / "b/llama").iterdir():
        (models_root / "a/llama" / path.name).symlink_to(path)
    assert run(made, tmp_path, "--remove").returncode == 1
    assert (models_root / "b/llama/model.safetensors").exists()


def test_a_step_whose_folder_cannot_be_written_is_left_alone(models_root: Path, scan: Scan) -> None:
    twins(models_root)
    scan(models_root)
    folder = models_root / "b/llama"
    assert f"writable '{folder}'" in plan_output.as_script(plan("b/llama")).decode()


def test_a_file_that_another_model_needs_stays(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    """Three ncnn graphs in one folder over one weight file, and a copy of one of them elsewhere."""
    twins(models_root)
    (models_root / "c/llama").mkdir(parents=True)
    for path in (models_root / "b/llama").iterdir():
        if path.name != "config.json":
            (models_root / "c/llama" / path.name).symlink_to(path)
    (models_root / "c/llama/config.json").write_text(
        (models_root / "a/llama/config.json").read_text() + " "
    )
    scan(models_root)
    with pytest.raises(PlanError, match="made of links to files of llama"):
        plan("b/llama")
    assert plan("a/llama")


def test_what_one_step_keeps_does_not_go_with_another(models_root: Path, scan: Scan) -> None:
    twins(models_root)
    scan(models_root)
    made = plan("b/llama")
    (step,) = made.steps
    other = removal.Step(
        "llama",
        "",
        tuple(removal.Removal(each.same_as, each.piece) for each in step.removals if each.same_as),
    )
    with pytest.raises(PlanError, match="leave one of the two"):
        removal_plan._refuse_last_copies([step, other])


def test_another_revision_in_the_hubs_cache_is_not_the_plain_copy(
    models_root: Path, scan: Scan
) -> None:
    repository = builders.hub_cache(models_root / "hub", "org/name", revisions=2)
    head = (repository / "refs/main").read_text()
    shutil.copytree(repository / "snapshots" / head, models_root / "plain")
    scan(models_root)
    names = (
        {choice.difference.name for choice in unconfirmed("hub/models--org--name").choices}
        if not groups()
        else set()
    )
    assert all(name.startswith("snapshots/") for name in names)


# -- second formats


def formats() -> list[str]:
    return [each.format for each in alternate_formats.found()]


def test_a_second_format_of_the_same_tensors_is_offered(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "m")
    builders.torch_zip(models_root / "m/pytorch_model.bin", builders.tensors())
    scan(models_root)
    (only,) = alternate_formats.found()
    assert (only.format, only.kept) == ("pytorch", "safetensors")
    assert "parameters in BF16" in only.alike


@pytest.mark.parametrize(
    "tensors",
    [
        pytest.param(builders.tensors(dtype="F16"), id="another precision"),
        pytest.param(builders.tensors(dtype="F32"), id="full precision"),
        pytest.param(builders.tensors(sizes=builders.Sizes(hidden=32)), id="fewer parameters"),
        pytest.param(
            [(f"x.{name}", dtype, shape) for name, dtype, shape in builders.tensors()],
            id="other tensors",
        ),
    ],
)
def test_other_weights_are_no_second_format(tensors: Any, models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "m")
    builders.torch_zip(models_root / "m/pytorch_model.bin", tensors)
    scan(models_root)
    assert formats() == []


@pytest.mark.parametrize(
    "name", ["pytorch_model.ema.bin", "pytorch_model-v2.bin", "pytorch_model.pruned.bin"]
)
def test_weights_that_are_called_otherwise_are_no_second_format(
    name: str, models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "m")
    builders.torch_zip(models_root / "m" / name, builders.tensors())
    scan(models_root)
    assert formats() == []


@pytest.mark.parametrize("quantization", ["Q4_K_M", "Q8_0", "F16"])
def test_a_quantization_or_another_precision_is_no_second_format(
    quantization: str, models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "llama-3.1-8b")
    builders.gguf_model(
        models_root / f"llama-3.1-8b.{quantization}.gguf",
        "llama-3.1-8b",
        builders.Sizes(hidden=64),
        quantization,
    )
    scan(models_root)
    assert formats() == []


@pytest.mark.parametrize("make", [builders.awq, builders.gptq, builders.mlx])
def test_packed_weights_are_no_second_format(make: Any, models_root: Path, scan: Scan) -> None:
    make(models_root / "x/llama-3.1-8b-4bit")
    builders.gguf_model(
        models_root / "llama-3.1-8b.BF16.gguf", "llama-3.1-8b", builders.Sizes(), "BF16"
    )
    scan(models_root)
    assert formats() == []


def test_what_is_declared_as_a_conversion_counts_where_numbers_are_unknown(
    models_root: Path, scan: Scan
) -> None:
    builders.transformers(models_root / "m/name")
    builders.transformers(models_root / "n/name-onnx")
    scan(models_root)
    one, other = model("m/name"), model("n/name-onnx")
    for record, form in ((one, "safetensors"), (other, "onnx")):
        record.format = record.variants[0]["format"] = form
    other.variants[0] |= {"parameter_count": None, "dtype": None}
    assert alternate_formats._same_records(one, other) == ""
    other.curated["custom"] = {"value": {"converted_from": "org/Name"}}
    assert alternate_formats._same_records(one, other) == "which is declared as a conversion"
    other.variants[0] |= {"quantization": "int8"}
    assert alternate_formats._same_records(one, other) == ""


def test_files_beside_a_second_format_are_confirmed_too(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "name")
    builders.gguf_model(models_root / "name-GGUF/name.BF16.gguf", "name", builders.Sizes(), "BF16")
    (models_root / "name-GGUF/params").write_text("stop token")
    scan(models_root)
    found = {each.format: each for each in alternate_formats.found()}
    with pytest.raises(Unconfirmed) as caught:
        removal_plan.plan("formats", [found["safetensors"].key], by="ada")
    assert "config.json" in str(caught.value)
    keys = [choice.key for choice in caught.value.choices]
    assert (
        removal_plan.plan("formats", [found["safetensors"].key], by="ada", confirmed=keys)
        .steps[0]
        .needs
    )


def test_a_second_format_stays_when_the_first_is_gone_by_then(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    builders.transformers(models_root / "m")
    builders.torch_zip(models_root / "m/pytorch_model.bin", builders.tensors())
    scan(models_root)
    (only,) = alternate_formats.found()
    made = removal_plan.plan("formats", [only.key], by="ada")
    (models_root / "m/model.safetensors").unlink()
    assert run(made, tmp_path, "--remove").returncode == 1
    assert (models_root / "m/pytorch_model.bin").exists()


# -- leftovers


def aged(root: Path) -> None:
    for folder, folders, files in os.walk(root, topdown=False):
        for name in [*files, *folders]:
            os.utime(os.path.join(folder, name), (1e9, 1e9), follow_symlinks=False)


def found() -> set[tuple[str, str]]:
    return {(item.leftover.kind, item.leftover.path) for item in orphans.look(fresh=True).items}


def test_layers_of_a_model_that_is_being_pulled_are_no_leftovers(
    models_root: Path, db: None
) -> None:
    Root.objects.create(path=str(models_root))
    store = models_root / "ollama"
    builders.ollama_store(store, "llama3")
    (store / f"blobs/sha256-{'a' * 64}").write_bytes(b"finished two hours ago")
    aged(models_root)
    assert ("blobs", "ollama/blobs") in found()
    (store / f"blobs/sha256-{'b' * 64}-partial").write_bytes(b"under way")
    assert found() == set()


def test_blobs_and_revisions_that_a_link_elsewhere_needs_are_no_leftovers(
    models_root: Path, db: None, tmp_path: Path
) -> None:
    Root.objects.create(path=str(models_root))
    other = tmp_path / "other"
    other.mkdir()
    Root.objects.create(path=str(other))
    repository = builders.hub_cache(models_root / "hub", "org/name", revisions=2)
    head = (repository / "refs/main").read_text()
    old = next(each for each in (repository / "snapshots").iterdir() if each.name != head)
    (repository / "blobs/unnamed").write_bytes(b"x" * 5_000)
    aged(models_root)
    assert {kind for kind, _ in found()} == {"blobs", "revisions"}
    (other / "mine.bin").symlink_to(repository / "blobs/unnamed")
    (other / "my-model").symlink_to(old)
    assert found() == set()


@pytest.mark.parametrize("part", ["snapshots", "refs"])
def test_a_repository_whose_names_lie_elsewhere_tells_nothing(
    part: str, models_root: Path, db: None, tmp_path: Path
) -> None:
    Root.objects.create(path=str(models_root))
    repository = builders.hub_cache(models_root / "hub", "org/name", revisions=2)
    (repository / part).rename(tmp_path / part)
    (repository / part).symlink_to(tmp_path / part)
    aged(models_root)
    assert found() == set()


def test_shards_that_an_index_in_another_folder_names_are_no_leftovers(
    models_root: Path, db: None
) -> None:
    Root.objects.create(path=str(models_root))
    (models_root / "m/parts").mkdir(parents=True)
    (models_root / "m/parts/model-00002-of-00003.safetensors").write_bytes(b"w" * 1_000)
    aged(models_root)
    assert {kind for kind, _ in found()} == {"shards"}
    (models_root / "m/model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"t": "parts/model-00002-of-00003.safetensors"}})
    )
    aged(models_root)
    assert found() == set()


def test_a_whole_set_under_another_name_is_no_leftover(models_root: Path, db: None) -> None:
    Root.objects.create(path=str(models_root))
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name in (*names, *(name.replace("model", "ema") for name in names)):
        (models_root / name).write_bytes(b"w" * 1_000)
    (models_root / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict(enumerate(names))})
    )
    aged(models_root)
    assert found() == set()


def test_parts_of_a_download_that_is_at_work_are_no_leftovers(models_root: Path, db: None) -> None:
    Root.objects.create(path=str(models_root))
    cache = models_root / "m/.cache/huggingface/download"
    cache.mkdir(parents=True)
    (models_root / "m/model-00001-of-00003.safetensors").write_bytes(b"w" * 1_000)
    aged(models_root)
    assert "shards" in {kind for kind, _ in found()}
    (cache / "x.incomplete").write_bytes(b"w")
    os.utime(models_root / "m", (1e9, 1e9))
    assert found() == set()


def test_a_leftover_that_is_needed_again_is_left_alone_by_the_script(
    models_root: Path, db: None, tmp_path: Path
) -> None:
    Root.objects.create(path=str(models_root))
    store = models_root / "ollama"
    builders.ollama_store(store, "llama3")
    blob = store / f"blobs/sha256-{'a' * 64}"
    blob.write_bytes(b"x" * 5_000)
    aged(models_root)
    (item,) = orphans.look().items
    made = removal_plan.plan("blobs", [item.key], by="ada")
    manifest = store / "manifests/registry.ollama.ai/library/mine/latest"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps({"layers": [{"digest": f"sha256:{'a' * 64}"}]}))
    future = made.made_at.timestamp() + 60
    os.utime(manifest, (future, future))
    done = run(made, tmp_path, "--remove")
    assert (done.returncode, blob.exists()) == (1, True)
    assert "changed after the plan was made" in done.stdout


# -- any two folders

NAMES = st.sampled_from(
    [
        "model.safetensors",
        "model-extra.bin",
        "config.json",
        "x.param",
        "sub/graph.xml",
        "notes",
        "tokenizer.json",
    ]
)
TAILS = st.sampled_from([b"", b"a", b"b", b"\0" * 9_000, b"\0" * 8_999 + b"1"])
FOLDERS = st.dictionaries(NAMES, TAILS, max_size=5)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    one=FOLDERS, other=FOLDERS, linked=st.sampled_from(["", "hard", "soft"]), alike=st.booleans()
)
def test_nothing_is_offered_that_differs_in_any_byte_without_saying_so(
    one: dict[str, bytes], other: dict[str, bytes], linked: str, alike: bool, db: None
) -> None:
    RegisteredModel.objects.all().delete()
    Root.objects.all().delete()
    duplicates_of = one if alike else other
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve() / "models"
        for folder, files in (("a", one), ("b", duplicates_of)):
            for name, tail in {"model.bin": b"head" * 2_000, **files}.items():
                (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
                (root / folder / name).write_bytes(name.encode() + tail)
        if linked:
            (root / "b/model.bin").unlink()
            (os.link if linked == "hard" else os.symlink)(
                root / "a/model.bin", root / "b/model.bin"
            )
        Root.objects.create(path=str(root))
        _start(root)
        before = {folder: contents(root / folder) for folder in "ab"}
        offered = [copy for group in groups() for copy in group.copies]
        for group in groups():
            left, right = (
                contents(root / copy.record.path.split("/")[0]) for copy in group.copies[:2]
            )
            assert left.keys() == right.keys()
            assert group.certainty is duplicates.Certainty.ALIKE or left == right
            assert all(len(left[name]) == len(right[name]) for name in left)
        for copy in offered[1:]:
            try:
                made = removal_plan.plan("copies", [str(copy.record.pk)], by="ada")
            except PlanError:
                continue
            run(made, Path(place), "--remove")
        kept = {
            data
            for folder in "ab"
            if (root / folder).exists()
            for data in contents(root / folder).values()
        }
        assert {data for files in before.values() for data in files.values()} <= kept


def _start(root: Path) -> None:
    started, _ = scans.start_now(ScanRun.Trigger.COMMAND, path=str(root))
    scans.execute(started)


def test_models_that_are_ready_are_compared_too(models_root: Path, scan: Scan) -> None:
    twins(models_root)
    scan(models_root)
    assert {record.status for record in RegisteredModel.objects.all()} == {Status.READY}
    assert len(groups()) == 1
