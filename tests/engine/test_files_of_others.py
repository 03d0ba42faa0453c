"""How other programs keep what belongs together: situations of public threads and of files that the
programs themselves wrote, each in its smallest form.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from discovery.demo.writers import checkpoints as written
from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import categorized
from discovery.engine.classify.rules import CategorizationRules
from discovery.engine.core import names
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.types import Candidate, Found
from discovery.engine.core.vocabulary import ModelType, Severity, Status
from discovery.engine.disk.walk import walk
from discovery.engine.identify.document import document
from discovery.engine.identify.identify import identify
from tests.engine.reading import RULES
from tests.support import builders, checkpoints

PORTS = [("x", "F32", (1, 3))], [("y", "F32", (1, 2))]
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 485452928\n"
PAGE = "<!DOCTYPE html>\n<html><head><title>Access denied</title></head></html>"


def models(root: Path) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for candidate in walk(str(root), Discovery()):
        if isinstance(candidate, Candidate):
            try:
                found |= {each.path: each for each in identify(str(root), candidate, Discovery())}
            except NotAModel:
                continue
    return found


def only(root: Path) -> Found:
    found = models(root)
    assert len(found) == 1, sorted(found)
    return next(iter(found.values()))


@cache
def categorizer() -> Categorizer:
    rules = json.loads(Path(RULES).read_text())["categorization_rules"]
    return Categorizer(CategorizationRules.model_validate(rules))


def told(found: Found) -> dict[str, Any]:
    return document(categorized(found, categorizer()), "/models", "m")


def value(found: Found, field: str) -> Any:
    return found.values[field].value if field in found.values else None


def codes(found: Found, severity: Severity = Severity.ERROR) -> set[str]:
    return {problem.code for problem in found.problems if problem.severity is severity}


def tensors(path: Path, *names_of: str) -> None:
    builders.safetensors(path, [(name, "F32", (4, 3)) for name in names_of])


def config(folder: Path, **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **more}))


# -- shards


def indexed(folder: Path) -> None:
    config(folder)
    tensors(folder / "model.safetensors", "a")
    tensors(folder / "extra/eyes.safetensors", "b")
    shards = {"a": "model.safetensors", "b": "extra/eyes.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


def test_an_index_may_name_files_in_any_folder_below(tmp_path: Path) -> None:
    indexed(tmp_path / "m")
    found = only(tmp_path)
    assert (found.path, found.status, value(found, "parameter_count")) == (
        "m",
        Status.READY,
        24,
    )


def test_a_file_in_a_folder_that_an_index_names_is_missed(tmp_path: Path) -> None:
    indexed(tmp_path / "m")
    (tmp_path / "m/extra/eyes.safetensors").unlink()
    found = only(tmp_path)
    assert (found.status, codes(found)) == (Status.INCOMPLETE, {"shards_missing"})


def test_a_folder_beside_an_index_that_does_not_name_it_is_no_part(tmp_path: Path) -> None:
    indexed(tmp_path / "m")
    config(tmp_path / "m/other")
    tensors(tmp_path / "m/other/model.safetensors", "c")
    assert sorted(models(tmp_path)) == ["m", "m/other"]


def engines(folder: Path, ranks: int, world: int = 2) -> None:
    inner = {"architecture": "LlamaForCausalLM", "mapping": {"world_size": world}}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"pretrained_config": inner}))
    for rank in range(ranks):
        builders.tensorrt(folder / f"rank{rank}.engine", 100)


def test_engines_of_every_rank_are_one_model(tmp_path: Path) -> None:
    engines(tmp_path / "m", 2)
    found = only(tmp_path)
    assert (found.status, len(found.variants)) == (Status.READY, 1)
    assert value(found, "architecture") == "LlamaForCausalLM"


def test_the_engine_of_a_rank_is_missed(tmp_path: Path) -> None:
    engines(tmp_path / "m", 1)
    found = only(tmp_path)
    assert found.status is Status.INCOMPLETE
    assert "rank1.engine" in found.problems[0].message


def test_slices_of_every_rank_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    told_of = {"architecture": "LlamaForCausalLM", "mapping": {"world_size": 2}}
    (folder / "config.json").write_text(json.dumps(told_of))
    for rank in range(2):
        tensors(folder / f"rank{rank}.safetensors", "lm_head.weight")
    found = only(tmp_path)
    assert (found.status, value(found, "parameter_count")) == (Status.READY, 24)
    assert told(found)["category"]["primary"] == "LANGUAGE"


def test_the_rank_of_an_adapter_numbers_no_shard() -> None:
    assert names.shard("wan_lora_rank32.safetensors") is None
    assert names.shard("model-rank64.safetensors") is None


# -- halves of an ONNX export


def half(folder: Path, name: str, side: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    builders.onnx(folder / f"{name}.onnx", [("w", "F32", (side, 2))], *PORTS)


def test_a_precision_borrows_the_halves_that_it_lacks(tmp_path: Path) -> None:
    for name, side in (("encoder-9.int8", 10), ("decoder-9", 20), ("joiner-9.int8", 30)):
        half(tmp_path / "speech", name, side)
    found = only(tmp_path)
    assert [len(variant.files) for variant in found.variants] == [3]
    assert value(found, "parameter_count") == 120
    assert told(found)["category"]["primary"] == "AUDIO"


def test_halves_in_two_precisions_are_two_variants(tmp_path: Path) -> None:
    for suffix in ("", ".int8"):
        for name, side in (("encoder-9", 10), ("decoder-9", 20), ("joiner-9", 30)):
            half(tmp_path / "speech", name + suffix, side)
    found = only(tmp_path)
    assert [(v.name, v.parameter_count) for v in found.variants] == [
        ("onnx", 120),
        ("onnx int8", 120),
    ]


# -- one model for several programs


def test_a_package_called_like_the_weights_beside_it_is_a_variant_of_them(tmp_path: Path) -> None:
    for name in ("long", "short"):
        half(tmp_path / "faces", name, 10)
        builders.coreml(tmp_path / f"faces/{name}.mlpackage", *PORTS)
    (tmp_path / "faces/README.md").write_text("# Faces\n")
    found = models(tmp_path)
    assert sorted(found) == ["faces/long.onnx", "faces/short.onnx"]
    assert [v.format for v in found["faces/long.onnx"].variants] == ["onnx", "coreml"]


def test_encoders_for_other_engines_go_with_the_whisper_beside_them(tmp_path: Path) -> None:
    whisper = [(f"t{number}", "F32", (2,)) for number in range(11 + 15 + 24)]
    sizes = builders.Sizes(layers=1, hidden=8, vocab=3)
    folder = tmp_path / "models"
    folder.mkdir()
    builders.ggml_whisper(folder / "ggml-base.en.bin", whisper, sizes)
    builders.mlmodelc(folder / "ggml-base.en-encoder.mlmodelc")
    xml = folder / "ggml-base.en-encoder-openvino.xml"
    builders.openvino(xml, [("w", "F32", (4, 3))], *PORTS)
    found = only(tmp_path)
    assert (found.path, found.status) == ("models/ggml-base.en.bin", Status.READY)
    assert [variant.format for variant in found.variants] == ["ggml"]


def test_a_pickled_head_is_no_variant_of_the_network_below_it(tmp_path: Path) -> None:
    builders.sentence_transformers(tmp_path / "m")
    builders.sklearn(tmp_path / "m/model_head.pkl")
    (tmp_path / "m/config_setfit.json").write_text("{}")
    found = only(tmp_path)
    assert {variant.format for variant in found.variants} == {"safetensors"}
    assert "CLASSIFICATION" in told(found)["capabilities"]


# -- adapters and words


def test_an_adapter_of_mlx_says_what_it_was_trained_for(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    settings = {"fine_tune_type": "lora", "model": "org/base", "lora_parameters": {"rank": 8}}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    for name in ("adapters", "0000100_adapters"):
        tensors(folder / f"{name}.safetensors", "layers.0.q_proj.lora_a", "layers.0.q_proj.lora_b")
    found = only(tmp_path)
    assert (value(found, "type"), len(found.variants)) == (ModelType.PEFT, 1)
    assert value(found, "base_model") == "org/base"
    assert value(found, "custom")["rank"] == 8


def test_arrays_that_an_object_keeps_beside_it_are_counted(tmp_path: Path) -> None:
    checkpoints.gensim(tmp_path / "words/model.model")
    found = only(tmp_path)
    assert (found.status, value(found, "parameter_count")) == (Status.READY, 80)
    assert told(found)["category"]["primary"] == "LANGUAGE"
    assert "words/model.model.vectors.npy" in {entry.path for entry in found.files}


def test_vectors_alone_have_a_suffix_of_their_own(tmp_path: Path) -> None:
    checkpoints.gensim(tmp_path / "words/vectors.kv")
    assert value(only(tmp_path), "parameter_count") == 80


def test_the_modules_that_load_models_of_mlflow_are_its_own(tmp_path: Path) -> None:
    builders.sklearn(tmp_path / "m/model.pkl")
    flavors = "flavors:\n  python_function:\n    loader_module: {}\n    model_path: model.pkl\n"
    (tmp_path / "m/MLmodel").write_text(flavors.format("mlflow.sklearn"))
    assert codes(only(tmp_path), Severity.WARNING) == set()
    (tmp_path / "m/MLmodel").write_text(flavors.format("mine.loader"))
    assert codes(only(tmp_path), Severity.WARNING) == {"remote_code"}


@pytest.mark.parametrize("content", [None, POINTER])
def test_an_array_that_an_object_keeps_beside_it_is_missed(
    tmp_path: Path, content: str | None
) -> None:
    checkpoints.gensim(tmp_path / "words/model.model")
    array = tmp_path / "words/model.model.vectors.npy"
    array.unlink()
    if content:
        array.write_text(content)
    found = only(tmp_path)
    assert (found.status, codes(found)) == (Status.INCOMPLETE, {"external_data_missing"})


# -- formats


def test_shards_that_a_manifest_of_mlc_names_are_one_model(tmp_path: Path) -> None:
    written.write_mlc(tmp_path / "m")
    found = only(tmp_path)
    assert (found.status, value(found, "format")) == (Status.READY, "mlc")
    assert (value(found, "parameter_count"), value(found, "context_length")) == (128, 4096)
    assert told(found)["category"]["primary"] == "LANGUAGE"


def test_a_shard_that_a_manifest_of_mlc_names_is_missed(tmp_path: Path) -> None:
    written.write_mlc(tmp_path / "m")
    (tmp_path / "m/params_shard_1.bin").unlink()
    assert only(tmp_path).status is Status.INCOMPLETE


def test_arrays_called_like_layers_are_a_model(tmp_path: Path) -> None:
    checkpoints.npz(tmp_path / "run/adapters.npz", {f"layers.0.q.lora_{s}": (4, 3) for s in "ab"})
    found = only(tmp_path)
    assert (value(found, "type"), found.status) == (ModelType.PEFT, Status.READY)


def test_settings_among_the_arrays_tell_a_translator(tmp_path: Path) -> None:
    shapes = {"Wemb": (4, 3), "decoder_W": (4, 3)}
    path = tmp_path / "en-de/opus.npz.best-perplexity.npz"
    checkpoints.npz(path, shapes, special__model__yml=b"type: transformer")
    found = only(tmp_path)
    assert value(found, "parameter_count") == 24
    assert told(found)["capabilities"] == ["TRANSLATION"]


def test_patches_of_pictures_are_seen_in_either_layout(tmp_path: Path) -> None:
    shapes = {"embedding/kernel": (16, 16, 3, 64), "encoder/kernel": (4, 3)}
    checkpoints.npz(tmp_path / "ViT-B_16.npz", shapes)
    assert told(only(tmp_path))["input_modalities"] == ["IMAGE"]


def test_arrays_of_a_data_set_are_no_model(tmp_path: Path) -> None:
    checkpoints.npz(tmp_path / "mnist.npz", {"x_train": (4, 3), "y_train": (4,)})
    assert models(tmp_path) == {}


def test_a_distributed_checkpoint_is_one_model_and_harmless(tmp_path: Path) -> None:
    shapes = {"model.a": (4, 3), "model.b": (4, 3), "optimizer.state.a": (4, 3)}
    written.write_torch_dcp(tmp_path / "run/step-10", shapes)
    found = only(tmp_path)
    assert (found.status, codes(found)) == (Status.READY, set())
    assert (value(found, "parameter_count"), value(found, "dtype")) == (24, "BF16")


def test_another_import_in_the_list_of_a_checkpoint_is_still_unsafe(tmp_path: Path) -> None:
    written.write_torch_dcp(tmp_path / "m", {"a": (2, 2)})
    listed = tmp_path / "m/.metadata"
    listed.write_bytes(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R0" + listed.read_bytes()[2:])
    assert only(tmp_path).status is Status.UNSAFE


def test_metadata_in_front_of_an_engine_is_read(tmp_path: Path) -> None:
    builders.tensorrt(tmp_path / "yolo.engine", 100)
    preface = b'{"task": "detect", "license": "AGPL-3.0"}'
    plan = (tmp_path / "yolo.engine").read_bytes()
    (tmp_path / "yolo.engine").write_bytes(len(preface).to_bytes(4, "little") + preface + plan)
    found = only(tmp_path)
    assert (found.status, value(found, "type")) == (Status.READY, ModelType.TENSORRT)
    assert value(found, "license") == "agpl-3.0"
    assert told(found)["category"]["primary"] == "VISION"


@pytest.mark.parametrize("loss", [b"loss_metric_2", b"loss_mmod_"])
def test_a_network_of_dlib_is_known_by_its_loss(tmp_path: Path, loss: bytes) -> None:
    data = b"\x01\x01\x01" + bytes([len(loss)]) + loss + bytes(200)
    (tmp_path / "face_resnet.dat").write_bytes(data)
    assert value(only(tmp_path), "architecture") == f"dlib network ({loss.decode().rstrip('_')})"


def test_a_first_byte_is_no_web_page(tmp_path: Path) -> None:
    builders.executorch(tmp_path / "m.pte")
    data = bytearray((tmp_path / "m.pte").read_bytes().ljust(128, b"\0"))
    data[:4] = (0x3C).to_bytes(4, "little")  # where its root table lies
    (tmp_path / "m.pte").write_bytes(data)
    found = only(tmp_path)
    assert (found.status, codes(found)) == (Status.READY, set())


def test_a_web_page_in_place_of_a_config_was_never_downloaded(tmp_path: Path) -> None:
    config(tmp_path / "m")
    (tmp_path / "m/config.json").write_text(PAGE)
    (tmp_path / "m/model.bin").write_text(PAGE)
    tensors(tmp_path / "m/model.safetensors", "a")
    assert only(tmp_path).status is Status.INCOMPLETE


# -- what it is


def test_the_specification_of_a_translator_tells_what_goes_in(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    builders.ctranslate2(tmp_path / "model/model.bin", [("w", "F32", (4, 3))])
    assert told(only(tmp_path))["input_modalities"] == ["TEXT"]


def test_the_voice_of_a_generator_is_heard(tmp_path: Path) -> None:
    shapes = [("enc_p.emb_phone.weight", "F32", (4, 3)), ("dec.conv_pre.weight", "F32", (4, 3, 7))]
    builders.safetensors(tmp_path / "nahida.safetensors", shapes)
    assert told(only(tmp_path))["output_modalities"] == ["AUDIO"]


def test_the_network_that_a_voice_was_trained_against_is_no_variant() -> None:
    assert names.weight_format("D_2333333.pth") is None
    assert names.weight_format("G_2333333.pth") == "pytorch"


def test_a_tokenizer_kept_as_a_tensor_is_no_parameter(tmp_path: Path) -> None:
    shapes = [("shared.weight", "F16", (4, 3)), ("spiece_model", "U8", (900,))]
    builders.safetensors(tmp_path / "umt5.safetensors", shapes)
    assert value(only(tmp_path), "parameter_count") == 12
