"""A store in memory: the same protocol, the same refusals, nothing kept.

Rows are values, so handing them out is safe. `fail_with` makes every write raise, as a full disk would.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from teagent.adapters.store.learned import KEPT, pack, unpack
from teagent.adapters.store.measurements import HOURLY_ROWS
from teagent.adapters.store.rollup import (
    FIVE_MINUTES_US,
    HOUR_US,
    Buckets,
    averages,
    fill,
    microseconds,
    time_at,
)
from teagent.engine.audit import CHAIN_START, chain_digest, verify_chain
from teagent.engine.measure.windows import combined
from teagent.errors import StoreError
from teagent.model.audit import ChainReport, ChainRow
from teagent.model.link import Utilisation
from teagent.model.plan import Decision
from teagent.model.proposal import FINAL, Proposal
from teagent.model.scorecard import Scorecard
from teagent.model.traffic import Column, MatrixSpan, TrafficMatrix
from teagent.ports import LearnedKind, LearnedRow, StoredEvent

DAY_SECONDS = 86400.0
DECISIONS_KEPT = 100


class MemoryStore:
    def __init__(
        self,
        *,
        keep_short_seconds: float = DAY_SECONDS,
        keep_raw_seconds: float = 7 * DAY_SECONDS,
        keep_rollup_seconds: float = 400 * DAY_SECONDS,
    ) -> None:
        self.fail_with: StoreError | None = None
        self._keep_short = timedelta(seconds=keep_short_seconds)
        self._keep_raw = timedelta(seconds=keep_raw_seconds)
        self._keep_rollup = timedelta(seconds=keep_rollup_seconds)
        self._open = False
        self._readings: dict[tuple[str, datetime], Utilisation] = {}
        self._five_minutes: Buckets = {}
        self._hours: Buckets = {}
        self._matrices: dict[MatrixSpan, dict[datetime, TrafficMatrix]] = {span: {} for span in MatrixSpan}
        self._proposals: dict[str, Proposal] = {}
        self._decisions: dict[str, list[Decision]] = defaultdict(list)
        self._events: list[StoredEvent] = []
        self._facts: dict[str, str] = {}
        self._learned: dict[tuple[LearnedKind, str], tuple[datetime, bytes]] = {}
        self._scorecards: list[Scorecard] = []
        self._chains: dict[str, list[ChainRow]] = {"proposal_event": [], "event": []}

    async def start(self) -> None:
        self._open = True

    async def stop(self) -> None:
        self._open = False

    def _reading(self) -> None:
        if not self._open:
            raise StoreError("the store is not open")

    def _writing(self) -> None:
        self._reading()
        if self.fail_with is not None:
            raise self.fail_with

    # utilisation

    async def add_utilisation(self, rows: Sequence[Utilisation]) -> None:
        self._writing()
        for row in rows:
            microseconds(row.at)  # a naive time is refused
            self._readings[row.link, row.at] = row

    async def utilisation(self, *, since: datetime, until: datetime, link: str | None = None) -> Sequence[Utilisation]:
        self._reading()
        rows = [*self._readings.values(), *averages(self._hours)]
        kept = [row for row in rows if since < row.at <= until and link in {None, row.link}]
        return sorted(kept, key=lambda row: (row.at, row.link))

    async def five_minute_buckets(self, *, link: str, since: datetime, until: datetime) -> Sequence[Utilisation]:
        self._reading()
        buckets = copy.deepcopy(self._five_minutes)
        fill(buckets, self._readings.values(), FIVE_MINUTES_US)
        return [row for row in averages(buckets) if row.link == link and since < row.at <= until]

    # matrix

    async def add_matrix(self, matrix: TrafficMatrix, *, span: MatrixSpan = MatrixSpan.WINDOW) -> None:
        self._writing()
        self._matrices[span][matrix.at] = matrix

    async def latest_matrix(self, *, span: MatrixSpan = MatrixSpan.WINDOW) -> TrafficMatrix | None:
        self._reading()
        found = self._matrices[span]
        return found[max(found)] if found else None

    async def matrices(
        self, *, since: datetime, until: datetime, span: MatrixSpan = MatrixSpan.WINDOW
    ) -> Sequence[TrafficMatrix]:
        self._reading()
        return [matrix for at, matrix in sorted(self._matrices[span].items()) if since < at <= until]

    # proposals

    async def add_proposal(self, proposal: Proposal, *, events: Sequence[StoredEvent] = ()) -> None:
        _check_history(proposal)
        _check_fields(events)
        self._writing()
        if proposal.id in self._proposals:
            raise StoreError(f"proposal {proposal.id} is in the store already", proposal=proposal.id)
        self._proposals[proposal.id] = proposal
        self._append_history(proposal, 0)
        self._append_events(events)

    async def save_proposals(self, *proposals: Proposal, events: Sequence[StoredEvent] = ()) -> None:
        for given in proposals:
            _check_history(given)
        _check_fields(events)
        self._writing()
        known = dict(self._proposals)
        added: list[tuple[Proposal, int]] = []
        for given in proposals:
            stored = known.get(given.id)
            if stored is None:
                raise StoreError(f"there is no proposal {given.id} in the store", proposal=given.id)
            if _fixed(stored) != _fixed(given):
                raise StoreError(f"the plan of proposal {given.id} is not the one in the store", proposal=given.id)
            if given.history[: len(stored.history)] != stored.history:
                raise StoreError(f"proposal {given.id} has moved on to {stored.state.value} since it was read")
            known[given.id] = given
            added.append((given, len(stored.history)))
        self._proposals = known
        for given, start in added:
            self._append_history(given, start)
        self._append_events(events)

    async def proposal(self, id: str) -> Proposal | None:  # noqa: A002  # the port's name
        self._reading()
        return self._proposals.get(id)

    async def proposals(self, *, live_only: bool = False, limit: int = 200) -> Sequence[Proposal]:
        self._reading()
        newest = reversed(self._proposals.values())
        return [p for p in newest if not (live_only and p.state in FINAL)][:limit]

    async def proposal_ids(self) -> Sequence[str]:
        self._reading()
        return list(reversed(self._proposals))

    def _append_history(self, proposal: Proposal, start: int) -> None:
        for entry in proposal.history[start:]:
            self._append(
                "proposal_event",
                {
                    "proposal": proposal.id,
                    "seq": entry.seq,
                    "to_state": entry.to_state,
                    "actor": entry.actor,
                    "at": entry.at.isoformat(),
                },
            )

    def _append(self, chain: str, row: Mapping[str, object]) -> None:
        rows = self._chains[chain]
        previous = rows[-1].digest if rows else CHAIN_START
        rows.append(
            ChainRow(position=len(rows) + 1, row=row, previous_digest=previous, digest=chain_digest(previous, row))
        )

    # decisions

    async def save_decision(self, decision: Decision) -> None:
        self._writing()
        self._decisions[decision.policy] = [*self._decisions[decision.policy], decision][-DECISIONS_KEPT:]

    async def last_decision(self, policy: str) -> Decision | None:
        found = await self.decisions(policy, limit=1)
        return found[0] if found else None

    async def decisions(self, policy: str, *, limit: int = DECISIONS_KEPT) -> Sequence[Decision]:
        self._reading()
        return self._decisions.get(policy, [])[::-1][:limit]

    # the log and small facts

    async def log(self, event: StoredEvent) -> None:
        _check_fields([event])
        self._writing()
        self._append_events([event])

    def _append_events(self, events: Sequence[StoredEvent]) -> None:
        for event in events:
            self._events.append(event)
            fields = json.dumps(dict(event.fields))
            self._append("event", {"at": event.at.isoformat(), "kind": event.kind, "fields": fields})

    async def events(self, *, limit: int = 200, subject: str | None = None) -> Sequence[StoredEvent]:
        self._reading()
        return [event for event in reversed(self._events) if subject in {None, event.subject}][:limit]

    async def set_fact(self, key: str, value: object) -> None:
        text = json.dumps(value)
        self._writing()
        self._facts[key] = text

    async def fact(self, key: str) -> object:
        self._reading()
        return json.loads(self._facts[key]) if key in self._facts else None

    # what was learned and predicted

    async def keep_learned(self, kind: LearnedKind, key: str, at: datetime, arrays: Mapping[str, Column]) -> None:
        content = pack(arrays)
        self._writing()
        self._learned[kind, key] = (at, content)
        of_kind = sorted((a, k) for (one, k), (a, _) in self._learned.items() if one is kind)
        for _, old in of_kind[: -KEPT[kind]]:
            del self._learned[kind, old]

    async def learned(
        self, kind: LearnedKind, *, since: datetime | None = None, limit: int = 1000
    ) -> Sequence[LearnedRow]:
        self._reading()
        rows = sorted((at, key, content) for (one, key), (at, content) in self._learned.items() if one is kind)
        kept = [row for row in rows if since is None or row[0] > since][-limit:]
        return [LearnedRow(key=key, at=at, arrays=unpack(content)) for at, key, content in kept]

    async def forget_learned(self, kind: LearnedKind, keys: Collection[str]) -> None:
        self._writing()
        for key in keys:
            self._learned.pop((kind, key), None)

    async def set_learned_aside(self, kind: LearnedKind, key: str) -> None:
        self._writing()
        if (kind, key) in self._learned:
            at, content = self._learned.pop((kind, key))
            self._learned[LearnedKind.SET_ASIDE, f"{kind.value} {key} {microseconds(at)}"] = (at, content)

    async def add_scorecard(self, card: Scorecard) -> None:
        self._writing()
        self._scorecards.append(card)

    async def scorecards(self, *, since: datetime, limit: int = 1000) -> Sequence[Scorecard]:
        self._reading()
        return sorted((card for card in self._scorecards if card.until > since), key=lambda card: card.until)[-limit:]

    # care

    async def chain_rows(self, chain: str, *, after: int, limit: int) -> Sequence[ChainRow]:
        self._reading()
        return self._chains[chain][after : after + limit]

    async def verify_chain(self) -> tuple[ChainReport, ChainReport]:
        self._reading()
        return (
            verify_chain("proposal_event", self._chains["proposal_event"]),
            verify_chain("event", self._chains["event"]),
        )

    async def prune(self, *, now: datetime) -> Mapping[str, int]:
        self._writing()
        raw_until, rollup_until = now - self._keep_raw, now - self._keep_rollup
        whole_hours = time_at(microseconds(raw_until) // HOUR_US * HOUR_US)
        old = {key: row for key, row in self._readings.items() if row.at <= whole_hours}
        fill(self._five_minutes, old.values(), FIVE_MINUTES_US)
        fill(self._hours, old.values(), HOUR_US)
        self._readings = {key: row for key, row in self._readings.items() if key not in old}
        deleted = {"utilisation": len(old)}
        for name, buckets in (("utilisation_5m", self._five_minutes), ("utilisation_hourly", self._hours)):
            over = [key for key in buckets if key[1] <= microseconds(rollup_until)]
            for key in over:
                del buckets[key]
            deleted[name] = len(over)
        self._roll_up_matrices(now)
        for span, name, until in (
            (MatrixSpan.SHORT, "matrix_short", now - self._keep_short),
            (MatrixSpan.WINDOW, "matrix", raw_until),
            (MatrixSpan.HOUR, "matrix_hourly", rollup_until),
        ):
            aged = [at for at in self._matrices[span] if at <= until]
            for at in aged:
                del self._matrices[span][at]
            deleted[name] = len(aged)
        gone = [
            key
            for key, (at, _) in self._learned.items()
            if at <= rollup_until and key[0] is not LearnedKind.INGRESS_MODEL
        ]
        for key in gone:
            del self._learned[key]
        cards = [card for card in self._scorecards if card.until > rollup_until]
        deleted |= {"learned": len(gone), "scorecard": len(self._scorecards) - len(cards)}
        self._scorecards = cards
        deleted["decision"] = 0
        for policy, decisions in self._decisions.items():
            kept = [d for d in decisions[:-1] if d.at > rollup_until] + decisions[-1:]
            deleted["decision"] += len(decisions) - len(kept)
            self._decisions[policy] = kept
        return deleted

    def _roll_up_matrices(self, now: datetime) -> None:
        hours: dict[datetime, list[TrafficMatrix]] = defaultdict(list)
        for at, matrix in sorted(self._matrices[MatrixSpan.WINDOW].items()):
            hours[time_at(-(-microseconds(at) // HOUR_US) * HOUR_US)].append(matrix)
        for end, found in hours.items():
            if end <= now and end > max(
                (at for at in self._matrices[MatrixSpan.HOUR] if at <= now), default=time_at(0)
            ):
                self._matrices[MatrixSpan.HOUR][end] = replace(combined(found, max_rows=HOURLY_ROWS), at=end)


def _check_history(proposal: Proposal) -> None:
    seqs = [entry.seq for entry in proposal.history]
    if not seqs or seqs != list(range(len(seqs))) or proposal.history[-1].to_state is not proposal.state:
        raise ValueError(f"the history of {proposal.id} does not lead to {proposal.state.value}")


def _check_fields(events: Sequence[StoredEvent]) -> None:
    for event in events:
        json.dumps(dict(event.fields))


def _fixed(proposal: Proposal) -> tuple[object, ...]:
    moving = {"state", "confirm_deadline", "restores", "revert_attempts", "history"}
    return tuple(getattr(proposal, name) for name in Proposal.__dataclass_fields__ if name not in moving)
