"""Which candidates get a dry run, and what the first dry runs say of the others."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from teagent.engine.choose import search
from teagent.engine.choose.candidates import vectors
from teagent.engine.choose.rough import Options, Rough
from teagent.engine.choose.screen import Screening
from teagent.engine.choose.search import Task, consider, yardstick_of
from teagent.engine.predict.looks import look
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.shares import TIES_STICK
from teagent.model.bgp import Prefix, parse_prefix
from teagent.model.plan import Band, Candidate, Considered, RefusedVerdict
from tests.golden.case import NOW, policies_of, snapshot_of

PREFIXES = ("10.0.0.0/24", "11.0.0.0/24", "12.0.0.0/24")
CASE: dict[str, Any] = {
    "links": {
        "a": {"capacity": "10Mbps", "load": "9Mbps"},
        "b": {"capacity": "100Mbps", "load": "1Mbps"},
        "c": {"capacity": "100Mbps", "load": "1Mbps"},
    },
    "prefixes": {p: {"home": {"a": 0, "b": 0, "c": 2}} for p in PREFIXES},
    "traffic": {
        "a": {p: {f"AS{64496 + 100 * k + n}": f"0.0{k + 2}Mbps" for n in range(60)} for k, p in enumerate(PREFIXES)}
    },
    "policy": {"limits": {"prefixes_per_plan": 2}, "max_prepend": 3},
}


@pytest.fixture
def task() -> Task:
    snapshot, (policy,) = snapshot_of(CASE), policies_of(CASE)
    return Task(scene=prepare(snapshot), policy=policy, triggered=("a",), now=NOW, forecaster=TIES_STICK)


def options(task: Task) -> dict[Prefix, Options]:
    found = {}
    for prefix in map(parse_prefix, PREFIXES):
        live = task.scene.vectors[prefix]
        every = vectors(live, ["a"], 3)
        found[prefix] = Options.of(live, every, look(task.scene, prefix, [dict(v) for v in every], TIES_STICK))
    return found


def screening(task: Task, depth: int) -> Screening:
    return Screening.of_all(yardstick_of(task), options(task), depth)


@pytest.mark.parametrize("most", [1, 7, 200])
def test_the_first_of_many_plans_are_found_without_sorting_the_others(task, most):
    rough = Rough(yardstick_of(task), options(task))
    plans = np.array(list(permutations(range(len(rough.parts)), 2)))
    outcome = rough.outcome(plans)
    found = rough.orders(plans, outcome, most)
    wanted = rough.by_rank(plans, outcome), rough.by_rules(plans, outcome)
    assert [each.tolist() for each in found] == [each[:most].tolist() for each in wanted]


def all_of(screened: Screening) -> list[Candidate]:
    found: list[Candidate] = []
    while batch := screened.following(7):
        found += batch
    return found


def with_more(one: Considered, bps: float) -> Considered:
    """Each link is expected to carry so much more."""
    links = tuple(
        replace(f, after=Band(low=f.after.low, expected=f.after.expected + bps, high=f.after.high + bps))
        for f in one.dry_run.links
    )
    return replace(one, dry_run=replace(one.dry_run, links=links))


def test_each_candidate_is_given_once(task: Task) -> None:
    found = all_of(screening(task, 2))
    assert len({frozenset(one.vectors) for one in found}) == len(found)
    assert {len(one.vectors) for one in found} == {1, 2}


def test_of_those_that_do_the_same_the_one_with_the_fewest_prepends_is_given(task: Task) -> None:
    found = [dict(one.vectors[0][1]) for one in all_of(screening(task, 1))]
    # nobody is on b or c: what is longer there changes nothing for those who stay on a, or leave it
    assert len(found) < len(PREFIXES) * len(vectors({"a": 0, "b": 0, "c": 2}, ["a"], 3))
    assert {"a": 1, "b": 0, "c": 2} in found


def test_plans_with_a_part_that_disappointed_fall_behind(task: Task) -> None:
    after, first = screening(task, 2), all_of(screening(task, 2))
    pairs = [one for one in first if len(one.vectors) == 2]
    bad, good = (Candidate(vectors=(part,)) for part in pairs[0].vectors)
    after.learn({bad: with_more(consider(task, bad), 5e6), good: consider(task, good)})
    later = all_of(after)
    touched = [one for one in pairs if bad.vectors[0] in one.vectors]
    spared = [one for one in pairs if bad.vectors[0] not in one.vectors]
    assert touched
    assert spared

    def place(order: list[Candidate], group: list[Candidate]) -> float:
        return sum(order.index(one) for one in group) / len(group)

    assert place(later, touched) - place(first, touched) > place(later, spared) - place(first, spared)


def test_how_far_off_the_look_was_is_known_once_it_was_compared(task: Task) -> None:
    screened = screening(task, 1)
    (first,) = screened.following(1)
    weighed = consider(task, first)
    screened.learn({first: weighed})
    near = screened.misses_by_bps
    screened = screening(task, 1)
    screened.learn({first: with_more(weighed, 5e6)})
    assert screened.misses_by_bps >= 5e6 - near
    # said once, it is known
    screened.learn({first: with_more(weighed, 5e6)})
    assert screened.misses_by_bps == pytest.approx(0.0, abs=1.0)


def test_around_a_plan_are_those_with_another_vector_for_one_of_its_prefixes(task: Task) -> None:
    plan = next(one for one in all_of(screening(task, 2)) if len(one.vectors) == 2)
    near = {prefix: options(task)[prefix] for prefix, _ in plan.vectors}
    found = all_of(Screening.around(yardstick_of(task), plan, consider(task, plan), near))
    assert found
    for one in found:
        assert len(set(one.vectors) & set(plan.vectors)) == 1
        assert {prefix for prefix, _ in one.vectors} == {prefix for prefix, _ in plan.vectors}


def alone(task: Task, prefix: str) -> Candidate:
    """The vector of that prefix which looks best by itself."""
    return next(one for one in all_of(screening(task, 1)) if str(one.vectors[0][0]) == prefix)


def test_of_every_prefix_one_vector_alone_is_among_the_first(task: Task) -> None:
    first = screening(task, 2).following(3 * len(PREFIXES))
    assert {str(one.vectors[0][0]) for one in first if len(one.vectors) == 1} == set(PREFIXES)


def test_what_relieves_less_is_behind_as_far_as_the_look_is_right(task: Task) -> None:
    least, most = (alone(task, PREFIXES[k]) for k in (0, 2))
    both = Candidate(vectors=(*least.vectors, *most.vectors))
    screened = screening(task, 2)
    assert not screened.surely_behind(least, both)  # nothing was compared with a dry run yet
    screened.learn({both: consider(task, both)})
    assert screened.surely_behind(least, both)
    assert not screened.surely_behind(both, least)
    stranger = Candidate(vectors=((parse_prefix("13.0.0.0/24"), least.vectors[0][1]),))
    assert not screened.surely_behind(stranger, both)
    screened.learn({most: with_more(consider(task, most), 5e6)})  # it is off by more than what lies between them
    assert not screened.surely_behind(least, both)


@pytest.mark.parametrize("few", [True, False])
def test_where_there_are_few_more_is_tried_before_all_is_taken_to_be_refused(
    task: Task, monkeypatch: pytest.MonkeyPatch, few: bool
) -> None:
    for name, value in {"EXHAUSTIVE": 0, "FEW": 10_000 if few else 0, "AT_A_TIME": 3, "HOPELESS": 6}.items():
        monkeypatch.setattr(search, name, value)
    strict = replace(task, policy=replace(task.policy, limits=replace(task.policy.limits, headroom=0.99)))
    found, weighed = search.search(strict, task.scene.snapshot.network.prefixes)
    assert all(isinstance(one.verdict, RefusedVerdict) for one in found)
    assert (weighed > search.HOPELESS) == few


QUICKLY = {"EXHAUSTIVE": 0, "FEW": 0, "AT_A_TIME": 1, "PATIENCE": 1, "GROPING": 1}
"""Patience is lost after one dry run: most of what is looked at afterwards is not known yet."""


@pytest.mark.parametrize("refused", [True, False])
def test_what_is_behind_is_spared_only_where_nothing_is_wrong_with_the_whole(
    task: Task, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    for name, value in QUICKLY.items():
        monkeypatch.setattr(search, name, value)
    snapshot, much = replace(task.scene.snapshot, frozen=refused), replace(task.policy.when, clear_below=0.5)
    asked, weighed = replace(task, scene=prepare(snapshot), policy=replace(task.policy, when=much)), []
    for behind in (False, True):
        monkeypatch.setattr(Screening, "surely_behind", lambda *_, behind=behind: behind)
        found, count = search.search(asked, snapshot.network.prefixes)
        assert {isinstance(one.verdict, RefusedVerdict) for one in found} >= {refused}
        weighed.append(count)
    every, spared = weighed
    assert (spared < every) == (not refused)


def test_near_the_best_plan_so_many_more_are_tried_beside_what_is_known(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in QUICKLY.items():
        monkeypatch.setattr(search, name, value)
    weighed = []
    for near in (0, 1, 2):
        monkeypatch.setattr(search, "NEAR", near)
        weighed.append(search.search(task, task.scene.snapshot.network.prefixes)[1])
    assert weighed[0] < weighed[1] < weighed[2]
