"""Small numbers told apart: the same as numpy's way, which sorts."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.distinct import distinct


@pytest.mark.parametrize("codes", [[], [0], [3, 0, 3, 7, 0]])
def test_those_that_there_are_and_which_each_is(codes: list[int]) -> None:
    given = np.array(codes, dtype=np.int64)
    found, which = distinct(given, 8)
    wanted, of = np.unique(given, return_inverse=True)
    assert found.tolist() == wanted.tolist()
    assert which.tolist() == of.reshape(-1).tolist()
