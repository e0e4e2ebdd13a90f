"""Columns out of decoded rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from teagent.model.traffic import Column
from teagent.wire.flow.template import Rows, Template

LONGEST_CONSTANT: Final = 1 << 14


def unsigned(template: Template, rows: Rows, index: int) -> Column:
    """Field `index` as unsigned numbers, whatever its length (reduced-size encoding, RFC 7011 section 6.2). What is
    wider than 64 bits keeps its low 64.
    """
    length = template.fields[index].length
    raw: Column = rows[f"f{index}"]
    if length in {1, 2, 4, 8}:
        return raw
    if length == 16:
        return raw[:, 1]
    value = np.zeros(len(rows), dtype=np.uint64)
    for octet in range(max(0, length - 8), length):
        value = value << np.uint64(8) | raw[:, octet]
    return value


def unsigned_of(template: Template, rows: Rows, elements: tuple[int, ...]) -> Column | None:
    index = template.find(elements)
    return None if index is None else unsigned(template, rows, index)


def constant(count: int, value: float) -> Column:
    """A read-only float64 column; the short ones are shared, because small batches are many."""
    if count > LONGEST_CONSTANT:
        return np.full(count, value)
    return _constant(value)[:count]


@lru_cache(maxsize=16)
def _constant(value: float) -> npt.NDArray[np.float64]:
    column = np.full(LONGEST_CONSTANT, value)
    column.flags.writeable = False
    return column


_ZEROS: Final = np.zeros(LONGEST_CONSTANT, dtype=np.uint32)
_ZEROS.flags.writeable = False


def zeros(count: int) -> Column:
    """A read-only uint32 column of zeros."""
    return _ZEROS[:count] if count <= LONGEST_CONSTANT else np.zeros(count, dtype=np.uint32)
