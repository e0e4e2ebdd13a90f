"""Columns out of decoded rows."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from teagent.model.traffic import Column
from teagent.wire.flow.gathered import Fields
from teagent.wire.flow.template import Template


def unsigned(template: Template, rows: Fields, index: int) -> Column:
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


def unsigned_of(template: Template, rows: Fields, elements: tuple[int, ...]) -> Column | None:
    index = template.find(elements)
    return None if index is None else unsigned(template, rows, index)


def constant(count: int, value: float) -> Column:
    """A read-only float64 column: one number, looked at `count` times."""
    return np.ndarray((count,), np.float64, _DOUBLE.pack(value), strides=(0,))


def repeated(number: int, count: int) -> Column:
    """A read-only uint32 column: one number, looked at `count` times."""
    return np.ndarray((count,), np.uint32, _WORD.pack(number), strides=(0,))


def zeros(count: int) -> Column:
    """A read-only uint32 column of zeros."""
    return np.ndarray((count,), np.uint32, _ZERO, strides=(0,))


_WORD: Final = struct.Struct("=I")
_DOUBLE: Final = struct.Struct("=d")
_ZERO: Final = bytes(4)
