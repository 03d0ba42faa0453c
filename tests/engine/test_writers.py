"""What the writers write is what the official libraries read."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from math import prod
from pathlib import Path

import pytest
from gguf import GGUFReader
from safetensors import safe_open

from discovery.demo.writers.diffusion import unet, vae
from discovery.demo.writers.shapes import FAMILIES, Sizes, Tensors, transformer_tensors
from discovery.engine.core.packings import Declared
from discovery.engine.core.parameters import count_parameters
from discovery.engine.formats import gguf as gguf_format
from discovery.engine.formats import safetensors as safetensors_format
from tests.support import builders

PUBLISHED = {
    "llama": (
        Sizes(layers=32, hidden=4096, vocab=32000, intermediate=11008, heads=32),
        6_738_415_616,
    ),
    "mixtral": (
        Sizes(
            layers=32, hidden=4096, vocab=32000, intermediate=14336, heads=32, kv_heads=8, experts=8
        ),
        46_702_792_704,
    ),
    "bert": (Sizes(layers=12, hidden=768, vocab=30522, context=512), 109_482_240),
    "vit": (Sizes(layers=12, hidden=768, vocab=1000), 86_567_656),
    "whisper": (Sizes(layers=32, hidden=1280, vocab=51866, mels=128), 1_543_490_560),
    "wav2vec2": (Sizes(layers=12, hidden=768, vocab=32), 94_396_320),
    "clip": (Sizes(layers=12, hidden=768, vocab=49408, context=77), 427_616_513),
    "llava": (
        Sizes(layers=32, hidden=4096, vocab=32064, intermediate=11008, heads=32),
        7_063_427_072,
    ),
    "gpt_bigcode": (
        Sizes(layers=40, hidden=6144, vocab=49152, context=8192, heads=48),
        15_517_456_384,
    ),
}


def parameters(tensors: Tensors) -> int:
    return sum(prod(shape) for _, _, shape in tensors)


@pytest.mark.parametrize("family", PUBLISHED)
def test_families_have_the_published_number_of_parameters(family: str) -> None:
    sizes, published = PUBLISHED[family]
    assert parameters(transformer_tensors(family, sizes)) == published


def test_stable_diffusion_xl_has_the_published_number_of_parameters() -> None:
    assert (parameters(unet()), parameters(vae())) == (2_567_463_684, 83_653_863)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_names_a_tensor_twice(family: str) -> None:
    names = [name for name, _, _ in transformer_tensors(family)]
    assert len(names) == len(set(names))


def test_safetensors_reads_what_was_written(tmp_path: Path) -> None:
    tensors = [("a", "F32", (3, 4)), ("b", "F16", (5,)), ("c", "U8", ()), ("ü", "I64", (0, 2))]
    builders.safetensors(tmp_path / "a.safetensors", tensors, {"format": "pt"})
    with safe_open(tmp_path / "a.safetensors", "np") as official:
        assert official.metadata() == {"format": "pt"}
        names = official.keys()
        shapes = {name: tuple(official.get_slice(name).get_shape()) for name in names}
        assert shapes == {name: shape for name, _, shape in tensors}


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_hold_every_tensor_once_and_the_index_says_where(
    shards: int, tmp_path: Path
) -> None:
    tensors = builders.tensors("llama")
    paths = builders.safetensors_shards(tmp_path, tensors, shards)
    assert len(paths) == shards
    found = []
    for path in paths:
        with path.open("rb") as stream:
            found += [
                tensor.name
                for tensor in safetensors_format.read(stream, path.stat().st_size).tensors
            ]
    assert sorted(found) == sorted(name for name, _, _ in tensors)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shards > 1)


METADATA = {
    "general.architecture": "llama", "text": "ä", "flag": True, "small": 7, "large": 1 << 40,
    "below": -3, "ratio": 0.5,
    "words": ["a", "b"], "counts": [1, 2, 3], "ratios": [0.25, 0.5], "flags": [True, False],
}  # fmt: skip


def test_gguf_reads_what_was_written(tmp_path: Path) -> None:
    builders.gguf(
        tmp_path / "a.gguf",
        METADATA,
        [("t", "Q4_K", (4, 256)), ("u", "F32", (3,)), ("v", "Q8_0", (2, 32))],
        vocabulary=300,
    )
    official = GGUFReader(tmp_path / "a.gguf")
    assert [(t.name, list(t.shape), t.tensor_type.name) for t in official.tensors] == [
        ("t", [256, 4], "Q4_K"),
        ("u", [3], "F32"),
        ("v", [32, 2], "Q8_0"),
    ]
    assert {key: official.fields[key].contents() for key in METADATA} == METADATA
    assert len(official.fields["tokenizer.ggml.tokens"].contents()) == 300


@pytest.mark.parametrize(("version", "big_endian"), [(1, False), (2, False), (3, False), (3, True)])
def test_gguf_of_every_version_and_byte_order_is_as_long_as_its_table_says(
    version: int, big_endian: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.gguf"
    builders.gguf(
        path,
        METADATA,
        [("t", "F16", (3, 5)), ("u", "F32", (2,))],
        version=version,
        big_endian=big_endian,
    )
    with path.open("rb") as stream:
        header = gguf_format.read(stream, path.stat().st_size)
    assert header.parameter_count == 17
    assert header.metadata["counts"] == [1, 2, 3]
    assert 0 <= path.stat().st_size - (header.expected_size or 0) < 32


def test_rows_that_are_no_whole_blocks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not made of Q4_K blocks"):
        builders.gguf(tmp_path / "a.gguf", {}, [("t", "Q4_K", (4, 100))])


@pytest.mark.parametrize("write", [builders.gptq, builders.awq])
def test_packed_weights_unpack_to_the_model_they_came_from(write: object, tmp_path: Path) -> None:
    sizes = Sizes(hidden=256, heads=4)
    write(tmp_path / "m", sizes=sizes)  # type: ignore[operator]
    path = tmp_path / "m/model.safetensors"
    with path.open("rb") as stream:
        header = safetensors_format.read(stream, path.stat().st_size)
    assert count_parameters(header.tensors, Declared(bits=4)) == parameters(
        transformer_tensors("llama", sizes)
    )


def test_files_are_sparse(tmp_path: Path) -> None:
    builders.transformers(tmp_path / "m", layers=8, hidden=2048)
    weights = (tmp_path / "m/model.safetensors").stat()
    assert weights.st_size > 500_000_000
    assert weights.st_blocks * 512 < 1_000_000


def test_hub_cache_links_lead_to_blobs_named_by_their_hash(tmp_path: Path) -> None:
    repository = builders.hub_cache(tmp_path, "org/name", 3)
    revision = (repository / "refs/main").read_text()
    revisions = list((repository / "snapshots").iterdir())
    assert len(revisions) == 3
    assert revision in {path.name for path in revisions}
    links = [path for path in repository.rglob("*") if path.is_symlink()]
    assert len(links) == 3 * 10
    assert all(
        path.resolve().parent == repository / "blobs" and not path.readlink().is_absolute()
        for path in links
    )
    assert len({path.resolve() for path in links if path.name == "model.safetensors"}) == 1
    assert len({path.resolve() for path in links if path.name == "README.md"}) == 3
    [weights] = [path for path in (repository / "blobs").iterdir() if len(path.name) == 64]
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == weights.name


def test_ollama_tags_of_one_quantization_share_their_blobs(tmp_path: Path) -> None:
    builders.ollama_store(tmp_path, "tiny", ("latest", "135m", "135m-fp16"))
    tags = sorted((tmp_path / "manifests/registry.ollama.ai/library/tiny").iterdir())
    assert [tag.name for tag in tags] == ["135m", "135m-fp16", "latest"]
    assert tags[0].read_text() == tags[2].read_text() != tags[1].read_text()
    assert sum(path.stat().st_size > 10_000 for path in (tmp_path / "blobs").iterdir()) == 2


def test_python_s_own_readers_open_the_archives(tmp_path: Path) -> None:
    builders.keras(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as zipped:
        assert zipped.testzip() is None
    for compressed in (False, True):
        builders.nemo(tmp_path / "m.nemo", {"target": "x"}, weights=5_000, compressed=compressed)
        with tarfile.open(fileobj=io.BytesIO((tmp_path / "m.nemo").read_bytes())) as archive:
            assert {
                member.name: member.size for member in archive.getmembers() if member.isfile()
            } == {
                "./model_config.yaml": 10,
                "./model_weights.ckpt": 5_000,
            }


def test_a_card_states_in_front_matter_what_the_page_shows(tmp_path: Path) -> None:
    builders.write_card(
        tmp_path,
        builders.DemoCard(
            "Nordlys",
            "Svarer på norsk.",
            license="mit",
            language=("no",),
            tags=("chat",),
            scores={"MMLU": 51.0},
        ),
    )
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlicense: mit\nlanguage:\n- 'no'\n")
    assert "# Nordlys\n\nSvarer på norsk.\n" in text
    assert "| MMLU | 51.0 |" in text
