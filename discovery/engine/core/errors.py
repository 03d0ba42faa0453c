"""Exceptions of readers: a file of another format and a broken file lead to different verdicts."""


class NotThisFormat(Exception):
    """The file has another format: another reader may recognize it.

    This reader found no fault in it.
    """


class InvalidHeader(Exception):
    """The file is of this format and broken.

    ``offset`` is the byte at which reading stopped, ``None`` where no single byte is to blame.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset

    def __str__(self) -> str:
        return self.reason if self.offset is None else f"{self.reason} (at byte {self.offset:,})"


class UncheckedPickleError(Exception):
    """Reading stopped early: the pickle would exhaust its reader or cannot be followed."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


class NotAModel(Exception):
    """The files of a candidate are not a model; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FormatsLeftOut(NotAModel):
    """The weights of a candidate are in ``formats`` that the configuration does not name."""

    def __init__(self, reason: str, formats: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.formats = formats
