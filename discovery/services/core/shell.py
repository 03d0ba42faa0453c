"""POSIX shell: quoting, and the script that removes what a plan names.

The script works step by step and checks each before it is done.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from discovery.engine.core.paths import to_text
from discovery.engine.disk.disk_use import FOLDER, LINK


class Command(NamedTuple):
    """One entry to remove.

    ``absolute`` and ``same_as`` are spelled as the system spells them, ``size`` is that of a file,
    ``holds`` all its bytes.
    """

    absolute: str
    kind: str
    size: int
    same_as: str = ""
    holds: str = ""


class Work(NamedTuple):
    """One step of the script.

    It has a heading, commands, files (path, size) that must be present, and folders in which
    nothing may have changed.
    """

    heading: Sequence[str]
    commands: Sequence[Command]
    needs: Sequence[tuple[str, int]] = ()
    watched: Sequence[str] = ()


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
# Bears the time of the plan: what was written after it has not been reviewed.
plan=$(mktemp "${{TMPDIR:-/tmp}}/clean-up.XXXXXX") && TZ=UTC0 touch -t {time} "$plan" || exit 2
trap 'rm -f -- "$plan"' EXIT
trap 'exit 130' HUP INT TERM

# A name may hold what a terminal would obey.
say() {{ printf '%s\\n' "$*" | tr '\\001-\\011\\013-\\037\\177' '?'; }}
no() {{ say "  left alone: $1"; shift; say "    $*"; return 1; }}
# The folder must be the very one that was looked at, not a link that took its place.
at_home() {{ [ "$(cd -P -- "$1" 2>/dev/null && pwd -P && printf x)" = "$1
x" ] || no 'its folder is not where it was' "$1"; }}
writable() {{ [ -w "$1" ] || no 'nothing can be removed from its folder' "$1"; }}
a_file() {{ # SIZE PATH
  {{ [ ! -L "$2" ] && [ -f "$2" ]; }} ||
    {{ no 'it is not there, or no ordinary file' "$2"; return 1; }}
  [ "$(($(wc -c < "$2")))" = "$1" ] || no "it has not $1 bytes any more" "$2"
}}
a_link() {{ [ -L "$1" ] || no 'it is no longer a link' "$1"; }}
unwritten() {{
  [ -z "$(find "$1" -prune -newer "$plan" 2>&1)" ] ||
    no 'it was written after the plan was made' "$1"
}}
unchanged() {{
  [ -z "$(find "$1" -newer "$plan" 2>&1 | sed 1q)" ] ||
    no 'something in it changed after the plan was made' "$1"
}}
holds() {{ printf '%s' "$1" | cmp -s -- - "$2" || no 'its bytes are not those of the plan' "$2"; }}
names_of() {{ ls -ld -- "$1" | {{ read -r _ names _; printf %s "$names"; }}; }}
the_same() {{ # PATH KEPT
  {{ [ ! -L "$2" ] && [ -f "$2" ] && cmp -s -- "$1" "$2"; }} ||
    {{ no 'its bytes are not those of the copy that stays' "$1"; return 1; }}
  [ -L "$1" ] || [ ! "$1" -ef "$2" ] || [ "$(names_of "$1")" -gt 1 ] ||
    no 'it is the very file that stays' "$1"
}}
a_folder() {{ {{ [ ! -L "$1" ] && [ -d "$1" ]; }} || no 'it is no longer a folder' "$1"; }}
step() {{ # NUMBER: looks, then removes
  if "check_$1"; then
    if [ "$remove" = yes ]; then
      if "remove_$1"; then done=$((done + 1))
      else say '  stopped: what is named above could not be removed'; left=$((left + 1)); fi
    else say "  would be removed"; done=$((done + 1)); fi
  else left=$((left + 1)); fi
}}
"""

_TAIL = """
if [ "$remove" = yes ]; then say "$done of {count} steps done, $left left alone."
else
  say "$done of {count} steps can be done, $left cannot. \\
Nothing was removed: run it with --remove to do so."
fi
[ "$left" -eq 0 ]
"""


def quoted(text: str) -> str:
    """Quote ``text`` as one word of a POSIX shell, whatever it contains.

    NUL characters are dropped: a shell cannot hold them, and no path has them.
    """
    return "'" + text.replace("\0", "").replace("'", "'\\''") + "'"


def typed(text: str) -> str:
    """Quote ``text`` as one word that a person can read, copy and paste.

    Printable text is in plain quotes; other text is escaped as ``$'\\n'``.
    """
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(
        (
            f"\\{character}"
            if character in "\\'"
            else character
            if character.isprintable()
            else _escaped(character)
        )
        for character in text
    )
    return f"$'{escaped}'"


def _escaped(character: str) -> str:
    """Return the escaped bytes; a lone surrogate is one byte of a name that is not UTF-8."""
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def comment(text: str) -> str:
    """``text`` in one line that no shell reads on: control characters become ``?``."""
    return "".join(character if character.isprintable() else "?" for character in to_text(text))


def script_of(
    heading: Iterable[str], steps: Sequence[Work], roots: Sequence[str], made_at: datetime
) -> bytes:
    """The script as bytes: file names need not be UTF-8.

    Raises ``ValueError`` for an entry outside ``roots``.
    """
    told = "\n".join(f"# {comment(line)}" for line in heading)
    full_second = made_at.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    parts = [_HEAD.format(heading=told, name="clean-up.sh", time=f"{full_second:%Y%m%d%H%M.%S}")]
    for number, step in enumerate(steps, 1):
        for command in step.commands:
            if not any(
                command.absolute.startswith(root.rstrip(os.sep) + os.sep) for root in roots
            ) or not os.path.isabs(command.absolute):
                raise ValueError(f"{to_text(command.absolute)} lies outside the roots")
        parts.append(_step(number, len(steps), step))
    parts.append(_TAIL.format(count=len(steps)))
    return os.fsencode("".join(parts))


def _step(number: int, count: int, step: Work) -> str:
    told = "\n".join(f"# {comment(line)}" for line in step.heading)
    going = dict.fromkeys(os.path.dirname(each.absolute) for each in step.commands)
    kept = [
        *(each.same_as for each in step.commands if each.same_as),
        *(place for place, _ in step.needs),
    ]
    staying = dict.fromkeys(os.path.dirname(place) for place in kept)
    checks = [f"at_home {quoted(folder)}" for folder in dict.fromkeys((*going, *staying))]
    checks += [f"writable {quoted(folder)}" for folder in going]
    checks += [f"unchanged {quoted(folder)}" for folder in step.watched]
    for place, size in step.needs:
        checks += [f"a_file {size} {quoted(place)}", f"unwritten {quoted(place)}"]
    for each in step.commands:
        checks += _checks(each)
    removals = [_removal(each) for each in step.commands]
    check, remove = (" || return 1\n  ".join([*lines, ":"]) for lines in (checks, removals))
    return (
        f"\n# Step {number} of {count}\n{told}\ncheck_{number}() {{\n "
        f" {check}\n}}\nremove_{number}() {{\n  {remove}\n}}\nsay"
        f" {quoted(f'Step {number} of {count}: {comment(step.heading[0])}')}\nstep {number}\n"
    )


def _checks(each: Command) -> list[str]:
    """Return the shell checks of an entry.

    Every byte of it is compared, or its time shows that nobody has written it since the plan was
    created.
    """
    word = quoted(each.absolute)
    if each.kind == FOLDER:
        return [f"a_folder {word}"]
    first = f"a_link {word}" if each.kind == LINK else f"a_file {each.size} {word}"
    if each.same_as:
        return [first, f"the_same {word} {quoted(each.same_as)}"]
    return (
        [first, f"holds {quoted(each.holds)} {word}"]
        if each.holds
        else [first, f"unwritten {word}"]
    )


def _removal(each: Command) -> str:
    word = quoted(each.absolute)
    if each.kind == FOLDER:  # one that is not empty stays, with whatever came into it since
        return (
            f"{{ rmdir -- {word} 2>/dev/null || say"
            f" {quoted('  not empty, stays: ' + comment(each.absolute))}; }}"
        )
    return f"rm -f -- {word}"
