"""Which files belong together as one model, what is never a model, and what a walk survives."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from discovery.engine.core.config import Discovery
from discovery.engine.core.types import Candidate, Problem
from discovery.engine.disk.walk import walk
from tests.support import builders


def places(root: Path, **settings: object) -> list[str]:
    return sorted(
        item.place for item in walk(str(root), Discovery(**settings)) if isinstance(item, Candidate)
    )  # type: ignore[arg-type]


def problems(root: Path, **settings: object) -> list[Problem]:
    items = list(walk(str(root), Discovery(**settings)))  # type: ignore[arg-type]
    return [item for item in items if isinstance(item, Problem)] + [
        p for item in items if isinstance(item, Candidate) for p in item.problems
    ]


def weights(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    builders.safetensors(path, [("w", "F32", (2,))])


def test_a_pipeline_is_one_model_with_all_its_folders(models_root: Path) -> None:
    builders.diffusers(models_root / "vision" / "sdxl")
    assert places(models_root) == ["vision/sdxl"]


def test_pooling_folders_checkpoints_and_caches_are_never_models(models_root: Path) -> None:
    builders.sentence_transformers(models_root / "embedder")
    for name in ("checkpoint-500", ".git", "__pycache__", "node_modules"):
        builders.transformers(models_root / name)
    builders.transformers(models_root / "embedder" / "checkpoint-1000")
    assert places(models_root) == ["embedder"]


def test_models_below_a_model_folder_are_found_too(models_root: Path) -> None:
    builders.transformers(models_root / "base")
    builders.transformers(models_root / "base" / "finetuned")
    assert places(models_root) == ["base", "base/finetuned"]


def test_loose_checkpoints_are_models_of_their_own_and_shards_belong_together(
    models_root: Path,
) -> None:
    for name in (
        "dream.safetensors",
        "dream.fp16.safetensors",
        "other.safetensors",
        "big-00001-of-00002.safetensors",
        "big-00002-of-00002.safetensors",
    ):
        weights(models_root / "checkpoints" / name)
    assert places(models_root) == [
        "checkpoints/big-00001-of-00002.safetensors",
        "checkpoints/dream.fp16.safetensors",
        "checkpoints/other.safetensors",
    ]


def test_an_onnx_folder_belongs_to_the_model_above_it(models_root: Path) -> None:
    builders.transformers(models_root / "bert", family="bert")
    weights(models_root / "bert" / "onnx" / "model.safetensors")
    weights(models_root / "onnx" / "resnet" / "model.safetensors")
    assert places(models_root) == ["bert", "onnx/resnet"]


def test_stores_of_other_programs_are_one_candidate_a_model(models_root: Path) -> None:
    builders.hub_cache(models_root / "hub", "org/embedder")
    builders.ollama_store(models_root / "ollama", "llama3.2", ("3b", "latest"))
    assert places(models_root) == [
        "hub/models--org--embedder",
        "ollama/manifests/registry.ollama.ai/library/llama3.2",
    ]


def test_depth_is_counted_in_folders_and_what_is_cut_off_is_said(models_root: Path) -> None:
    builders.transformers(models_root / "a" / "b" / "c" / "model")
    assert places(models_root, max_scan_depth=4) == ["a/b/c/model"]
    assert places(models_root, max_scan_depth=3) == []
    assert [(p.code, p.path) for p in problems(models_root, max_scan_depth=3)] == [
        ("too_deep", "a/b/c")
    ]


def test_without_subdirectories_only_the_root_and_its_own_folders_are_looked_at(
    models_root: Path,
) -> None:
    builders.transformers(models_root / "near")
    builders.transformers(models_root / "shelf" / "far")
    assert places(models_root, scan_subdirectories=False) == ["near"]


@pytest.mark.parametrize("pattern", ["draft-*", "language/draft-*", "language/draft-one"])
def test_excluded_names_and_paths_are_not_entered(models_root: Path, pattern: str) -> None:
    builders.transformers(models_root / "language" / "draft-one")
    builders.transformers(models_root / "language" / "kept")
    assert places(models_root, exclude_patterns=[pattern]) == ["language/kept"]


def test_links_are_followed_inside_the_root_only_and_loops_are_cut(
    models_root: Path, tmp_path: Path
) -> None:
    builders.transformers(models_root / "real")
    builders.transformers(models_root / ".store" / "hidden-target")
    builders.transformers(tmp_path / "outside")
    (models_root / "again").symlink_to("real")
    (models_root / "loop").symlink_to(".")
    (models_root / "real" / "up").symlink_to("..")
    (models_root / "away").symlink_to(tmp_path / "outside")
    assert places(models_root) == [".store/hidden-target", "real"]
    assert {p.code for p in problems(models_root)} >= {"link_leaves_root"}


def test_a_linked_folder_is_walked_when_nothing_else_leads_there(models_root: Path) -> None:
    builders.transformers(models_root / "skipped" / "model")
    (models_root / "shown").symlink_to("skipped/model")
    assert places(models_root, exclude_patterns=["skipped"]) == ["shown"]


def test_linked_weights_count_as_files_of_the_model(models_root: Path) -> None:
    weights(models_root / "store" / "blob.safetensors")
    builders.write_json(models_root / "linked" / "config.json", {"model_type": "bert"})
    (models_root / "linked" / "model.safetensors").symlink_to("../store/blob.safetensors")
    found = next(
        item
        for item in walk(str(models_root), Discovery())
        if isinstance(item, Candidate) and item.place == "linked"
    )
    assert {(entry.name, entry.link) for entry in found.files} == {
        ("config.json", None),
        ("model.safetensors", "store/blob.safetensors"),
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a POSIX thing")
def test_pipes_dangling_links_and_folders_named_like_files_are_told_and_never_opened(
    models_root: Path,
) -> None:
    for folder in ("pipe", "dangling", "folder/model.safetensors", "folder/config.json"):
        (models_root / folder).mkdir(parents=True)
    os.mkfifo(models_root / "pipe" / "config.json")
    (models_root / "dangling" / "model.gguf").symlink_to("nowhere")
    assert places(models_root) == []
    assert {p.code for p in problems(models_root)} == {"not_a_file", "link_dangling"}


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user"
)
def test_an_unreadable_folder_is_one_problem_and_hides_no_neighbour(models_root: Path) -> None:
    builders.transformers(models_root / "good")
    builders.transformers(models_root / "locked")
    (models_root / "locked").chmod(0)
    try:
        assert places(models_root) == ["good"]
        assert [p.code for p in problems(models_root)] == ["folder_unreadable"]
    finally:
        (models_root / "locked").chmod(0o755)


def test_an_unlistable_folder_is_one_problem_and_hides_no_neighbour(
    models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.transformers(models_root / "good")
    builders.transformers(models_root / "locked")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert places(models_root) == ["good"]
    assert [(p.code, p.path) for p in problems(models_root)] == [("folder_unreadable", "locked")]


def test_no_file_is_opened(models_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builders.transformers(models_root / "model")
    builders.ollama_store(models_root / "ollama", "llama3.2", ("3b",))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(os, "open", refuse)
    assert len(places(models_root)) == 2


def test_a_root_that_is_a_model_is_the_model(models_root: Path) -> None:
    builders.transformers(models_root)
    assert places(models_root) == ["."]


def test_the_signature_changes_with_size_time_and_names_and_with_nothing_else(
    models_root: Path,
) -> None:
    def signature() -> str:
        return next(
            item.signature
            for item in walk(str(models_root), Discovery())
            if isinstance(item, Candidate)
        )

    builders.transformers(models_root / "model")
    first = signature()
    assert signature() == first
    os.utime(models_root / "model" / "config.json", ns=(1, 1))
    second = signature()
    (models_root / "model" / "README.md").rename(models_root / "model" / "NOTES.md")
    assert len({first, second, signature()}) == 3


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="the file system refuses such names"
)
def test_names_of_any_bytes_are_walked(models_root: Path) -> None:
    for name in (
        b"bad\xff\xfename",
        b"new\nline",
        b"-rf",
        "\u202ertl".encode(),
        b"<img src=x>",
        b"a" * 200,
        "\U0001f600".encode(),
    ):
        folder = os.path.join(os.fsencode(models_root), name)
        os.mkdir(folder)
        with open(os.path.join(folder, b"config.json"), "wb") as file:
            file.write(b'{"model_type": "bert"}')
    assert len(places(models_root)) == 7
