from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.habit_rates import UNREACHED, kinds, pattern, patterns_of
from teagent.engine.predict.habits import NEVER, WITHHELD, Rules, habits
from teagent.engine.predict.propagation import FAR


def rule(cost, *, order=None, sticky=False, ignores=0, cap=0):
    return Rules(
        cost=np.array([cost]),
        order=np.array([order or list(range(len(cost)))]),
        sticky=np.array([sticky]),
        ignores=np.array([ignores]),
        cap=np.array([cap]),
    )


def choice(one, prepends, previous=-1):
    return int(one.choose(np.array(prepends), previous)[0])


def test_the_least_cost_with_prepends_wins():
    assert choice(rule([0, 1]), [0, 0]) == 0
    assert choice(rule([0, 1]), [2, 0]) == 1


def test_equals_go_by_the_order_of_the_rule():
    assert choice(rule([0, 1], order=[1, 0]), [1, 0]) == 1
    assert choice(rule([0, 1], order=[0, 1]), [1, 0]) == 0


def test_a_sticky_rule_keeps_the_older_of_equals():
    assert choice(rule([0, 0], sticky=True), [0, 0], previous=1) == 1
    assert choice(rule([0, 0]), [0, 0], previous=1) == 0


def test_a_sticky_rule_leaves_for_what_is_shorter():
    assert choice(rule([0, 0], sticky=True), [0, 1], previous=1) == 0


def test_a_link_that_is_never_taken_is_not_taken():
    assert choice(rule([0, NEVER]), [4, 0]) == 0


def test_even_a_link_that_is_never_taken_is_better_than_one_that_does_not_announce():
    assert choice(rule([0, NEVER]), [WITHHELD, 0]) == 1


def test_prepends_that_are_ignored_do_not_count():
    assert choice(rule([0, 1], ignores=0b01), [4, 0]) == 0


def test_prepends_above_the_cap_do_not_count():
    assert choice(rule([0, 3], cap=2), [5, 0]) == 0
    assert choice(rule([0, 1], cap=2), [5, 0]) == 1


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_every_way_chooses_as_its_habit_does(slots):
    known = habits(slots)
    for vector in ([0, 0, 0], [3, 0, 1], [0, 4, 4], [1, 2, 0]):
        for previous in range(slots):
            prepends = np.array(vector[:slots]) - min(vector[:slots])
            of_ways = known.ways.choose(prepends, previous)
            assert np.array_equal(of_ways, known.rules.choose(prepends, previous)[known.habit_of])


def test_no_two_habits_choose_alike_everywhere():
    known = habits(2)
    answers = [
        known.rules.choose(np.array(v), p)
        for v in ([0, 0], *([n, 0] for n in range(1, 5)), *([0, n] for n in range(1, 5)))
        for p in (0, 1)
    ]
    assert len(np.unique(np.stack(answers, axis=1), axis=0)) == len(known)


def test_more_slots_than_are_listed_are_refused():
    with pytest.raises(ValueError, match="4 slots are not in 1 to 3"):
        habits(4)


def test_a_pattern_says_how_far_behind_the_nearest_each_link_is():
    hops = np.array([[4, 5, FAR], [3, 3, 20]])
    assert pattern(hops, int(FAR)).tolist() == [[0, 1, UNREACHED], [0, 0, 5]]


def test_every_pattern_has_a_place():
    known = kinds(2)
    rows = np.array([[0, 0], [5, 0], [0, UNREACHED], [UNREACHED, UNREACHED]])
    assert known.patterns[patterns_of(known.patterns, rows)].tolist() == rows.tolist()


def test_before_anything_is_seen_most_senders_take_what_the_graph_says_is_nearest():
    known = kinds(2)
    weights = known.of_habits(known.of_ways(known.assumed))[patterns_of(known.patterns, np.array([[0, 2]]))][0]
    chosen = known.habits.rules.choose(np.array([0, 0]), -1)
    assert weights[chosen == 0].sum() > 0.8


def test_rates_follow_what_is_seen():
    known = kinds(2)
    ways = known.of_ways(known.assumed)
    sticky = known.habits.rules.sticky.astype(float)
    seen = np.outer(np.ones(len(known.patterns)), sticky / sticky.sum()) * 1000
    assert known.learned(ways, seen).sticky[1] > 0.95


@pytest.mark.parametrize("more", [0.0, 0.5, 1.0])
def test_rules_against_following_prepends_may_be_more_common(more):
    known = kinds(3)
    rates, usual = known.with_more(more).assumed, known.assumed
    assert rates.sticky[1] == pytest.approx((1 + more) * usual.sticky[1])
    assert rates.cap[1:].tolist() == pytest.approx(((1 + more) * usual.cap[1:]).tolist())
    assert rates.ignores[1:].tolist() == pytest.approx(((1 + more) * usual.ignores[1:]).tolist())
    assert [part.sum() for part in (rates.sticky, rates.ignores, rates.cap)] == pytest.approx([1, 1, 1])
    assert (rates.bias >= usual.bias).all()
    here = patterns_of(known.patterns, np.array([[0, 1, 2]]))
    chosen = [known.habits.rules.choose(np.array([prepends, 0, 0]), 0) for prepends in range(4)]
    before, after = (
        k.of_habits(k.of_ways(k.assumed))[here[0]] @ np.all(np.array(chosen) == 0, axis=0)
        for k in (known, known.with_more(more))
    )
    assert after > before if more else after == pytest.approx(before)
