"""Recognizes programs beside weights by their first bytes, scripts by their name.

Nothing runs them automatically.
"""

from __future__ import annotations

from collections.abc import Iterable

from discovery.engine.core.vocabulary import Severity

_MAGICS = (
    (b"\x7fELF", "a program or library for Linux (ELF)"),
    (b"\xfe\xed\xfa\xce", "a program or library for macOS (Mach-O)"),
    (b"\xfe\xed\xfa\xcf", "a program or library for macOS (Mach-O)"),
    (b"\xce\xfa\xed\xfe", "a program or library for macOS (Mach-O)"),
    (b"\xcf\xfa\xed\xfe", "a program or library for macOS (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a Java class or a program for macOS"),
    (b"dex\n03", "a program for Android (DEX)"), (b"!<arch>\n", "a library of object code"),
    (b"\0asm\1\0\0\0", "a WebAssembly program"),
)  # fmt: skip
_FIRST = frozenset({magic[:1] for magic, _ in _MAGICS})
_BINARIES = {
    ".exe": "Windows",
    ".dll": "Windows",
    ".pyd": "Windows",
    ".scr": "Windows",
    ".msi": "Windows",
    ".so": "Linux",
    ".dylib": "macOS",
}
_SCRIPTS = {
    ".sh": "a shell script", ".bash": "a shell script", ".command": "a shell script",
    ".bat": "a Windows script", ".cmd": "a Windows script",
    ".ps1": "a PowerShell script", ".psm1": "a PowerShell script", ".vbs": "a Windows script",
    ".wsf": "a Windows script", ".hta": "a Windows script",
    ".pl": "a Perl script", ".rb": "a Ruby script", ".pyw": "a Python script",
    ".lnk": "a Windows shortcut", ".desktop": "a desktop shortcut",
}  # fmt: skip
#: What the two bytes before the line break of a .pyc can be, since Python 3.0.
_PYC = range(3000, 4000)


def what(head: bytes, name: str) -> tuple[str, Severity] | None:
    """What kind of program begins with these bytes, and how bad that is.

    A script can be read, so it is only a remark; any other program is a warning.
    """
    if head[:1] in _FIRST and (
        known := next((text for magic, text in _MAGICS if head.startswith(magic)), None)
    ):
        return known, Severity.WARNING
    suffix = name.lower()[name.rfind(".") :] if "." in name else ""
    if head[:2] == b"MZ" and (_is_windows(head) or suffix in _BINARIES):
        return "a program or library for Windows", Severity.WARNING
    if head[2:4] == b"\r\n" and int.from_bytes(head[:2], "little") in _PYC:
        return "compiled Python code", Severity.WARNING
    if system := _BINARIES.get(suffix):
        return f"called a program or library for {system}", Severity.WARNING
    if head[:2] == b"#!" and b"/" in head.partition(b"\n")[0]:
        return "a script", Severity.INFO
    return (script, Severity.INFO) if (script := _SCRIPTS.get(suffix)) else None


def _is_windows(head: bytes) -> bool:
    at = int.from_bytes(head[60:64], "little")
    return head[at : at + 4] == b"PE\0\0" or b"This program cannot be run" in head


def in_archive(names: Iterable[str]) -> str:
    """What an archive with members of these names is, when programs run it; empty otherwise."""
    for name in names:
        if name == "META-INF/MANIFEST.MF" or name.endswith(".class"):
            return "a Java program"
        if name == "__main__.py":
            return "a Python program in an archive"
        if name == "classes.dex":
            return "a program for Android"
    return ""
