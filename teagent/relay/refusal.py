"""Why something was not done, in the words of the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


class Refusal(Exception):
    """A request that is answered `ok: false`. Nothing that it asked for is on the wire, except for `unknown`.

    `kind` is one of KINDS; `rule` is the stable id of the check that said no; `value` and `limit` are JSON.
    """

    KINDS = ("refused", "unknown", "down", "bad_request", "busy", "journal")

    def __init__(self, kind: str, rule: str, message: str, *, value: Json = None, limit: Json = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.rule = rule
        self.message = message
        self.value = value
        self.limit = limit

    def as_json(self) -> dict[str, Json]:
        return {
            "kind": self.kind,
            "rule": self.rule,
            "message": self.message,
            "value": self.value,
            "limit": self.limit,
        }
