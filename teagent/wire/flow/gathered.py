"""Fields of many records, gathered out of the datagrams when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import numpy as np

from teagent.model.traffic import Column
from teagent.wire.flow.template import Rows

AT_ONCE_OCTETS: Final = 512 << 10
"""Octets of datagrams out of which all fields are gathered before the next ones are looked at: about a half of a
second-level cache, so that only the first field waits for memory.
"""


class Gathered:
    """The rows of several arrays of one template's dtype, one after the other. Each may be a view into datagrams, of
    shape (datagrams, records in each), so that the records themselves need not be copied: most of what they hold is
    never looked at. A field is a column in the machine's byte order.
    """

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts
        self._count = sum([part.size for part in parts])
        self._columns: dict[str, Column] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, name: str) -> Column:
        if name not in self._columns:
            self.fetch((name,))
        return self._columns[name]

    def fetch(self, names: Iterable[str]) -> None:
        """Gathers several fields together, which takes less than one after the other."""
        wanted = [name for name in names if name not in self._columns]
        kinds = self._parts[0].dtype
        for name in wanted:
            kind = kinds[name]  # of an IPv6 address two numbers
            self._columns[name] = np.empty((self._count, *kind.shape), kind.base.newbyteorder("="))
        columns = [self._columns[name] for name in wanted]
        at = 0
        for part in self._parts:
            pairs = []
            for name, column in zip(wanted, columns, strict=True):
                values = part[name]
                pairs.append((column[at : at + part.size].reshape(values.shape), values))
            at += part.size
            step = max(1, AT_ONCE_OCTETS // max(1, part.strides[0]))
            for begin in range(0, len(part), step):
                here = slice(begin, begin + step)
                for column, values in pairs:
                    column[here] = values[here]


Fields: TypeAlias = Rows | Gathered
