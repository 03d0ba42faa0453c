"""How an attempt to load ends when it does not succeed.

Each carries a sentence for the person who asked.
"""


class LoadFailed(Exception):
    """The library refused the files, or the server its answer."""


class Unsupported(Exception):
    """Nothing here can try: no loader for this format, a library that is not installed, an
    architecture it does not know.
    """


class Refused(Exception):
    """It could be tried and is not: it would run code, or leave the root."""
