"""What units would do, against the same worked out habit by habit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teagent.engine.predict.habit_rates import UNREACHED
from teagent.engine.predict.habits import WITHHELD, habits
from teagent.engine.predict.ingress import ERROR
from teagent.engine.predict.ingress_units import Answers, Condensed, Units, by_graph, foretold

LINKS = 5
vectors = st.tuples(*[st.sampled_from([0, 0, 1, 2, 3, WITHHELD])] * LINKS)


def weights(seed: int, count: int) -> npt.NDArray[np.float32]:
    found = np.random.default_rng((seed, 1)).random((count, len(habits(3)))).astype(np.float32) ** 8
    result: npt.NDArray[np.float32] = found / found.sum(axis=1, keepdims=True)
    return result


def units(seed: int, count: int, graph: float = 0.0) -> Units:
    rng = np.random.default_rng(seed)
    return Units(
        weights=Condensed(weights(seed, count), width=3),
        source=np.arange(count)[::-1],
        places=np.sort(rng.permuted(np.tile(np.arange(LINKS), (count, 1)), axis=1)[:, :3], axis=1),
        at=rng.integers(0, 3, count),
        owned=rng.random(count) < 0.5,
        behind=rng.integers(0, 3, (count, 3)),
        of=np.arange(count),
        graph=graph,
    )


def habit_by_habit(
    given_: Units, of_each: npt.NDArray[np.float32], unit: int, before: tuple[int, ...], after: tuple[int, ...]
) -> list[float]:
    places, at = given_.places[unit], int(given_.at[unit])
    rules = habits(3).rules
    goes = rules.choose(np.array(after)[places], at)
    weight = of_each[given_.source[unit]].astype(float)
    if not given_.owned[unit]:
        weight = weight * np.where(rules.choose(np.array(before)[places], at) == at, 1 - ERROR, ERROR)
    chance = np.bincount(goes, weights=weight, minlength=3)
    return (chance if given_.owned[unit] else chance / chance.sum()).tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), vectors, st.lists(vectors, min_size=1, max_size=6))
def test_many_units_under_many_vectors_answer_as_each_habit_does(seed, count, before, afters):
    some = units(seed, count)
    found = foretold(some, before, afters)
    wanted = [
        [habit_by_habit(some, weights(seed, count), unit, before, after) for unit in range(count)] for after in afters
    ]
    assert found == pytest.approx(np.array(wanted), abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), vectors, st.lists(vectors, min_size=2, max_size=6))
def test_answers_are_the_same_whenever_units_turn_up_and_vectors_are_asked_for(seed, count, before, afters):
    some = units(seed, count, graph=0.3)
    at_once = foretold(some, before, afters)
    known, middle = Answers(some.weights, before, 3, 0.3), count // 2
    first = known.register(some_of(some, slice(0, middle)))
    known.columns(afters[:1])
    ids = known.register(some)
    assert ids[:middle].tolist() == first.tolist()
    assert len(set(ids.tolist())) == count
    column = known.columns(afters)
    assert known.chance[ids, column[:, known.combination[ids]]] == pytest.approx(at_once, abs=1e-6)
    assert (known.asked[known.combination] > column[:, known.combination].max(axis=0)).all()


def some_of(given_: Units, rows: slice) -> Units:
    return Units(
        weights=given_.weights,
        source=given_.source[rows],
        places=given_.places[rows],
        at=given_.at[rows],
        owned=given_.owned[rows],
        behind=given_.behind[rows],
        of=given_.of[rows],
        graph=given_.graph,
    )


def test_prepends_that_cannot_be_announced_are_not_answered():
    with pytest.raises(ValueError, match="prepends are 0 to 5"):
        foretold(units(1, 1), (0,) * LINKS, [(6,) * LINKS])


def test_no_units_have_no_answers():
    assert foretold(units(1, 0), (0,) * LINKS, [(1,) * LINKS]).shape == (1, 0, 3)


# --- what the graph says ----------------------------------------------------------------------------------------------


def by_the_graph(behind: list[int], on: int, before: tuple[int, ...], after: tuple[int, ...]) -> list[float]:
    chances: list[float] = by_graph(*map(np.array, ([behind], [on], [before], [after])))[0].tolist()
    return chances


def test_many_senders_under_many_vectors_do_as_each_does_by_itself():
    behind = [[0, 2, 1], [1, 0, UNREACHED], [0, 0, 0], [UNREACHED] * 3, [5, 0, 1]]
    befores = [(0, 2, 0), (0, 0, 0), (1, 0, 0), (0, 2, 0), (0, WITHHELD, 0)]
    afters = [(0, 1, 2), (3, 0, 0), (0, WITHHELD, 1), (5, 5, 0), (0, 1, 0)]
    found = by_graph(np.array(behind), np.ones(5, dtype=np.int64), np.array(befores), np.array(afters))
    each = zip(behind, befores, afters, strict=True)
    assert found.tolist() == [by_the_graph(row, 1, before, after) for row, before, after in each]
    assert len(set(map(tuple, found.tolist()))) >= 3


def test_who_is_not_where_the_graph_says_stays_unless_the_change_moves_what_the_graph_says():
    assert by_the_graph([0, 2], 1, (0, 0), (1, 0)) == [0.0, 1.0]
    assert by_the_graph([0, 2], 0, (0, 0), (3, 0)) == [0.0, 1.0]
    assert by_the_graph([0, 1, 2], 2, (0, 0, 0), (3, 0, 0)) == [0.0, 1.0, 0.0]


def test_who_is_on_one_of_the_equals_stays_there():
    assert by_the_graph([0, 1], 0, (0, 0), (1, 0)) == [1.0, 0.0]


def test_who_is_on_none_of_the_equals_goes_to_each_of_them_alike():
    assert by_the_graph([0, 1, 1], 0, (0, 0, 0), (2, 0, 0)) == [0.0, 0.5, 0.5]


def test_a_link_without_a_path_in_the_graph_is_not_gone_to_unless_no_other_announces():
    assert by_the_graph([0, UNREACHED], 0, (0, 0), (4, 0)) == [1.0, 0.0]
    assert by_the_graph([0, UNREACHED], 0, (0, 0), (WITHHELD, 0)) == [0.0, 1.0]


def test_a_link_that_was_withheld_before_and_is_announced_now_draws_who_is_nearest_to_it():
    assert by_the_graph([0, 1, 1], 1, (WITHHELD, 0, 0), (0, 0, 0)) == [1.0, 0.0, 0.0]


def test_the_graph_counts_as_much_as_is_said_beside_what_was_learned():
    before, afters = (0,) * LINKS, [(1, 0, 2, 0, 1), (0, 3, 0, 0, 0)]
    learned, mixed = (foretold(units(5, 9, graph), before, afters) for graph in (0.0, 0.3))
    asked = units(5, 9)
    for unit, (places, on) in enumerate(zip(asked.places, asked.at.tolist(), strict=True)):
        was, *then = (np.array(vector)[None, places] for vector in (before, *afters))
        graph = np.concatenate([by_graph(asked.behind[[unit]], np.array([on]), was, each) for each in then])
        assert mixed[:, unit] == pytest.approx(0.7 * learned[:, unit] + 0.3 * graph, abs=1e-6)
