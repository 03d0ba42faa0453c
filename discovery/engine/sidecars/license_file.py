"""LICENSE files → the license's usual name, by the words that only its text has.

Source: the texts of https://spdx.org/licenses/ (and its matching guidelines: case, punctuation and
spacing mean nothing), the licenses of model makers as their repositories ship them, and the names
that https://huggingface.co/docs/hub/repositories-licenses gives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What is read of a file: the longest of these licenses has 40 kB.
MAX_BYTES = 64 << 10
#: Titles stand in the first words; further down they are mentioned only.
MAX_TITLE = 1_500
#: A text that begins later is a part of another license.
MAX_START = 3_000

_NAME = re.compile(r"^(?:model[-_. ])?(?:un)?licen[sc]e(?:[-_. ].*)?$|^copying(?:[-_. ].*)?$")
_TAG = re.compile(r"spdx-license-identifier:\s*([a-z0-9][a-z0-9.+-]{1,60})")
_CC = re.compile(
    r"(?:creative commons )?attribution ?(non ?commercial)? ?(share ?alike|no ?deriv\w*)? "
    r"(\d) (\d) (?:international|unported|generic)"
)

#: Words of the title, the most particular first.
_TITLES = (
    ("gnu affero general public license version 3", "agpl-3.0"),
    ("gnu lesser general public license version 3", "lgpl-3.0"),
    ("gnu lesser general public license version 2 1", "lgpl-2.1"),
    ("gnu library general public license version 2", "lgpl-2.0"),
    ("gnu general public license version 3", "gpl-3.0"),
    ("gnu general public license version 2", "gpl-2.0"),
    ("mozilla public license version 2 0", "mpl-2.0"),
    ("eclipse public license v 2 0", "epl-2.0"),
    ("eclipse public license v 1 0", "epl-1.0"),
    ("european union public licence v 1 2", "eupl-1.2"),
    ("boost software license version 1 0", "bsl-1.0"),
    ("sil open font license version 1 1", "ofl-1.1"),
    ("the artistic license 2 0", "artistic-2.0"),
    ("academic free license afl v 3 0", "afl-3.0"),
    ("cc0 1 0 universal", "cc0-1.0"),
    ("open data commons open database license", "odbl-1.0"),
    ("do what the fuck you want to public license", "wtfpl"),
    ("creativeml open rail++ m", "openrail++"),
    ("creativeml open rail m", "creativeml-openrail-m"),
    ("bigcode open rail m", "bigcode-openrail-m"),
    ("bigcode openrail m", "bigcode-openrail-m"),
    ("bigscience open rail m", "bigscience-openrail-m"),
    ("bigscience rail license v1 0", "bigscience-bloom-rail-1.0"),
    ("llama 4 community license", "llama4"),
    ("llama 3 3 community license", "llama3.3"),
    ("llama 3 2 community license", "llama3.2"),
    ("llama 3 1 community license", "llama3.1"),
    ("llama 3 community license", "llama3"),
    ("llama 2 community license", "llama2"),
    ("gemma terms of use", "gemma"),
    ("gemma is provided under and subject to the gemma terms", "gemma"),
    ("apple machine learning research model license", "apple-amlr"),
    ("apple sample code license", "apple-ascl"),
    ("health ai developer foundations terms of use", "health-ai-developer-foundations"),
    ("stability ai community license", "stabilityai-ai-community"),
    ("flux 1 dev non commercial license", "flux-1-dev-non-commercial-license"),
    ("flux dev non commercial license", "flux-1-dev-non-commercial-license"),
    ("tongyi qianwen research license", "tongyi-qianwen-research"),
    ("tongyi qianwen license", "tongyi-qianwen"),
    ("qwen research license", "qwen-research"),
    ("qwen license", "qwen"),
    ("deepseek license agreement", "deepseek"),
    ("mistral ai research license", "mrl"),
    ("apache license version 2 0", "apache-2.0"),
    ("licensed under the apache license version 2 0", "apache-2.0"),
)

_MIT = "permission is hereby granted free of charge to any person obtaining a copy"
_BSD = "redistribution and use in source and binary forms with or without modification"
_ISC = "permission to use copy modify and or distribute this software for any purpose"
#: Licenses without a title of their own, by words of the text: (all of these, none of these, name).
_TEXTS: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (("python software foundation license version 2",), (), "psf-2.0"),
    ((_MIT, "this permission notice"), (), "mit"),
    ((_MIT,), ("this permission notice",), "mit-0"),
    ((_BSD, "no express or implied licenses to any party"), (), "bsd-3-clause-clear"),
    ((_BSD, "all advertising materials"), (), "bsd-4-clause"),
    ((_BSD, "neither the name"), (), "bsd-3-clause"),
    ((_BSD, "may not be used to endorse"), (), "bsd-3-clause"),
    ((_BSD, "must reproduce the above"), (), "bsd-2-clause"),
    ((_ISC, "provided that the above copyright notice"), (), "isc"),
    ((_ISC,), ("provided that the above copyright notice",), "0bsd"),
    (("this is free and unencumbered software released into the public domain",), (), "unlicense"),
    (("in no event will the authors be held liable", "altered source versions"), (), "zlib"),
)


def is_license(name: str) -> bool:
    """Whether a file of this name holds the text of a license."""
    return _NAME.match(name.lower()) is not None


def best(names: Iterable[str]) -> list[str]:
    """License files among ``names``, those for the model itself before those for its code."""
    found = [name for name in names if is_license(name)]
    return sorted(found, key=lambda name: ("model" not in name.lower(), len(name), name))[:4]


def read(raw: bytes) -> str | None:
    """The license that the file's first ``MAX_BYTES`` are the text of; ``None`` for others."""
    text = raw[:MAX_BYTES].decode("utf-8", "replace").lower()
    if tag := _TAG.search(text):
        return tag[1]
    plain = " ".join(re.sub(r"[^a-z0-9+]+", " ", text).split())
    title = plain[:MAX_TITLE]
    at = [(title.find(words), -len(words), name) for words, name in _TITLES if words in title]
    if at:
        return min(at)[2]
    if found := _CC.search(title):
        kind = "by" + ("-nc" if found[1] else "")
        kind += {"": "", "s": "-sa", "n": "-nd"}[(found[2] or "")[:1]]
        return f"cc-{kind}-{found[3]}.{found[4]}"
    return next(
        (
            name
            for wanted, unwanted, name in _TEXTS
            if 0 <= plain.find(wanted[0]) < MAX_START
            and all(words in plain for words in wanted)
            and not any(words in plain for words in unwanted)
        ),
        None,
    )
