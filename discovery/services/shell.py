"""POSIX shell: quoting, and the script that removes what a plan names, step by step, each checked before it is done."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from discovery.engine.disk_use import FILE, FOLDER, LINK
from discovery.engine.paths import to_text


class Command(NamedTuple):
    """One entry to remove: ``absolute`` and ``same_as`` as the system spells them, ``size`` that of a file."""

    absolute: str
    kind: str
    size: int
    same_as: str = ""


_HEAD = """#!/bin/sh
{heading}
#
# Read it before you run it: what it removes is gone.
#   sh {name}            looks at everything and removes nothing
#   sh {name} --remove   looks at each step again, then removes it, whole or not at all

set -u
LC_ALL=C
export LC_ALL
remove=no
case "${{1-}}" in
  --remove) remove=yes ;;
  '') ;;
  *) printf 'usage: %s [--remove]\\n' "$0" >&2; exit 2 ;;
esac
done=0
left=0

# A name may hold what a terminal would obey.
say() {{ printf '%s\\n' "$*" | tr '\\001-\\011\\013-\\037\\177' '?'; }}
no() {{ say "  left alone: $1"; shift; say "    $*"; return 1; }}
# The folder must be the very one that was looked at, not a link that took its place.
at_home() {{ [ "$(cd -P -- "$1" 2>/dev/null && pwd -P && printf x)" = "$1
x" ] || no 'its folder is not where it was' "$1"; }}
a_file() {{ # SIZE PATH
  {{ [ ! -L "$2" ] && [ -f "$2" ]; }} || {{ no 'it is not there, or no ordinary file' "$2"; return 1; }}
  [ "$(($(wc -c < "$2")))" = "$1" ] || no "it has not $1 bytes any more" "$2"
}}
a_link() {{ [ -L "$1" ] || no 'it is no link any more' "$1"; }}
the_same() {{ # PATH KEPT
  {{ [ -f "$2" ] && cmp -s -- "$1" "$2"; }} || no 'its bytes are not those of the copy that stays' "$1"
}}
a_folder() {{ {{ [ ! -L "$1" ] && [ -d "$1" ]; }} || no 'it is no folder any more' "$1"; }}
step() {{ # NUMBER: looks, then removes
  if "check_$1"; then
    if [ "$remove" = yes ]; then "remove_$1" && done=$((done + 1)) || left=$((left + 1))
    else say "  would be removed"; done=$((done + 1)); fi
  else left=$((left + 1)); fi
}}
"""

_TAIL = """
if [ "$remove" = yes ]; then say "$done of {count} steps done, $left left alone."
else say "$done of {count} steps can be done, $left cannot. Nothing was removed: run it with --remove to do so."; fi
[ "$left" -eq 0 ]
"""


def quoted(text: str) -> str:
    """``text`` as one word of a POSIX shell, whatever is in it. A shell holds no NUL; neither does a path."""
    return "'" + text.replace("\0", "").replace("'", "'\\''") + "'"


def typed(text: str) -> str:
    """``text`` as one word that a person can read, copy and paste: in plain quotes where it is printable, else escaped as ``$'\\n'``."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(
        f"\\{character}"
        if character in "\\'"
        else character
        if character.isprintable()
        else _escaped(character)
        for character in text
    )
    return f"$'{escaped}'"


def _escaped(character: str) -> str:
    """Its bytes; a lone surrogate stands for one byte of a name that is not UTF-8."""
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def comment(text: str) -> str:
    """``text`` in one line that no shell reads on: control characters become ``?``."""
    return "".join(character if character.isprintable() else "?" for character in to_text(text))


def script_of(
    heading: Iterable[str],
    steps: Sequence[tuple[Sequence[str], Sequence[Command]]],
    roots: Sequence[str],
) -> bytes:
    """The script as bytes: file names need not be UTF-8. Raises ``ValueError`` for an entry outside ``roots``."""
    told = "\n".join(f"# {comment(line)}" for line in heading)
    parts = [_HEAD.format(heading=told, name="clean-up.sh")]
    for number, (lines, commands) in enumerate(steps, 1):
        for command in commands:
            if not any(
                command.absolute.startswith(root.rstrip(os.sep) + os.sep) for root in roots
            ) or not os.path.isabs(command.absolute):
                raise ValueError(f"{to_text(command.absolute)} lies outside the roots")
        parts.append(_step(number, len(steps), lines, commands))
    parts.append(_TAIL.format(count=len(steps)))
    return os.fsencode("".join(parts))


def _step(number: int, count: int, heading: Sequence[str], commands: Sequence[Command]) -> str:
    told = "\n".join(f"# {comment(line)}" for line in heading)
    checks = [
        f"at_home {quoted(folder)}"
        for folder in dict.fromkeys(os.path.dirname(each.absolute) for each in commands)
    ]
    for each in commands:
        checks += _checks(each)
    removals = [_removal(each) for each in commands]
    check, remove = (" || return 1\n  ".join([*lines, ":"]) for lines in (checks, removals))
    return (
        f"\n# Step {number} of {count}\n{told}\ncheck_{number}() {{\n  {check}\n}}\nremove_{number}() {{\n  {remove}\n}}\n"
        f"say {quoted(f'Step {number} of {count}: {comment(heading[0])}')}\nstep {number}\n"
    )


def _checks(each: Command) -> list[str]:
    word = quoted(each.absolute)
    if each.kind == LINK:
        return [f"a_link {word}"]
    if each.kind == FOLDER:
        return [f"a_folder {word}"]
    checks = [f"a_file {each.size} {word}"] if each.kind == FILE else []
    return [*checks, f"the_same {word} {quoted(each.same_as)}"] if each.same_as else checks


def _removal(each: Command) -> str:
    word = quoted(each.absolute)
    if each.kind == FOLDER:  # one that is not empty stays, with whatever came into it since
        return f"{{ rmdir -- {word} 2>/dev/null || say {quoted('  not empty, stays: ' + comment(each.absolute))}; }}"
    return f"rm -f -- {word}"
