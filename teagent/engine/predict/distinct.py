"""Small numbers told apart without sorting them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def distinct(codes: Ints, below: int) -> tuple[Ints, Ints]:
    """Those that there are among `codes` (N), each from 0 to less than `below`, ascending (D); and which of them each
    is (N). As `np.unique` has it, in time and memory that grow with N and `below`.
    """
    there = np.bincount(codes, minlength=below) > 0
    place = np.cumsum(there) - 1
    return np.flatnonzero(there), place[codes]
