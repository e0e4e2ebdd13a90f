"""What was learned, predicted and scored: SQL of one transaction each."""

from __future__ import annotations

import io
import sqlite3
import zipfile
import zlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from teagent.adapters.store.rollup import microseconds, time_at
from teagent.adapters.store.serialise import from_text, to_text
from teagent.errors import StoreCorrupt
from teagent.model.scorecard import Scorecard
from teagent.model.traffic import Column
from teagent.ports import LearnedKind, LearnedRow

KEPT: Mapping[LearnedKind, int] = {
    LearnedKind.OBSERVATION: 1000,
    LearnedKind.PREDICTION: 200,
    LearnedKind.INGRESS_MODEL: 1,
    LearnedKind.SET_ASIDE: 3,
}
"""So many of each, the newest: what grew without end would fill the disk in the end."""


def pack(arrays: Mapping[str, Column]) -> bytes:
    content = io.BytesIO()
    given: dict[str, Any] = dict(arrays)
    np.savez_compressed(content, **given)
    return content.getvalue()


def unpack(content: bytes) -> dict[str, Column] | None:
    """None for what cannot be read."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    # A damaged archive shows itself in many ways (of zipfile, of numpy, as a missing member).
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        return None


def keep(connection: sqlite3.Connection, kind: LearnedKind, key: str, at: datetime, content: bytes) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO learned (kind, key, at_us, content) VALUES (?, ?, ?, ?)",
        (kind.value, key, microseconds(at), content),
    )
    connection.execute(
        "DELETE FROM learned WHERE kind = ?1 AND key NOT IN "
        "(SELECT key FROM learned WHERE kind = ?1 ORDER BY at_us DESC, key DESC LIMIT ?2)",
        (kind.value, KEPT[kind]),
    )


def rows(connection: sqlite3.Connection, kind: LearnedKind, *, since: datetime | None, limit: int) -> list[LearnedRow]:
    """The newest, oldest of them first."""
    found = connection.execute(
        "SELECT key, at_us, content FROM learned WHERE kind = ? AND at_us > ? ORDER BY at_us DESC, key DESC LIMIT ?",
        (kind.value, -(2**62) if since is None else microseconds(since), limit),
    ).fetchall()
    return [LearnedRow(key=key, at=time_at(at_us), arrays=unpack(content)) for key, at_us, content in reversed(found)]


def forget(connection: sqlite3.Connection, kind: LearnedKind, keys: Collection[str]) -> None:
    connection.executemany("DELETE FROM learned WHERE kind = ? AND key = ?", [(kind.value, key) for key in keys])


def set_aside(connection: sqlite3.Connection, kind: LearnedKind, key: str) -> None:
    """Out of the way, and not lost."""
    connection.execute(
        "UPDATE OR REPLACE learned SET kind = ?, key = kind || ' ' || key || ' ' || at_us WHERE kind = ? AND key = ?",
        (LearnedKind.SET_ASIDE.value, kind.value, key),
    )


def add_scorecard(connection: sqlite3.Connection, card: Scorecard) -> None:
    connection.execute(
        "INSERT INTO scorecard (at_us, kind, subject, document) VALUES (?, ?, ?, ?)",
        (microseconds(card.until), card.kind.value, card.subject, to_text(Scorecard, card)),
    )


def scorecards(connection: sqlite3.Connection, *, since: datetime, limit: int) -> list[Scorecard]:
    """Oldest first, of the newest `limit` those that can be read: a score keeps no daemon from starting."""
    found = connection.execute(
        "SELECT document FROM scorecard WHERE at_us > ? ORDER BY at_us DESC, position DESC LIMIT ?",
        (microseconds(since), limit),
    ).fetchall()
    read = (_scorecard(document) for (document,) in reversed(found))
    return [card for card in read if card is not None]


def _scorecard(document: str) -> Scorecard | None:
    """None for what is damaged, or was written by a newer version."""
    try:
        return from_text(Scorecard, document)
    except StoreCorrupt:
        return None


def prune(connection: sqlite3.Connection, *, until: datetime) -> dict[str, int]:
    return {
        "learned": connection.execute(
            "DELETE FROM learned WHERE at_us <= ? AND kind != ?",
            (microseconds(until), LearnedKind.INGRESS_MODEL.value),
        ).rowcount,
        "scorecard": connection.execute("DELETE FROM scorecard WHERE at_us <= ?", (microseconds(until),)).rowcount,
    }
