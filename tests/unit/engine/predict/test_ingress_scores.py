from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.bands import given_factor
from teagent.engine.predict.ingress_scores import CORRELATION, REMEMBERED, Miss, Scores, misses_of

HERE = np.array([[1.0, 0.0]])
THERE = np.array([[0.0, 1.0]])


def missed(distance, times=20):
    return Scores(misses=(Miss(distance=distance, alone=0.01, together=0.2),) * times)


def test_the_graph_has_a_say_until_a_first_vector_was_scored():
    assert 0.0 < Scores().graph < 1.0
    assert missed(0.0, times=1).graph == 0.0


def test_bands_start_from_what_is_assumed():
    assert Scores().correlation() == CORRELATION


def test_bands_widen_after_misses_and_narrow_after_hits():
    assert missed(0.0).correlation() < CORRELATION < missed(0.25).correlation()


def test_bands_hold_most_of_the_misses_that_they_were_set_by():
    scores = missed(0.1, times=60)
    alike = scores.correlation()
    assert 1.645 * np.sqrt(0.01**2 + alike * 0.2**2 + 0.01**2) >= 0.095


def test_old_misses_are_forgotten():
    scores = Scores()
    for _ in range(REMEMBERED):
        scores = scores.with_outcome((Miss(distance=0.1, alone=0.1, together=0.1),) * 2)
    assert len(scores.misses) == REMEMBERED
    assert scores.misses[0].age == REMEMBERED // 2 - 1


def test_a_miss_says_how_far_each_load_was_from_what_was_foretold():
    chances = np.array([[0.5, 0.5], [1.0, 0.0]])
    (first, second) = misses_of(np.array([3.0, 1.0]), chances, np.concatenate([HERE, HERE]), np.array([0, 0]))
    assert first.distance == second.distance == pytest.approx(0.375)


def test_what_misses_have_in_common_is_what_bands_make_of_it():
    part, goes = np.array([0.75, 0.25]), np.array([0.5, 0.9])
    chances = np.stack([1 - goes, goes], axis=1)
    (left, gained) = misses_of(4 * part, chances, np.concatenate([HERE, HERE]), np.array([0, 0]))
    moved = given_factor(goes, 0.01) @ part
    assert moved.std() == pytest.approx(np.sqrt(0.01) * gained.together, rel=0.02)
    assert left.together == pytest.approx(gained.together)


def test_a_link_that_gains_as_much_as_it_loses_has_nothing_in_common_with_what_moves():
    chances = np.full((2, 2), 0.5)
    (first, second) = misses_of(np.array([1.0, 1.0]), chances, np.concatenate([HERE, THERE]), np.array([0, 1]))
    assert first.together == second.together == pytest.approx(0.0)
