from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.bands import given_factor
from teagent.engine.predict.ingress_scores import CORRELATION, REMEMBERED, Miss, Scores, losses, misses_of
from teagent.engine.predict.ingress_simple import Simple, simple_chances
from teagent.engine.predict.propagation import FAR

HERE = np.array([[1.0, 0.0]])
THERE = np.array([[0.0, 1.0]])


def after(scores, loss, times=1):
    for _ in range(times):
        scores = scores.with_outcome(np.array(loss), ())
    return scores


def missed(distance, times=20):
    return Scores(misses=(Miss(distance=distance, alone=0.01, together=0.2),) * times)


def test_before_anything_was_scored_the_learned_model_is_believed_most():
    weights = Scores().weights()
    assert weights[0] == max(weights)
    assert weights.sum() == pytest.approx(1.0)


def test_a_simple_model_that_foretells_better_takes_over():
    assert after(Scores(), [0.2, 0.05, 0.2, 0.2], times=3).weights().argmax() == 1 + Simple.STAY


def test_the_learned_model_comes_back_when_it_foretells_better_again():
    lost = after(Scores(), [0.2, 0.05, 0.2, 0.2], times=3)
    assert after(lost, [0.02, 0.2, 0.2, 0.2], times=5).weights().argmax() == 0


def test_a_forecast_that_was_certain_and_right_has_no_loss_and_one_that_was_wrong_all():
    assert losses(np.stack([HERE, THERE]), HERE, np.array([5.0])).tolist() == [0.0, 1.0]


def test_heavy_senders_count_by_their_bytes():
    chances = np.concatenate([HERE, HERE])[None]
    assert losses(chances, np.concatenate([HERE, THERE]), np.array([3.0, 1.0])).tolist() == [0.25]


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
        scores = scores.with_outcome(np.zeros(4), (Miss(distance=0.1, alone=0.1, together=0.1),) * 2)
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


# --- simple models ----------------------------------------------------------------------------------------------------


def simple(hops, on, before, after_):
    by_one = np.eye(len(Simple))
    each = {kind: simple_chances(by_one[kind], np.array([hops]).T, np.array([on]), before, [after_]) for kind in Simple}
    return {kind: chances[0, :, 0].tolist() for kind, chances in each.items()}


def test_who_is_on_one_of_the_equals_stays_there():
    assert simple([3, 3], 1, (0, 0), (0, 0))[Simple.TIES] == [0.0, 1.0]


def test_who_is_on_none_of_the_equals_goes_to_any_of_them():
    assert simple([3, 3, 4], 2, (0, 0, 0), (0, 0, 0))[Simple.TIES] == [0.5, 0.5, 0.0]


def test_who_is_not_where_the_graph_says_stays_unless_the_change_moves_what_the_graph_says():
    assert simple([3, 5], 1, (0, 0), (1, 0))[Simple.STAY] == [0.0, 1.0]
    assert simple([3, 5], 0, (0, 0), (3, 0))[Simple.STAY] == [0.0, 1.0]


def test_a_link_without_a_path_in_the_graph_is_not_gone_to():
    assert simple([3, int(FAR)], 0, (0, 0), (4, 0))[Simple.TIES] == [1.0, 0.0]
