"""The version of the readers and checks."""

from __future__ import annotations

#: Raise it with every change that judges files differently than before: each record keeps the
#: version that judged it, and an ordinary scan reads again what an older one did.
READERS = 4
