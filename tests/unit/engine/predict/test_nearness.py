"""How far links turn out to be for everybody, and what the model makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from teagent.engine.predict.belief import believe
from teagent.engine.predict.habit_rates import kinds
from teagent.engine.predict.ingress import Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.ingress_state import from_state, to_state
from teagent.engine.predict.nearness import FURTHEST, shifted
from teagent.engine.predict.pooling import pool
from teagent.engine.predict.propagation import FAR
from teagent.engine.predict.senders import Distances
from teagent.model.bgp import Asn

LINKS = ("a", "b")
MANY = 64496 + np.arange(400)
EACH_ITS_OWN = MANY + 1000


def taught(on, hops, *, upstream=EACH_ITS_OWN, links=LINKS):
    """A model that saw everybody on `on` (places in links) without prepends, where the graph says `hops`."""
    hops = np.broadcast_to(hops, (len(MANY), len(links))).copy()
    upstream = np.broadcast_to(upstream, len(MANY))
    distances = Distances(links=links, asn=MANY, hops=hops, start=np.arange(len(MANY) + 1), upstream=upstream)
    observation = Observation(
        at=datetime(2026, 3, 1, tzinfo=UTC),
        links=links,
        vector=dict.fromkeys(links, 0),
        asn=MANY,
        share=np.eye(len(links))[np.broadcast_to(on, len(MANY))],
        before=np.full(len(MANY), -1),
        bps=np.full(len(MANY), 1e6),
    )
    return learn(empty(links, distances), observation)


def apart(model):
    """By how much more than the graph says the second link is further than the first."""
    first, second = model.distances.further or (0, 0)
    return second - first


def test_a_link_that_nobody_takes_though_the_graph_has_it_nearer_is_further():
    assert apart(taught(0, [4, 3])) > 0


def test_a_link_that_all_take_though_the_graph_has_it_further_is_nearer():
    assert apart(taught(1, [3, 4])) < 0


def test_where_senders_are_as_the_graph_has_them_links_are_as_far_as_it_says():
    assert taught(0, [3, 4]).distances.further == ()


def test_where_equals_are_divided_links_are_as_far_as_the_graph_says():
    assert taught(np.arange(400) % 2, [3, 3]).distances.further == ()


def test_what_those_behind_one_upstream_do_says_nothing_of_a_link():
    assert taught(0, [4, 3], upstream=3356).distances.further == ()


def test_two_links_may_be_further_at_once():
    model = taught(0, [4, 3, 3], links=("a", "b", "c"))
    first, *others = model.distances.further
    assert min(others) > first


@pytest.mark.parametrize("far", [3, 4])
def test_a_link_is_taken_to_be_further_by_a_few_hops_at_most(far):
    assert max(map(abs, taught(0, [far, 1]).distances.further)) == FURTHEST


def test_a_link_that_cannot_be_reached_stays_so():
    assert shifted(np.array([[3, int(FAR)], [int(FAR), 4]]), np.array([-1, -1])).tolist() == [[2, FAR], [FAR, 3]]


def test_a_model_that_was_kept_finds_links_as_far_again():
    model = taught(0, [4, 3])
    again = from_state(to_state(model), model.distances.as_in_graph())
    assert again.distances.further == model.distances.further != ()
    assert again.pooled.rates.flat() == pytest.approx(model.pooled.rates.flat(), abs=0.05)


def test_a_belief_shows_hops_as_the_graph_has_them_and_says_what_turned_out():
    belief = believe(taught(0, [4, 3]), Asn(int(MANY[0])), {"a": 0, "b": 0})
    assert [part.hops for part in belief.links] == [4, 3]
    assert "in the AS graph b is nearest, 3 ASes away" in belief.why
    assert any("turned out to be" in reason for reason in belief.why)


def test_where_nothing_turned_out_otherwise_a_belief_does_not_speak_of_it():
    belief = believe(taught(0, [3, 4]), Asn(int(MANY[0])), {"a": 0, "b": 0})
    assert not any("turned out to be" in reason for reason in belief.why)


def among(homes, upstream=EACH_ITS_OWN):
    """The chance of each shift of two links that the graph has at 4 and 3 hops, where senders are on `homes` (400)."""
    model = taught(homes, [4, 3], upstream=upstream)
    return model.distances.further, model.ties.chances


def test_shifts_that_may_be_have_chances_the_likeliest_first():
    for part in (0.2, 0.5, 0.8, 1.0):
        _, chances = among((np.arange(400) < part * 400).astype(int))
        assert sum(chances) == pytest.approx(1)
        assert list(chances) == sorted(chances, reverse=True)


def test_where_a_shift_is_in_doubt_what_is_believed_lies_between():
    model = taught(1, [4, 3])
    pattern_of, chances = model.ties.patterns, model.ties.chances
    assert len(chances) > 1
    alone = [pool(kinds(2), _only(model.ties, case), np.ones_like(model.evidence), None, 0) for case in pattern_of]
    mean = pool(kinds(2), model.ties, np.ones_like(model.evidence), None, 0)
    expected = sum(chance * one.posterior for chance, one in zip(chances, alone, strict=True))
    assert mean.posterior == pytest.approx(expected, abs=1e-6)
    assert len({tuple(one.posterior[0].tolist()) for one in alone}) == len(chances)


def _only(ties, pattern_of):
    return replace(ties, patterns=pattern_of[None], chances=(1.0,))


def test_where_networks_choose_for_those_behind_them_a_link_is_not_taken_to_be_further_so_soon():
    upstream = 3000 + np.arange(400) // 2
    by_upstream = (np.arange(400) // 2 % 5 == 0).astype(int)
    by_sender = np.random.default_rng(5).permutation(by_upstream)
    assert among(by_sender, upstream)[0] != ()
    assert among(by_upstream, upstream)[0] == ()
