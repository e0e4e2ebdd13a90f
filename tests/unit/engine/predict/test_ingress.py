from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from teagent.engine.predict import ingress_learning
from teagent.engine.predict.belief import Tier, believe
from teagent.engine.predict.ingress import Observation, empty
from teagent.engine.predict.ingress_forecast import Learned
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.ingress_state import VERSION, from_state, to_state
from teagent.engine.predict.pooling import Ties
from teagent.engine.predict.propagation import FAR
from teagent.engine.predict.senders import Distances, slots
from teagent.engine.predict.shares import DemandColumns, Kinds
from teagent.errors import TeagentError
from teagent.model.bgp import Asn, parse_prefix
from teagent.model.traffic import Source

START = datetime(2026, 3, 1, tzinfo=UTC)
LINKS = ("a", "b")
SENDERS = np.arange(64496, 64512)


def distances(links=LINKS, asn=SENDERS, hops=None, upstream=3356):
    """All at the same distance from every link, behind one upstream."""
    hops = np.full((len(asn), len(links)), 3) if hops is None else np.asarray(hops)
    return Distances(
        links=links, asn=asn, hops=hops, start=np.arange(len(asn) + 1), upstream=np.broadcast_to(upstream, len(asn))
    )


def seen(prepends, on, *, before=None, day=0, asn=SENDERS, links=LINKS):
    """Everybody in `on` (places in links) under these prepends."""
    on = np.broadcast_to(on, len(asn))
    return Observation(
        at=START + timedelta(days=day),
        links=links,
        vector=dict(zip(links, prepends, strict=True)),
        asn=asn,
        share=np.eye(len(links))[on],
        before=np.full(len(asn), -1) if before is None else np.broadcast_to(before, len(asn)),
        bps=np.full(len(asn), 1e6),
    )


def chances(model, asn, on, before, after):
    each = Chances(model)
    return each.of(each.cases(np.array([asn]), np.array([on])), before, after)[0]


def taught(*observations, model=None):
    model = model or empty(LINKS, distances())
    for observation in observations:
        model = learn(model, observation)
    return model


def test_who_left_at_one_prepend_is_believed_to_leave_at_two():
    model = taught(seen([0, 0], 0), seen([1, 0], 1, before=0, day=1), seen([0, 0], 0, before=1, day=2))
    assert chances(model, SENDERS[0], 0, (0, 0), (2, 0))[1] > 0.9


def test_who_stayed_at_three_prepends_is_believed_to_stay_at_two():
    model = taught(seen([0, 0], 0), seen([3, 0], 0, before=0, day=1))
    assert chances(model, SENDERS[0], 0, (3, 0), (2, 0))[0] > 0.9


@pytest.mark.parametrize("elsewhere", [0.0, 0.25])
def test_who_stayed_is_believed_to_stay_though_a_part_of_it_was_attributed_to_another_link(elsewhere):
    apart = empty(LINKS, distances(upstream=np.arange(1, 17)))
    stayed = seen([1, 0], 0, before=0, day=1)
    stayed.share[0] = 1 - elsewhere, elsewhere
    model = taught(seen([0, 0], 0), stayed, seen([0, 0], 0, before=0, day=2), model=apart)
    assert chances(model, SENDERS[0], 0, (0, 0), (1, 0))[0] > 0.8


def test_nobody_leaves_for_a_link_that_does_not_announce():
    model = taught(seen([0, 0], 0))
    after = model.vector({"a": 3})
    assert chances(model, SENDERS[0], 0, (0, 0), after)[0] == pytest.approx(1.0)


def test_a_sender_is_believed_to_do_as_others_behind_its_upstream():
    many = 64496 + np.arange(80)
    apart = distances(asn=many, upstream=np.repeat([3356, 1299], 40))
    stay, leave, quiet = many[:39], many[40:79], many[[39, 79]]
    model = taught(seen([0, 0], 0, asn=many), model=empty(LINKS, apart))
    moved = seen([2, 0], np.repeat([0, 1], 39), before=0, day=1, asn=np.concatenate([stay, leave]))
    model = taught(moved, model=model)
    one, other = (chances(model, asn, 0, (0, 0), (2, 0))[1] for asn in quiet)
    assert (one < 0.3, other > 0.7) == (True, True)


def test_where_all_come_in_on_one_of_two_equal_links_it_is_believed_to_be_nearer():
    many = 64496 + np.arange(400)
    each_for_itself = empty(LINKS, distances(asn=many, upstream=many + 1000))
    together, divided = (taught(seen([0, 0], on, asn=many), model=each_for_itself) for on in (0, np.arange(400) % 2))
    one, other = (chances(model, 64496, 0, (0, 0), (1, 0))[1] for model in (together, divided))
    assert one < other - 0.1


def test_the_order_of_links_in_an_observation_does_not_matter():
    one = seen([0, 2], 0)
    other = Observation(
        at=one.at,
        links=("b", "a"),
        vector=one.vector,
        asn=one.asn,
        share=one.share[:, ::-1],
        before=np.full(16, -1),
        bps=one.bps,
    )
    assert np.array_equal(to_state(taught(one))["open_answers"], to_state(taught(other))["open_answers"])


def test_what_is_seen_again_under_the_same_vector_teaches_nothing_new():
    once = taught(seen([0, 0], 0))
    often = taught(*(seen([0, 0], 0, day=n / 24) for n in range(5)))
    assert chances(once, SENDERS[0], 0, (0, 0), (1, 0)) == pytest.approx(
        chances(often, SENDERS[0], 0, (0, 0), (1, 0)), abs=0.1
    )


def test_old_evidence_gives_way():
    history = [seen([0, 0], 0), seen([3, 0], 0, before=0, day=1), *(seen([0, n], 0, day=1 + n) for n in (1, 2, 3))]
    young = taught(*history, seen([0, 4], 0, day=6))
    old = taught(*history, seen([0, 4], 0, day=2000))
    later = (2, 0)
    assert chances(old, SENDERS[0], 0, (0, 4), later)[1] > chances(young, SENDERS[0], 0, (0, 4), later)[1]


def test_the_heaviest_senders_are_kept(monkeypatch):
    monkeypatch.setattr(ingress_learning, "SENDERS_MAX", 4)
    one = seen([0, 0], 0)
    heavy = Observation(
        at=one.at,
        links=LINKS,
        vector=one.vector,
        asn=SENDERS,
        share=one.share,
        before=one.before,
        bps=np.arange(16.0),
    )
    assert taught(heavy).asn.tolist() == SENDERS[-4:].tolist()


def test_a_sender_that_has_no_weights_of_its_own_still_has_chances():
    model = taught(seen([0, 0], 0), seen([1, 0], 1, before=0, day=1))
    stranger = chances(model, 65550, 0, (0, 0), (1, 0))
    assert stranger.sum() == pytest.approx(1.0)
    assert stranger[1] > 0.5


def staying(model, asn, prepends):
    """What the learned model alone says of one that is on the first link, and that nobody saw."""
    weights, places = Chances(model).weights_of(asn)
    return float(weights @ (model.answers(prepends, places, 0) == 0)) / float(weights.sum())


def test_those_behind_one_upstream_are_one_witness_to_what_senders_do_in_general():
    many = 64496 + np.arange(400)
    before, after = seen([0, 0], 0, asn=many), seen([3, 0], 0, before=0, day=1, asn=many)
    of_one, of_many = (
        staying(taught(before, after, model=empty(LINKS, distances(asn=many, upstream=upstream))), 65550, (3, 0))
        for upstream in (3356, many + 1000)
    )
    assert of_many > of_one + 0.3


def test_those_that_share_one_of_two_upstreams_count_for_more_than_those_that_share_both():
    ties = Ties(
        patterns=np.zeros((1, 4), int),
        chances=(1.0,),
        member=np.array([0, 0, 1, 1, 2]),
        upstream_of=np.array([0, 1, 0, 2, 0]),
    )
    assert ties.independent().tolist() == pytest.approx([(1 / 3 + 1) / 2, (1 / 3 + 1) / 2, 1 / 3, 1.0])


def test_of_many_links_a_sender_has_three_the_one_it_was_seen_on_and_the_nearest():
    hops = np.array([[5, 4, 3, 2, 9]])
    assert slots(hops, np.array([4])).tolist() == [[2, 3, 4]]


def test_a_sender_that_turns_up_where_it_was_not_thought_to_gets_that_link():
    links = ("a", "b", "c", "d")
    model = empty(links, distances(links, hops=[[1, 2, 3, 4]] * 16))
    model = learn(model, seen([0] * 4, 0, links=links))
    model = learn(model, seen([4, 4, 4, 0], 3, before=0, day=1, links=links))
    assert 3 in model.slots[0]
    assert chances(model, SENDERS[0], 3, (4, 4, 4, 0), (4, 4, 4, 0))[3] > 0.5


def test_some_of_those_alike_may_turn_up_where_they_were_not_thought_to():
    links = ("a", "b", "c", "d")
    model = empty(links, distances(links, hops=[[1, 2, 3, 4]] * 16))
    model = learn(model, seen([0] * 4, 0, links=links))
    model = learn(model, seen([4, 4, 4, 0], np.arange(16) % 2 * 3, before=0, day=1, links=links))
    assert [3 in places for places in model.slots.tolist()] == [False, True] * 8


def test_a_model_of_one_link_says_that_everything_stays():
    links = ("a",)
    model = learn(empty(links, distances(links)), seen([0], 0, links=links))
    assert chances(model, SENDERS[0], 0, (0,), (3,)).tolist() == pytest.approx([1.0])


def test_an_observation_with_a_sender_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        seen([0, 0], 0, asn=np.array([1, 1]))


def test_distances_to_other_links_are_refused():
    with pytest.raises(ValueError, match="other links"):
        empty(("a", "c"), distances())


# --- as a forecaster --------------------------------------------------------------------------------------------------


def demands(sources, on, movable=True, links=LINKS):
    count = len(sources)
    return DemandColumns(
        prefix=parse_prefix("192.0.2.0/24"),
        links=links,
        sources=tuple(sources),
        link_index=np.full(count, on),
        source_index=np.arange(count),
        bps=np.ones(count),
        kind=np.zeros(count, dtype=np.int64),
        kinds=Kinds(
            link_index=np.array([on]), at_least=np.zeros((1, len(links)), dtype=np.int64), movable=np.array([movable])
        ),
    )


def test_a_forecast_is_a_row_of_chances_for_each_demand():
    forecaster = Learned(taught(seen([0, 0], 0), seen([1, 0], 1, before=0, day=1), seen([0, 0], 0, before=1, day=2)))
    asked = demands([Source(asn=64496), Source(prefix="198.51.100.0/24")], 0)
    answer = forecaster.forecast_shares(asked, {"a": 0, "b": 0}, {"a": 2, "b": 0})
    first, second = answer.of_demands()
    assert first.sum() == pytest.approx(1.0)
    assert first[1] > 0.9
    assert second.tolist() == [1.0, 0.0]


def test_without_a_change_nothing_moves():
    forecaster = Learned(taught(seen([0, 0], 0)))
    asked = demands([Source(asn=64496)], 1)
    vector = {"a": 0, "b": 0}
    assert forecaster.forecast_shares(asked, vector, vector).expected.tolist() == [[0.0, 1.0]]


def test_nothing_is_claimed_of_a_link_that_the_model_was_not_made_for():
    forecaster = Learned(taught(seen([0, 0], 0)))
    asked = demands([Source(asn=64496)], 2, links=("a", "b", "new"))
    answer = forecaster.forecast_shares(asked, {"a": 0, "b": 0, "new": 0}, {"a": 0, "b": 0, "new": 3})
    assert answer.expected.tolist() == [[0.0, 0.0, 1.0]]


def test_the_assumption_says_on_what_the_forecast_rests():
    text = Learned(taught(seen([0, 0], 0), seen([1, 0], 1, day=1))).assumption
    assert text.startswith("learned from 2 announcement vectors and 16 senders, beside path lengths in the AS graph")


def test_each_of_many_vectors_is_foretold_as_it_would_be_alone():
    forecaster = Learned(taught(seen([0, 0], 0)))
    asked, before = demands([Source(asn=64496), Source(asn=64497)], 0), {"a": 0, "b": 0}
    afters = [{"a": 1, "b": 0}, {"a": 0, "b": 2}]
    each = [answer.of_demands() for answer in forecaster.forecast_each(asked, before, afters)]
    alone = [forecaster.forecast_shares(asked, before, after).of_demands() for after in afters]
    assert np.array(each) == pytest.approx(np.array(alone), abs=1e-6)


# --- kept -------------------------------------------------------------------------------------------------------------


def test_a_model_that_was_kept_says_the_same_as_before():
    model = taught(*(seen(v, 0, day=n) for n, v in enumerate(([0, 0], [1, 0], [2, 0], [0, 1], [0, 2]))))
    file = io.BytesIO()
    np.savez_compressed(file, **to_state(model))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = from_state(arrays, model.distances)
    assert chances(again, SENDERS[3], 0, (0, 2), (3, 0)) == pytest.approx(
        chances(model, SENDERS[3], 0, (0, 2), (3, 0)), abs=0.02
    )


def test_what_was_kept_of_simple_models_is_passed_over():
    model = taught(seen([0, 0], 0), seen([1, 0], 0, day=1))
    state = to_state(model) | {"version": np.array(1), "loss": np.array([0.1, 0.0, 0.2, 0.3])}
    assert from_state(state, model.distances).scores == model.scores


def test_a_model_that_was_kept_before_rates_were_is_taken():
    model = taught(seen([0, 0], 0), seen([1, 0], 0, day=1))
    state = {name: array for name, array in to_state(model).items() if name != "rates"}
    assert from_state(state, model.distances).pooled is not None


def test_a_model_that_knows_nobody_can_be_kept_too():
    assert from_state(to_state(empty(LINKS)), Distances.unknown(LINKS)).links == LINKS


def test_a_state_of_a_newer_version_is_refused():
    state = to_state(empty(LINKS)) | {"version": np.array(VERSION + 1)}
    with pytest.raises(TeagentError, match="this teagent knows up to"):
        from_state(state, Distances.unknown(LINKS))


# --- explained --------------------------------------------------------------------------------------------------------


def test_a_belief_says_from_which_evidence_it_is():
    model = taught(seen([0, 0], 0), seen([3, 0], 0, before=0, day=1))
    belief = believe(model, Asn(64496), {"a": 3, "b": 0})
    assert (belief.tier, belief.vectors, belief.seen_on) == (Tier.OWN, 2, "a")
    assert belief.upstreams == (3356,)
    assert belief.links[0].hops == 3
    assert belief.why[0] == "seen under 2 vectors of prepends"


def test_a_belief_says_that_a_link_is_taken_whatever_the_prepends():
    model = taught(seen([0, 0], 0), *(seen([n, 0], 0, before=0, day=n) for n in (1, 2, 3, 4)))
    assert any("whatever the prepends" in reason for reason in believe(model, Asn(64496), {"a": 4, "b": 0}).why)


def test_of_an_as_that_nobody_saw_a_belief_says_so():
    belief = believe(taught(seen([0, 0], 0)), Asn(65550), {"a": 0, "b": 0})
    assert (belief.tier, belief.seen_on, belief.vectors) == (Tier.ALL, None, 0)
    assert sum(part.probability for part in belief.links) == pytest.approx(1.0)
    assert belief.links[0].hops is None


def test_a_belief_says_what_the_graph_does_not_know():
    nobody = believe(taught(seen([0, 0], 0)), Asn(65550), {"a": 0, "b": 0}).why
    assert nobody[0].startswith("nothing was seen of it: ")
    assert "the AS graph does not know it: all links are taken to be equally far" in nobody
    apart = empty(LINKS, distances(hops=[[int(FAR)] * 2] * len(SENDERS)))
    assert "in the AS graph it has no way to us" in believe(apart, Asn(64496), {"a": 0, "b": 0}).why
    without_graph = believe(empty(LINKS), Asn(64496), {"a": 0, "b": 0}).why
    assert not any("graph" in reason for reason in without_graph)


def test_nobody_is_believed_to_come_by_a_link_that_does_not_announce():
    links = ("a", "b", "c", "d", "e")
    model = empty(links, distances(links, hops=[[1, 2, 3, 4, 5]] * len(SENDERS)))
    belief = believe(model, Asn(64496), {"d": 3, "e": 1})
    chances = {part.link: part.probability for part in belief.links}
    assert chances == pytest.approx({"a": 0, "b": 0, "c": 0, "d": 0.5, "e": 0.5})
    assert [part.probability for part in believe(model, Asn(64496), {}).links] == [0] * 5


def test_a_belief_about_a_link_that_is_not_ours_is_refused():
    with pytest.raises(ValueError, match="c is not among the links a, b"):
        believe(empty(LINKS), Asn(64496), {"a": 0}, link="c")


def parting(links=LINKS, far=4):
    """400 senders in pairs behind one upstream each, `far` from the last link: a model that saw one in four of them
    there, the others on the first link, by pairs; and one that saw as many there whoever they buy from.
    """
    first, second = 0, len(links) - 1
    many = 64496 + np.arange(400)
    hops = np.full((400, len(links)), 6)
    hops[:, first], hops[:, second] = 3, far
    pairs = empty(links, distances(links=links, asn=many, hops=hops, upstream=10_000 + np.arange(400) // 2))
    by_pair = np.where(np.arange(400) // 2 % 4 == 0, second, first)
    homes = by_pair, np.random.default_rng(3).permutation(by_pair)
    return [taught(seen([0] * len(links), home, asn=many, links=links), model=pairs) for home in homes]


def test_before_any_change_more_are_believed_to_stay_where_those_behind_one_upstream_part():
    alike, parted = (
        np.mean([chances(model, asn, 0, (0, 0), (3, 0))[0] for asn in model.asn[on_first(model)][:20]])
        for model in parting()
    )
    assert parted > alike + 0.02


def on_first(model):
    return model.open[-1].answers.argmax(axis=1) == 0


def test_among_many_links_it_is_seen_too_who_parts_from_those_behind_the_same_upstream():
    alike, parted = map(ingress_learning._own_choice, parting(links=("a", "b", "c", "d", "e"), far=8))
    assert (alike < 0.1, parted > 0.7) == (True, True)


@pytest.mark.parametrize("changes", [0, 1])
def test_once_a_change_was_scored_rules_are_no_more_assumed_to_be_common(monkeypatch, changes):
    model = parting()[1]
    for day in range(changes):
        model = taught(seen([3, 0], 1, before=0, day=1 + day, asn=model.asn), model=model)
    usual, more = [], []
    for told, factor in ((usual, 0.0), (more, 0.5)):
        monkeypatch.setattr(ingress_learning, "MORE_RULES", factor)
        told.append(ingress_learning.with_evidence(model).pooled.rates.sticky[1])
    assert (more == usual) == (changes > 0)
