"""From "each sender goes with this probability" to a low, an expected and a high load of a link.

Senders (units) decide alike to a stated degree: one common factor, normal, shifts the chances of all of them (the
one-factor model of credit risk, for the same reason: defaults, too, come together). Given the factor they are
independent; the demands of one sender towards several prefixes go together. The few heaviest senders are enumerated
exactly, because a sender goes or stays as a whole and a bell curve would hide that; the rest is taken as normal. No
randomness: the same input gives the same band.

The expected load is the median, as likely too high as too low: where one sender decides, the mean would be a load that
never comes.

Many cases (a link, or a guess of what is hidden) are reckoned at once. C are the cases, F the points of the common
factor, R the groups of the crowd.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from teagent.engine.predict.crowd import Crowds
from teagent.engine.predict.normal import density_and_share, quantiles
from teagent.engine.predict.shares import Flags, Floats, Ints

LOW, MEDIAN, HIGH = 0.05, 0.5, 0.95
Z90 = 1.6448536269514722
ENUMERATED_UNITS = 6
VOLUME_ERROR = 0.05
"""Traffic is not the same in a quarter of an hour: 90 % of outcomes lie within this share of the present load."""
HARDLY_MOVED, HARDLY_CARRIED = 0.01, 0.001
"""A link that would get less than both, a share of what moves and a share of its capacity, is not one that gains."""

CLOSE = 1e-5
"""A quantile is left open by less than this share of the distance between all and nothing."""
SHORT = 0.01
"""Such a step, in units of the blur: what is left then is a ten-thousandth of the blur."""
STEPS = 40
UNLIKELY = 1e-8

FACTORS: Floats = np.array([NormalDist().inv_cdf((i + 0.5) / 9) for i in range(9)])
"""The common factor, as equally likely points."""
LEVELS = 1024
"""Probabilities are looked up between so many steps from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What senders move, in bits per second, in C cases: `values` (C, A) with their `weights` (C, F, A) for the heavy
    ones, and for the rest a `mean` (C, F), blurred by `sigma` (C, F).

    `least` and `most` (C) bound what is possible.
    """

    values: Floats
    weights: Floats
    mean: Floats
    sigma: Floats
    least: Floats
    most: Floats

    def only(self, cases: Ints) -> Outcomes:
        return Outcomes(**{each.name: getattr(self, each.name).take(cases, axis=0) for each in fields(self)})

    def low(self, noise_bps: Floats) -> Floats:
        """(C) 5 % quantiles; `noise_bps` (C) is the 90 % half-width of further noise."""
        return self.quantiles(np.full(len(noise_bps), LOW), noise_bps)

    def median(self) -> Floats:
        """Without further noise: it goes both ways, but would pull the median towards the smaller of two clusters."""
        return self.quantiles(np.full(len(self.least), MEDIAN), np.zeros(len(self.least)))

    def high(self, noise_bps: Floats) -> Floats:
        return self.quantiles(np.full(len(noise_bps), HIGH), noise_bps)

    def quantiles(self, share: Floats, noise_bps: Floats) -> Floats:
        """(C) below which the `share` (C) lies; not beyond what is possible by more than the noise."""
        noise = noise_bps / Z90
        sigma = np.sqrt(self.sigma**2 + noise[:, None] ** 2)
        floor = 1e-9 * np.maximum(1.0, np.maximum(np.abs(self.least), np.abs(self.most)))
        atoms = self.values[:, None, :] + self.mean[:, :, None]
        result = np.empty(len(sigma))
        smooth = sigma.max(axis=1) > floor
        for case in np.flatnonzero(~smooth):
            result[case] = _step_quantile(atoms[case].ravel(), self.weights[case].ravel(), float(share[case]))
        if smooth.any():
            sigma = np.maximum(sigma, floor[:, None])[smooth]
            result[smooth] = _smooth_quantile(atoms[smooth], self.weights[smooth], sigma, share[smooth])
        return np.clip(result, self.least - noise_bps, self.most + noise_bps)


def hardly_any(moved_bps: Floats | float, capacity_bps: Floats) -> Floats:
    """bits per second up to which a link does not gain."""
    result: Floats = np.minimum(HARDLY_MOVED * moved_bps, HARDLY_CARRIED * capacity_bps)
    return result


def given_factor(probability: Floats, correlation: float) -> Floats:
    """(F, ...): the probabilities at each point of the common factor; their mean is the probability again, nearly."""
    threshold = quantiles(np.clip(probability, 1e-9, 1 - 1e-9))
    factors = np.sqrt(correlation) * FACTORS.reshape(-1, *(1 for _ in probability.shape))
    result: Floats = density_and_share((threshold + factors) / np.sqrt(1 - correlation))[1]
    result[:, probability <= 0] = 0.0
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Given:
    """`chances` (LEVELS + 1, F), the probabilities given the factor, and the `variance` (same) of who goes or stays."""

    chances: Floats
    variance: Floats

    def chances_at(self, probability: Floats) -> Floats:
        """(..., F) for any probabilities (...)."""
        return _interpolated(self.chances, probability)

    def variance_at(self, probability: Floats) -> Floats:
        """(..., F) for any probabilities (...)."""
        return _interpolated(self.variance, probability)


@lru_cache(maxsize=64)
def _given(correlation: float) -> _Given:
    chances = np.ascontiguousarray(given_factor(np.arange(LEVELS + 1) / LEVELS, correlation).T)
    return _Given(chances=chances, variance=chances * (1 - chances))


def _interpolated(table: Floats, probability: Floats) -> Floats:
    level, over = _between(probability)
    below, above = (table.take(each, axis=0) for each in (level, level + 1))
    result: Floats = below * (1 - over)[..., None] + above * over[..., None]
    return result


def _between(probability: Floats) -> tuple[Ints, Floats]:
    """The level below, and how far it is from there towards the next one."""
    place = np.clip(probability, 0.0, 1.0) * LEVELS  # sums of weights may come out just above 1
    level = np.minimum(place.astype(np.int64), LEVELS - 1)
    return level, place - level


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Going:
    """What may move in each of `cases` cases, as E entries: demands of the `group` (E) do in that `case` (E) with a
    `probability` (E), each with its load times the `scale` (E; negative for what leaves). No two entries have the same
    case and group.
    """

    cases: int
    case: Ints
    group: Ints
    probability: Floats
    scale: Floats

    def only(self, entries: Flags | Ints) -> Going:
        return Going(
            cases=self.cases,
            case=self.case[entries],
            group=self.group[entries],
            probability=self.probability[entries],
            scale=self.scale[entries],
        )

    def spread(self, values: Floats, groups: int) -> Floats:
        """(C, R) of (E), 0 where there is no entry."""
        result: Floats = np.zeros((self.cases, groups))
        result[self.case, self.group] = values
        return result


def outcomes(crowds: Crowds, going: Going, correlation: float) -> Outcomes:
    """Of the sum of all that moves. There may be thousands of groups: of most only sums by probability are needed."""
    groups = len(crowds.bps)
    going = going.only(np.flatnonzero((going.probability > 0) & (going.scale != 0) & (crowds.bps[going.group] > 0)))
    size, unsure = np.abs(going.scale), np.maximum(going.probability * (1 - going.probability), 0.0)
    heavy = crowds.heaviest(going.spread(size * np.sqrt(unsure), groups), ENUMERATED_UNITS)
    bps, group = crowds.unit_bps[heavy], crowds.unit_group[heavy]  # (C, 6, parts)
    case = np.arange(going.cases)[:, None, None]
    probability, signed = (going.spread(each, groups) for each in (going.probability, going.scale))
    of_heavy = signed[case, group]
    goes = (of_heavy != 0) & (bps > 0)
    given = _given(correlation)
    chances = np.moveaxis(given.chances_at(probability[case, group]), -1, 0)
    values, shares = _steps(bps * of_heavy, chances * goes)
    moved = going.scale * crowds.bps[going.group]
    square = size**2 * crowds.square[going.group]
    mean, variance = _sums(given, going.probability, going.case, going.cases, (moved, square))
    mean -= np.einsum("fcun,cun->cf", chances, bps * of_heavy)
    variance += _together(crowds, given, probability, signed)
    deviation = np.sqrt(given.variance_at(probability[case, group]))
    alone = np.einsum("cunf,cun->fcu", deviation, bps * np.abs(of_heavy))
    variance -= np.einsum("fcu,fcu->cf", alone, alone)
    count = np.bincount(going.case, weights=crowds.count[going.group], minlength=going.cases)
    light = count > goes.sum(axis=(1, 2))
    return Outcomes(
        values=values,
        weights=shares / len(FACTORS),
        mean=np.where(light[:, None], mean, 0.0),
        sigma=np.where(light[:, None], np.sqrt(np.maximum(variance, 0.0)), 0.0),
        least=np.bincount(going.case, weights=np.minimum(moved, 0.0), minlength=going.cases).astype(np.float64),
        most=np.bincount(going.case, weights=np.maximum(moved, 0.0), minlength=going.cases).astype(np.float64),
    )


def _sums(
    given: _Given, probability: Floats, case: Ints, cases: int, weights: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """(C, F) mean and variance of what is moved in each of the cases, each sender for itself. `weights`: by what each
    probability counts in one and the other.
    """
    level, over = _between(probability)
    width = LEVELS + 1
    place = case * width + level
    by_level = [
        np.bincount(place, weights=weight * (1 - over), minlength=cases * width)
        + np.bincount(place + 1, weights=weight * over, minlength=cases * width)
        for weight in weights
    ]
    mean, variance = (table.reshape(cases, width) for table in by_level)
    return mean @ given.chances, variance @ given.variance


def _together(crowds: Crowds, given: _Given, probability: Floats, scale: Floats) -> Floats:
    """(C, F) what it adds to the variance that the demands of one sender towards several prefixes go together."""
    variance: Floats = np.zeros((len(scale), len(FACTORS)))
    goes = scale != 0
    for one, other, product in crowds.common:
        case, pair = np.nonzero(goes[:, one] & goes[:, other])
        first, second = one[pair], other[pair]
        both = 2 * product[pair] * np.abs(scale[case, first] * scale[case, second])
        unsure = given.variance_at(probability[case, first]) * given.variance_at(probability[case, second])
        begin = np.flatnonzero(np.diff(case, prepend=-1))
        if len(begin):
            variance[case[begin]] += np.add.reduceat(np.sqrt(unsure) * both[:, None], begin)
    return variance


def _steps(signed: Floats, chances: Floats) -> tuple[Floats, Floats]:
    """What the heavy senders move together, as values (C, A) with their chances (C, F, A).

    `signed` (C, U, parts), `chances` (F, C, U, parts). Of one sender's demands the likelier always go with the others.
    """
    if signed.shape[-1] > 1:
        order = np.argsort(-chances[0], axis=-1, kind="stable")
        signed = np.take_along_axis(signed, order, axis=-1)
        chances = np.take_along_axis(chances, order[None], axis=-1)
    nothing = np.zeros((*signed.shape[:-1], 1))
    moved = np.concatenate((nothing, np.cumsum(signed, axis=-1)), axis=-1)
    ones, zeros = np.ones((*chances.shape[:-1], 1)), np.zeros((*chances.shape[:-1], 1))
    limits = np.concatenate((ones, chances, zeros), axis=-1)
    shares = limits[..., :-1] - limits[..., 1:]
    kept = (shares > UNLIKELY).any(axis=0)
    values, weights = np.zeros((len(signed), 1)), np.ones((len(signed), len(FACTORS), 1))
    for unit in range(signed.shape[1]):
        own, share = _kept_first(kept[:, unit], moved[:, unit], shares[:, :, unit].transpose(1, 0, 2))
        values = (values[:, :, None] + own[:, None, :]).reshape(len(values), -1)
        weights = (weights[:, :, :, None] * share[:, :, None, :]).reshape(*weights.shape[:2], -1)
        values, weights = _kept_first(weights.max(axis=1) > UNLIKELY, values, weights)
    return values, weights


def _kept_first(kept: Flags, moved: Floats, share: Floats) -> tuple[Floats, Floats]:
    """As many steps as the case with the most keeps. `kept`, `moved` (C, steps), `share` (C, F, steps)."""
    most = max(1, int(kept.sum(axis=1).max()))
    if most == kept.shape[1]:
        return moved, share
    order = np.argsort(~kept, axis=1, kind="stable")[:, :most]
    share = np.where(kept[:, None, :], share, 0.0)
    return np.take_along_axis(moved, order, axis=1), np.take_along_axis(share, order[:, None, :], axis=2)


def _smooth_quantile(atoms: Floats, weights: Floats, sigma: Floats, share: Floats) -> Floats:
    """(C): Newton's method, and by halves where it leads astray."""
    # Most combinations of what heavy senders do are hopeless: what there is of each case and factor, end to end.
    kept = weights > UNLIKELY
    count = kept.sum(axis=2)
    values, weight = atoms[kept], weights[kept]
    ends = np.cumsum(count.sum(axis=1))
    first, each = np.append(0, ends[:-1]), count.sum(axis=1)
    widest = sigma.max(axis=1)
    low, high = np.minimum.reduceat(values, first) - 4 * widest, np.maximum.reduceat(values, first) + 4 * widest
    close = CLOSE * (high - low)
    # A step of Newton's that is short beside the blur leaves less than its square: no further one is needed.
    short = np.maximum(close, SHORT * sigma.min(axis=1))
    mean = np.add.reduceat(weight * values, first)
    values -= np.repeat(mean, each)
    spread = np.add.reduceat(weight * values**2, first) + (weights.sum(axis=2) * sigma**2).sum(axis=1)
    normal = np.array([_normal(each) for each in share.tolist()])
    x: Floats = np.clip(mean + normal * np.sqrt(spread), low, high)
    todo = np.arange(len(x))
    # Single precision from here on is as good as the approximation, and half the work: distances from the mean are in
    # units of the blur.
    inverse = 1.0 / sigma
    weight = weight.astype(np.float32)
    scaled = (values * np.repeat(inverse, count.reshape(-1))).astype(np.float32)
    for _ in range(STEPS):
        now, size = x[todo], count.reshape(-1)
        ahead = ((now - mean)[:, None] * inverse).astype(np.float32)
        density, below = density_and_share(np.repeat(ahead, size) - scaled)
        begin = np.cumsum(size) - size
        off = np.add.reduceat(weight * below, begin).reshape(count.shape).sum(axis=1, dtype=np.float64) - share[todo]
        slope = (np.add.reduceat(weight * density, begin).reshape(count.shape) * inverse).sum(axis=1)
        low[todo] = np.where(off < 0, now, low[todo])
        high[todo] = np.where(off < 0, high[todo], now)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            following = now - off / slope
        astray = ~((following > low[todo]) & (following < high[todo]))
        x[todo] = np.where(astray, (low[todo] + high[todo]) / 2, following)
        open_still = np.abs(x[todo] - now) > np.where(astray, close[todo], short[todo])
        if not open_still.any():
            break
        if not open_still.all():
            left = np.flatnonzero(np.repeat(open_still, count.sum(axis=1)))
            weight, scaled = weight.take(left), scaled.take(left)
            todo, mean, inverse, count = (each[open_still] for each in (todo, mean, inverse, count))
    return x


@lru_cache(maxsize=64)
def _normal(share: float) -> float:
    """Few are asked, and often."""
    return float(quantiles(np.array([share]))[0])


def _step_quantile(atoms: Floats, weights: Floats, share: float) -> float:
    order = np.argsort(atoms, kind="stable")
    reached = np.searchsorted(np.cumsum(weights[order]), share - 1e-9)
    return float(atoms[order][min(int(reached), len(atoms) - 1)])
