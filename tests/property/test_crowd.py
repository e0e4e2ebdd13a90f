"""Bands out of sums of groups, against the same model sender by sender."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teagent.engine.predict.bands import Z90
from teagent.engine.predict.crowd import Crowds
from tests.unit.engine.predict.crowded import crowd_of, grouped, one_by_one

CHANCES = [0.0, 0.09, 0.31, 0.47, 0.75, 0.84, 1.0]
"""None is 0.5: a median that lies exactly between two steps is either, as rounding has it."""


@st.composite
def demands(draw: st.DrawFn) -> tuple[list[int], list[float], list[int]]:
    """Group, bits per second and sender of each; a sender has at most three, for three prefixes.

    No two are equally heavy: which of two such senders is looked at as a whole is left open.
    """
    count = draw(st.integers(1, 14))
    groups = draw(st.lists(st.integers(0, len(CHANCES) * 2 - 1), min_size=count, max_size=count))
    bps = draw(st.lists(st.integers(1, 4000), min_size=count, max_size=count))
    units = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count).filter(_at_most_three_of_each))
    return groups, [value * 1e4 + 31.7 * 1.3**row for row, value in enumerate(bps)], units


def _at_most_three_of_each(units: list[int]) -> bool:
    return max(units.count(number) for number in units) <= 3


@settings(max_examples=40, deadline=None)
@given(given_demands=demands(), noise=st.sampled_from([0.0, 1e6]))
def test_bands_of_groups_are_those_of_their_senders(
    given_demands: tuple[list[int], list[float], list[int]], noise: float
) -> None:
    """Groups of even number come, those of odd number leave; each with the chance of its pair."""
    group = np.array(given_demands[0], dtype=np.int64)
    bps = np.array(given_demands[1]) * np.where(group % 2, -1, 1)
    chance, unit = np.array(CHANCES)[group // 2], np.array(given_demands[2], dtype=np.int64)
    found, _ = grouped(bps, chance, unit, 0.2, group)
    # Chances of 0 and 1 have no place on the normal distribution: as good as that.
    near = np.where(chance > 0, np.clip(chance, 1e-9, 1 - 1e-9), 0.0)
    total = float(np.abs(bps).sum()) + noise
    for share, quantile in ((0.05, found.low), (0.95, found.high)):
        plain = one_by_one(bps, near, unit, 0.2, share, noise / Z90)
        least, most = float(bps[(bps < 0) & (chance > 0)].sum()), float(bps[(bps > 0) & (chance > 0)].sum())
        plain = min(max(plain, least - noise), most + noise)
        assert float(quantile(np.array([noise]))[0]) == pytest.approx(plain, abs=1e-4 * total)
    plain = one_by_one(bps, near, unit, 0.2, 0.5, 0.0)
    assert float(found.median()[0]) == pytest.approx(plain, abs=1e-4 * total)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), groups=st.integers(1, 5), count=st.integers(1, 6))
def test_the_heaviest_are_found_though_few_are_looked_at(seed: int, groups: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    size = 600
    bps, group = generator.pareto(1.1, size) + 1, generator.integers(0, groups, size)
    group[:groups] = np.arange(groups)
    crowds = Crowds(
        [crowd_of(bps, np.arange(size), group, 0), crowd_of(bps[::-1].copy(), np.arange(size) + 300, group, 1)]
    )
    weight = generator.choice([0.0, 1e-3, 0.1, 1.0], size=(3, 2 * groups))
    found = crowds.heaviest(weight, count)
    by_unit = np.zeros((3, size + 300))
    by_unit[:, :size] += weight[:, group] * bps
    by_unit[:, 300:] += weight[:, groups + group] * bps[::-1]
    for case, chosen in enumerate(found):
        sizes = (crowds.unit_bps[chosen] * weight[case, crowds.unit_group[chosen]]).sum(axis=1)
        assert sorted(sizes) == pytest.approx(sorted(by_unit[case])[-count:])
