"""From "each sender goes with this probability" to a low, an expected and a high load of a link.

Senders (units) decide alike to a stated degree: one common factor, normal, shifts the chances of all of them (the
one-factor model of credit risk, for the same reason: defaults, too, come together). Given the factor they are
independent; the demands of one sender towards several prefixes go together. The few heaviest senders are enumerated
exactly, because a sender goes or stays as a whole and a bell curve would hide that; the rest is taken as normal. No
randomness: the same input gives the same band.

The expected load is the median, as likely too high as too low: where one sender decides, the mean would be a load that
never comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from teagent.engine.predict.shares import Floats, Ints

LOW, HIGH = 0.05, 0.95
Z90 = 1.6448536269514722
ENUMERATED_UNITS = 6
VOLUME_ERROR = 0.05
"""Traffic is not the same in a quarter of an hour: 90 % of outcomes lie within this share of the present load."""

BISECTIONS = 16
"""Leaves a quantile open by less than 1/50,000 of the distance between all and nothing."""

_STANDARD = NormalDist()
FACTORS: Floats = np.array([_STANDARD.inv_cdf((i + 0.5) / 9) for i in range(9)])
"""The common factor, as equally likely points."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What senders move, in bits per second: atoms (F, n) with their weights, blurred by `sigma` (F, 1).

    F are the points of the common factor. `least` and `most` bound what is possible.
    """

    atoms: Floats
    weights: Floats
    sigma: Floats
    least: float
    most: float

    def low(self, noise_bps: float) -> float:
        """The 5 % quantile; `noise_bps` is the 90 % half-width of further noise. Not below what is possible."""
        return max(self._quantile(LOW, noise_bps / Z90), self.least - noise_bps)

    def high(self, noise_bps: float) -> float:
        return min(self._quantile(HIGH, noise_bps / Z90), self.most + noise_bps)

    def median(self) -> float:
        """Without further noise: it goes both ways, but would pull the median towards the smaller of two clusters."""
        return min(max(self._quantile(0.5, 0.0), self.least), self.most)

    def _quantile(self, share: float, noise: float) -> float:
        sigma = np.sqrt(self.sigma**2 + noise**2)
        widest = float(sigma.max())
        scale = max(1.0, abs(self.least), abs(self.most))
        if widest <= 1e-9 * scale:
            return _step_quantile(self.atoms.ravel(), self.weights.ravel(), share)
        sigma = np.maximum(sigma, 1e-9 * scale)
        low, high = float(self.atoms.min()) - 4 * widest, float(self.atoms.max()) + 4 * widest
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if float(np.sum(self.weights * _normal_cdf((middle - self.atoms) / sigma))) < share:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def outcomes(*, bps: Floats, probability: Floats, unit: Ints, correlation: float) -> Outcomes:
    """Of the sum of those `bps` (negative for what leaves) that move, each row with its `probability`.

    Rows of one `unit` move together, units are correlated by `correlation`.
    """
    live = (probability > 0) & (bps != 0)
    bps, probability, unit = bps[live], probability[live], unit[live]
    if not len(bps):
        still = np.zeros((1, 1))
        return Outcomes(atoms=still, weights=still + 1, sigma=still, least=0.0, most=0.0)
    chances = _given_factor(probability, correlation)
    _, which = np.unique(unit, return_inverse=True)
    which = which.reshape(-1)
    spread = np.bincount(which, weights=np.abs(bps) * np.sqrt(probability * (1 - probability)))
    heavy = np.argsort(-spread, kind="stable")[:ENUMERATED_UNITS]
    atoms, weights = np.zeros((len(FACTORS), 1)), np.full((len(FACTORS), 1), 1 / len(FACTORS))
    light = np.ones(len(bps), dtype=bool)
    for number in heavy:
        rows = np.flatnonzero(which == number)
        light[rows] = False
        values, shares = _steps(bps[rows], chances[:, rows])
        atoms = (atoms[:, :, None] + values[None, None, :]).reshape(len(FACTORS), -1)
        weights = (weights[:, :, None] * shares[:, None, :]).reshape(len(FACTORS), -1)
    chances, bps_light, which = chances[:, light], bps[light], which[light]
    atoms = atoms + (chances @ bps_light)[:, None]
    sigma = np.zeros((len(FACTORS), 1))
    if len(bps_light):
        each = np.abs(bps_light) * np.sqrt(chances * (1 - chances))
        order = np.argsort(which, kind="stable")
        starts = np.flatnonzero(np.diff(which[order], prepend=-1))
        sigma = np.sqrt(np.sum(np.add.reduceat(each[:, order], starts, axis=1) ** 2, axis=1, keepdims=True))
    return Outcomes(
        atoms=atoms,
        weights=weights,
        sigma=sigma,
        least=float(np.sum(bps[bps < 0])),
        most=float(np.sum(bps[bps > 0])),
    )


def _given_factor(probability: Floats, correlation: float) -> Floats:
    """(F, N): the probabilities at each point of the common factor; their mean is the probability again, nearly."""
    distinct, which = np.unique(np.clip(probability, 1e-9, 1 - 1e-9), return_inverse=True)
    threshold = np.array([_STANDARD.inv_cdf(float(p)) for p in distinct])
    shifted = (threshold + np.sqrt(correlation) * FACTORS[:, None]) / np.sqrt(1 - correlation)
    result: Floats = _normal_cdf(shifted)[:, which.reshape(-1)]
    return result


def _steps(bps: Floats, chances: Floats) -> tuple[Floats, Floats]:
    """What one sender moves, as values with their chances: the likelier of its demands always go with the others."""
    order = np.argsort(-chances[0], kind="stable")
    moved = np.concatenate(([0.0], np.cumsum(bps[order])))
    ones, zeros = np.ones((len(chances), 1)), np.zeros((len(chances), 1))
    limits = np.concatenate((ones, chances[:, order], zeros), axis=1)
    shares = limits[:, :-1] - limits[:, 1:]
    kept = np.any(shares > 1e-12, axis=0)
    return moved[kept], shares[:, kept]


def _step_quantile(atoms: Floats, weights: Floats, share: float) -> float:
    order = np.argsort(atoms, kind="stable")
    reached = np.searchsorted(np.cumsum(weights[order]), share - 1e-9)
    return float(atoms[order][min(int(reached), len(atoms) - 1)])


def _normal_cdf(z: Floats) -> Floats:
    """Abramowitz and Stegun 26.2.17; off by less than 1e-7, and no further library for it."""
    t = 1 / (1 + 0.2316419 * np.abs(z))
    tail = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * tail
    result: Floats = np.where(z >= 0, 1 - upper, upper)
    return result
