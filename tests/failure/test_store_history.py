"""History is only ever added to: the database refuses edits, and the chain shows those that were forced."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from teagent.adapters.store import SqliteStore
from teagent.engine.audit import CHAIN_START, chain_digest
from teagent.errors import StoreError
from teagent.model.proposal import ProposalState
from teagent.ports import StoredEvent
from tests.fakes.proposals import NOW, example_proposal

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "teagent.db")
    await made.start()
    await made.add_proposal(example_proposal(state=ProposalState.ACTIVE))
    for message in ("frozen", "thawed"):
        await made.log(StoredEvent(at=NOW, kind="freeze", actor="alice", subject="", message=message, fields={}))
    yield made
    await made.stop()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE proposal_event SET actor = 'bob' WHERE seq = 1",
        "DELETE FROM proposal_event WHERE seq = 1",
        "DELETE FROM proposal_event",
        "REPLACE INTO proposal_event SELECT * FROM proposal_event WHERE seq = 1",
        "UPDATE event SET message = 'nothing happened'",
        "DELETE FROM event",
        "REPLACE INTO event SELECT * FROM event",
    ],
)
async def test_history_refuses_to_be_edited(store: SqliteStore, statement: str) -> None:
    with pytest.raises(StoreError, match="history is never edited"):
        await store._database.write(lambda c: c.execute(statement))
    assert [(report.rows, report.broken_at) for report in await store.verify_chain()] == [(5, None), (2, None)]


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE proposal SET document = replace(document, '198.51.100.0/24', '192.0.2.0/24')", "never changed"),
        ("UPDATE proposal SET plan_digest = 'ffffff'", "never changed"),
        ("UPDATE proposal SET id = 'p-0000'", "never changed"),
        ("DELETE FROM proposal", "never deleted"),
    ],
)
async def test_a_plan_that_was_shown_refuses_to_be_changed(store: SqliteStore, statement: str, refusal: str) -> None:
    with pytest.raises(StoreError, match=refusal):
        await store._database.write(lambda c: c.execute(statement))
    assert await store.proposal("p-7f3c") == example_proposal(state=ProposalState.ACTIVE)


async def test_an_event_of_no_proposal_is_refused(store: SqliteStore) -> None:
    row = "(9, 'p-0000', 0, NULL, NULL, 'pending', 'bob', '', '', '', '', '')"
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await store._database.write(lambda c: c.execute(f"INSERT INTO proposal_event VALUES {row}"))


async def test_readers_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="readonly"):
        await store._database.read(lambda c: c.execute("DELETE FROM fact"))


def force(connection: sqlite3.Connection, statement: str) -> None:
    """As someone with the file and an editor would."""
    for trigger in ("no_update", "no_delete"):
        for table in ("proposal_event", "event"):
            connection.execute(f"DROP TRIGGER IF EXISTS {table}_{trigger}")
    connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "position", "message"),
    [
        ("UPDATE proposal_event SET actor = 'bob' WHERE position = 2", 2, "row 2 was changed after it was written"),
        ("UPDATE proposal_event SET reason = 'x' WHERE position = 5", 5, "row 5 was changed after it was written"),
        ("UPDATE proposal_event SET at = '2026-01-01' WHERE position = 1", 1, "row 1 was changed after it was written"),
        ("UPDATE proposal_event SET plan_digest = 'ff' WHERE seq = 1", 2, "row 2 was changed after it was written"),
        ("UPDATE proposal_event SET digest = 'ff' WHERE position = 3", 3, "row 3 was changed after it was written"),
        ("DELETE FROM proposal_event WHERE position = 3", 3, "row 3 is missing"),
        ("DELETE FROM proposal_event WHERE position = 1", 1, "row 1 is missing"),
    ],
)
async def test_a_forced_edit_is_found_at_its_row(
    store: SqliteStore, statement: str, position: int, message: str
) -> None:
    await store._database.write(lambda c: force(c, statement))
    history, log = await store.verify_chain()
    assert (history.broken_at, history.message) == (position, message)
    assert log.broken_at is None


async def test_a_forged_row_with_a_digest_to_fit_breaks_the_row_after_it(store: SqliteStore) -> None:
    row = {"at": "2026-01-12", "kind": "freeze", "actor": "bob", "subject": "", "message": "", "fields": "{}"}
    digest = chain_digest(CHAIN_START, row)
    statement = (
        f"UPDATE event SET at = '2026-01-12', actor = 'bob', message = '', digest = '{digest}' WHERE position = 1"
    )
    await store._database.write(lambda c: force(c, statement))
    _, log = await store.verify_chain()
    assert (log.rows, log.broken_at, log.message) == (1, 2, "row 2 does not follow the row before it")


async def test_rows_cut_off_at_the_end_are_told_by_the_head(store: SqliteStore) -> None:
    before = (await store.verify_chain())[1]
    await store._database.write(lambda c: force(c, "DELETE FROM event WHERE position = 2"))
    after = (await store.verify_chain())[1]
    assert after.broken_at is None
    assert after.head != before.head
