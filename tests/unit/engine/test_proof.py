from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from teagent.engine.proof import ABSENT_SECONDS, REFUSED_SECONDS, Judgement, joined, judge
from teagent.model.bgp import LargeCommunity, PathAttributes
from teagent.model.link import NoData
from teagent.model.witness import ProofState, Refusal, RouterProof, Sighting, worst

ASN = 64500
TOLD_AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
WANTED = frozenset({LargeCommunity(ASN, 1, 11), LargeCommunity(ASN, 1, 20)})
ROUTE = PathAttributes(next_hop=ip_address("192.0.2.254"), large_communities=WANTED)
OTHER = PathAttributes(next_hop=ip_address("192.0.2.9"), as_path=(64510, 64500))
SEEN = Sighting(
    session_up=True,
    complete=True,
    tells_received=True,
    tells_accepted=True,
    tells_selected=False,
    received=ROUTE,
    accepted=ROUTE,
    refusals={},
)


def judged(wanted: frozenset[LargeCommunity] | None = WANTED, **changes: object) -> Judgement:
    return judge(replace(SEEN, **changes), wanted, asn=ASN, since=TOLD_AT)  # type: ignore[arg-type]


def test_what_was_accepted_with_all_signals_is_proven():
    assert judged() == Judgement(state=ProofState.PROVEN, reason="has accepted it")


def test_other_communities_of_ours_do_not_matter():
    tagged = replace(ROUTE, large_communities=WANTED | {LargeCommunity(ASN, 7, 1), LargeCommunity(64999, 1, 1)})
    assert judged(accepted=tagged).state is ProofState.PROVEN


def test_a_router_that_says_nothing_leaves_it_unproven():
    silent = NoData(since=TOLD_AT, reason="sends no BMP: it went away")
    assert judge(silent, WANTED, asn=ASN, since=TOLD_AT) == Judgement(
        state=ProofState.UNPROVEN, reason="sends no BMP: it went away"
    )


def test_a_router_that_does_not_tell_of_the_session_leaves_it_unproven():
    assert judged(session_up=None).state is ProofState.UNPROVEN


def test_a_session_that_is_down_is_waited_for():
    found = judged(session_up=False, received=None, accepted=None, session_reason="the peer closed it")
    assert found.state is ProofState.WAITING
    assert found.reason == "has no session with ExaBGP: the peer closed it"


def test_an_as_loop_is_named_by_the_path_that_was_received():
    found = judged(received=replace(ROUTE, as_path=(ASN,)), accepted=None)
    assert found.state is ProofState.REJECTED
    assert found.reason == "dropped it: an AS loop, the path holds AS64500"
    assert found.patience_seconds == REFUSED_SECONDS


@pytest.mark.parametrize(
    ("refusals", "said"),
    [
        ({Refusal.POLICY: TOLD_AT}, "dropped it: filtered by its inbound policy"),
        ({Refusal.NEXT_HOP: TOLD_AT, Refusal.POLICY: TOLD_AT - timedelta(seconds=1)}, "dropped it: it cannot use the"),
        (
            {Refusal.POLICY: TOLD_AT - timedelta(seconds=1)},
            "dropped it: its inbound policy, or the next hop 192.0.2.254",
        ),
    ],
)
def test_the_routers_counters_name_the_reason_where_they_grew_since(refusals, said):
    found = judged(accepted=None, refusals=refusals)
    assert found.state is ProofState.REJECTED
    assert found.reason.startswith(said)


def test_what_was_never_received_is_waited_for_longer():
    found = judged(received=None, accepted=None)
    assert (found.state, found.patience_seconds) == (ProofState.REJECTED, ABSENT_SECONDS)
    assert found.reason == "has not received it"


def test_a_table_that_has_not_come_whole_denies_nothing():
    assert judged(received=None, accepted=None, complete=False).state is ProofState.WAITING


def test_a_router_that_reports_only_what_it_accepted_denies_by_silence():
    assert judged(tells_received=False, received=None, accepted=None).state is ProofState.REJECTED


def test_other_signals_than_those_told_are_a_rejection():
    found = judged(accepted=replace(ROUTE, large_communities=frozenset()))
    assert found.state is ProofState.REJECTED
    assert found.reason == "holds it with other signals: none"


def test_a_better_route_hides_it_where_the_router_reports_what_it_selects():
    found = judged(tells_selected=True, selected=OTHER)
    assert found.state is ProofState.REJECTED
    assert found.reason == "hides it: another route of the prefix is preferred"


def test_what_was_selected_is_proven_whatever_else_is_reported():
    found = judged(tells_selected=True, tells_accepted=False, accepted=None, selected=ROUTE)
    assert found == Judgement(state=ProofState.PROVEN, reason="has selected it")


def test_a_router_that_reports_only_what_it_received_proves_nothing():
    assert judged(tells_accepted=False, accepted=None).state is ProofState.UNPROVEN


def test_an_override_without_home_behind_it_is_rejected():
    found = judged(home=False)
    assert found.state is ProofState.REJECTED
    assert "has lost its own route of the prefix" in found.reason


@pytest.mark.parametrize("home", [True, None])
def test_home_that_is_there_or_not_told_of_is_no_objection(home):
    assert judged(home=home).state is ProofState.PROVEN


ON_A_SESSION = Sighting(
    session_up=True,
    complete=True,
    tells_received=False,
    tells_accepted=False,
    tells_selected=True,
    selected=replace(ROUTE, reflected=True),
    refusals={},
)
HOME = PathAttributes(next_hop=ip_address("192.0.2.65"))


def told(wanted: frozenset[LargeCommunity] | None = WANTED, **changes: object) -> Judgement:
    """By a router that tells its best routes on a second session, and nothing else."""
    return judge(replace(ON_A_SESSION, **changes), wanted, asn=ASN, since=TOLD_AT)  # type: ignore[arg-type]


@pytest.mark.parametrize("session_up", [True, None])
def test_the_best_route_proves_an_override_whether_or_not_the_relay_answers(session_up):
    assert told(session_up=session_up) == Judgement(state=ProofState.PROVEN, reason="has selected it")


def test_a_best_route_without_signals_is_a_rejection_that_names_what_it_may_be():
    found = told(selected=HOME, home=True)
    assert (found.state, found.patience_seconds) == (ProofState.REJECTED, REFUSED_SECONDS)
    assert found.reason.startswith("prefers another route of the prefix: ")


def test_a_best_route_with_other_signals_is_a_rejection():
    other = replace(ROUTE, large_communities=frozenset({LargeCommunity(ASN, 1, 12)}))
    assert told(selected=other).reason == "prefers it with other signals: 64500:1:12"


def test_a_router_without_any_route_of_the_prefix_has_lost_its_own_as_well():
    found = told(selected=None, home=False)
    assert found.state is ProofState.REJECTED
    assert found.reason == "has no route of the prefix, neither the override nor its own"


def test_no_best_route_is_waited_for_while_the_table_is_told():
    assert told(selected=None, complete=False).state is ProofState.WAITING


def test_a_best_route_without_signals_rejects_nothing_while_exabgp_has_no_session():
    assert told(selected=HOME, session_up=False).state is ProofState.WAITING
    assert told(selected=HOME, session_up=None).state is ProofState.UNPROVEN


@pytest.mark.parametrize("session_up", [True, False, None])
def test_home_is_proven_by_a_best_route_without_signals(session_up):
    assert told(None, selected=HOME, session_up=session_up).state is ProofState.PROVEN


def test_a_session_adds_what_is_selected_to_what_bmp_tells():
    both = joined([SEEN, ON_A_SESSION])
    assert isinstance(both, Sighting)
    assert (both.tells_received, both.tells_accepted, both.tells_selected) == (True, True, True)
    assert judge(both, WANTED, asn=ASN, since=TOLD_AT).reason == "has selected it"
    hidden = joined([SEEN, replace(ON_A_SESSION, selected=HOME)])
    assert judge(hidden, WANTED, asn=ASN, since=TOLD_AT).reason == "hides it: another route of the prefix is preferred"


def test_what_one_way_does_not_tell_the_other_may():
    silent = NoData(since=TOLD_AT, reason="has no witness session: it is gone")
    assert joined([SEEN, silent]) == SEEN
    assert joined([replace(SEEN, home=None), replace(ON_A_SESSION, home=True)]).home is True  # type: ignore[union-attr]


def test_of_several_silences_all_are_named():
    early, late = NoData(since=TOLD_AT, reason="a"), NoData(since=TOLD_AT + timedelta(seconds=1), reason="b")
    assert joined([early, late]) == NoData(since=late.since, reason="a, and b")


def test_home_is_proven_by_the_absence_of_overrides():
    assert judged(None, received=None, accepted=None, tells_selected=True, selected=OTHER).state is ProofState.PROVEN


def test_an_override_that_is_still_held_is_no_home():
    assert judged(None).state is ProofState.REJECTED


def test_home_waits_for_the_whole_table():
    assert judged(None, received=None, accepted=None, complete=False).state is ProofState.WAITING


def test_of_several_routers_the_worst_counts():
    def row(state: ProofState) -> RouterProof:
        return RouterProof(router="edge", state=state, reason="")

    assert worst((row(ProofState.PROVEN), row(ProofState.UNPROVEN))) is ProofState.UNPROVEN
    assert worst((row(ProofState.WAITING), row(ProofState.REJECTED))) is ProofState.REJECTED
    assert worst(()) is ProofState.UNPROVEN
