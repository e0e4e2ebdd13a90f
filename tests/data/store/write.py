"""Writes v1.sql: `python -m tests.data.store.write`, only before schema 1 is released; afterwards it stays as it is."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from teagent.adapters.store import SqliteStore
from teagent.model.link import Utilisation
from teagent.model.plan import Decision
from teagent.model.proposal import ProposalState
from teagent.model.traffic import Demand, Source, build_matrix
from teagent.ports import StoredEvent
from tests.fakes.proposals import NOW, PREFIX, example_proposal

START = datetime(2026, 1, 12, tzinfo=UTC)


async def fill(store: SqliteStore) -> None:
    await store.add_proposal(example_proposal(state=ProposalState.ACTIVE))
    for minute in (5, 10):
        at = START + timedelta(minutes=minute)
        row = Utilisation(link="transit-a", at=at, in_bps=minute * 1e9, out_bps=1e8, seconds=300)
        await store.add_utilisation([row])
        if minute == 5:  # the first is rolled up, the second is raw
            await store.prune(now=START + timedelta(days=7, hours=1))
    demand = Demand(source=Source(asn=64496), prefix=PREFIX, link="transit-a", bps=2.5e9)
    await store.add_matrix(
        build_matrix([demand], at=NOW, seconds=300, coverage={"transit-a": 0.98}, unattributed_bps={"transit-a": 1e6})
    )
    await store.set_fact("frozen", {"by": "alice", "since": "2026-01-12T19:40:00Z"})
    await store.log(
        StoredEvent(
            at=NOW,
            kind="freeze",
            actor="alice",
            subject="",
            message="frozen for maintenance",
            fields={"seconds": 1.5},
        )
    )
    await store.save_decision(
        Decision(
            policy="transit-balance",
            at=NOW,
            snapshot_digest="51be07",
            triggers=(),
            chosen=None,
            considered=(),
            candidates=0,
            reasons=(),
            message="no trigger fires",
        )
    )


async def dump() -> str:
    with TemporaryDirectory() as directory:
        store = SqliteStore(Path(directory) / "teagent.db")
        await store.start()
        await fill(store)
        await store.stop()
        with closing(sqlite3.connect(store.path)) as connection:
            owner = connection.execute("PRAGMA application_id").fetchone()[0]
            lines = [f"PRAGMA application_id = {owner};", "PRAGMA user_version = 1;", *connection.iterdump()]
    return "\n".join(["-- A store as schema 1 wrote it, by write.py beside it.", *lines, ""])


if __name__ == "__main__":
    Path(__file__).with_name("v1.sql").write_text(asyncio.run(dump()))
