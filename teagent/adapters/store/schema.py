"""The tables, as a list of migrations. A step that has been released is never edited; a change is a new step."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from teagent.errors import SchemaTooNew, StoreError

APPLICATION_ID = 0x54454147  # "TEAG", so that another program's database is not taken for ours

MEASUREMENTS = (
    # Times of measurements are microseconds since 1970: they are many, and compared and rounded in SQL.
    """CREATE TABLE utilisation (
        link TEXT NOT NULL, at_us INTEGER NOT NULL, in_bps REAL NOT NULL, out_bps REAL NOT NULL, seconds REAL NOT NULL,
        PRIMARY KEY (link, at_us)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX utilisation_at ON utilisation (at_us)",
    # Roll-ups keep sums, so that a bucket may be filled in several goes.
    """CREATE TABLE utilisation_5m (
        link TEXT NOT NULL, at_us INTEGER NOT NULL,
        seconds REAL NOT NULL, in_bits REAL NOT NULL, out_bits REAL NOT NULL,
        PRIMARY KEY (link, at_us)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE utilisation_hourly (
        link TEXT NOT NULL, at_us INTEGER NOT NULL,
        seconds REAL NOT NULL, in_bits REAL NOT NULL, out_bits REAL NOT NULL,
        PRIMARY KEY (link, at_us)) STRICT, WITHOUT ROWID""",
    "CREATE TABLE matrix (at_us INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT",
)

PROPOSALS = (
    # `document` is what was shown and approved; a trigger holds that it never changes.
    """CREATE TABLE proposal (
        position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, policy TEXT NOT NULL, plan_digest TEXT NOT NULL,
        created_at TEXT NOT NULL, document TEXT NOT NULL,
        state TEXT NOT NULL, confirm_deadline TEXT, restores TEXT, revert_attempts INTEGER NOT NULL) STRICT""",
    "CREATE INDEX proposal_state ON proposal (state)",
    """CREATE TRIGGER proposal_is_kept BEFORE DELETE ON proposal
        BEGIN SELECT RAISE(ABORT, 'a proposal is never deleted'); END""",
    """CREATE TRIGGER proposal_plan_is_fixed
        BEFORE UPDATE OF position, id, policy, plan_digest, created_at, document ON proposal
        BEGIN SELECT RAISE(ABORT, 'the plan of a proposal is never changed'); END""",
    """CREATE TABLE proposal_event (
        position INTEGER PRIMARY KEY, proposal TEXT NOT NULL REFERENCES proposal (id), seq INTEGER NOT NULL,
        event TEXT, from_state TEXT, to_state TEXT NOT NULL, actor TEXT NOT NULL, at TEXT NOT NULL,
        reason TEXT NOT NULL, plan_digest TEXT NOT NULL, previous_digest TEXT NOT NULL, digest TEXT NOT NULL,
        UNIQUE (proposal, seq)) STRICT""",
)

LOG = (
    """CREATE TABLE event (
        position INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL, subject TEXT NOT NULL,
        message TEXT NOT NULL, fields TEXT NOT NULL, previous_digest TEXT NOT NULL, digest TEXT NOT NULL) STRICT""",
    "CREATE INDEX event_subject ON event (subject)",
    *(
        f"""CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}
        BEGIN SELECT RAISE(ABORT, 'history is never edited'); END"""
        for table in ("proposal_event", "event")
        for verb in ("UPDATE", "DELETE")
    ),
    """CREATE TABLE decision (
        position INTEGER PRIMARY KEY, policy TEXT NOT NULL, at TEXT NOT NULL, document TEXT NOT NULL) STRICT""",
    "CREATE INDEX decision_policy ON decision (policy)",
    "CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
)

MATRICES = tuple(
    f"CREATE TABLE {table} (at_us INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT"
    for table in ("matrix_short", "matrix_hourly")
)

PREDICTIONS = (
    # What was learned and predicted, as arrays of numpy's own format; `kind` says which of ports.LearnedKind.
    """CREATE TABLE learned (
        kind TEXT NOT NULL, key TEXT NOT NULL, at_us INTEGER NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE scorecard (
        position INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
        document TEXT NOT NULL) STRICT""",
    "CREATE INDEX scorecard_at ON scorecard (at_us)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = ((*MEASUREMENTS, *PROPOSALS, *LOG), MATRICES, PREDICTIONS)
"""MIGRATIONS[n] brings a store of `user_version` n to n + 1."""


def migrate(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> tuple[int, int]:
    """Brings the store up to date in one transaction; returns the versions before and after.

    An existing store is first copied to PATH.schema-VERSION. Raises SchemaTooNew, StoreError when the file belongs to
    another program, sqlite3.Error when a step fails; the store is then as it was.
    """
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if tables and owner != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program", hint="store.path names the file", path=str(path))
    if found > len(migrations):
        raise SchemaTooNew(found=found, supported=len(migrations))
    if found == len(migrations):
        return found, found
    if found:
        _copy(connection, path.with_name(f"{path.name}.schema-{found}"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in migrations[found:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return found, len(migrations)


def _copy(connection: sqlite3.Connection, copy: Path) -> None:
    unfinished = copy.with_name(f"{copy.name}.tmp")
    unfinished.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(unfinished),))
    unfinished.replace(copy)
