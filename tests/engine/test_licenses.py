"""Licenses from files beside a model, by their text, and from the package that it ships in."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from discovery.engine.core.types import Found
from discovery.engine.identify import package_license
from discovery.engine.sidecars import license_file
from tests.support import builders

Read = Callable[..., dict[str, Found]]

MIT = """Copyright (c) 2024 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software
{notice}
THE SOFTWARE IS PROVIDED "AS IS".
"""
NOTICE = (
    "The above copyright notice and this permission notice (including the next paragraph) shall be"
    " included in all copies."
)
BSD = (
    "Redistribution and use in source and binary forms, with or without modification, are"
    " permitted provided that: Redistributions in binary form must reproduce the above copyright"
    " notice. {more}"
)
APACHE = "                                 Apache License\n    Version 2.0, January 2004\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (APACHE, "apache-2.0"),
        (MIT.format(notice=NOTICE), "mit"),
        (MIT.format(notice=""), "mit-0"),
        (BSD.format(more="Neither the name of the holder may be used."), "bsd-3-clause"),
        (BSD.format(more=""), "bsd-2-clause"),
        ("GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007", "gpl-3.0"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3\n\nthe GNU GPL version 3", "lgpl-3.0"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007", "agpl-3.0"),
        ("Mozilla Public License Version 2.0\n====", "mpl-2.0"),
        ("Attribution 4.0 International", "cc-by-4.0"),
        ("Attribution-NonCommercial-ShareAlike 4.0 International", "cc-by-nc-sa-4.0"),
        ("Creative Commons Attribution-NoDerivs 3.0 Unported", "cc-by-nd-3.0"),
        ("CC0 1.0 Universal", "cc0-1.0"),
        ("This is free and unencumbered software released into the public domain.", "unlicense"),
        ("CreativeML Open RAIL-M\ndated August 22, 2022", "creativeml-openrail-m"),
        ("LLAMA 2 COMMUNITY LICENSE AGREEMENT", "llama2"),
        ("META LLAMA 3 COMMUNITY LICENSE AGREEMENT", "llama3"),
        ("LLAMA 3.1 COMMUNITY LICENSE AGREEMENT", "llama3.1"),
        ("Gemma Terms of Use\nLast modified", "gemma"),
        ("Tongyi Qianwen LICENSE AGREEMENT", "tongyi-qianwen"),
        ("// SPDX-License-Identifier: BSL-1.0\nwhatever", "bsl-1.0"),
        ("\ufeffMIT License\n\n" + MIT.format(notice=NOTICE), "mit"),
        ("All rights reserved. Ask us first.", None),
        ("Our code uses a library. " * 200 + APACHE, None),
        ("", None),
        ("\0" * 1000, None),
    ],
)
def test_a_license_is_known_by_its_words(text: str, name: str | None) -> None:
    assert license_file.read(text.encode()) == name


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("pytest", "mit"), ("django", "bsd-3-clause"), ("requests", "apache-2.0"),
        ("hypothesis", "mpl-2.0"), ("typing_extensions", "psf-2.0"),
    ],
)  # fmt: skip
def test_real_license_files_are_matched(package: str, name: str) -> None:
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    texts = [file for file in files if file.name.lower() in ("license", "license.txt")]
    assert license_file.read(texts[0].read_binary()) == name


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("LICENSE", True), ("licence.md", True), ("COPYING", True), ("LICENSE-MIT", True),
        ("UNLICENSE", True), ("MODEL_LICENSE.txt", True), ("License.rst", True),
        ("licenses.json.gz", False), ("relicense.py", False), ("README.md", False),
    ],
)  # fmt: skip
def test_names_of_license_files(name: str, is_one: bool) -> None:
    assert license_file.is_license(name) is is_one


def test_what_a_card_says_comes_before_the_license_file(models_root: Path, read: Read) -> None:
    for name, card in (
        ("a", builders.DemoCard("A", "Some words.", license="openrail")),
        ("b", False),
    ):
        builders.transformers(models_root / name, card=card)
        builders.write_text(models_root / name / "LICENSE", APACHE)
    found = read(models_root)
    assert found["a"].values["license"] == ("openrail", "README.md")
    assert found["b"].values["license"] == ("apache-2.0", "LICENSE")


def test_the_license_of_the_model_comes_before_that_of_its_code(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "m", card=False)
    builders.write_text(models_root / "m/LICENSE", APACHE)
    builders.write_text(models_root / "m/MODEL_LICENSE.md", "Gemma Terms of Use")
    assert read(models_root)["m"].values["license"] == ("gemma", "MODEL_LICENSE.md")


def weights(path: Path) -> None:
    builders.safetensors(path, [("a.weight", "F32", (4, 4))])


@pytest.mark.parametrize(
    ("name", "text", "license_name"),
    [
        ("acme-1.0.dist-info/METADATA", "Name: acme\nLicense-Expression: MIT\n\nx", "mit"),
        (
            "acme-1.0.dist-info/METADATA",
            "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n\n",
            "mit",
        ),
        ("acme.egg-info/PKG-INFO", "License: BSD-3-Clause\n", "bsd-3-clause"),
        ("package.json", '{"license": "Apache-2.0"}', "apache-2.0"),
        ("package.json", '{"license": {"type": "ISC"}}', "isc"),
        ("pyproject.toml", '[project]\nlicense = "MIT"\n', "mit"),
        ("pyproject.toml", '[project]\nlicense = {text = "MIT"}\n', "mit"),
        ("package.json", '{"license": "MIT", "private": true}', None),
        ("package.json", "{", None),
        ("package.json", "[" * 100_000, None),
        ("pyproject.toml", "license = [", None),
        ("acme-1.0.dist-info/METADATA", "License: " + "x" * 5_000, None),
        ("acme-1.0.dist-info/METADATA", "License-File: ../../../secret\n", None),
    ],
)
def test_the_package_above_a_model_tells_its_license(
    name: str, text: str, license_name: str | None, models_root: Path, read: Read
) -> None:
    weights(models_root / "acme/assets/net.safetensors")
    builders.write_text(models_root / "acme/__init__.py", "")
    builders.write_text(models_root / name, text)
    (found,) = read(models_root).values()
    told = found.values.get("license")
    assert (told and told.value) == license_name
    assert told is None or told.source == name


def test_a_project_says_nothing_of_models_that_only_lie_in_it(models_root: Path) -> None:
    builders.write_text(models_root / "pyproject.toml", '[project]\nlicense = "MIT"\n')
    weights(models_root / "downloads/net.safetensors")
    assert package_license.above(str(models_root), "downloads") is None


def test_of_distributions_side_by_side_the_models_own_is_asked(models_root: Path) -> None:
    for package, stated in (("some-net", "MIT"), ("other", "Apache-2.0")):
        text = f"License-Expression: {stated}\n"
        builders.write_text(models_root / f"{package}-1.0.dist-info/METADATA", text)
    assert package_license.above(str(models_root), "some_net/data") == (
        "MIT",
        "some-net-1.0.dist-info/METADATA",
    )
    assert package_license.above(str(models_root), "third/data") is None
    builders.write_text(models_root / "other-1.0.dist-info/RECORD", "third/net.bin,sha256=x,1\n")
    assert package_license.above(str(models_root), "third/data") == (
        "Apache-2.0",
        "other-1.0.dist-info/METADATA",
    )


def test_a_package_without_a_name_for_its_license_brings_the_text(models_root: Path) -> None:
    info = models_root / "net-1.0.dist-info"
    builders.write_text(info / "METADATA", "Name: net\nLicense-File: LICENSE\n\n")
    builders.write_text(info / "licenses/LICENSE", APACHE)
    assert package_license.above(str(models_root), "net") == (
        "apache-2.0",
        "net-1.0.dist-info/licenses/LICENSE",
    )


def test_nothing_above_the_root_and_nothing_behind_a_link_is_read(
    tmp_path: Path, models_root: Path
) -> None:
    builders.write_text(tmp_path / "package.json", '{"license": "MIT"}')
    builders.write_text(tmp_path / "elsewhere/METADATA", "License: MIT\n")
    (models_root / "m").mkdir(parents=True)
    (models_root / "m/package.json").symlink_to(tmp_path / "package.json")
    (models_root / "net-1.0.dist-info").symlink_to(tmp_path / "elsewhere")
    assert package_license.above(str(models_root), "m") is None
