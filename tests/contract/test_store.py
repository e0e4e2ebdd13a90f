"""What every Store keeps to; run against the one in memory and against SQLite in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import pytest_asyncio

from teagent.adapters.store import SqliteStore
from teagent.engine.audit import verify_chain
from teagent.engine.lifecycle import advance
from teagent.errors import StoreError
from teagent.model.bgp import parse_prefix
from teagent.model.link import Utilisation
from teagent.model.plan import Band, Considered, Decision, Reason, Score, TriggerStatus
from teagent.model.proposal import FINAL, ProposalEvent, ProposalState
from teagent.model.scorecard import Scorecard, ScoredLink, ScoredSource, ScoreKind
from teagent.model.traffic import Demand, MatrixSpan, Source, TrafficMatrix, build_matrix
from teagent.ports import LearnedKind, Store, StoredEvent
from tests.fakes.proposals import NOW, PREFIX, example_plan, example_proposal
from tests.fakes.store import MemoryStore

pytestmark = pytest.mark.asyncio
MIDNIGHT = datetime(2026, 1, 12, tzinfo=UTC)


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path) -> AsyncIterator[MemoryStore | SqliteStore]:
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "teagent.db")
    await made.start()
    yield made
    await made.stop()


def reading(second: float, in_bps: float, *, link: str = "transit-a", seconds: float = 30) -> Utilisation:
    """Load over the `seconds` that end `second` seconds after midnight; out is a tenth of in."""
    at = MIDNIGHT + timedelta(seconds=second)
    return Utilisation(link=link, at=at, in_bps=in_bps, out_bps=in_bps / 10, seconds=seconds)


def at(second: float) -> datetime:
    return MIDNIGHT + timedelta(seconds=second)


def decision(policy: str = "transit-balance", *, when: datetime = NOW, message: str = "no trigger fires") -> Decision:
    proposal = example_proposal()
    considered = Considered(
        plan=proposal.plan,
        dry_run=proposal.dry_run,
        score=Score(excess_bps=0, shortfall_risk_bps=0.5, cost_per_month=-12.25, moved_bps=1e9, changes=1, prepends=3),
        verdict=proposal.verdict,
    )
    return Decision(
        policy=policy,
        at=when,
        snapshot_digest="51be07",
        triggers=(
            TriggerStatus(
                link="transit-a", firing=True, above_since=when, in_utilisation=0.93, message="93% above 80% for 15m"
            ),
            TriggerStatus(link="transit-b", firing=False, above_since=None, in_utilisation=None, message="no data"),
        ),
        chosen=considered,
        considered=(considered,),
        candidates=7,
        reasons=(Reason(rule="cooldown", ok=False, message="changed 4m ago", value=240.0, limit="1h"),),
        message=message,
    )


def event(subject: str = "transit-a", message: str = "link is above target", when: datetime = NOW) -> StoredEvent:
    return StoredEvent(
        at=when,
        kind="trigger",
        actor="daemon",
        subject=subject,
        message=message,
        fields={"in_utilisation": 0.93, "n": 1},
    )


# --- starting and stopping ------------------------------------------------------------------------------------------


async def test_starting_and_stopping_twice_is_the_same_as_once(store: Store) -> None:
    await store.start()
    await store.set_fact("frozen", value=True)
    await store.stop()
    await store.stop()
    await store.start()
    assert await store.fact("frozen") is True


async def test_a_store_that_is_not_open_says_so(store: Store) -> None:
    await store.stop()
    with pytest.raises(StoreError, match="is not open"):
        await store.fact("frozen")
    with pytest.raises(StoreError, match="is not open"):
        await store.set_fact("frozen", value=True)


# --- utilisation ----------------------------------------------------------------------------------------------------


async def test_readings_come_back_oldest_first_and_exactly_as_they_were(store: Store) -> None:
    rows = [reading(60, 1 / 3), reading(30, 9.31e9, seconds=29.997), reading(60, 2.5, link="ix-1")]
    await store.add_utilisation(rows)
    assert await store.utilisation(since=at(0), until=at(60)) == [rows[1], rows[2], rows[0]]


async def test_readings_of_one_link_only(store: Store) -> None:
    await store.add_utilisation([reading(30, 1), reading(30, 2, link="ix-1")])
    assert await store.utilisation(since=at(0), until=at(60), link="ix-1") == [reading(30, 2, link="ix-1")]


async def test_a_range_begins_after_since_and_ends_with_until(store: Store) -> None:
    await store.add_utilisation([reading(s, s) for s in (30, 60, 90, 120)])
    assert [row.in_bps for row in await store.utilisation(since=at(30), until=at(90))] == [60, 90]


async def test_microseconds_of_a_reading_are_kept(store: Store) -> None:
    row = reading(30.123456, 1)
    await store.add_utilisation([row])
    assert [r.at for r in await store.utilisation(since=at(0), until=at(60))] == [row.at]


async def test_a_reading_in_another_time_zone_is_the_same_moment(store: Store) -> None:
    zone = timezone(timedelta(hours=2))
    await store.add_utilisation([replace(reading(30, 1), at=at(30).astimezone(zone))])
    assert [r.at for r in await store.utilisation(since=at(0), until=at(60))] == [at(30)]


async def test_a_second_reading_of_the_same_moment_takes_the_place_of_the_first(store: Store) -> None:
    await store.add_utilisation([reading(30, 1)])
    await store.add_utilisation([reading(30, 2)])
    assert await store.utilisation(since=at(0), until=at(60)) == [reading(30, 2)]


async def test_a_reading_without_time_zone_is_refused_and_none_of_its_batch_is_kept(store: Store) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        await store.add_utilisation([replace(reading(30, 1), at=datetime(2026, 1, 12))])  # noqa: DTZ001
    assert await store.utilisation(since=at(0), until=at(86400)) == []


async def test_nothing_is_added_from_no_rows(store: Store) -> None:
    await store.add_utilisation([])
    assert await store.utilisation(since=at(0), until=at(60)) == []


# --- five-minute buckets --------------------------------------------------------------------------------------------


async def test_a_bucket_is_the_average_of_its_readings_weighted_by_their_seconds(store: Store) -> None:
    await store.add_utilisation([reading(200, 100, seconds=200), reading(300, 400, seconds=100)])
    (bucket,) = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(300))
    assert (bucket.at, bucket.in_bps, bucket.out_bps, bucket.seconds) == (at(300), 200, 20, 300)


async def test_a_reading_over_a_border_is_shared_out_by_its_seconds(store: Store) -> None:
    await store.add_utilisation([reading(310, 100, seconds=40)])
    buckets = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(600))
    assert [(b.at, b.in_bps, b.seconds) for b in buckets] == [(at(300), 100, 30), (at(600), 100, 10)]


async def test_a_gap_stays_a_gap(store: Store) -> None:
    await store.add_utilisation([reading(300, 100, seconds=300), reading(1200, 300, seconds=300)])
    buckets = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(1200))
    assert [(b.at, b.in_bps) for b in buckets] == [(at(300), 100), (at(1200), 300)]


async def test_buckets_are_those_that_end_in_the_range_and_of_one_link(store: Store) -> None:
    await store.add_utilisation([reading(s, s, seconds=300) for s in (300, 600, 900, 1200)])
    await store.add_utilisation([reading(600, 7, link="ix-1", seconds=300)])
    buckets = await store.five_minute_buckets(link="transit-a", since=at(300), until=at(1000))
    assert [b.at for b in buckets] == [at(600), at(900)]


async def test_the_first_bucket_of_a_range_is_whole(store: Store) -> None:
    await store.add_utilisation([reading(s, 100) for s in range(30, 601, 30)])
    buckets = await store.five_minute_buckets(link="transit-a", since=at(300), until=at(600))
    assert [(b.at, b.seconds) for b in buckets] == [(at(600), 300)]
    # Also where the range begins in the middle of a bucket.
    buckets = await store.five_minute_buckets(link="transit-a", since=at(450), until=at(600))
    assert [(b.at, b.seconds) for b in buckets] == [(at(600), 300)]


# --- retention ------------------------------------------------------------------------------------------------------


async def test_old_readings_become_hours_and_buckets_stay_as_they_were(store: Store) -> None:
    """Two hours a minute apart; the first hour is older than a week when the store is pruned."""
    await store.add_utilisation([reading(s, s, seconds=60) for s in range(60, 7201, 60)])
    before = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(7200))
    deleted = await store.prune(now=at(7 * 86400 + 3600 + 1799))
    after = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(7200))
    assert deleted["utilisation"] == 60
    assert after == before
    rows = await store.utilisation(since=at(0), until=at(7200))
    assert [(row.at, row.seconds) for row in rows[:2]] == [(at(3600), 3600), (at(3660), 60)]
    assert rows[0].in_bps == pytest.approx(sum(range(60, 3601, 60)) / 60)
    assert len(rows) == 61


async def test_a_reading_over_the_border_of_retention_is_counted_once(store: Store) -> None:
    rows = [reading(3590, 100, seconds=3590), reading(3620, 400)]
    await store.add_utilisation(rows)
    before = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(3900))
    await store.prune(now=at(7 * 86400 + 3600))
    await store.prune(now=at(7 * 86400 + 2 * 3600))
    after = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(3900))
    assert [(b.at, b.seconds) for b in after] == [(b.at, b.seconds) for b in before]
    assert [b.in_bps for b in after] == pytest.approx([b.in_bps for b in before])
    total = sum(row.in_bps * row.seconds for row in await store.utilisation(since=at(0), until=at(7200)))
    assert total == pytest.approx(3590 * 100 + 30 * 400)


async def test_pruning_again_deletes_nothing_more(store: Store) -> None:
    await store.add_utilisation([reading(60, 1)])
    now = at(30 * 86400)
    assert (await store.prune(now=now))["utilisation"] == 1
    assert set((await store.prune(now=now)).values()) == {0}


async def test_what_is_older_than_its_retention_goes(store: Store) -> None:
    await store.add_utilisation([reading(300, 1, seconds=300)])
    await store.add_matrix(matrix(at(300)))
    await store.save_decision(decision(when=at(0), message="older"))
    await store.save_decision(decision(when=at(300), message="newest"))
    assert (await store.prune(now=at(6 * 86400)))["matrix"] == 0
    deleted = await store.prune(now=at(401 * 86400))
    one_each = {"utilisation", "utilisation_5m", "utilisation_hourly", "matrix", "matrix_hourly", "decision"}
    assert deleted == {"matrix_short": 0, "learned": 0, "scorecard": 0, **dict.fromkeys(one_each, 1)}
    assert await store.five_minute_buckets(link="transit-a", since=at(0), until=at(300)) == []
    assert await store.latest_matrix() is None
    last = await store.last_decision("transit-balance")
    assert last is not None
    assert last.message == "newest"


# --- matrices -------------------------------------------------------------------------------------------------------


def matrix(when: datetime) -> TrafficMatrix:
    v4, v6 = parse_prefix("198.51.100.0/24"), parse_prefix("2001:db8::/32")
    return build_matrix(
        [
            Demand(source=Source(asn=64496), prefix=v4, link="transit-a", bps=1 / 3),
            Demand(source=Source(prefix="192.0.2.0/24"), prefix=v6, link="transit-b", bps=2e9),
            Demand(source=Source(), prefix=v4, link="transit-b", bps=0.0),
        ],
        at=when,
        seconds=300,
        coverage={"transit-a": 0.97, "transit-b": None, "ix-1": 0.0},
        unattributed_bps={"transit-a": 12.5},
    )


def same(one: TrafficMatrix | None, other: TrafficMatrix | None) -> bool:
    if one is None or other is None:
        return one is other
    columns = ("link_index", "prefix_index", "source_index", "bps")
    return all(
        np.array_equal(getattr(one, c), getattr(other, c)) and getattr(one, c).dtype == getattr(other, c).dtype
        for c in columns
    ) and all(
        getattr(one, f) == getattr(other, f)
        for f in ("at", "seconds", "links", "prefixes", "sources", "coverage", "unattributed_bps")
    )


async def test_there_is_no_latest_matrix_at_first(store: Store) -> None:
    assert await store.latest_matrix() is None


async def test_a_matrix_comes_back_as_it_was(store: Store) -> None:
    await store.add_matrix(matrix(at(300)))
    assert same(await store.latest_matrix(), matrix(at(300)))


async def test_an_empty_matrix_comes_back_as_it_was(store: Store) -> None:
    empty = build_matrix([], at=at(300), seconds=300)
    await store.add_matrix(empty)
    assert same(await store.latest_matrix(), empty)


async def test_the_latest_matrix_is_the_latest_by_its_time(store: Store) -> None:
    for second in (600, 900, 300):
        await store.add_matrix(matrix(at(second)))
    latest = await store.latest_matrix()
    assert latest is not None
    assert latest.at == at(900)
    assert [m.at for m in await store.matrices(since=at(300), until=at(900))] == [at(600), at(900)]


async def test_matrices_of_the_spans_are_apart(store: Store) -> None:
    await store.add_matrix(matrix(at(300)))
    await store.add_matrix(matrix(at(360)), span=MatrixSpan.SHORT)
    newest = [await store.latest_matrix(span=span) for span in MatrixSpan]
    assert [None if found is None else found.at for found in newest] == [at(360), at(300), None]
    assert [m.at for m in await store.matrices(since=at(0), until=at(900), span=MatrixSpan.SHORT)] == [at(360)]


async def test_an_hour_that_has_ended_is_rolled_up_once_and_the_windows_stay(store: Store) -> None:
    for second in (300, 3600, 3900):
        await store.add_matrix(matrix(at(second)))
    for _ in range(2):
        await store.prune(now=at(7199))
    (hour,) = await store.matrices(since=at(0), until=at(86400), span=MatrixSpan.HOUR)
    assert (hour.at, hour.seconds) == (at(3600), 600)
    assert list(hour.demands()) == list(matrix(at(300)).demands())
    assert len(await store.matrices(since=at(0), until=at(86400))) == 3
    await store.prune(now=at(7200))
    assert [m.at for m in await store.matrices(since=at(0), until=at(86400), span=MatrixSpan.HOUR)] == [
        at(3600),
        at(7200),
    ]


async def test_short_windows_are_kept_for_their_own_time(store: Store) -> None:
    for span in (MatrixSpan.SHORT, MatrixSpan.WINDOW):
        await store.add_matrix(matrix(at(300)), span=span)
    deleted = await store.prune(now=at(86400 + 300))
    assert (deleted["matrix_short"], deleted["matrix"]) == (1, 0)


# --- proposals ------------------------------------------------------------------------------------------------------


async def test_an_unknown_proposal_is_none(store: Store) -> None:
    assert await store.proposal("p-0000") is None


@pytest.mark.parametrize("state", list(ProposalState))
async def test_a_proposal_comes_back_as_it_was(store: Store, state: ProposalState) -> None:
    proposal = replace(
        example_proposal(state=state),
        confirm_deadline=NOW + timedelta(seconds=1200),
        restores="p-0001",
        revert_attempts=2,
    )
    await store.add_proposal(proposal)
    assert await store.proposal("p-7f3c") == proposal


async def test_a_saved_proposal_has_its_new_state_and_its_longer_history(store: Store) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    approved = advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW, reason="seen the dry run")
    await store.save_proposals(approved)
    assert await store.proposal("p-7f3c") == approved


async def test_a_counted_attempt_is_saved_without_an_event(store: Store) -> None:
    reverting = example_proposal(state=ProposalState.REVERTING)
    await store.add_proposal(reverting)
    await store.save_proposals(replace(reverting, revert_attempts=1))
    assert await store.proposal("p-7f3c") == replace(reverting, revert_attempts=1)


async def test_a_proposal_is_added_once(store: Store) -> None:
    await store.add_proposal(example_proposal())
    with pytest.raises(StoreError, match="p-7f3c is in the store already"):
        await store.add_proposal(example_proposal(state=ProposalState.APPROVED))
    assert await store.proposal("p-7f3c") == example_proposal()


async def test_an_unknown_proposal_is_not_saved(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no proposal p-7f3c"):
        await store.save_proposals(example_proposal())
    assert await store.proposals() == []


async def test_a_change_to_a_proposal_that_has_moved_on_is_refused(store: Store) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    rejected = advance(pending, ProposalEvent.REJECT, actor="bob", now=NOW)
    await store.save_proposals(rejected)
    approved = advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW)
    with pytest.raises(StoreError, match="p-7f3c has moved on to rejected"):
        await store.save_proposals(approved)
    with pytest.raises(StoreError, match="has moved on"):
        await store.save_proposals(pending)
    assert await store.proposal("p-7f3c") == rejected


async def test_the_plan_of_a_stored_proposal_cannot_be_changed(store: Store) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    other = replace(
        advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW),
        plan=example_plan(vector={"transit-a": 1, "transit-b": 0}),
    )
    with pytest.raises(StoreError, match="the plan of proposal p-7f3c is not the one"):
        await store.save_proposals(other)
    assert await store.proposal("p-7f3c") == pending


async def test_of_several_proposals_all_are_saved_or_none(store: Store) -> None:
    old, new = (
        example_proposal("p-0001", state=ProposalState.ACTIVE),
        example_proposal("p-0002", state=ProposalState.CONFIRMING),
    )
    await store.add_proposal(old)
    await store.add_proposal(new)
    replaced = advance(old, ProposalEvent.REPLACE, actor="daemon", now=NOW)
    confirmed = advance(new, ProposalEvent.CONFIRM, actor="alice", now=NOW)
    with pytest.raises(StoreError, match="there is no proposal p-0003"):
        await store.save_proposals(replaced, confirmed, example_proposal("p-0003"))
    assert await store.proposals() == [new, old]
    await store.save_proposals(replaced, confirmed)
    assert await store.proposals() == [confirmed, replaced]


async def test_a_step_is_saved_with_its_line_in_the_log_or_neither_is(store: Store) -> None:
    pending = example_proposal()
    await store.add_proposal(pending, events=[event("p-7f3c", "first")])
    rejected = advance(pending, ProposalEvent.REJECT, actor="bob", now=NOW)
    with pytest.raises(StoreError, match="there is no proposal p-0003"):
        await store.save_proposals(rejected, example_proposal("p-0003"), events=[event("p-7f3c", "second")])
    with pytest.raises(TypeError):
        await store.save_proposals(rejected, events=[replace(event("p-7f3c", "second"), fields={"at": NOW})])
    assert await store.proposal("p-7f3c") == pending
    assert [each.message for each in await store.events()] == ["first"]
    await store.save_proposals(rejected, events=[event("p-7f3c", "second")])
    assert await store.proposal("p-7f3c") == rejected
    assert [each.message for each in await store.events()] == ["second", "first"]


async def test_a_proposal_whose_history_does_not_lead_to_its_state_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="does not lead to approved"):
        await store.add_proposal(replace(example_proposal(), state=ProposalState.APPROVED))
    with pytest.raises(ValueError, match="does not lead to pending"):
        await store.add_proposal(replace(example_proposal(), history=()))
    assert await store.proposals() == []


async def test_proposals_come_newest_first_and_at_most_the_limit(store: Store) -> None:
    # The clock stepped back between the second and the third.
    for number, minutes in ((1, 0), (2, 10), (3, 5)):
        await store.add_proposal(example_proposal(f"p-000{number}", now=NOW + timedelta(minutes=minutes)))
    assert [p.id for p in await store.proposals()] == ["p-0003", "p-0002", "p-0001"]
    assert [p.id for p in await store.proposals(limit=2)] == ["p-0003", "p-0002"]


async def test_live_proposals_are_those_not_in_a_final_state(store: Store) -> None:
    for number, state in enumerate(ProposalState):
        await store.add_proposal(example_proposal(f"p-{number:04x}", state=state))
    live = await store.proposals(live_only=True)
    assert {p.state for p in live} == set(ProposalState) - FINAL
    assert [p.state for p in await store.proposals(live_only=True, limit=1)] == [live[0].state]


async def test_all_ids_are_known_without_reading_the_proposals(store: MemoryStore | SqliteStore) -> None:
    for number in (1, 2):
        await store.add_proposal(example_proposal(f"p-000{number}"))
    assert await store.proposal_ids() == ["p-0002", "p-0001"]


# --- decisions ------------------------------------------------------------------------------------------------------


async def test_a_decision_comes_back_as_it_was(store: Store) -> None:
    await store.save_decision(decision())
    assert await store.last_decision("transit-balance") == decision()


async def test_the_last_decision_of_a_policy_is_the_one_saved_last(store: Store) -> None:
    assert await store.last_decision("transit-balance") is None
    await store.save_decision(decision(message="first"))
    await store.save_decision(decision("cost-95th", message="of another"))
    await store.save_decision(decision(message="second", when=NOW - timedelta(hours=1)))
    last = await store.last_decision("transit-balance")
    assert last is not None
    assert last.message == "second"


async def test_the_history_of_decisions_is_bounded(store: MemoryStore | SqliteStore) -> None:
    await store.save_decision(decision("cost-95th"))
    for number in range(103):
        await store.save_decision(replace(decision(), chosen=None, considered=(), message=str(number)))
    kept = await store.decisions("transit-balance")
    assert [d.message for d in kept] == [str(n) for n in range(102, 2, -1)]
    assert len(await store.decisions("cost-95th")) == 1


# --- the log and small facts ----------------------------------------------------------------------------------------


async def test_events_come_back_newest_first_and_by_subject(store: Store) -> None:
    await store.log(event("transit-a", "first"))
    await store.log(event("p-7f3c", "second"))
    await store.log(event("transit-a", "third", NOW - timedelta(hours=1)))
    assert [e.message for e in await store.events()] == ["third", "second", "first"]
    assert [e.message for e in await store.events(limit=1)] == ["third"]
    assert await store.events(subject="p-7f3c") == [event("p-7f3c", "second")]


async def test_an_event_with_fields_that_json_cannot_hold_is_refused(store: Store) -> None:
    with pytest.raises(TypeError):
        await store.log(replace(event(), fields={"at": NOW}))
    assert await store.events() == []


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "", "text", [1, [2]], {"since": "now", "by": None}])
async def test_a_fact_comes_back_as_it_was(store: Store, value: object) -> None:
    await store.set_fact("frozen", "before")
    await store.set_fact("frozen", value)
    assert await store.fact("frozen") == value


async def test_an_unknown_fact_is_none(store: Store) -> None:
    assert await store.fact("frozen") is None


async def test_a_fact_that_json_cannot_hold_is_refused(store: Store) -> None:
    with pytest.raises(TypeError):
        await store.set_fact("frozen", NOW)
    assert await store.fact("frozen") is None


# --- the chain ------------------------------------------------------------------------------------------------------


async def test_the_chains_hold_every_row_that_was_added(store: MemoryStore | SqliteStore) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    await store.save_proposals(advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW))
    await store.log(event())
    history, log = await store.verify_chain()
    assert (history.rows, history.broken_at) == (2, None)
    assert (log.rows, log.broken_at) == (1, None)
    await store.log(event())
    assert (await store.verify_chain())[1].head != log.head


async def test_the_rows_of_a_chain_come_in_pieces_and_can_be_checked_by_anybody(
    store: MemoryStore | SqliteStore,
) -> None:
    for number in range(5):
        await store.log(event(message=f"message {number}"))
    first = await store.chain_rows("event", after=0, limit=3)
    rest = await store.chain_rows("event", after=3, limit=3)
    assert [row.position for row in (*first, *rest)] == [1, 2, 3, 4, 5]
    assert verify_chain("event", (*first, *rest)) == (await store.verify_chain())[1]
    assert await store.chain_rows("event", after=5, limit=3) == []


# what was learned and predicted

ARRAYS = {"facts": np.frombuffer(b"{}", dtype=np.uint8), "bps": np.array([[1.5, 2.5]], dtype=np.float32)}


def scorecard(second: float, *, subject: str = "p-7f3c") -> Scorecard:
    band = Band(low=1.0, expected=2.0, high=3.5)
    return Scorecard(
        kind=ScoreKind.CHANGE if subject else ScoreKind.NO_CHANGE,
        subject=subject,
        prefixes=(PREFIX,),
        predicted_at=at(second - 600),
        since=at(second - 300),
        until=at(second),
        bps=1e9,
        top1=0.875,
        moved_bps=0.0,
        top1_moved=None,
        error_points=1.25,
        misprojected=0.0125,
        coverage=1.0,
        links=(
            ScoredLink(
                link="a",
                predicted=band,
                realised_bps=None,
                within_band=None,
                predicted_share=0.5,
                realised_share=0.25,
            ),
        ),
        sources=(
            ScoredSource(source=Source(asn=64496), bps=1e8, predicted_link="a", realised_link="b", missed_bps=5e7),
        ),
        assumption="as it was",
    )


async def test_arrays_are_read_as_they_were_written(store: Store) -> None:
    await store.keep_learned(LearnedKind.OBSERVATION, "one", at(10), ARRAYS)
    [row] = await store.learned(LearnedKind.OBSERVATION)
    assert (row.key, row.at) == ("one", at(10))
    assert row.arrays is not None
    assert {name: (array.dtype, array.tolist()) for name, array in row.arrays.items()} == {
        name: (array.dtype, array.tolist()) for name, array in ARRAYS.items()
    }


async def test_learned_rows_come_oldest_first_from_a_time_on_and_the_newest_of_many(store: Store) -> None:
    for second in (30, 10, 20):
        await store.keep_learned(LearnedKind.OBSERVATION, f"at {second}", at(second), ARRAYS)
    await store.keep_learned(LearnedKind.PREDICTION, "p-7f3c", at(15), ARRAYS)
    assert [row.key for row in await store.learned(LearnedKind.OBSERVATION, since=at(10))] == ["at 20", "at 30"]
    assert [row.key for row in await store.learned(LearnedKind.OBSERVATION, limit=2)] == ["at 20", "at 30"]


async def test_a_key_has_one_row_and_a_model_is_one(store: Store) -> None:
    for key, second in (("current", 10), ("current", 20), ("other", 30)):
        await store.keep_learned(LearnedKind.INGRESS_MODEL, key, at(second), ARRAYS)
    assert [(row.key, row.at) for row in await store.learned(LearnedKind.INGRESS_MODEL)] == [("other", at(30))]


async def test_what_is_set_aside_is_out_of_the_way_and_not_lost(store: Store) -> None:
    await store.keep_learned(LearnedKind.INGRESS_MODEL, "current", at(10), ARRAYS)
    await store.set_learned_aside(LearnedKind.INGRESS_MODEL, "current")
    await store.set_learned_aside(LearnedKind.INGRESS_MODEL, "never there")
    assert await store.learned(LearnedKind.INGRESS_MODEL) == []
    [row] = await store.learned(LearnedKind.SET_ASIDE)
    assert row.key.startswith("ingress_model current ")


async def test_what_is_forgotten_is_gone(store: Store) -> None:
    for key in ("one", "two"):
        await store.keep_learned(LearnedKind.PREDICTION, key, at(10), ARRAYS)
    await store.forget_learned(LearnedKind.PREDICTION, ["one", "three"])
    assert [row.key for row in await store.learned(LearnedKind.PREDICTION)] == ["two"]


async def test_scorecards_are_read_as_they_were_written_oldest_first(store: Store) -> None:
    cards = [scorecard(300), scorecard(600, subject=""), scorecard(900)]
    for card in (cards[2], cards[0], cards[1]):
        await store.add_scorecard(card)
    assert await store.scorecards(since=at(0)) == cards
    assert await store.scorecards(since=at(300)) == cards[1:]
    assert await store.scorecards(since=at(0), limit=1) == cards[2:]


async def test_what_was_learned_goes_with_its_age_but_for_the_model(store: Store) -> None:
    for kind in (LearnedKind.OBSERVATION, LearnedKind.INGRESS_MODEL):
        await store.keep_learned(kind, "one", at(10), ARRAYS)
    await store.add_scorecard(scorecard(300))
    deleted = await store.prune(now=at(401 * 86400))
    assert (deleted["learned"], deleted["scorecard"]) == (1, 1)
    assert len(await store.learned(LearnedKind.INGRESS_MODEL)) == 1
