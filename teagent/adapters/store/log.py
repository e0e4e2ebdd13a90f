"""Decisions, the log and small facts: SQL of one transaction each."""

# ruff: noqa: S608  # what is put into the statements are names of our own tables and columns, never values

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from teagent.adapters.store.proposals import append_to_chain
from teagent.adapters.store.serialise import dump, from_text, load, time_of, time_text
from teagent.model.plan import Decision
from teagent.ports import StoredEvent

EVENT_COLUMNS = ("at", "kind", "actor", "subject", "message", "fields")


def save_decision(connection: sqlite3.Connection, *, policy: str, at: str, document: str, keep: int) -> None:
    """Adds it and forgets all but the newest `keep` of its policy."""
    connection.execute("INSERT INTO decision (policy, at, document) VALUES (?, ?, ?)", (policy, at, document))
    connection.execute(
        "DELETE FROM decision WHERE policy = ?1 AND position NOT IN "
        "(SELECT position FROM decision WHERE policy = ?1 ORDER BY position DESC LIMIT ?2)",
        (policy, keep),
    )


def decisions(connection: sqlite3.Connection, policy: str, *, limit: int) -> list[Decision]:
    """Newest first."""
    rows = connection.execute(
        "SELECT document FROM decision WHERE policy = ? ORDER BY position DESC LIMIT ?", (policy, limit)
    )
    return [from_text(Decision, document) for (document,) in rows]


def prune_decisions(connection: sqlite3.Connection, *, until: str) -> int:
    """Forgets decisions up to `until`, but the newest of each policy."""
    return connection.execute(
        "DELETE FROM decision WHERE at <= ? AND position NOT IN (SELECT max(position) FROM decision GROUP BY policy)",
        (until,),
    ).rowcount


def told(given: Iterable[StoredEvent]) -> list[dict[str, str]]:
    """Events in the form in which they are stored. Raises TypeError for fields that JSON cannot hold."""
    return [
        {
            "at": time_text(event.at),
            "kind": event.kind,
            "actor": event.actor,
            "subject": event.subject,
            "message": event.message,
            "fields": dump(dict(event.fields)),
        }
        for event in given
    ]


def add_events(connection: sqlite3.Connection, rows: Iterable[Mapping[str, str]]) -> None:
    for row in rows:
        append_to_chain(connection, "event", row)


def events(connection: sqlite3.Connection, *, limit: int, subject: str | None) -> list[StoredEvent]:
    """Newest first."""
    where, arguments = ("WHERE subject = ?", (subject, limit)) if subject is not None else ("", (limit,))
    rows = connection.execute(
        f"SELECT {', '.join(EVENT_COLUMNS)} FROM event {where} ORDER BY position DESC LIMIT ?", arguments
    )
    return [
        StoredEvent(at=time_of(at), kind=kind, actor=actor, subject=about, message=message, fields=load(fields))
        for at, kind, actor, about, message, fields in rows
    ]


def set_fact(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO fact (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
    )


def fact(connection: sqlite3.Connection, key: str) -> Any:
    row = connection.execute("SELECT value FROM fact WHERE key = ?", (key,)).fetchone()
    return load(row[0]) if row else None
