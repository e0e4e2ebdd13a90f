"""A prediction in full, kept until it can be held against what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from teagent.engine.predict.bands import VOLUME_ERROR
from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Floats, Forecaster, Ints
from teagent.model.bgp import Prefix
from teagent.model.plan import Band
from teagent.model.traffic import Source, TrafficMatrix

Vector = Mapping[str, int]

ROWS_MAX = 20_000
"""The heaviest demands: what the lightest do decides no score, and a prediction is kept for weeks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """`vectors` is what each prefix is announced with, (before, after). Rows are demands of known senders at `at`:
    where they were, `link_index` (N), and the chance of each of `links` afterwards, `expected` (N, K).

    `bands` are the loads of whole links.
    """

    at: datetime
    vectors: Mapping[Prefix, tuple[Vector, Vector]]
    links: tuple[str, ...]
    sources: tuple[Source, ...]
    prefixes: tuple[Prefix, ...]
    source_index: Ints
    prefix_index: Ints
    link_index: Ints
    bps: Floats
    expected: Floats
    bands: Mapping[str, Band]
    assumption: str


def predict(
    scene: Scene, after: Mapping[Prefix, Vector], bands: Mapping[str, Band], *, forecaster: Forecaster
) -> Prediction:
    """For these vectors in place of the live ones; `bands` come from a dry run of the same."""
    parts, rows = [], []
    for number, (prefix, vector) in enumerate(after.items()):
        columns = scene.demands.get(prefix)
        if columns is None or not len(columns.bps):
            continue
        shares = forecaster.forecast_shares(columns, scene.vectors[prefix], dict(vector)).of_demands()
        known = np.array([bool(s.asn or s.prefix) for s in columns.sources], dtype=bool)[columns.source_index]
        kept = np.flatnonzero(known)
        rows.append(np.column_stack([columns.source_index, np.full(len(known), number), columns.link_index])[kept])
        parts.append(np.column_stack([columns.bps, shares])[kept])
    width = len(scene.links)
    index = np.concatenate(rows) if rows else np.zeros((0, 3), dtype=np.int64)
    values = np.concatenate(parts) if parts else np.zeros((0, 1 + width))
    heaviest = np.sort(np.argsort(-values[:, 0], kind="stable")[:ROWS_MAX])
    index, values = index[heaviest], values[heaviest]
    used, source_index = np.unique(index[:, 0], return_inverse=True)
    return Prediction(
        at=scene.snapshot.taken_at,
        vectors={prefix: (dict(scene.vectors[prefix]), dict(vector)) for prefix, vector in after.items()},
        links=scene.links,
        sources=tuple(scene.matrix.sources[k] for k in used),
        prefixes=tuple(after),
        source_index=source_index.reshape(-1).astype(np.int64),
        prefix_index=index[:, 1].astype(np.int64),
        link_index=index[:, 2].astype(np.int64),
        bps=values[:, 0],
        expected=values[:, 1:],
        bands=dict(bands),
        assumption=forecaster.assumption,
    )


def stay(
    matrix: TrafficMatrix,
    vectors: Mapping[Prefix, Vector],
    loads: Mapping[str, float | None],
    *,
    links: tuple[str, ...],
) -> Prediction:
    """That nothing changes while nothing is changed, of the prefixes in `vectors`. `loads` are those of whole links;
    one without has no band.
    """
    known = np.array([bool(s.asn or s.prefix) for s in matrix.sources], dtype=bool)
    place = np.array([links.index(name) if name in links else -1 for name in matrix.links], dtype=np.int64)
    prefixes = tuple(prefix for prefix in matrix.prefixes if prefix in vectors)
    number = np.array([prefixes.index(p) if p in vectors else -1 for p in matrix.prefixes], dtype=np.int64)
    rows = np.zeros(0, dtype=np.int64)
    if len(matrix):
        wanted = known[matrix.source_index] & (place[matrix.link_index] >= 0) & (number[matrix.prefix_index] >= 0)
        rows = np.flatnonzero(wanted)
    rows = np.sort(rows[np.argsort(-matrix.bps[rows], kind="stable")[:ROWS_MAX]])
    link_index = place[matrix.link_index[rows]] if len(rows) else rows
    return Prediction(
        at=matrix.at,
        vectors={prefix: (dict(vectors[prefix]), dict(vectors[prefix])) for prefix in prefixes},
        links=links,
        sources=matrix.sources,
        prefixes=prefixes,
        source_index=matrix.source_index[rows].astype(np.int64),
        prefix_index=number[matrix.prefix_index[rows]] if len(rows) else rows,
        link_index=link_index,
        bps=matrix.bps[rows],
        expected=np.eye(len(links))[link_index],
        bands={name: _steady(load) for name, load in loads.items() if load is not None},
        assumption="nothing changes while nothing is changed",
    )


def _steady(load: float) -> Band:
    return Band(low=load * (1 - VOLUME_ERROR), expected=load, high=load * (1 + VOLUME_ERROR))
