"""Flap protection: budgets of a day, and a penalty that decays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from teagent.engine.choose.flap import budget_reason, penalty, prefix_reasons, within_a_day
from teagent.model.policy import Damping, Limits
from teagent.model.snapshot import Busy

NOW = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
PREFIX = ip_network("198.51.100.0/24")
DAMPING = Damping(half_life_seconds=3600, suppress_above=3, reuse_below=1.5, at_most_seconds=6 * 3600)


def ago(*minutes: float) -> list[datetime]:
    return [NOW - timedelta(minutes=each) for each in minutes]


def test_a_move_adds_one_and_halves_with_every_half_life() -> None:
    assert penalty([], DAMPING, NOW).value == 0
    assert penalty(ago(0), DAMPING, NOW).value == pytest.approx(1)
    assert penalty(ago(60), DAMPING, NOW).value == pytest.approx(0.5)
    assert penalty(ago(120, 60, 0), DAMPING, NOW).value == pytest.approx(1.75)


def test_three_moves_at_once_are_borne_and_the_fourth_suppresses() -> None:
    assert penalty(ago(0, 0, 0), DAMPING, NOW).free_in_seconds == 0
    held = penalty(ago(0, 0, 0, 0), DAMPING, NOW)
    # 4 to 1.5 is log2(4 / 1.5) = 1.415 half-lives
    assert held.free_in_seconds == pytest.approx(1.415 * 3600, rel=1e-3)


def test_it_is_held_until_the_lower_threshold_and_not_only_the_upper() -> None:
    moves = ago(60, 60, 60, 60)
    assert penalty(moves, DAMPING, NOW).value == pytest.approx(2)
    assert penalty(moves, DAMPING, NOW).free_in_seconds > 0
    later = NOW + timedelta(minutes=30)
    assert penalty(moves, DAMPING, later).free_in_seconds == 0


def test_what_was_let_go_is_held_again_only_above_the_upper_threshold() -> None:
    assert penalty(ago(180, 180, 180, 180, 0), DAMPING, NOW).free_in_seconds == 0


def test_nothing_is_held_for_longer_than_the_most_whatever_it_did() -> None:
    held = penalty(ago(*[0.0] * 1000), DAMPING, NOW)
    assert held.free_in_seconds == pytest.approx(DAMPING.at_most_seconds)


def test_the_order_of_moves_and_moves_to_come_do_not_matter() -> None:
    moves = ago(200, 90, 30, 10)
    expected = penalty(moves, DAMPING, NOW)
    assert penalty(list(reversed(moves)), DAMPING, NOW) == expected
    assert penalty([*moves, NOW + timedelta(seconds=1)], DAMPING, NOW) == expected


def test_a_day_has_24_hours() -> None:
    assert within_a_day(ago(24 * 60, 24 * 60 - 1, 0), NOW) == 2


@pytest.mark.parametrize(("moves", "ok"), [(5, True), (6, False)])
def test_a_prefix_has_a_budget_of_moves(moves: int, ok: bool) -> None:  # a parameter of the case
    spread = ago(*(200 * number for number in range(moves)))
    reason = next(r for r in prefix_reasons(PREFIX, spread, Limits(), NOW) if r.rule == "moves_per_day")
    assert (reason.ok, reason.value, reason.limit) == (ok, moves, 6)


def test_a_damped_prefix_says_how_long_it_is_left_alone() -> None:
    reason = next(r for r in prefix_reasons(PREFIX, ago(0, 0, 0, 0), Limits(), NOW) if r.rule == "damping")
    assert not reason.ok
    assert reason.message == "198.51.100.0/24 has a penalty of 4.0, limit 3, left alone for 2h49m more"


def test_all_prefixes_share_one_budget() -> None:
    busy = [Busy(owner=None, changed_at=None, moves=tuple(ago(1, 2, 3))) for _ in range(4)]
    assert budget_reason(busy, Limits(all_moves_per_day=13), NOW).ok
    refused = budget_reason(busy, Limits(all_moves_per_day=12), NOW)
    assert (refused.ok, refused.value) == (False, 12)


def test_the_way_home_is_held_up_by_none_of_it_and_says_so() -> None:
    moves = ago(*range(20))
    reasons = [*prefix_reasons(PREFIX, moves, Limits(), NOW, going_home=True)]
    reasons.append(
        budget_reason([Busy(owner=None, changed_at=None, moves=tuple(moves))], Limits(), NOW, going_home=True)
    )
    assert {reason.rule for reason in reasons if reason.ok} == {"moves_per_day", "damping", "all_moves_per_day"}
    assert all("does not hold up the way home" in reason.message for reason in reasons)
