"""The demands of a scene by prefix, each made when it is asked for: a decision looks at some prefixes of many.

What all prefixes together say of a sender (`at_least`) is gathered link by link, in one pass over the link's rows for
each distinct announcement that was seen there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.distinct import distinct, distinct_rows
from teagent.engine.predict.prior import NO_WAY
from teagent.engine.predict.shares import NOT_CARRIED, DemandColumns, Flags, Floats, Ints, Kinds
from teagent.model.bgp import Prefix
from teagent.model.traffic import TrafficMatrix

Small = npt.NDArray[np.int8]


class Demands(Mapping[Prefix, DemandColumns]):
    """Prefix -> its demands, by link and then source; prefixes without any are there, and empty.

    `bps` are the matrix's, scaled; `vectors` the live prepends. Several demands of one sender on one link for one
    prefix are one.
    """

    def __init__(
        self, matrix: TrafficMatrix, links: tuple[str, ...], bps: Floats, vectors: Mapping[Prefix, Mapping[str, int]]
    ) -> None:
        self._links = links
        self._sources = matrix.sources
        self._row = {prefix: row for row, prefix in enumerate(matrix.prefixes)}
        self._prepends = _prepends(matrix.prefixes, links, vectors)
        cell, self._source, self._bps = _rows(matrix, links, bps)
        cells = len(links) * len(self._row)
        self._starts = np.concatenate(([0], np.cumsum(np.bincount(cell, minlength=cells))))
        self._total = np.bincount(cell, weights=self._bps, minlength=cells).reshape(len(links), len(self._row))
        self._known = np.array([s.asn != 0 or bool(s.prefix) for s in matrix.sources], dtype=bool)
        self._made: dict[Prefix, DemandColumns] = {}
        self._evidence: dict[int, tuple[Ints, Small]] = {}

    def __getitem__(self, prefix: Prefix) -> DemandColumns:
        if prefix not in self._made:
            self._made[prefix] = self._make(prefix)
        return self._made[prefix]

    def __contains__(self, prefix: object) -> bool:
        return prefix in self._row

    def __iter__(self) -> Iterator[Prefix]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def total_bps(self, prefix: Prefix, link: int) -> float:
        row = self._row.get(prefix)
        return 0.0 if row is None else float(self._total[link, row])

    def by_prefix(self, link: int) -> Mapping[Prefix, float]:
        """bits per second of those that have any there."""
        return {prefix: float(bps) for prefix, bps in zip(self._row, self._total[link], strict=True) if bps > 0}

    def by_source(self, link: int) -> Floats:
        """(sources) bits per second."""
        rows = self._of_link(link)
        total: Floats = np.zeros(len(self._sources))
        np.add.at(total, self._source[rows], self._bps[rows])
        return total

    def _of_link(self, link: int) -> slice:
        width = len(self._row)
        return slice(self._starts[link * width], self._starts[(link + 1) * width])

    def _make(self, prefix: Prefix) -> DemandColumns:
        row, width = self._row[prefix], len(self._row)
        parts = [
            slice(self._starts[k * width + row], self._starts[k * width + row + 1]) for k in range(len(self._links))
        ]
        counts = [part.stop - part.start for part in parts]
        source = np.concatenate([self._source[part] for part in parts]) if parts else np.zeros(0, dtype=np.int64)
        kind: list[Ints] = []
        kinds: list[tuple[Ints, Small, Flags]] = []
        first = 0
        for link, part in enumerate(parts):
            if part.stop > part.start:
                which, made = self._kinds(link, row, self._source[part])
                kind.append(which + first)
                kinds.append(made)
                first += len(made[0])
        link_of, at_least, movable = zip(*kinds, strict=True) if kinds else ((), (), ())
        none = np.zeros(0, dtype=np.int64)
        return DemandColumns(
            prefix=prefix,
            links=self._links,
            sources=self._sources,
            link_index=np.repeat(np.arange(len(parts)), counts),
            source_index=source,
            bps=np.concatenate([self._bps[part] for part in parts]) if parts else np.zeros(0),
            kind=np.concatenate([none, *kind]),
            kinds=Kinds(
                link_index=np.concatenate([none, *link_of]),
                at_least=np.concatenate([np.zeros((0, len(parts)), dtype=np.int64), *at_least]).astype(np.int64),
                movable=np.concatenate([np.zeros(0, dtype=bool), *movable]),
            ),
        )

    def _kinds(self, link: int, row: int, source: Ints) -> tuple[Ints, tuple[Ints, Small, Flags]]:
        """Which kind each demand of one prefix on one link is, and those kinds."""
        if link not in self._evidence:
            self._evidence[link] = self._gather(link)
        code, strongest = self._evidence[link]
        movable = self._known[source] & (self._prepends[row, link] < NOT_CARRIED)
        kinds, which = distinct(code[source] * 2 + movable, 2 * len(strongest))
        return which, (np.full(len(kinds), link), strongest[kinds // 2], kinds % 2 > 0)

    def _gather(self, link: int) -> tuple[Ints, Small]:
        """For each source a number, and for each number (numbers, links) the strongest bound on the path difference
        that the demands of such a source on `link` give together.
        """
        bounds, sources = self._seen(link)
        code = np.zeros(len(self._sources), dtype=np.int64)
        known: dict[bytes, int] = {}
        rows: list[Small] = []

        def number_of(row: Small) -> int:
            number = known.setdefault(row.tobytes(), len(rows))
            if number == len(rows):
                rows.append(row)
            return number

        number_of(np.full(len(self._links), NO_WAY, dtype=np.int8))
        for bound, seen in zip(bounds, sources, strict=True):
            there = code[seen]
            following = np.zeros(len(rows), dtype=np.int64)
            for number in np.flatnonzero(np.bincount(there, minlength=len(rows))).tolist():
                following[number] = number_of(np.maximum(rows[number], bound))
            code[seen] = following[there]
        return code, np.stack(rows)

    def _seen(self, link: int) -> tuple[Small, list[Ints]]:
        """The distinct bounds that announcements on `link` put on path differences, and who was seen with each."""
        own = self._prepends[:, link]
        # What comes in where we do not announce says nothing of path lengths.
        announced = np.flatnonzero(own < NOT_CARRIED)
        bounds, alike = distinct_rows(own[announced, None] - self._prepends[announced])
        number = np.full(len(own), len(bounds), dtype=np.uint16 if len(bounds) < 2**16 else np.int64)
        number[announced] = alike
        first = link * len(own)
        of_row = np.repeat(number, np.diff(self._starts[first : first + len(own) + 1]))
        source = self._source[self._of_link(link)][np.argsort(of_row, kind="stable")]
        ends = np.cumsum(np.bincount(of_row, minlength=len(bounds) + 1))[:-1]
        return bounds, np.split(source, ends)[: len(bounds)]


def _prepends(
    prefixes: tuple[Prefix, ...], links: tuple[str, ...], vectors: Mapping[Prefix, Mapping[str, int]]
) -> Small:
    """(prefixes, links)."""
    column = {name: k for k, name in enumerate(links)}
    prepends = np.full((len(prefixes), len(links)), NOT_CARRIED, dtype=np.int8)
    for row, prefix in enumerate(prefixes):
        for name, prepend in vectors.get(prefix, {}).items():
            if name in column:
                prepends[row, column[name]] = prepend
    return prepends


def _rows(matrix: TrafficMatrix, links: tuple[str, ...], bps: Floats) -> tuple[Ints, Ints, Floats]:
    """Cell (link and prefix), source and bps of the demands on these links, in the order of cell and source."""
    if not len(matrix):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    column = {name: k for k, name in enumerate(links)}
    position = np.array([column.get(name, -1) for name in matrix.links], dtype=np.int64)
    link = position[matrix.link_index]
    cell = link * len(matrix.prefixes) + matrix.prefix_index
    key = cell * len(matrix.sources) + matrix.source_index
    kept = (link >= 0) & (bps > 0)
    ordered = bool((key[1:] > key[:-1]).all())
    if ordered and kept.all():
        return cell, matrix.source_index.astype(np.int64), bps
    key, bps = key[kept], bps[kept]
    if not ordered:
        order = np.argsort(key, kind="stable")
        key, bps = key[order], bps[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        key, bps = key[first], np.add.reduceat(bps, first)
    cell = key // len(matrix.sources)
    return cell, key - cell * len(matrix.sources), bps
