"""Who owns a prefix while changes lie over each other, and where each goes back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from teagent.engine.lifecycle import (
    advance,
    in_the_way,
    last_forward_state,
    owners,
    replaced_by,
    supersedes,
    target_after_revert,
)
from teagent.model.announcement import AnnouncementSet, difference
from teagent.model.proposal import Proposal, ProposalEvent, ProposalState
from tests.fakes.proposals import NOW, OTHER_PREFIX, PREFIX, example_plan, example_proposal, home

S, E = ProposalState, ProposalEvent

WITH_OVERRIDE: Mapping[str, int] = {"transit-a": 3, "transit-b": 0}


def over(active: Proposal, vector: Mapping[str, int]) -> Proposal:
    """A second change to the prefix that `active` changed, waiting for its confirmation."""
    plan = example_plan(before=active.plan.after, vector=vector, digest="b")
    return example_proposal("p-2222", plan=plan, state=S.CONFIRMING, now=NOW + timedelta(minutes=1), restores=active.id)


def test_the_newest_on_the_wire_owns_a_prefix_and_what_is_not_on_the_wire_owns_nothing() -> None:
    active = example_proposal("p-1111", state=S.ACTIVE)
    newer = over(active, {"transit-a": 1, "transit-b": 0})
    waiting = example_proposal("p-3333", plan=example_plan(prefix=OTHER_PREFIX))
    for order in ([active, newer, waiting], [waiting, newer, active]):
        assert {prefix: p.id for prefix, p in owners(order).items()} == {PREFIX: "p-2222"}
    assert owners([active, waiting])[PREFIX].id == "p-1111"


def test_an_unconfirmed_change_over_home_goes_back_to_home() -> None:
    for state in (S.APPLYING, S.CONFIRMING):
        assert target_after_revert(example_proposal(state=state), home=home()) == {PREFIX: home().vector(PREFIX)}


def test_an_unconfirmed_change_over_an_active_one_goes_back_to_the_active_one() -> None:
    active = example_proposal("p-1111", state=S.ACTIVE)
    newer = over(active, {"transit-a": 1, "transit-b": 0})
    assert target_after_revert(newer, home=home(), others=[active, newer]) == {PREFIX: WITH_OVERRIDE}


def test_a_confirmed_change_goes_home_even_if_it_began_over_another() -> None:
    active = example_proposal("p-1111", state=S.ACTIVE)
    newer = advance(over(active, {"transit-a": 1, "transit-b": 0}), E.CONFIRM, actor="alice", now=NOW)
    replaced = advance(active, E.REPLACE, actor="daemon", now=NOW)
    assert target_after_revert(newer, home=home(), others=[replaced]) == {PREFIX: home().vector(PREFIX)}
    # Even if the store were wrong about the older one.
    assert target_after_revert(newer, home=home(), others=[active]) == {PREFIX: home().vector(PREFIX)}


@pytest.mark.parametrize("event", [E.REVERT, E.TRIP])
def test_an_override_whose_owner_is_gone_is_not_restored(event: ProposalEvent) -> None:
    active = example_proposal("p-1111", state=S.ACTIVE)
    newer = over(active, {"transit-a": 1, "transit-b": 0})
    leaving = advance(active, event, actor="alice", now=NOW)
    assert target_after_revert(newer, home=home(), others=[leaving]) == {PREFIX: home().vector(PREFIX)}


def test_the_target_does_not_change_while_the_revert_runs_or_is_stuck() -> None:
    active = example_proposal("p-1111", state=S.ACTIVE)
    newer = over(active, {"transit-a": 1, "transit-b": 0})
    path = (E.TIMEOUT, E.FAIL, E.REVERT, E.FAIL)
    for event in path:
        newer = advance(newer, event, actor="alice", now=NOW)
        assert target_after_revert(newer, home=home(), others=[active]) == {PREFIX: WITH_OVERRIDE}
    gone = active
    for event in (E.TRIP, E.FAIL, E.REVERT):
        gone = advance(gone, event, actor="alice", now=NOW)
        assert last_forward_state(gone) is S.ACTIVE
        assert target_after_revert(gone, home=home()) == {PREFIX: home().vector(PREFIX)}


@pytest.mark.parametrize("event", [E.TRIP, E.REVERT])
def test_an_active_one_that_goes_home_leaves_alone_what_a_newer_change_has_taken_over(event: ProposalEvent) -> None:
    active = example_proposal("p-1111", state=S.ACTIVE)
    newer = over(active, {"transit-a": 1, "transit-b": 0})
    leaving = advance(active, event, actor="alice", now=NOW)
    for order in ([leaving, newer], [newer, leaving]):
        assert target_after_revert(leaving, home=home(), others=order) == {}
    back = advance(advance(newer, E.REVERT, actor="alice", now=NOW), E.WITHDRAWN, actor="daemon", now=NOW)
    assert target_after_revert(leaving, home=home(), others=[back]) == {PREFIX: home().vector(PREFIX)}


def test_a_prefix_that_is_no_longer_ours_goes_to_nothing() -> None:
    assert target_after_revert(example_proposal(state=S.ACTIVE), home=AnnouncementSet()) == {PREFIX: {}}


@pytest.mark.parametrize("state", list(ProposalState))
def test_nothing_is_applied_over_a_proposal_in_the_middle_of_a_change(state: ProposalState) -> None:
    other = example_proposal("p-1111", state=state)
    middle = {S.APPLYING, S.CONFIRMING, S.REVERTING, S.STUCK}
    assert in_the_way(example_plan(), [other]) == (other if state in middle else None)
    assert in_the_way(example_plan(prefix=OTHER_PREFIX), [other]) is None


def both_prefixes() -> Proposal:
    vector = {"transit-a": 3, "transit-b": 0}
    after = home().with_vector(PREFIX, vector).with_vector(OTHER_PREFIX, vector)
    plan = replace(example_plan(), changes=difference(home(), after), after=after)
    return example_proposal("p-1111", plan=plan, state=S.ACTIVE)


def test_an_active_one_is_replaced_when_it_owns_nothing_any_more() -> None:
    active = example_proposal("p-1111", state=S.ACTIVE)
    elsewhere = example_proposal("p-4444", plan=example_plan(prefix=OTHER_PREFIX), state=S.ACTIVE)
    confirmed = advance(over(active, {"transit-a": 1, "transit-b": 0}), E.CONFIRM, actor="alice", now=NOW)
    assert replaced_by(confirmed, [confirmed, active, elsewhere]) == (active,)


def test_an_active_one_that_keeps_a_prefix_stays_and_takes_home_only_that_one() -> None:
    active = both_prefixes()
    confirmed = advance(over(active, {"transit-a": 1, "transit-b": 0}), E.CONFIRM, actor="alice", now=NOW)
    assert replaced_by(confirmed, [active]) == ()
    assert {prefix: p.id for prefix, p in owners([active, confirmed]).items()} == {
        PREFIX: "p-2222",
        OTHER_PREFIX: "p-1111",
    }
    leaving = advance(active, E.REVERT, actor="alice", now=NOW)
    home_of_other = {OTHER_PREFIX: home().vector(OTHER_PREFIX)}
    assert target_after_revert(leaving, home=home(), others=[confirmed]) == home_of_other


def test_a_newer_plan_supersedes_pending_ones_on_its_prefix_or_link() -> None:
    same_prefix = example_plan(vector={"transit-a": 0, "transit-b": 2})
    same_link = example_plan(prefix=OTHER_PREFIX)
    neither = example_plan(prefix=OTHER_PREFIX, vector={"transit-a": 0, "transit-b": 2})
    pending = example_proposal()
    assert [supersedes(plan, pending) for plan in (same_prefix, same_link, neither)] == [True, True, False]
    for state in set(ProposalState) - {S.PENDING}:
        assert not supersedes(same_prefix, example_proposal(state=state))
