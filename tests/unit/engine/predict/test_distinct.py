"""Small numbers told apart: the same as numpy's way, which sorts."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.distinct import distinct, distinct_rows


@pytest.mark.parametrize("codes", [[], [0], [3, 0, 3, 7, 0]])
def test_those_that_there_are_and_which_each_is(codes: list[int]) -> None:
    given = np.array(codes, dtype=np.int64)
    found, which = distinct(given, 8)
    wanted, of = np.unique(given, return_inverse=True)
    assert found.tolist() == wanted.tolist()
    assert which.tolist() == of.reshape(-1).tolist()


@pytest.mark.parametrize("count", [0, 1, 200])
def test_rows_that_there_are_and_which_each_is(count: int) -> None:
    given = np.random.default_rng(count).integers(-2, 2, (count, 4)).astype(np.int8)
    found, which = distinct_rows(given)
    wanted, of = np.unique(given, axis=0, return_inverse=True)
    assert found.tolist() == wanted.tolist()
    assert which.tolist() == of.reshape(-1).tolist()
