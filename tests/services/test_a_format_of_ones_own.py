"""A format that a program adds is known everywhere: found, listed, filtered, checked, offered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from django.test import Client

from discovery.engine.core import format_registry
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType
from discovery.models import RegisteredModel, ScanRun
from tests.fuzz.targets import TARGETS
from tests.support.page_text import page_text

pytestmark = pytest.mark.django_db

MAGIC = b"ABACUS01"

Scan = Callable[..., ScanRun]


def read(stream: BinaryIO, size: int) -> Header:
    """A magic, the number of weights in four bytes, the weights as 16-bit floats."""
    head = stream.read(12)
    if head[:8] != MAGIC:
        raise NotThisFormat("it does not start with ABACUS01")
    count = int.from_bytes(head[8:12], "little")
    if size != 12 + 2 * count:
        raise InvalidHeader("the file is not as long as its header says", 8)
    return Header(
        format="abacus",
        tensors=[Tensor("beads", "F16", (count,), 12, 2 * count)],
        parameter_count=count,
        dtype="F16",
    )


ABACUS = Format(
    name="abacus",
    label="Abacus beads",
    rank=200,
    type=ModelType.PLUGIN,
    suffixes=(".abacus",),
    aliases=("beads",),
    magic=lambda head, _suffix: head[:8] == MAGIC,
    knows_its_size=True,
    read=read,
    usage=Usage("Abacus", "pip install abacus", "abacus.load({path!r})"),
)


@pytest.fixture
def abacus() -> Iterator[None]:
    format_registry.register(ABACUS)
    yield
    format_registry.unregister("abacus")


@pytest.fixture
def registered(abacus: None, models_root: Path, scan: Scan) -> RegisteredModel:
    whole = MAGIC + (500).to_bytes(4, "little") + bytes(1000)
    (models_root / "counting-frame.abacus").write_bytes(whole)
    scan(models_root)
    return RegisteredModel.objects.get()


def test_a_scan_finds_it_with_its_type_and_parameters(registered: RegisteredModel) -> None:
    assert (registered.format, registered.type, registered.status) == ("abacus", "PLUGIN", "READY")
    assert registered.parameter_count == 500
    outcomes = {check["name"]: check["status"] for check in registered.checks}
    assert outcomes["size_matches_header"] == "passed"


def test_pages_say_its_label_and_filter_by_it(
    registered: RegisteredModel, admin_client: Client
) -> None:
    for address in ("/models/", "/models/?format=abacus", f"/models/{registered.model_id}/"):
        html = page_text(admin_client.get(address))
        assert "Abacus beads" in html
        assert registered.model_id in html
    assert "pip install abacus" in html


def test_the_api_the_export_and_the_administration_have_it(
    registered: RegisteredModel, admin_client: Client
) -> None:
    found = admin_client.get("/api/models/discovered?format=abacus").json()
    assert [model["format"] for model in found["results"]] == ["abacus"]
    assert b"abacus" in b"".join(admin_client.get("/export/?format=csv"))
    assert "counting-frame" in page_text(admin_client.get("/admin/discovery/registeredmodel/"))


def test_a_cut_file_is_not_called_sound(abacus: None, models_root: Path, scan: Scan) -> None:
    (models_root / "cut.abacus").write_bytes(MAGIC + (500).to_bytes(4, "little") + bytes(10))
    scan(models_root)
    assert RegisteredModel.objects.get().status == "CORRUPT"


def test_configurations_may_name_it_and_its_aliases(abacus: None) -> None:
    assert "abacus" in Discovery().supported_formats
    assert Discovery(supported_formats=("beads",)).supported_formats == ("abacus",)


def test_without_it_nothing_knows_the_name(models_root: Path) -> None:
    with pytest.raises(ValueError, match="is not a format"):
        Discovery(supported_formats=("abacus",))


def test_a_name_or_a_suffix_is_registered_once(abacus: None) -> None:
    with pytest.raises(ValueError, match="registered already"):
        format_registry.register(ABACUS)
    with pytest.raises(ValueError, match="is a suffix of the format gguf already"):
        format_registry.register(Format(name="other", label="", rank=1, suffixes=(".gguf",)))
    assert format_registry.get("other") is None


def test_every_format_with_a_reader_is_fuzzed() -> None:
    read_here = {each.name for each in format_registry.every() if each.read}
    assert read_here <= set(TARGETS)
