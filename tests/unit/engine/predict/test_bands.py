from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.bands import Outcomes
from teagent.engine.predict.shares import Floats
from tests.unit.engine.predict.crowded import grouped


class Case:
    """One case of outcomes, in plain numbers."""

    def __init__(self, found: Outcomes) -> None:
        self.found = found

    def low(self, noise_bps: float) -> float:
        return float(self.found.low(np.array([noise_bps]))[0])

    def median(self) -> float:
        return float(self.found.median()[0])

    def high(self, noise_bps: float) -> float:
        return float(self.found.high(np.array([noise_bps]))[0])


def of(bps: list[float], chance: list[float], unit: list[int] | None = None, correlation: float = 0.2) -> Case:
    found, _ = grouped(
        np.array(bps, dtype=float),
        np.array(chance, dtype=float),
        np.array(unit if unit is not None else range(len(bps)), dtype=np.int64),
        correlation,
    )
    return Case(found)


def drawn(bps: Floats, chance: Floats, correlation: float, share: float) -> float:
    """The same model by drawing: seeded, and only here."""
    generator = np.random.default_rng(7)
    from statistics import NormalDist

    threshold = np.array([NormalDist().inv_cdf(float(p)) for p in chance])
    common = generator.standard_normal((40000, 1))
    own = generator.standard_normal((40000, len(bps)))
    goes = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own < threshold
    return float(np.quantile(goes @ bps, share))


def test_one_sender_goes_or_stays_as_a_whole() -> None:
    moved = of([8e6], [0.75])
    assert (moved.low(0), moved.median(), moved.high(0)) == (0.0, 8e6, 8e6)


def test_one_sender_that_will_rather_stay_is_expected_to_stay() -> None:
    moved = of([8e6], [0.1])
    assert (moved.low(0), moved.median(), moved.high(0)) == (0.0, 0.0, 8e6)


def test_demands_of_one_sender_go_together() -> None:
    together, apart = of([4e6, 4e6], [0.6, 0.6], unit=[1, 1]), of([4e6, 4e6], [0.6, 0.6], correlation=0.0)
    assert together.median() == 8e6
    assert apart.median() == 4e6


def test_the_likelier_demand_of_a_sender_never_stays_when_the_other_goes() -> None:
    moved = of([1e6, 4e6], [0.9, 0.3], unit=[1, 1])
    weights = moved.found.weights[0, 0]
    values = {round(float(a)) for a, w in zip(moved.found.values[0], weights, strict=True) if w > 1e-9}
    assert values == {0, 1_000_000, 5_000_000}


@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_many_senders_agree_with_drawing_them(correlation: float, share: float) -> None:
    bps = 1e6 / np.arange(1, 81)
    chance = np.linspace(0.2, 0.9, 80)
    moved = of(list(bps), list(chance), correlation=correlation)
    found = {0.05: moved.low(0), 0.5: moved.median(), 0.95: moved.high(0)}[share]
    assert found == pytest.approx(drawn(bps, chance, correlation, share), abs=0.05 * float(bps.sum()))


def test_correlated_senders_have_the_wider_band() -> None:
    bps, chance = [1e5] * 100, [0.7] * 100
    alike, independent = of(bps, chance, correlation=0.4), of(bps, chance, correlation=0.0)
    assert alike.high(0) - alike.low(0) > 2 * (independent.high(0) - independent.low(0))


def test_what_leaves_counts_as_negative() -> None:
    moved = of([-5e6], [0.75])
    assert (moved.low(0), moved.median(), moved.high(0)) == (-5e6, -5e6, 0.0)


def test_the_band_stays_within_what_is_possible() -> None:
    moved = of([1e6] * 30, [0.97] * 30)
    assert moved.high(0) <= 30e6
    assert moved.low(0) >= 0


def test_noise_widens_both_ends_and_leaves_the_median() -> None:
    moved = of([8e6], [0.75])
    assert moved.low(1e6) < 0
    assert 8e6 < moved.high(1e6) <= 9e6
    assert moved.median() == 8e6


def test_nothing_that_may_move_is_a_band_of_nothing() -> None:
    moved = of([1e6, 0.0], [0.0, 0.5])
    assert (moved.low(0), moved.median(), moved.high(0)) == (0.0, 0.0, 0.0)


def test_the_same_input_gives_the_same_band() -> None:
    bps, chance = [float(i) * 1e5 for i in range(1, 60)], [i / 61 for i in range(1, 60)]
    assert of(bps, chance).low(5e4) == of(bps, chance).low(5e4)


def test_a_chance_just_above_one_by_rounding_counts_as_one() -> None:
    bps = [9e6, *([1e6] * 12)]
    with np.errstate(all="raise"):
        rounded = of(bps, [1 + 1e-12, *([0.5] * 12)])
    exact = of(bps, [1.0, *([0.5] * 12)])
    assert (rounded.low(0), rounded.high(0)) == pytest.approx((exact.low(0), exact.high(0)))
