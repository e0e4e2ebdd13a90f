"""The demands of a scene, against what a reading of the matrix row by row gives."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from ipaddress import ip_network

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.engine.predict.demands import Demands
from teagent.engine.predict.prior import NO_WAY, destinations
from teagent.engine.predict.shares import TIES_STICK, DemandColumns
from teagent.model.bgp import Prefix
from teagent.model.traffic import Source, TrafficMatrix

LINKS = ("a", "b", "c")
PREFIXES: tuple[Prefix, ...] = tuple(ip_network(f"10.{n}.0.0/24") for n in range(4))
SOURCES = (Source(), Source(asn=64496), Source(asn=64497), Source(prefix="198.18.3.0/24"))
VECTORS = st.dictionaries(st.sampled_from(LINKS), st.integers(0, 5))
ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, 1.0, 2.5])), max_size=30
)


def matrix_of(rows: list[tuple[int, int, int, float]], links: tuple[str, ...]) -> TrafficMatrix:
    columns = np.array([row[:3] for row in rows], dtype=np.int32).reshape(-1, 3)
    return TrafficMatrix(
        at=datetime(2026, 1, 12, tzinfo=UTC),
        seconds=300,
        links=links,
        prefixes=PREFIXES,
        sources=SOURCES,
        link_index=columns[:, 0],
        prefix_index=columns[:, 1],
        source_index=columns[:, 2],
        bps=np.array([row[3] for row in rows]),
        coverage={},
        unattributed_bps={},
    )


@given(rows=ROWS, vectors=st.dictionaries(st.sampled_from(PREFIXES), VECTORS), data=st.data())
def test_demands_are_those_of_the_matrix_with_what_all_prefixes_say_of_a_sender(
    rows: list[tuple[int, int, int, float]], vectors: dict[Prefix, dict[str, int]], data: st.DataObject
) -> None:
    """Also where the matrix has its links in another order, or one that is not ours any more."""
    names = tuple(data.draw(st.permutations(LINKS)))
    ours = LINKS[: data.draw(st.integers(1, 3))]
    demands = Demands(matrix_of(rows, names), ours, np.array([row[3] for row in rows]), vectors)
    load: dict[tuple[int, int, int], float] = defaultdict(float)
    bounds: dict[tuple[int, int], list[int]] = defaultdict(lambda: [NO_WAY] * len(ours))
    for at, prefix, source, bps in rows:
        if names[at] not in ours or not bps:
            continue
        own, vector = ours.index(names[at]), vectors.get(PREFIXES[prefix], {})
        load[prefix, own, source] += bps
        if names[at] in vector:
            seen = [vector[names[at]] - vector.get(name, -NO_WAY) for name in ours]
            bounds[own, source] = [max(pair) for pair in zip(bounds[own, source], seen, strict=True)]
    for number, prefix in enumerate(PREFIXES):
        columns = demands[prefix]
        found = [
            (number, *row[:2]) for row in zip(columns.link_index.tolist(), columns.source_index.tolist(), strict=True)
        ]
        assert found == sorted(key for key in load if key[0] == number)
        assert columns.bps.tolist() == [load[key] for key in found]
        assert columns.at_least.tolist() == [bounds[key[1:]] for key in found]
        known = [ours[own] in vectors.get(prefix, {}) and source != 0 for _, own, source in found]
        assert columns.movable.tolist() == known
        for own in range(len(ours)):
            assert demands.total_bps(prefix, own) == sum(load[key] for key in found if key[1] == own)


@given(rows=ROWS, live=VECTORS.filter(bool), data=st.data())
def test_many_vectors_at_once_are_forecast_as_one_sender_after_the_other(
    rows: list[tuple[int, int, int, float]], live: dict[str, int], data: st.DataObject
) -> None:
    afters = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(live, st.integers(0, 5))), min_size=1, max_size=4))
    demands = Demands(matrix_of(rows, LINKS), LINKS, np.array([row[3] for row in rows]), {PREFIXES[0]: live})
    columns = demands[PREFIXES[0]]
    for after, shares in zip(afters, TIES_STICK.forecast_each(columns, live, afters), strict=True):
        for row, found in enumerate(shares.of_demands()):
            assert found.tolist() == pytest.approx(one_sender(columns, row, live, after))


def one_sender(columns: DemandColumns, row: int, live: dict[str, int], after: dict[str, int]) -> list[float]:
    own = LINKS[columns.link_index[row]]
    others = [name for name in LINKS if name != own and name in live]
    expected = dict.fromkeys(LINKS, 0.0) | {own: 1.0}
    shorter = [name for name in others if own in live and after[own] - after[name] > live[own] - live[name]]
    if shorter and columns.movable[row]:
        at_least = np.array([[columns.at_least[row, LINKS.index(name)] for name in others]])
        moved = destinations(at_least, np.array([after[own] - after[name] for name in others]))[0]
        expected |= dict(zip(others, moved.tolist(), strict=True)) | {own: 1 - float(moved.sum())}
    return list(expected.values())
