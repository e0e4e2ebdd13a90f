"""Small numbers told apart without sorting them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int8]


def distinct(codes: Ints, below: int) -> tuple[Ints, Ints]:
    """Those that there are among `codes` (N), each from 0 to less than `below`, ascending (D); and which of them each
    is (N). As `np.unique` has it, in time and memory that grow with N and `below`.
    """
    there = np.bincount(codes, minlength=below) > 0
    place = np.cumsum(there) - 1
    return np.flatnonzero(there), place[codes]


def distinct_rows(rows: Small) -> tuple[Small, Ints]:
    """Those that there are among `rows` (N, at least one column), ascending (D, columns); and which of them each is
    (N). As `np.unique` has it by `axis=0`, in a fraction of the time: the octets of a row are compared as they stand.
    """
    # With the sign bit turned over, octets are in the order of what they stand for.
    octets = np.ascontiguousarray(rows).view(np.uint8) ^ np.uint8(0x80)
    _, first, which = np.unique(octets.view(f"V{rows.shape[1]}").reshape(-1), return_index=True, return_inverse=True)
    return rows[first], which.reshape(-1)
