"""Matrices of windows that follow each other, as one; and a matrix scaled to the interface counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from teagent.model.bgp import prefix_key
from teagent.model.link import NoData
from teagent.model.traffic import Column, Source, TrafficMatrix


def scaled(matrix: TrafficMatrix, interface_octets: Mapping[str, float | NoData]) -> TrafficMatrix:
    """`matrix`, whose rates are those of the flows, with each link summing up to what its interface counted.

    `interface_octets` holds for each link the L2 octets that its interface counted in during the window. A link whose
    reading is missing or NoData stays as it is, with coverage None. Coverage is reported as it is, however far from 1.
    A link at which no flow was seen has no rows, and coverage 0 if its interface counted anything.
    """
    flows = flow_octets(matrix)
    factor = np.ones(len(matrix.links))
    coverage: dict[str, float | None] = {}
    for i, name in enumerate(matrix.links):
        counted = interface_octets.get(name)
        if counted is None or isinstance(counted, NoData):
            coverage[name] = None
            continue
        if flows[name] > 0:
            factor[i] = counted / flows[name]
        # Less than an octet is taken for one, so that flows on an idle interface show as a large figure, not as none.
        coverage[name] = 1.0 if flows[name] == counted else flows[name] / max(counted, 1.0)
    other = {name: matrix.unattributed_bps[name] * float(factor[i]) for i, name in enumerate(matrix.links)}
    return replace(matrix, bps=matrix.bps * factor[matrix.link_index], coverage=coverage, unattributed_bps=other)


def flow_octets(matrix: TrafficMatrix) -> dict[str, float]:
    """What its rates amount to on each link, the unattributed too."""
    bps = np.bincount(matrix.link_index, weights=matrix.bps, minlength=len(matrix.links))
    return {
        name: (float(bps[i]) + matrix.unattributed_bps.get(name, 0.0)) * matrix.seconds / 8
        for i, name in enumerate(matrix.links)
    }


def combined(matrices: Sequence[TrafficMatrix], *, max_rows: int) -> TrafficMatrix:
    """The mean over all of them, weighted by their seconds; it ends where the last one does. Past `max_rows` rows of
    named sources the smaller ones go to the rest of their link and prefix. Raises ValueError where there is none.

    Coverage is that of the whole, as far as it is known: None where it is for more than half of the time.
    """
    if not matrices:
        raise ValueError("no matrix to combine")
    seconds = sum(matrix.seconds for matrix in matrices)
    links = tuple(sorted({name for matrix in matrices for name in matrix.links}))
    prefixes = tuple(sorted({prefix for matrix in matrices for prefix in matrix.prefixes}, key=prefix_key))
    sources = tuple(sorted({source for matrix in matrices for source in matrix.sources} | {Source()}))
    columns = [
        np.concatenate([_numbers(getattr(m, names), into)[getattr(m, index)] for m in matrices])
        for names, index, into in (
            ("links", "link_index", links),
            ("prefixes", "prefix_index", prefixes),
            ("sources", "source_index", sources),
        )
    ]
    columns, bits = _grouped(columns, np.concatenate([matrix.bps * matrix.seconds for matrix in matrices]))
    if len(bits) > max_rows:
        rest = sources.index(Source())
        apart = np.flatnonzero(columns[2] != rest)
        small = apart[np.argsort(-bits[apart], kind="stable")[max_rows:]]
        columns[2][small] = rest
        columns, bits = _grouped(columns, bits)
    used, columns[2] = np.unique(columns[2], return_inverse=True)
    return TrafficMatrix(
        at=max(matrix.at for matrix in matrices),
        seconds=seconds,
        links=links,
        prefixes=prefixes,
        sources=tuple(sources[i] for i in used.tolist()),
        link_index=columns[0].astype(np.int32),
        prefix_index=columns[1].astype(np.int32),
        source_index=columns[2].astype(np.int32),
        bps=bits / seconds,
        coverage={name: _coverage(name, matrices, seconds) for name in links},
        unattributed_bps={
            name: sum(m.unattributed_bps.get(name, 0.0) * m.seconds for m in matrices) / seconds for name in links
        },
    )


def _numbers(names: Sequence[Any], into: Sequence[Any]) -> npt.NDArray[np.int64]:
    number = {value: i for i, value in enumerate(into)}
    return np.array([number[value] for value in names], dtype=np.int64)


def _grouped(columns: list[Column], bits: Column) -> tuple[list[Column], Column]:
    """Sums by link, prefix and source, in that order."""
    order = np.lexsort(columns[::-1])
    columns, bits = [column[order] for column in columns], bits[order]
    if not len(bits):
        return columns, bits
    changes = np.zeros(len(bits), dtype=bool)
    changes[0] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    first = np.flatnonzero(changes)
    return [column[first] for column in columns], np.add.reduceat(bits, first)


def _coverage(link: str, matrices: Sequence[TrafficMatrix], seconds: float) -> float | None:
    """Flow octets / interface octets over those matrices that could be compared. A scaled link sums up to its
    interface, so that its flows are that, times its coverage.
    """
    known = [(matrix, cover) for matrix in matrices if (cover := matrix.coverage.get(link)) is not None]
    if not known or sum(matrix.seconds for matrix, _ in known) < seconds / 2:
        return None
    counted = [flow_octets(matrix)[link] for matrix, _ in known]
    if not sum(counted):
        return float(np.mean([cover for _, cover in known]))
    flows = sum(octets * cover for octets, (_, cover) in zip(counted, known, strict=True))
    return flows / sum(counted)
