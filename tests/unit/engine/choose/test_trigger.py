from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from teagent.engine.choose.trigger import evaluate
from teagent.model.link import NoData, Reading, Utilisation
from teagent.model.plan import TriggerStatus
from tests.golden.case import NOW, policies_of, snapshot_of

CASE: dict[str, Any] = {
    "links": {"transit-a": {"capacity": "10Mbps", "load": "1Mbps"}},
    "prefixes": {},
    "traffic": {},
    "policy": {"above": "80%", "for": "5m", "clear_below": "70%"},
}
POLICY = policies_of(CASE)[0]
LINK = snapshot_of(CASE).network.links["transit-a"]


def readings(*shares: float, seconds: float = 60) -> tuple[Utilisation, ...]:
    """Back to back, the last one ends now."""
    count = len(shares)
    return tuple(
        Utilisation(
            link="transit-a",
            at=NOW - timedelta(seconds=seconds * (count - 1 - i)),
            in_bps=share * LINK.capacity_bps,
            out_bps=0,
            seconds=seconds,
        )
        for i, share in enumerate(shares)
    )


def status(history: tuple[Utilisation, ...], latest: Reading | None = None, **times: Any) -> TriggerStatus:
    return evaluate(POLICY, LINK, history, latest or history[-1], times.get("now", NOW))


def test_fires_once_it_was_above_for_long_enough() -> None:
    assert not status(readings(*[0.9] * 4)).firing
    found = status(readings(*[0.9] * 5))
    assert found.firing
    assert found.above_since == NOW - timedelta(minutes=5)
    assert found.message == "above 80% for 5m (needs 5m)"


def test_exactly_at_the_threshold_is_not_above_it() -> None:
    found = status(readings(*[0.8] * 10))
    assert not found.firing
    assert found.message == "at 80%, not above 80%"


def test_one_reading_below_starts_the_hold_anew() -> None:
    found = status(readings(0.9, 0.9, 0.9, 0.9, 0.79, 0.9, 0.9))
    assert not found.firing
    assert found.above_since == NOW - timedelta(minutes=2)
    assert found.message == "above 80% for 2m (needs 5m)"


def test_keeps_firing_between_clear_and_above() -> None:
    found = status(readings(*[0.9] * 6, 0.75, 0.71))
    assert found.firing
    assert found.message == "at 71%, was above 80% and has not fallen below 70% for 8m"


def test_clears_below_clear_below_and_then_needs_the_whole_hold_again() -> None:
    assert not status(readings(*[0.9] * 6, 0.69)).firing
    assert not status(readings(*[0.9] * 6, 0.69, 0.9, 0.9, 0.9, 0.9)).firing
    assert status(readings(*[0.9] * 6, 0.69, *[0.9] * 5)).firing


def test_a_gap_of_more_than_a_few_polls_starts_the_hold_anew() -> None:
    rows = readings(*[0.9] * 12)
    assert status((*rows[:4], *rows[6:])).firing  # two polls lost: no gap
    found = status((*rows[:6], *rows[9:]))
    assert not found.firing
    assert found.above_since == rows[9].at - timedelta(seconds=60)


def test_what_a_gap_is_follows_the_readings_own_length() -> None:
    assert status(readings(*[0.9] * 2, seconds=300)).firing
    quick = readings(*[0.9] * 80, seconds=5)
    assert status(quick).firing
    assert not status((*quick[:70], *quick[74:])).firing


def test_no_data_does_not_fire_and_says_why() -> None:
    found = status(readings(*[0.9] * 10), NoData(since=NOW - timedelta(minutes=2), reason="snmp timed out"))
    assert not found.firing
    assert found.in_utilisation is None
    assert found.message == "no data for 2m: snmp timed out"


def test_a_reading_that_is_too_old_does_not_fire() -> None:
    found = status(readings(*[0.9] * 10), now=NOW + timedelta(minutes=4))
    assert not found.firing
    assert found.message == "the last reading is 4m old"


def test_readings_after_now_are_not_looked_at_so_that_it_can_be_replayed() -> None:
    rows = readings(*[0.9] * 10, 0.1)
    then = rows[-2].at
    assert status(rows, now=then) == status(rows[:-1], now=then)
    assert status(rows, now=then).firing


def test_a_clock_that_stepped_back_starts_the_hold_anew() -> None:
    rows = readings(*[0.9] * 8)
    stepped = tuple(replace(r, at=r.at + timedelta(hours=1)) for r in rows[:6])
    found = status((*stepped, *rows[-2:]), now=NOW + timedelta(hours=2))
    assert not found.firing


def test_the_latest_reading_counts_whether_or_not_the_history_holds_it() -> None:
    rows = readings(*[0.9] * 5)
    assert status(rows[:-1], rows[-1]) == status(rows, rows[-1])


def test_the_same_reading_twice_counts_once() -> None:
    rows = readings(*[0.9] * 4)
    doubled = tuple(r for row in rows for r in (row, row))
    assert status(doubled) == status(rows)


def test_without_any_reading_nothing_is_said_of_the_load() -> None:
    future = replace(readings(0.9)[0], at=NOW + timedelta(minutes=1))
    found = evaluate(POLICY, LINK, (), future, NOW)
    assert (found.firing, found.in_utilisation, found.message) == (False, None, "no reading yet")


@pytest.mark.parametrize("held", [0.0, 1.0])
def test_a_hold_of_nothing_fires_at_once(held: float) -> None:
    policy = replace(POLICY, when=replace(POLICY.when, for_seconds=held))
    rows = readings(0.9)
    assert evaluate(policy, LINK, rows, rows[-1], NOW).firing
