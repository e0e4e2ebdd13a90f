"""Proposals and their history: SQL of one transaction each.

What was shown and approved is one document that never changes; the state, and what else moves with it, are columns;
history is rows that are only ever added.
"""

# ruff: noqa: S608  # what is put into the statements are names of our own tables and columns, never values

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teagent.adapters.store.serialise import dump, from_json, load_object, time_text, to_json
from teagent.engine.audit import CHAIN_START, chain_digest, verify_chain
from teagent.errors import StoreError
from teagent.model.audit import ChainReport, ChainRow
from teagent.model.proposal import FINAL, HistoryEntry, Proposal

MOVING = ("state", "confirm_deadline", "restores", "revert_attempts")
"""Fields of a proposal that are columns; with `history` all that may change."""

EVENT_COLUMNS = ("proposal", "seq", "event", "from_state", "to_state", "actor", "at", "reason", "plan_digest")


@dataclass(frozen=True, slots=True)
class Row:
    """A proposal in the form in which it is stored."""

    id: str
    document: str
    moving: tuple[Any, ...]
    history: tuple[Mapping[str, Any], ...]
    proposal: Proposal


def row_of(proposal: Proposal) -> Row:
    """Raises ValueError for a proposal whose state is not where its history ends."""
    seqs = [entry.seq for entry in proposal.history]
    if not seqs or seqs != list(range(len(seqs))) or proposal.history[-1].to_state is not proposal.state:
        raise ValueError(f"the history of {proposal.id} does not lead to {proposal.state.value}")
    fields = to_json(Proposal, proposal)
    history = [
        {"proposal": proposal.id, "plan_digest": proposal.plan.digest, **entry} for entry in fields.pop("history")
    ]
    moving = tuple(fields.pop(name) for name in MOVING)
    return Row(id=proposal.id, document=dump(fields), moving=moving, history=tuple(history), proposal=proposal)


def add_proposal(connection: sqlite3.Connection, row: Row) -> None:
    """Raises StoreError when the id is taken."""
    proposal = row.proposal
    if connection.execute("SELECT 1 FROM proposal WHERE id = ?", (row.id,)).fetchone():
        raise StoreError(f"proposal {row.id} is in the store already", proposal=row.id)
    connection.execute(
        f"INSERT INTO proposal (id, policy, plan_digest, created_at, document, {', '.join(MOVING)}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row.id, proposal.policy, proposal.plan.digest, time_text(proposal.created_at), row.document, *row.moving),
    )
    _append(connection, row.history)


def save_proposals(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Raises StoreError, nothing saved, where a proposal is unknown, its plan differs, or its history was lost."""
    for row in rows:
        found = connection.execute("SELECT document FROM proposal WHERE id = ?", (row.id,)).fetchone()
        if found is None:
            raise StoreError(f"there is no proposal {row.id} in the store", proposal=row.id)
        stored = _load(connection, "WHERE id = ?", (row.id,))[0]
        if found[0] != row.document and not _same_plan(stored, row.proposal):
            raise StoreError(f"the plan of proposal {row.id} is not the one in the store", proposal=row.id)
        known = len(stored.history)
        if stored.history != row.proposal.history[:known]:
            raise StoreError(
                f"proposal {row.id} has moved on to {stored.state.value} since it was read",
                hint=f"teagent proposal {row.id}",
                proposal=row.id,
                state=stored.state.value,
            )
        connection.execute(
            f"UPDATE proposal SET {', '.join(f'{name} = ?' for name in MOVING)} WHERE id = ?", (*row.moving, row.id)
        )
        _append(connection, row.history[known:])


def _same_plan(stored: Proposal, given: Proposal) -> bool:
    """A document written by an older teagent may spell the same values otherwise."""
    return _fixed(stored) == _fixed(given)


def _fixed(proposal: Proposal) -> dict[str, Any]:
    fields = to_json(Proposal, proposal)
    return {name: value for name, value in fields.items() if name not in {*MOVING, "history"}}


def proposal(connection: sqlite3.Connection, wanted: str) -> Proposal | None:
    found = _load(connection, "WHERE id = ?", (wanted,))
    return found[0] if found else None


def proposals(connection: sqlite3.Connection, *, live_only: bool, limit: int) -> list[Proposal]:
    """Newest first."""
    final = sorted(state.value for state in FINAL)
    where = f"WHERE state NOT IN ({', '.join('?' * len(final))})" if live_only else ""
    arguments = (*final, limit) if live_only else (limit,)
    return _load(connection, f"{where} ORDER BY position DESC LIMIT ?", arguments)


def proposal_ids(connection: sqlite3.Connection) -> list[str]:
    """Newest first."""
    return [row[0] for row in connection.execute("SELECT id FROM proposal ORDER BY position DESC")]


def _load(connection: sqlite3.Connection, where: str, arguments: Sequence[object]) -> list[Proposal]:
    rows = connection.execute(f"SELECT id, document, {', '.join(MOVING)} FROM proposal {where}", arguments).fetchall()
    loaded = []
    for wanted, document, *moving in rows:
        columns = [column for column in EVENT_COLUMNS if column not in {"proposal", "plan_digest"}]
        history = connection.execute(
            f"SELECT {', '.join(columns)} FROM proposal_event WHERE proposal = ? ORDER BY seq", (wanted,)
        )
        fields = load_object(document) | dict(zip(MOVING, moving, strict=True))
        fields["history"] = [dict(zip(columns, entry, strict=True)) for entry in history]
        loaded.append(from_json(Proposal, fields))
    return loaded


def _append(connection: sqlite3.Connection, history: Sequence[Mapping[str, Any]]) -> None:
    for entry in history:
        append_to_chain(connection, "proposal_event", {column: entry[column] for column in EVENT_COLUMNS})


# --- chains ---------------------------------------------------------------------------------------------------------


def append_to_chain(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    """Adds a row that holds the digest of the one before it."""
    last = connection.execute(f"SELECT position, digest FROM {table} ORDER BY position DESC LIMIT 1").fetchone()
    position, previous = last or (0, CHAIN_START)
    names = ("position", *row, "previous_digest", "digest")
    connection.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        (position + 1, *row.values(), previous, chain_digest(previous, row)),
    )


def chain_rows(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], *, after: int = 0, limit: int = -1
) -> Iterator[ChainRow]:
    """In the order in which they were written; `limit` -1 is all."""
    rows = connection.execute(
        f"SELECT position, previous_digest, digest, {', '.join(columns)} FROM {table} "
        "WHERE position > ? ORDER BY position LIMIT ?",
        (after, limit),
    )
    for position, previous_digest, digest, *values in rows:
        yield ChainRow(
            position=position,
            row=dict(zip(columns, values, strict=True)),
            previous_digest=previous_digest,
            digest=digest,
        )


def check_chain(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> ChainReport:
    return verify_chain(table, chain_rows(connection, table, columns))


assert set(EVENT_COLUMNS) >= set(HistoryEntry.__dataclass_fields__)  # noqa: S101  # a new field needs a migration
