"""The origin table against the plain rule: the narrowest range that holds an address, the later of equal ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from teagent.engine.measure import origin
from teagent.engine.measure.origin import OriginTable
from teagent.model.origin import OriginRanges, OriginRoutes

BITS = {4: 32, 6: 64}
NOTHING = OriginRanges(first=np.zeros(0, "u8"), last=np.zeros(0, "u8"), asn=np.zeros(0, "u4"))

ROWS = st.sampled_from((4, 6)).flatmap(
    lambda family: st.tuples(
        st.just(family),
        st.lists(
            st.one_of(
                # Nested prefixes of one corner, and of the last one, so that they meet, nest and end together.
                st.tuples(st.integers(0, 63), st.integers(BITS[family] - 8, BITS[family])).map(
                    lambda t: _prefix(family, *t)
                ),
                st.tuples(st.integers((1 << BITS[family]) - 64, (1 << BITS[family]) - 1), st.integers(0, 64)).map(
                    lambda t: _prefix(family, t[0], BITS[family] - min(t[1], BITS[family]))
                ),
                st.tuples(st.integers(0, 63), st.integers(0, 63)).map(lambda t: (min(t), max(t))),
            ),
            max_size=12,
        ).flatmap(lambda ranges: st.tuples(*(st.tuples(st.just(r), st.integers(0, 3)) for r in ranges))),
    )
)


def _prefix(family: int, address: int, length: int) -> tuple[int, int]:
    span = (1 << BITS[family] - length) - 1
    return address & ~span, address | span


def table(family: int, rows: list[tuple[tuple[int, int], int]]) -> OriginTable:
    ranges = OriginRanges(
        first=np.array([first for (first, _), _ in rows], dtype="u8"),
        last=np.array([last for (_, last), _ in rows], dtype="u8"),
        asn=np.array([asn for _, asn in rows], dtype="u4"),
    )
    return OriginTable(
        OriginRoutes(ipv4=ranges if family == 4 else NOTHING, ipv6=ranges if family == 6 else NOTHING, skipped={})
    )


def plainly(rows: list[tuple[tuple[int, int], int]], address: int) -> int:
    covering = [(last - first, -n, asn) for n, ((first, last), asn) in enumerate(rows) if first <= address <= last]
    return min(covering)[2] if covering else 0


@given(ROWS, st.integers(1, 8))
def test_the_narrowest_range_names_an_address(case, at_once):
    family, rows = case
    edges = {e + d for (first, last), _ in rows for e in (first, last) for d in (-1, 0, 1)} | set(range(66))
    addresses = sorted(e for e in edges if 0 <= e < 1 << BITS[family])
    before, origin.PAINTED_AT_ONCE = origin.PAINTED_AT_ONCE, at_once
    try:
        found = table(family, rows).match(family, np.array(addresses, dtype="u4" if family == 4 else "u8"))
    finally:
        origin.PAINTED_AT_ONCE = before
    assert found.tolist() == [plainly(rows, address) for address in addresses]


@given(ROWS)
def test_a_table_has_two_ranges_for_each_prefix_at_the_most(case):
    family, rows = case
    assert table(family, rows).octets <= (8 if family == 4 else 12) * (2 * len(rows) + 1)
