"""What belongs together, what is not recognized, and what a model is called: situations of public
reports, each in its smallest form.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from discovery.engine.core import model_names, names
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.types import Candidate, Found, Problem
from discovery.engine.core.vocabulary import Status
from discovery.engine.disk.walk import walk
from discovery.engine.identify.identify import identify
from tests.support import builders
from tests.support.builders import Sizes

Read = Callable[..., dict[str, Found]]

TENSORS = [("layer.0.weight", "F32", (4, 3)), ("layer.1.weight", "F32", (2, 4))]
PORTS = [("x", "F32", (1, 3))], [("y", "F32", (1, 2))]
NOISE = bytes(range(1, 255)) * 40
SMALL = Sizes(hidden=256)


def codes(found: Found) -> list[str]:
    return sorted({problem.code for problem in found.problems})


def errors(found: Found) -> list[str]:
    return sorted({p.code for p in found.problems if p.severity == "error"})


def only(models: dict[str, Found]) -> Found:
    assert len(models) == 1, sorted(models)
    return next(iter(models.values()))


def shards(folder: Path, numbers: Iterable[int], name: str) -> None:
    for number in numbers:
        builders.safetensors(folder / name.format(number), [(f"w{number}", "F32", (2, 2))])


def described(folder: Path) -> None:
    """A Transformers folder without its weights."""
    builders.transformers(folder)
    (folder / "model.safetensors").unlink()


# -- junk, and downloads that are not over


@pytest.mark.parametrize(
    "place",
    [
        "#recycle/old", "@Recycle/old", "Recycle.Bin/old", "$RECYCLE.BIN/S-1-5/old", ".Trashes/501",
        ".Trash-0/files/old", ".stversions/old", "__MACOSX/old", "@eaDir/old", "._____temp/a/old",
    ],
)  # fmt: skip
def test_what_was_thrown_away_is_no_model(models_root: Path, read: Read, place: str) -> None:
    builders.transformers(models_root / "good")
    builders.transformers(models_root / place)
    assert list(read(models_root)) == ["good"]


def test_twins_of_a_mac_beside_the_files_are_nobody_s_weights(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "chat", shards=2)
    for path in list((models_root / "chat").iterdir()):
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(200))
    found = only(read(models_root))
    assert (found.status, codes(found), len(found.variants)) == (Status.READY, [], 1)


def test_a_twin_of_a_mac_that_runs_code_is_told_all_the_same(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "chat")
    builders.pickle_with_import(models_root / "chat" / "._model.bin", "os", "system")
    assert "unsafe_pickle" in codes(only(read(models_root)))


@pytest.mark.parametrize("end", [".aria2", ".part", ".crdownload", ".incomplete", ".partial"])
def test_a_file_that_is_still_downloaded_is_unfinished_whatever_its_header_says(
    models_root: Path, read: Read, end: str
) -> None:
    described(models_root / "big")
    shards(models_root / "big", (1, 2, 3), "model-{:05d}-of-00003.safetensors")
    beside = models_root / "big" / f"model-00002-of-00003.safetensors{end}"
    beside.write_bytes(bytes(60))
    found = only(read(models_root))
    assert (found.status, errors(found)) == (Status.INCOMPLETE, ["truncated"])
    assert "model-00002" in found.problems[0].path
    before = found.signature
    beside.unlink()
    found = only(read(models_root))
    assert (found.status, found.signature != before) == (Status.READY, True)


def test_pieces_of_a_file_are_told_with_the_file_that_they_make(models_root: Path) -> None:
    shelf = models_root / "shelf"
    shelf.mkdir()
    for name in ("a.gguf-split-a", "a.gguf-split-b", "b.safetensors.001", "notes.part1.txt"):
        (shelf / name).write_bytes(NOISE)
    told = [item for item in walk(str(models_root), Discovery()) if isinstance(item, Problem)]
    assert [(p.code, p.path) for p in told] == [
        ("pieces_unjoined", "shelf/a.gguf-split-a"),
        ("pieces_unjoined", "shelf/b.safetensors.001"),
    ]


# -- not recognized, broken, incomplete


@pytest.mark.parametrize("name", ["voice.bin", "net.pt", "a.pth", "old.ckpt", "thing.pkl"])
def test_bytes_that_no_reader_knows_are_no_model_and_the_reason_says_so(
    models_root: Path, name: str
) -> None:
    (models_root / name).write_bytes(NOISE)
    (candidate,) = (i for i in walk(str(models_root), Discovery()) if isinstance(i, Candidate))
    with pytest.raises(NotAModel, match="not recognized"):
        identify(str(models_root), candidate, Discovery())


@pytest.mark.parametrize("name", ["a.safetensors", "a.gguf", "a.onnx", "a.tflite", "a.h5"])
def test_a_suffix_of_one_format_alone_is_a_promise(
    models_root: Path, read: Read, name: str
) -> None:
    (models_root / name).write_bytes(NOISE)
    assert only(read(models_root)).status is Status.CORRUPT


def test_what_a_server_said_instead_of_the_weights_is_a_download_to_do_again(
    models_root: Path, read: Read
) -> None:
    (models_root / "net.pth").write_text('{"error": "Repository not found"}')
    found = only(read(models_root))
    assert (found.status, codes(found)) == (Status.INCOMPLETE, ["not_this_format"])


def test_weights_of_a_described_model_that_no_reader_knows_are_taken_on_its_word(
    models_root: Path, read: Read
) -> None:
    described(models_root / "odd")
    with (models_root / "odd" / "engine.bin").open("wb") as stream:
        stream.write(NOISE)
        stream.truncate(2 << 20)
    found = only(read(models_root))
    assert (found.status, codes(found)) == (Status.READY, ["format_unknown"])
    assert ("format" in found.values, found.variants[0].size_bytes) == (False, 2 << 20)


def test_a_broken_other_format_is_a_finding_on_its_file(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "chat")
    (models_root / "chat" / "flax_model.msgpack").write_bytes(b"\xc1" * 500)
    found = only(read(models_root))
    assert (found.status, errors(found)) == (Status.READY, [])
    assert [p.path for p in found.problems] == ["chat/flax_model.msgpack"]


def test_a_broken_projector_does_not_hide_a_good_model(models_root: Path, read: Read) -> None:
    builders.gguf_folder(models_root / "Sees", stem="Sees", name="Sees", mmproj=True)
    projector = next((models_root / "Sees").glob("mmproj*"))
    os.truncate(projector, projector.stat().st_size - 1000)
    found = only(read(models_root))
    assert (found.status, errors(found)) == (Status.READY, [])
    assert "truncated" in codes(found)


# -- shards, components, modules


@pytest.mark.parametrize(
    ("name", "numbers", "missing"),
    [
        ("model-{:05d}-of-00003.safetensors", (0, 1, 2), ""),
        ("model-{:05d}-of-00003.safetensors", (0, 2), "model-00001-of-00003.safetensors"),
        ("model-{:05d}.safetensors", (1, 2, 3), ""),
        ("model-{:05d}.safetensors", (1, 3), "model-00002.safetensors"),
        ("model_{}-of-3.safetensors", (1, 3), "model-2-of-3.safetensors"),
        ("my-copy-{:05d}-of-00002.safetensors", (1, 2), ""),
    ],
)
def test_shards_are_counted_as_their_names_count(
    models_root: Path, read: Read, name: str, numbers: tuple[int, ...], missing: str
) -> None:
    described(models_root / "big")
    shards(models_root / "big", numbers, name)
    found = only(read(models_root))
    assert found.status is (Status.INCOMPLETE if missing else Status.READY)
    assert len(found.variants[0].files) == len(numbers)
    assert missing in "".join(problem.message for problem in found.problems)


def test_an_index_tells_its_shards_whatever_they_are_called(models_root: Path, read: Read) -> None:
    described(models_root / "big")
    files = ["part-a.safetensors", "model.safetensors-00002-of-00002.safetensors"]
    for number, name in enumerate(files):
        builders.safetensors(models_root / "big" / name, [(f"w{number}", "F32", (2, 2))])
    builders.write_json(
        models_root / "big" / "model.safetensors.index.json",
        {"weight_map": {f"w{number}": name for number, name in enumerate(files)}},
    )
    builders.safetensors(models_root / "big" / "model.safetensors", [("stray", "F32", (3,))])
    found = only(read(models_root))
    assert (found.status, errors(found)) == (Status.READY, [])
    assert found.values["parameter_count"].value == 8


def split(path: Path, number: int, count: int) -> None:
    tensors = builders.gguf_tensors(builders.tensors("llama", SMALL))
    size = -(-len(tensors) // count)
    keys: dict[str, object] = {
        "split.no": number,
        "split.count": count,
        "split.tensors.count": len(tensors),
    }
    if not number:
        keys |= {"general.architecture": "llama", "general.name": "Big"}
    builders.gguf(path, keys, tensors[number * size : (number + 1) * size])


def test_renamed_shards_of_a_gguf_are_one_model_by_their_headers(
    models_root: Path, read: Read
) -> None:
    for number, name in enumerate(("first", "second", "third")):
        split(models_root / "shelf" / f"{name}.gguf", number, 3)
    found = only(read(models_root))
    assert (found.status, len(found.variants[0].files)) == (Status.READY, 3)
    (models_root / "shelf" / "second.gguf").unlink()
    found = only(read(models_root))
    assert (found.status, codes(found)) == (Status.INCOMPLETE, ["shards_missing"])


def test_components_that_a_pipeline_leaves_out_on_purpose_are_not_missed(
    models_root: Path, read: Read
) -> None:
    folder = models_root / "painter"
    builders.diffusers(folder)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"safety_checker": [None, None], "requires_safety_checker": False}
    builders.write_json(folder / "model_index.json", index)
    assert (only(read(models_root)).status) is Status.READY
    builders.write_json(
        folder / "model_index.json",
        index | {"image_encoder": ["transformers", "CLIPVisionModelWithProjection"]},
    )
    found = only(read(models_root))
    assert (found.status, errors(found)) == (Status.INCOMPLETE, ["component_missing"])
    (folder / "image_encoder").mkdir()
    builders.write_json(folder / "image_encoder" / "config.json", {"model_type": "clip"})
    found = only(read(models_root))
    assert "the weights of image_encoder" in found.problems[0].message


def test_each_component_misses_its_own_shards(models_root: Path, read: Read) -> None:
    folder = models_root / "painter"
    builders.diffusers(folder)
    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        for path in (folder / part).glob("*.safetensors*"):
            path.unlink()
        builders.safetensors_shards(folder / part, TENSORS, 2, stem=stem)
    assert only(read(models_root)).status is Status.READY
    (folder / "unet" / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    found = only(read(models_root))
    assert found.status is Status.INCOMPLETE
    assert "unet/diffusion_pytorch_model-00002-of-00002" in found.problems[0].message


def embedder(folder: Path, modules: dict[str, str]) -> None:
    builders.write_json(
        folder / "modules.json",
        [
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for n, (path, kind) in enumerate(modules.items())
        ],
    )


def test_the_modules_of_an_embedder_are_its_parts_whatever_they_are_called(
    models_root: Path, read: Read
) -> None:
    folder = models_root / "two-towers"
    embedder(folder, {"": "Router"})
    kind = "sentence_transformers.models.Transformer"
    builders.write_json(
        folder / "router_config.json", {"types": {"query_side": kind, "document_side": kind}}
    )
    for part in ("query_side", "document_side"):
        builders.transformers(folder / part, family="bert")
    builders.transformers(folder / "another-model")
    found = read(models_root)
    assert sorted(found) == ["two-towers", "two-towers/another-model"]
    model = found["two-towers"]
    assert (model.values["type"].value, model.status) == ("SENTENCE_TRANSFORMERS", Status.READY)
    assert len(model.variants[0].files) == 2


def test_a_module_whose_folder_never_came_is_missing_and_one_without_files_is_not(
    models_root: Path, read: Read
) -> None:
    builders.sentence_transformers(models_root / "embedder")
    assert not (models_root / "embedder" / "2_Normalize").exists()
    assert only(read(models_root)).status is Status.READY
    for path in (models_root / "embedder" / "1_Pooling").iterdir():
        path.unlink()
    found = only(read(models_root))
    assert (found.status, codes(found)) == (Status.INCOMPLETE, ["component_missing"])


# -- sub-folders


def test_quantizations_in_folders_of_their_own_are_variants_of_one_model(
    models_root: Path, read: Read
) -> None:
    home = models_root / "Sample-1B-GGUF"
    for kind in ("Q4_K_M", "Q8_0"):
        (home / kind).mkdir(parents=True)
        builders.gguf_model(home / kind / f"Sample-1B-{kind}.gguf", "Sample 1B", SMALL, kind)
    builders.gguf_model(home / "Sample-1B-F16.gguf", "Sample 1B", SMALL, "F16")
    (home / "README.md").write_text("---\nlicense: mit\n---\n# Sample 1B\n")
    found = only(read(models_root))
    assert found.path == "Sample-1B-GGUF"
    assert {variant.name for variant in found.variants} == {"Q4_K_M", "Q8_0", "F16"}
    assert found.values["license"].value == "mit"


def test_the_last_checkpoint_of_a_training_is_the_model_where_nothing_else_is(
    models_root: Path, read: Read
) -> None:
    for number in (100, 1000, 200):
        builders.transformers(models_root / "my-run" / f"checkpoint-{number}")
    (models_root / "my-run" / "runs").mkdir()
    found = only(read(models_root))
    assert (found.path, found.name) == ("my-run/checkpoint-1000", "my-run")
    builders.transformers(models_root / "my-run" / "final")
    assert list(read(models_root)) == ["my-run/final"]
    builders.adapter(models_root / "my-run")
    assert sorted(read(models_root)) == ["my-run", "my-run/final"]


def test_states_of_a_training_and_voices_go_with_their_model(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "tuned")
    state = models_root / "tuned" / "global_step500"
    state.mkdir()
    for name in ("mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"):
        builders.torch_zip(state / name, TENSORS)
    builders.onnx(models_root / "speaker" / "speaker-v1.onnx", TENSORS, *PORTS)
    (models_root / "speaker" / "voices").mkdir()
    for name in ("anna", "bert"):
        builders.torch_zip(models_root / "speaker" / "voices" / f"{name}.pt", TENSORS)
    (models_root / "speaker" / "voices-v1.0.bin").write_bytes(NOISE)
    found = read(models_root)
    assert sorted(found) == ["speaker/speaker-v1.onnx", "tuned"]
    assert [len(model.variants) for model in found.values()] == [1, 1]


def test_onnx_files_find_their_weights_under_any_name(models_root: Path, read: Read) -> None:
    shelf = models_root / "shelf"
    shelf.mkdir()
    for name, data in (("hears", "blob.bin"), ("sees", "eyes.weights")):
        builders.onnx(shelf / f"{name}.onnx", TENSORS, *PORTS, external=data)
    found = read(models_root)
    assert sorted(found) == ["shelf/hears.onnx", "shelf/sees.onnx"]
    assert {model.status for model in found.values()} == {Status.READY}
    assert sorted(entry.name for entry in found["shelf/hears.onnx"].files) == [
        "blob.bin",
        "hears.onnx",
    ]
    os.truncate(shelf / "blob.bin", 3)
    assert read(models_root)["shelf/hears.onnx"].status is Status.INCOMPLETE


# -- stores


def test_a_cached_repository_of_two_models_has_both_in_every_revision(
    models_root: Path, read: Read
) -> None:
    for commit, sizes in (("a" * 40, SMALL), ("b" * 40, SMALL)):
        snapshot = models_root / "models--acme--collection" / "snapshots" / commit
        snapshot.mkdir(parents=True)
        builders.gguf_model(snapshot / "Sample-1B-Q4_K_M.gguf", "Sample 1B", sizes, "Q4_K_M")
        other = Sizes(hidden=512)
        builders.gguf_model(snapshot / "Other-3B-Q4_K_M.gguf", "Other 3B", other, "Q4_K_M")
    found = read(models_root)
    assert {(model.name, len(model.variants)) for model in found.values()} == {
        ("Sample-1B", 2),
        ("Other-3B", 2),
    }
    assert "models--acme--collection" in found


def test_a_name_of_ollama_may_hold_a_model_here_and_one_elsewhere(
    models_root: Path, read: Read
) -> None:
    store = models_root / "ollama"
    builders.ollama_store(store, "mixed", ("135m",))
    config = json.dumps({"remote_host": "https://example.com", "remote_model": "mixed:1t"})
    digest = "c" * 64
    (store / "blobs" / f"sha256-{digest}").write_text(config)
    home = store / "manifests/registry.ollama.ai/library/mixed"
    builders.write_json(
        home / "1t-cloud", {"layers": None, "config": {"digest": f"sha256:{digest}"}}
    )
    found = only(read(models_root))
    assert found.status is Status.READY
    assert [variant.status for variant in found.variants] == [Status.READY, Status.REMOTE]
    (home / "135m").unlink()
    found = only(read(models_root))
    assert (found.status, found.values["endpoint"].value) == (Status.REMOTE, "https://example.com")


def test_an_ollama_model_whose_blob_is_gone_is_incomplete(models_root: Path, read: Read) -> None:
    builders.ollama_store(models_root / "ollama", "tiny", ("1b-fp16", "1b-q4_0"))
    blobs = sorted(
        (models_root / "ollama" / "blobs").iterdir(), key=lambda path: -path.stat().st_size
    )
    blobs[0].unlink()
    found = only(read(models_root))
    assert (found.status, errors(found)) == (Status.READY, [])
    assert [each.status for each in found.variants] == [Status.READY, Status.INCOMPLETE]
    assert "blob_missing" in codes(found)
    blobs[1].unlink()
    found = only(read(models_root))
    assert (found.status, errors(found)) == (Status.INCOMPLETE, ["blob_missing"])


# -- names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("acme/Sample-1B-Q4_K_M/model.gguf", "Sample-1B-Q4_K_M"),
        ("acme/Sample-7B/ggml-model-Q4_K_M.gguf", "Sample-7B"),
        ("Qwen/Qwen2___5-0___5B-Instruct/weights.gguf", "Qwen2.5-0.5B-Instruct"),
        ("models--acme--tiny/snapshot/1.0.0/model.gguf", "acme/tiny"),
        ("summarizer/z6kfm7cdk2yq4zxc/model.gguf", "summarizer"),
        ("whisper/3f2a9c1d7e/latest/data.gguf", "whisper"),
        ("mistral-7b/v0.1/mistral.gguf", "mistral"),
    ],
)
def test_a_name_that_says_nothing_gives_way_to_the_next_around_it(
    models_root: Path, read: Read, path: str, name: str
) -> None:
    (models_root / path).parent.mkdir(parents=True)
    builders.gguf_model(models_root / path, "whatever", SMALL, "Q4_K_M")
    assert only(read(models_root)).name == name


def test_the_title_of_the_card_names_a_folder_that_says_nothing(
    models_root: Path, read: Read
) -> None:
    card = builders.DemoCard("all-MiniLM-L6-v2", "It embeds sentences, and that is what it does.")
    builders.sentence_transformers(models_root / "package" / "model", card=card)
    assert only(read(models_root)).name == "all-MiniLM-L6-v2"


@pytest.mark.parametrize("name", ["7b-chat", "bert", "deadbeef", "R1", "yolov8n", "ada2000"])
def test_a_name_that_may_be_meant_says_something(name: str) -> None:
    assert not model_names.says_nothing(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("t5xxl_fp16.safetensors", "t5xxl_fp8_e4m3fn_scaled.safetensors"),
        ("flux1-dev.safetensors", "flux1-dev-fp8-e5m2.safetensors"),
        ("net_nf4.safetensors", "net_bf16.safetensors"),
    ],
)
def test_precisions_of_one_model_have_one_stem(one: str, other: str) -> None:
    assert names.base_stem(one) == names.base_stem(other)


@pytest.mark.parametrize(
    "foreign",
    [
        [{"metadataOutputVersion": "3.0"}],
        {"keras_version": "3.4", "date_saved": "2024-01-01"},
        {"version": {"major": 2}, "created": 1, "files": [], "type": "checkpoint", "sha": "a"},
    ],
)
def test_another_tool_s_metadata_json_is_not_taken_for_ours(
    models_root: Path, read: Read, foreign: object
) -> None:
    builders.transformers(models_root / "chat")
    builders.write_json(models_root / "chat" / "metadata.json", foreign)
    found = only(read(models_root))
    assert (codes(found), found.values.get("version"), found.values.get("custom")) == (
        [],
        None,
        None,
    )


@pytest.mark.parametrize("folder", [True, False])
def test_a_pickle_that_an_onnx_file_calls_its_data_is_told_all_the_same(
    models_root: Path, read: Read, folder: bool
) -> None:
    home = models_root / "trap"
    home.mkdir()
    name = "model" if folder else "trap-net"
    builders.onnx(home / f"{name}.onnx", TENSORS, *PORTS, external="pytorch_model.bin")
    builders.pickle_with_import(home / "pytorch_model.bin", "os", "system")
    found = read(models_root)
    assert any(model.status is Status.UNSAFE for model in found.values())


@pytest.mark.parametrize("place", ["voices", "global_step5"])
def test_what_goes_with_a_model_is_looked_into(models_root: Path, read: Read, place: str) -> None:
    builders.transformers(models_root / "chat")
    (models_root / "chat" / place).mkdir()
    builders.pickle_with_import(models_root / "chat" / place / "anna.pt", "os", "system")
    builders.gguf_folder(models_root / "Speaks")
    (models_root / "Speaks" / place).mkdir()
    builders.pickle_with_import(models_root / "Speaks" / place / "anna.pt", "os", "system")
    assert {model.status for model in read(models_root).values()} == {Status.UNSAFE}


@pytest.mark.parametrize("header", [b"{}", b"  {}", b'{"__metadata__":{"format":"pt"}}'])
def test_a_sound_header_without_tensors_makes_no_model_ready(
    header: bytes, models_root: Path, read: Read
) -> None:
    path = models_root / "empty" / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    found = only(read(models_root))
    assert (found.status, codes(found)) == (Status.INCOMPLETE, ["weights_missing"])
    assert "describes no tensors" in found.problems[0].message
