"""The chain of history: each row holds the digest of the one before it, so that a changed or missing row shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from teagent.model.audit import ChainReport, ChainRow

CHAIN_START = "0" * 64


def chain_digest(previous: str, row: Mapping[str, object]) -> str:
    """Hex SHA-256 over the digest of the row before and this row's canonical JSON.

    `row` holds JSON values only; the order of its keys does not matter. The first row follows CHAIN_START.
    """
    canonical = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous}\n{canonical}".encode("ascii")).hexdigest()


def verify_chain(chain: str, rows: Iterable[ChainRow]) -> ChainReport:
    """Follows the chain from its start; `rows` come in the order in which they were written."""
    head, count, position = CHAIN_START, 0, 0
    for row in rows:
        problem = ""
        if row.position != position + 1:
            problem = f"row {position + 1} is missing"
        elif row.previous_digest != head:
            problem = f"row {row.position} does not follow the row before it"
        elif row.digest != chain_digest(head, row.row):
            problem = f"row {row.position} was changed after it was written"
        if problem:
            return ChainReport(chain=chain, rows=count, head=head, broken_at=position + 1, message=problem)
        head, count, position = row.digest, count + 1, row.position
    return ChainReport(chain=chain, rows=count, head=head, broken_at=None, message=f"{count} rows, none changed")
