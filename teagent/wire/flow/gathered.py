"""Fields of many records, gathered out of the datagrams when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from teagent.model.traffic import Column
from teagent.wire.flow.template import Rows


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
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._column(name)
        return column

    def _column(self, name: str) -> Column:
        found = [part[name] for part in self._parts]
        each = found[0].shape[self._parts[0].ndim :]  # of an IPv6 address two numbers
        column = np.empty((self._count, *each), found[0].dtype.newbyteorder("="))
        at = 0
        for part, values in zip(self._parts, found, strict=True):
            column[at : at + part.size].reshape(values.shape)[...] = values
            at += part.size
        return column


Fields: TypeAlias = Rows | Gathered
