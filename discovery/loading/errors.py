"""How an attempt to load ends when it does not succeed.

Each carries a sentence for the person who asked.
"""


class LoadFailed(Exception):
    """The library refused the files, or the server its answer."""


class Unsupported(Exception):
    """No loader here can try the model.

    Its format has no loader, a library is not installed, or a library does not know the
    architecture.
    """


class LoadRefused(Exception):
    """It could be tried and is not: it would run code, or leave the root."""
