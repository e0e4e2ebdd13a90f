from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.engine.predict.prior import NEVER_LEAVES, WEIGHT_OF_DIFFERENCE, destinations

RANGE = range(-6, 7)


def moved(at_least: list[int], advantage: list[int]) -> list[float]:
    row = destinations(np.array([at_least], dtype=np.int64), np.array(advantage, dtype=np.int64))[0]
    return [float(p) for p in row]


def by_enumeration(at_least: list[int], advantage: list[int]) -> tuple[list[float], float]:
    """All combinations of differences one by one; ties between two winners by halves."""
    plausible = 0.0
    goes = [0.0] * len(at_least)
    tied = 0.0
    for ds in product(RANGE, repeat=len(at_least)):
        if any(d < bound for d, bound in zip(ds, at_least, strict=True)):
            continue
        weight = float(np.prod([WEIGHT_OF_DIFFERENCE[abs(d)] for d in ds]))
        plausible += weight
        costs = [d - a for d, a in zip(ds, advantage, strict=True)]
        least = min(costs)
        if least < 0:
            winners = [i for i, c in enumerate(costs) if c == least]
            tied += weight if len(winners) > 1 else 0.0
            for i in winners:
                goes[i] += weight / len(winners)
    total = (1 - NEVER_LEAVES) * plausible + NEVER_LEAVES
    return [(1 - NEVER_LEAVES) * g / total for g in goes], (1 - NEVER_LEAVES) * tied / total


def test_the_weights_are_a_distribution() -> None:
    assert sum(WEIGHT_OF_DIFFERENCE[abs(d)] for d in RANGE) == pytest.approx(1)


def test_taking_back_the_other_links_prepends_only_ties_and_hardly_moves_anything() -> None:
    assert moved([-2], [0])[0] < 0.12


def test_one_prepend_more_moves_most_and_further_ones_little() -> None:
    one, two, three = (moved([-2], [n])[0] for n in (1, 2, 3))
    assert 0.7 < one < two < three < 1 - NEVER_LEAVES
    assert three - one < 0.12


def test_nothing_moves_where_the_other_link_has_not_become_shorter() -> None:
    assert moved([1], [1]) == [0.0]
    assert moved([0], [-3]) == [0.0]


def test_who_was_seen_to_stay_after_a_prepend_is_believed_to_never_leave() -> None:
    assert moved([1], [2])[0] < 0.4
    assert moved([7], [9]) == [0.0]


def test_a_link_where_the_prefix_was_not_announced_gives_no_bound() -> None:
    assert moved([-100], [0])[0] == pytest.approx((1 - NEVER_LEAVES) * 0.12, abs=1e-9)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=2))
def test_agrees_with_trying_every_combination_of_differences(links: list[tuple[int, int]]) -> None:
    at_least, advantage = [a for a, _ in links], [b for _, b in links]
    found = moved(at_least, advantage)
    wanted, tied = by_enumeration(at_least, advantage)
    assert sum(found) == pytest.approx(sum(wanted), abs=1e-9)
    # Links that tie share in proportion to their chances here, by halves there.
    assert found == pytest.approx(wanted, abs=tied / 2 + 1e-9)


@given(
    st.lists(st.lists(st.integers(-100, 8), min_size=3, max_size=3), min_size=1, max_size=4),
    st.lists(st.integers(-5, 5), min_size=3, max_size=3),
)
def test_every_row_is_a_distribution_and_stands_alone(rows: list[list[int]], advantage: list[int]) -> None:
    table = destinations(np.array(rows, dtype=np.int64), np.array(advantage, dtype=np.int64))
    assert np.all(table >= 0)
    assert np.all(table.sum(axis=1) <= 1 - NEVER_LEAVES + 1e-9)
    for row, result in zip(rows, table, strict=True):
        assert moved(row, advantage) == pytest.approx([float(p) for p in result], abs=1e-12)
