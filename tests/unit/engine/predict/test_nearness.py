"""How far links turn out to be for everybody, and what the model makes of it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from teagent.engine.predict.belief import believe
from teagent.engine.predict.ingress import Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.ingress_state import from_state, to_state
from teagent.engine.predict.nearness import FURTHEST, shifted
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
