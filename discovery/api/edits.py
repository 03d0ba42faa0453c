"""Bodies that change some fields of a document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from ninja.responses import NinjaJSONEncoder
from pydantic import BaseModel, ConfigDict

from discovery.api.closed_lists import not_known
from discovery.api.errors import ApiError, Loc


class Edit(BaseModel):
    """The fields to change; what is left out stays as it is.

    A document that was just read may be sent back: fields that cannot be set may stand in it as
    they are.
    """

    model_config = ConfigDict(extra="allow")

    #: Fields that null empties; of others it says nothing.
    nullable: ClassVar[frozenset[str]] = frozenset()

    def changes(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Return what differs from the document ``shown``.

        Raises ``ApiError`` for fields that it does not have, and for changed ones that cannot be
        set.
        """
        now = json.loads(json.dumps(shown, cls=NinjaJSONEncoder))
        own = set(type(self).model_fields)
        faults: list[tuple[Loc, str]] = []
        for name, value in (self.model_extra or {}).items():
            if name not in now:
                faults.append((("body", name[:80]), not_known(name, sorted(own))))
            elif value != now[name]:
                faults.append((("body", name), "it cannot be set: leave it out, or as it was"))
        own_sent = {name: getattr(self, name) for name in self.model_fields_set & own}
        for name, value in own_sent.items():
            if value is None and name not in self.nullable:
                faults.append((("body", name), "it cannot be null: leave it out to keep it"))
        if faults:
            raise ApiError(422, "Some fields cannot be set; nothing was changed.", errors=faults)
        return {
            name: value for name, value in own_sent.items() if name not in now or now[name] != value
        }
