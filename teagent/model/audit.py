"""History that cannot be edited in silence: its rows, and what became of a chain of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRow:
    """A row as the store holds it: its place and facts, the digest of the row before, and its own."""

    position: int
    row: Mapping[str, object]
    previous_digest: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What became of one chain. `broken_at` is the position of the first row that does not fit, None for none.

    `head` is the digest of the last good row: noted outside of the store it also proves that no later row was cut.
    """

    chain: str
    rows: int
    head: str
    broken_at: int | None
    message: str
