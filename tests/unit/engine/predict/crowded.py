"""Demands for tests of bands: in groups, as the engine has them, and one by one, as the model is stated."""

from __future__ import annotations

from collections import defaultdict
from ipaddress import ip_network
from itertools import product
from statistics import NormalDist

import numpy as np

from teagent.engine.predict.bands import ENUMERATED_UNITS, FACTORS, Going, Outcomes, outcomes
from teagent.engine.predict.crowd import Crowd, Crowds, Senders
from teagent.engine.predict.shares import DemandColumns, Floats, Ints, Kinds, Shares

NORMAL = NormalDist()


def grouped(
    bps: Floats, chance: Floats, unit: Ints, correlation: float, group: Ints | None = None
) -> tuple[Outcomes, Crowds]:
    """One case. `bps` is negative for what leaves; `group`: which demands are told apart by nothing but their load.

    A sender has one demand for each prefix: its second one is taken to be for a second prefix.
    """
    group = np.arange(len(bps)) if group is None else group
    seen: dict[int, int] = defaultdict(int)
    part = np.zeros(len(bps), dtype=np.int64)
    for row, number in enumerate(unit.tolist()):
        part[row] = seen[number]
        seen[number] += 1
    crowds, chances, scale = [], [], []
    for number in range(int(part.max()) + 1):
        rows = np.flatnonzero(part == number)
        _, first, which = np.unique(group[rows], return_index=True, return_inverse=True)
        crowds.append(crowd_of(np.abs(bps[rows]), unit[rows], which.reshape(-1), number))
        chances.append(chance[rows[first]])
        scale.append(np.sign(bps[rows[first]]))
    together = Crowds(crowds)
    probability = np.concatenate(chances)
    going = Going(
        cases=1,
        case=np.zeros(len(probability), dtype=np.int64),
        group=np.arange(len(probability)),
        probability=probability,
        scale=np.concatenate(scale),
    )
    return outcomes(together, going, correlation), together


def crowd_of(bps: Floats, unit: Ints, group: Ints, number: int) -> Crowd:
    groups, none = int(group.max()) + 1, np.zeros(len(bps), dtype=np.int64)
    kinds = Kinds(
        link_index=np.zeros(groups, dtype=np.int64),
        at_least=np.zeros((groups, 1), dtype=np.int64),
        movable=np.ones(groups, dtype=bool),
    )
    columns = DemandColumns(
        prefix=ip_network(f"10.{number}.0.0/24"),
        links=("a",),
        sources=(),
        link_index=none,
        source_index=unit,
        bps=bps,
        kind=group,
        kinds=kinds,
    )
    shares = Shares(group=group, expected=np.ones((groups, 1)), unit=unit, correlation=0.0)
    return Crowd(Senders(columns, unit), shares)


def one_by_one(bps: Floats, chance: Floats, unit: Ints, correlation: float, share: float, noise: float) -> float:
    """The quantile of what moves, sender by sender, no sums of groups and no arrays: by halves of the way."""
    senders: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(unit.tolist()):
        if chance[row] > 0 and bps[row] != 0:
            senders[number].append(row)
    weight = {
        number: sum(abs(bps[row]) * (chance[row] * (1 - chance[row])) ** 0.5 for row in rows)
        for number, rows in senders.items()
    }
    heavy = sorted(weight, key=lambda number: (-weight[number], number))[:ENUMERATED_UNITS]
    atoms: list[tuple[float, float, float]] = []
    for factor in FACTORS.tolist():
        given = {
            row: NORMAL.cdf((NORMAL.inv_cdf(chance[row]) + correlation**0.5 * factor) / (1 - correlation) ** 0.5)
            for rows in senders.values()
            for row in rows
        }
        mean = sum(given[row] * bps[row] for n, rows in senders.items() if n not in heavy for row in rows)
        variance = sum(
            sum(abs(bps[row]) * (given[row] * (1 - given[row])) ** 0.5 for row in rows) ** 2
            for n, rows in senders.items()
            if n not in heavy
        )
        for choice in product(*(_steps(bps, given, senders[number]) for number in heavy)):
            chances = float(np.prod([c for _, c in choice]))
            atoms.append(
                (mean + sum(value for value, _ in choice), (variance + noise**2) ** 0.5, chances / len(FACTORS))
            )
    return _quantile(atoms, share)


def _steps(bps: Floats, given: dict[int, float], rows: list[int]) -> list[tuple[float, float]]:
    """The likelier of a sender's demands always go with the others."""
    rows = sorted(rows, key=lambda row: -given[row])
    limits = [1.0, *(given[row] for row in rows), 0.0]
    moved = [float(sum(bps[row] for row in rows[:count])) for count in range(len(rows) + 1)]
    return [(value, a - b) for value, a, b in zip(moved, limits[:-1], limits[1:], strict=True) if a - b > 1e-12]


def _quantile(atoms: list[tuple[float, float, float]], share: float) -> float:
    widest = max(sigma for _, sigma, _ in atoms)
    if widest < 1e-9:
        total = 0.0
        for value, _, weight in sorted(atoms):
            total += weight
            if total >= share - 1e-9:
                return value
    low, high = min(a for a, _, _ in atoms) - 6 * widest, max(a for a, _, _ in atoms) + 6 * widest
    for _ in range(60):
        middle = (low + high) / 2
        below = sum(w * NORMAL.cdf((middle - a) / max(s, 1e-9)) for a, s, w in atoms)
        low, high = (middle, high) if below < share else (low, middle)
    return (low + high) / 2
