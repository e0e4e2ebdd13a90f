"""An older store is brought up to date whole or not at all, and a copy of what it was is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from teagent.adapters.store import SqliteStore
from teagent.adapters.store.schema import MIGRATIONS, migrate
from teagent.model.proposal import ProposalState
from tests.fakes.proposals import NOW, example_proposal

DATA = Path(__file__).resolve().parents[1] / "data" / "store"
NEXT = (
    *MIGRATIONS,
    ("ALTER TABLE matrix ADD COLUMN note TEXT NOT NULL DEFAULT ''", "CREATE TABLE added (x INTEGER) STRICT"),
)
BROKEN = (*MIGRATIONS, ("CREATE TABLE added (x INTEGER) STRICT", "CREATE TABLE fact (x INTEGER) STRICT"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "teagent.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        yield opened


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def shape(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name")]


def test_a_new_file_gets_all_steps_and_no_copy(connection: sqlite3.Connection, path: Path) -> None:
    assert migrate(connection, path) == (0, len(MIGRATIONS))
    assert [place.name for place in path.parent.iterdir()] == ["teagent.db"]


def test_a_store_that_is_up_to_date_is_left_alone(connection: sqlite3.Connection, path: Path) -> None:
    migrate(connection, path)
    before = shape(connection)
    assert migrate(connection, path) == (len(MIGRATIONS), len(MIGRATIONS))
    assert shape(connection) == before


def test_an_older_store_gets_the_steps_that_it_lacks_and_is_copied_first(
    connection: sqlite3.Connection, path: Path
) -> None:
    migrate(connection, path)
    connection.execute("INSERT INTO fact VALUES ('frozen', 'true')")
    connection.execute("INSERT INTO matrix VALUES (1, x'00')")
    assert migrate(connection, path, NEXT) == (len(MIGRATIONS), len(MIGRATIONS) + 1)
    assert connection.execute("SELECT * FROM matrix").fetchall() == [(1, b"\0", "")]
    copy = path.with_name(f"teagent.db.schema-{len(MIGRATIONS)}")
    with closing(sqlite3.connect(copy)) as old:
        assert version(old) == len(MIGRATIONS)
        assert old.execute("SELECT * FROM fact").fetchall() == [("frozen", "true")]
        assert migrate(old, copy) == (len(MIGRATIONS), len(MIGRATIONS))  # the teagent that wrote it can open it


def test_steps_one_by_one_and_all_at_once_end_in_the_same_shape(tmp_path: Path) -> None:
    shapes = []
    for name, stages in (("one", [NEXT]), ("many", [MIGRATIONS, NEXT])):
        with closing(sqlite3.connect(tmp_path / name, isolation_level=None)) as connection:
            for steps in stages:
                migrate(connection, tmp_path / name, steps)
            shapes.append(shape(connection))
    assert shapes[0] == shapes[1]


def test_a_step_that_fails_leaves_the_store_as_it_was(connection: sqlite3.Connection, path: Path) -> None:
    migrate(connection, path)
    before = shape(connection)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(connection, path, BROKEN)
    assert version(connection) == len(MIGRATIONS)
    assert shape(connection) == before
    assert not connection.in_transaction


def test_an_old_copy_of_the_same_schema_is_replaced(connection: sqlite3.Connection, path: Path) -> None:
    migrate(connection, path)
    copy = path.with_name(f"teagent.db.schema-{len(MIGRATIONS)}")
    copy.write_bytes(b"an older copy")
    copy.with_name(f"{copy.name}.tmp").write_bytes(b"a copy that was not finished")
    migrate(connection, path, NEXT)
    with closing(sqlite3.connect(copy)) as old:
        assert version(old) == len(MIGRATIONS)
    assert sorted(place.name for place in path.parent.iterdir()) == ["teagent.db", copy.name]


@pytest.mark.asyncio
async def test_a_store_written_by_the_first_release_can_be_read(path: Path) -> None:
    """tests/data/store/v1.sql is never written again; each later schema must read it."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript((DATA / "v1.sql").read_text())
    store = SqliteStore(path)
    await store.start()
    try:
        assert await store.proposal("p-7f3c") == example_proposal(state=ProposalState.ACTIVE)
        assert [report.broken_at for report in await store.verify_chain()] == [None, None]
        start = datetime(2026, 1, 12, tzinfo=UTC)
        buckets = await store.five_minute_buckets(link="transit-a", since=start, until=start + timedelta(minutes=10))
        assert [(b.at, b.in_bps) for b in buckets] == [(start + timedelta(minutes=n), n * 1e9) for n in (5, 10)]
        matrix = await store.latest_matrix()
        assert matrix is not None
        assert [(str(d.source), str(d.prefix), d.link, d.bps) for d in matrix.demands()] == [
            ("AS64496", "198.51.100.0/24", "transit-a", 2.5e9)
        ]
        assert await store.fact("frozen") == {"by": "alice", "since": "2026-01-12T19:40:00Z"}
        assert [event.message for event in await store.events()] == ["frozen for maintenance"]
        last = await store.last_decision("transit-balance")
        assert last is not None
        assert (last.at, last.message) == (NOW, "no trigger fires")
    finally:
        await store.stop()
