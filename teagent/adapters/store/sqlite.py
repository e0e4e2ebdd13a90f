"""The store that ships: one SQLite file, as `ports.Store` asks."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from teagent.adapters.store import learned, log, measurements, proposals
from teagent.adapters.store.database import Database
from teagent.adapters.store.rollup import microseconds
from teagent.adapters.store.serialise import dump, time_text, to_text
from teagent.model.audit import ChainReport, ChainRow
from teagent.model.link import Utilisation
from teagent.model.plan import Decision
from teagent.model.proposal import Proposal
from teagent.model.scorecard import Scorecard
from teagent.model.traffic import Column, MatrixSpan, TrafficMatrix
from teagent.ports import LearnedKind, LearnedRow, StoredEvent

DAY_SECONDS = 86400.0
DECISIONS_KEPT = 100  # of each policy, for `policy explain` of what was so a while ago


class SqliteStore:
    """Durable state in one file. The constructor touches nothing; `start` and `stop` may be called twice.

    Every method raises StoreError: DiskFull, StoreCorrupt, SchemaTooNew (from `start`) where it is one of those.
    Ranges of time are since < at <= until, for a reading speaks of the seconds before its time.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_short_seconds: float = DAY_SECONDS,
        keep_raw_seconds: float = 7 * DAY_SECONDS,
        keep_rollup_seconds: float = 400 * DAY_SECONDS,
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        self.path = path
        self._keep_short = timedelta(seconds=keep_short_seconds)
        self._keep_raw = timedelta(seconds=keep_raw_seconds)
        self._keep_rollup = timedelta(seconds=keep_rollup_seconds)
        self._database = Database(path, busy_timeout_seconds=busy_timeout_seconds)

    async def start(self) -> None:
        await self._database.start()

    async def stop(self) -> None:
        await self._database.stop()

    # utilisation

    async def add_utilisation(self, rows: Sequence[Utilisation]) -> None:
        """A second reading of the same link and time takes the place of the first."""
        await self._database.write(lambda c: measurements.add_utilisation(c, rows))

    async def utilisation(self, *, since: datetime, until: datetime, link: str | None = None) -> Sequence[Utilisation]:
        """Raw readings where kept, hours before that; oldest first."""
        return await self._database.read(lambda c: measurements.utilisation(c, since=since, until=until, link=link))

    async def five_minute_buckets(self, *, link: str, since: datetime, until: datetime) -> Sequence[Utilisation]:
        """Buckets that end in the range, oldest first; `seconds` is what readings covered, and no bucket is no data."""
        return await self._database.read(
            lambda c: measurements.five_minute_buckets(c, link=link, since=since, until=until)
        )

    # matrix

    async def add_matrix(self, matrix: TrafficMatrix, *, span: MatrixSpan = MatrixSpan.WINDOW) -> None:
        """A second matrix of the same time and span takes the place of the first."""
        await self._database.write(
            lambda c: measurements.add_matrix(c, span, microseconds(matrix.at), measurements.pack_matrix(matrix))
        )

    async def latest_matrix(self, *, span: MatrixSpan = MatrixSpan.WINDOW) -> TrafficMatrix | None:
        return await self._database.read(lambda c: measurements.latest_matrix(c, span))

    async def matrices(
        self, *, since: datetime, until: datetime, span: MatrixSpan = MatrixSpan.WINDOW
    ) -> Sequence[TrafficMatrix]:
        """Oldest first. Those of an hour end on the hour, and keep the largest demands apart."""
        return await self._database.read(lambda c: measurements.matrices(c, span=span, since=since, until=until))

    # proposals

    async def add_proposal(self, proposal: Proposal, *, events: Sequence[StoredEvent] = ()) -> None:
        """With what the log says of it, or not at all. Raises StoreError when the id is taken, ValueError when its
        history does not lead to its state.
        """
        row, told = proposals.row_of(proposal), log.told(events)

        def add(connection: sqlite3.Connection) -> None:
            proposals.add_proposal(connection, row)
            log.add_events(connection, told)

        await self._database.write(add)

    async def save_proposals(self, *given: Proposal, events: Sequence[StoredEvent] = ()) -> None:
        """All or none. Raises StoreError when one is unknown, has another plan, or has moved on since it was read."""
        rows, told = [proposals.row_of(proposal) for proposal in given], log.told(events)

        def save(connection: sqlite3.Connection) -> None:
            proposals.save_proposals(connection, rows)
            log.add_events(connection, told)

        await self._database.write(save)

    async def proposal(self, id: str) -> Proposal | None:  # noqa: A002  # the port's name
        return await self._database.read(lambda c: proposals.proposal(c, id))

    async def proposals(self, *, live_only: bool = False, limit: int = 200) -> Sequence[Proposal]:
        """Newest first; `live_only` leaves out those in a final state."""
        return await self._database.read(lambda c: proposals.proposals(c, live_only=live_only, limit=limit))

    async def proposal_ids(self) -> Sequence[str]:
        """All of them, newest first, without reading their plans."""
        return await self._database.read(proposals.proposal_ids)

    # decisions

    async def save_decision(self, decision: Decision) -> None:
        document = to_text(Decision, decision)
        await self._database.write(
            lambda c: log.save_decision(
                c, policy=decision.policy, at=time_text(decision.at), document=document, keep=DECISIONS_KEPT
            )
        )

    async def last_decision(self, policy: str) -> Decision | None:
        found = await self.decisions(policy, limit=1)
        return found[0] if found else None

    async def decisions(self, policy: str, *, limit: int = DECISIONS_KEPT) -> Sequence[Decision]:
        """Newest first; at most DECISIONS_KEPT are kept."""
        return await self._database.read(lambda c: log.decisions(c, policy, limit=limit))

    # the log and small facts

    async def log(self, event: StoredEvent) -> None:
        """Raises TypeError for fields that JSON cannot hold."""
        told = log.told([event])
        await self._database.write(lambda c: log.add_events(c, told))

    async def events(self, *, limit: int = 200, subject: str | None = None) -> Sequence[StoredEvent]:
        """Newest first."""
        return await self._database.read(lambda c: log.events(c, limit=limit, subject=subject))

    async def set_fact(self, key: str, value: object) -> None:
        """Raises TypeError for what JSON cannot hold."""
        text = dump(value)
        await self._database.write(lambda c: log.set_fact(c, key, text))

    async def fact(self, key: str) -> object:
        """None where there is none."""
        return await self._database.read(lambda c: log.fact(c, key))

    # what was learned and predicted

    async def keep_learned(self, kind: LearnedKind, key: str, at: datetime, arrays: Mapping[str, Column]) -> None:
        """In the place of what the key had before; of each kind the newest learned.KEPT are kept."""
        content = await asyncio.to_thread(learned.pack, arrays)
        await self._database.write(lambda c: learned.keep(c, kind, key, at, content))

    async def learned(
        self, kind: LearnedKind, *, since: datetime | None = None, limit: int = 1000
    ) -> Sequence[LearnedRow]:
        return await self._database.read(lambda c: learned.rows(c, kind, since=since, limit=limit))

    async def forget_learned(self, kind: LearnedKind, keys: Collection[str]) -> None:
        await self._database.write(lambda c: learned.forget(c, kind, keys))

    async def set_learned_aside(self, kind: LearnedKind, key: str) -> None:
        await self._database.write(lambda c: learned.set_aside(c, kind, key))

    async def add_scorecard(self, card: Scorecard) -> None:
        await self._database.write(lambda c: learned.add_scorecard(c, card))

    async def scorecards(self, *, since: datetime, limit: int = 1000) -> Sequence[Scorecard]:
        return await self._database.read(lambda c: learned.scorecards(c, since=since, limit=limit))

    # care

    async def chain_rows(self, chain: str, *, after: int, limit: int) -> Sequence[ChainRow]:
        columns = {"proposal_event": proposals.EVENT_COLUMNS, "event": log.EVENT_COLUMNS}[chain]
        return await self._database.read(
            lambda c: list(proposals.chain_rows(c, chain, columns, after=after, limit=limit))
        )

    async def verify_chain(self) -> tuple[ChainReport, ChainReport]:
        """The chains of the proposals' history and of the log, followed from their first rows."""
        return await self._database.read(
            lambda c: (
                proposals.check_chain(c, "proposal_event", proposals.EVENT_COLUMNS),
                proposals.check_chain(c, "event", log.EVENT_COLUMNS),
            )
        )

    async def prune(self, *, now: datetime) -> Mapping[str, int]:
        """Rolls up and deletes by retention; returns rows deleted by table. Proposals and the log are kept for good."""
        raw_until, rollup_until = now - self._keep_raw, now - self._keep_rollup
        matrices_until = {
            MatrixSpan.SHORT: now - self._keep_short,
            MatrixSpan.WINDOW: raw_until,
            MatrixSpan.HOUR: rollup_until,
        }
        return await self._database.write(
            lambda c: {
                **measurements.prune_utilisation(c, raw_until=raw_until, rollup_until=rollup_until),
                **measurements.prune_matrices(c, now=now, until=matrices_until),
                **learned.prune(c, until=rollup_until),
                "decision": log.prune_decisions(c, until=time_text(rollup_until)),
            }
        )
