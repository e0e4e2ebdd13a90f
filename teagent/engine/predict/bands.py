"""From "each sender goes with this probability" to a low, an expected and a high load of a link.

The expected load is the median: as likely too high as too low. Where one sender decides, the mean would be a load that
never comes.

Senders (units) are drawn independently but for a stated correlation; the demands of one sender towards several
prefixes go together. The few heaviest senders are enumerated exactly, because a sender goes or stays as a whole and a
bell curve would hide that; the rest is taken as normal. No randomness: the same input gives the same band.
"""

from __future__ import annotations

import numpy as np

from teagent.engine.predict.shares import Floats, Ints

LOW, HIGH = 0.05, 0.95
Z90 = 1.6448536269514722
ENUMERATED_UNITS = 8
VOLUME_ERROR = 0.05
"""Traffic is not the same in a quarter of an hour: 90 % of outcomes lie within this share of the present load."""


def load_band(
    *, base_bps: float, noise_bps: float, bps: Floats, probability: Floats, unit: Ints, correlation: float
) -> tuple[float, float, float]:
    """Low, median and high of `base_bps` + the sum of those `bps` (negative for what leaves) that move.

    `probability` is each row's chance to move; rows of one `unit` move together. `noise_bps` is the 90 % half-width of
    the error of the base. The result stays within what is possible: nothing moves, or all does.
    """
    live = (probability > 0) & (bps != 0)
    bps, probability, unit = bps[live], probability[live], unit[live]
    if not len(bps):
        return base_bps - noise_bps, base_bps, base_bps + noise_bps
    spread = np.abs(bps) * np.sqrt(probability * (1 - probability))
    _, which = np.unique(unit, return_inverse=True)
    which = which.reshape(-1)
    unit_spread = np.bincount(which, weights=spread)
    heavy = np.argsort(-unit_spread, kind="stable")[:ENUMERATED_UNITS]
    atoms, weights = np.array([base_bps]), np.array([1.0])
    is_heavy = np.zeros(len(unit_spread), dtype=bool)
    is_heavy[heavy] = True
    for number in heavy:
        values, chances = _steps(bps[which == number], probability[which == number])
        atoms = np.add.outer(atoms, values).ravel()
        weights = np.multiply.outer(weights, chances).ravel()
    light = ~is_heavy[which]
    atoms = atoms + float(np.sum(bps[light] * probability[light]))
    squares = float(np.sum(unit_spread**2))
    shared = correlation * (float(np.sum(unit_spread)) ** 2 - squares)
    variance = max(0.0, float(np.sum(unit_spread[~is_heavy] ** 2)) + shared)
    floor = base_bps + float(np.sum(bps[bps < 0])) - noise_bps
    ceiling = base_bps + float(np.sum(bps[bps > 0])) + noise_bps
    sigma = (variance + (noise_bps / Z90) ** 2) ** 0.5
    low, high = _quantile(atoms, weights, sigma, LOW), _quantile(atoms, weights, sigma, HIGH)
    # Noise of the base goes both ways, but would pull the median towards the smaller of two clusters.
    median = _quantile(atoms, weights, variance**0.5, 0.5)
    return max(low, floor), min(max(median, floor), ceiling), min(high, ceiling)


def _steps(bps: Floats, probability: Floats) -> tuple[Floats, Floats]:
    """What one sender moves, as values with their chances: the likelier of its demands always go with the others."""
    order = np.argsort(-probability, kind="stable")
    moved = np.concatenate(([0.0], np.cumsum(bps[order])))
    limits = np.concatenate(([1.0], probability[order], [0.0]))
    chances = limits[:-1] - limits[1:]
    kept = chances > 0
    return moved[kept], chances[kept]


def _quantile(atoms: Floats, weights: Floats, sigma: float, share: float) -> float:
    """Of the mixture of normals around `atoms`; of the atoms alone where `sigma` is 0."""
    order = np.argsort(atoms, kind="stable")
    if sigma <= 1e-9 * max(1.0, float(np.max(np.abs(atoms)))):
        reached = np.searchsorted(np.cumsum(weights[order]), share - 1e-12)
        return float(atoms[order][min(int(reached), len(atoms) - 1)])
    low, high = float(atoms.min()) - 5 * sigma, float(atoms.max()) + 5 * sigma
    for _ in range(30):
        middle = (low + high) / 2
        if float(np.dot(weights, _normal_cdf((middle - atoms) / sigma))) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _normal_cdf(z: Floats) -> Floats:
    """Abramowitz and Stegun 26.2.17; off by less than 1e-7, and no further library for it."""
    t = 1 / (1 + 0.2316419 * np.abs(z))
    tail = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * tail
    result: Floats = np.where(z >= 0, 1 - upper, upper)
    return result
