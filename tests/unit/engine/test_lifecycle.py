from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from teagent.engine import lifecycle
from teagent.engine.lifecycle import (
    REVERT_ATTEMPTS,
    TRANSITIONS,
    advance,
    approval_event,
    attempt_failed,
    begin_apply,
    endorsers,
    is_confirm_overdue,
    is_expired,
    legal_events,
    proposal_id,
    refuse_expired,
    resolve_id,
)
from teagent.errors import Expired, IllegalTransition, NotAuthorised, NotFound, Refused
from teagent.model.proposal import FINAL, ON_WIRE, Proposal, ProposalEvent, ProposalState
from tests.fakes.proposals import NOW, PATHS, example_proposal

S, E = ProposalState, ProposalEvent
LATER = NOW + timedelta(minutes=5)
DOC = Path(__file__).resolve().parents[3] / "docs" / "internals" / "lifecycle.md"


def reachable(start: ProposalState) -> set[ProposalState]:
    found, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        new = {TRANSITIONS[state, event] for event in legal_events(state)} - found
        found |= new
        waiting += new
    return found


# --- the table ------------------------------------------------------------------------------------------------------


def test_the_table_has_the_transitions_of_the_design() -> None:
    """Written out once more, by state, so that a slip in the table does not go unseen."""
    design = {
        "pending": "endorse>pending approve>approved reject>rejected expire>expired supersede>superseded "
        "invalidate>stale",
        "approved": "apply>applying reject>rejected expire>expired invalidate>stale",
        "applying": "acked>confirming fail>reverting revert>reverting",
        "confirming": "confirm>active trip>reverting timeout>reverting revert>reverting",
        "active": "revert>reverting trip>reverting replace>replaced",
        "reverting": "withdrawn>reverted fail>stuck",
        "stuck": "revert>reverting resolve>reverted",
    }
    table = {
        state.value: " ".join(f"{event.value}>{TRANSITIONS[state, event].value}" for event in legal_events(state))
        for state in ProposalState
        if legal_events(state)
    }
    assert table == design
    assert len(TRANSITIONS) == 24


def test_every_state_is_reachable_from_pending() -> None:
    assert reachable(S.PENDING) == set(ProposalState)


def test_every_event_is_used() -> None:
    assert {event for _, event in TRANSITIONS} == set(ProposalEvent)


@pytest.mark.parametrize("state", list(ProposalState))
def test_a_state_is_a_dead_end_only_if_it_is_final(state: ProposalState) -> None:
    assert (legal_events(state) == ()) == (state in FINAL)


def test_applying_is_entered_only_from_approved() -> None:
    assert [state for (state, _), target in TRANSITIONS.items() if target is S.APPLYING] == [S.APPROVED]


def test_the_wire_is_entered_only_through_applying() -> None:
    entered = {target for (state, _), target in TRANSITIONS.items() if state not in ON_WIRE and target in ON_WIRE}
    assert entered == {S.APPLYING}


@pytest.mark.parametrize("state", sorted(ON_WIRE))
def test_from_a_state_on_the_wire_reverted_can_be_reached_and_no_final_state_but_it_and_replaced(
    state: ProposalState,
) -> None:
    final = reachable(state) & FINAL
    assert S.REVERTED in final
    assert final <= {S.REVERTED, S.REPLACED}


@pytest.mark.parametrize("state", sorted(ON_WIRE - {S.REVERTING}))
def test_revert_is_legal_wherever_routes_may_be_out_and_no_revert_runs(state: ProposalState) -> None:
    assert E.REVERT in legal_events(state)


def test_a_freeze_blocks_what_leads_to_the_wire_and_nothing_that_leads_back() -> None:
    assert frozenset({E.ENDORSE, E.APPROVE, E.APPLY}) == lifecycle.BLOCKED_BY_FREEZE


# --- advance --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(ProposalState))
@pytest.mark.parametrize("event", list(ProposalEvent))
def test_an_event_advances_as_the_table_says_or_is_refused(state: ProposalState, event: ProposalEvent) -> None:
    proposal = example_proposal(state=state)
    before = replace(proposal)
    if (state, event) in TRANSITIONS:
        moved = advance(proposal, event, actor="alice", now=LATER, reason="why")
        assert moved.state is TRANSITIONS[state, event]
        added = moved.history[-1]
        assert (added.event, added.from_state, added.to_state) == (event, state, moved.state)
        assert (added.actor, added.at, added.reason) == ("alice", LATER, "why")
        assert added.seq == len(proposal.history)
        assert moved.history[:-1] == proposal.history
    else:
        with pytest.raises(IllegalTransition) as caught:
            advance(proposal, event, actor="alice", now=LATER, reason="why")
        assert caught.value.fields == {
            "proposal": "p-7f3c",
            "state": state.value,
            "event": event.value,
            "legal": [legal.value for legal in legal_events(state)],
        }
    assert proposal == before


def test_an_illegal_event_says_what_the_state_is_and_what_it_can_do() -> None:
    with pytest.raises(IllegalTransition) as caught:
        advance(example_proposal(state=S.CONFIRMING), E.APPROVE, actor="alice", now=NOW)
    assert str(caught.value) == (
        "proposal p-7f3c is confirming: approve is not possible, it can confirm, trip, timeout, revert"
    )


def test_a_final_proposal_says_that_nothing_can_be_done() -> None:
    with pytest.raises(IllegalTransition, match="nothing can be done with it any more"):
        advance(example_proposal(state=S.REVERTED), E.REVERT, actor="alice", now=NOW)


def test_a_new_proposal_is_pending_with_its_creation_in_history() -> None:
    proposal = example_proposal(expires_after_seconds=60)
    assert proposal.state is S.PENDING
    assert proposal.expires_at == NOW + timedelta(seconds=60)
    (born,) = proposal.history
    assert (born.seq, born.event, born.from_state, born.to_state) == (0, None, None, S.PENDING)
    assert born.actor == "policy:transit-balance"


@pytest.mark.parametrize("actor", ["", " ", "advisor:ollama", "root:x", "policy:", ":x"])
def test_an_actor_that_is_none_is_refused(actor: str) -> None:
    with pytest.raises(ValueError, match="is no actor"):
        advance(example_proposal(), E.REJECT, actor=actor, now=NOW)


@pytest.mark.parametrize("actor", ["alice", "daemon", "policy:transit-balance", "guard:in_utilisation"])
def test_users_policies_guards_and_the_daemon_are_actors(actor: str) -> None:
    assert advance(example_proposal(), E.REJECT, actor=actor, now=NOW).history[-1].actor == actor


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        advance(example_proposal(), E.REJECT, actor="alice", now=datetime(2026, 1, 12))  # noqa: DTZ001


@pytest.mark.parametrize("actor", ["daemon", "policy:transit-balance", "guard:no_data"])
@pytest.mark.parametrize("event", [E.REVERT, E.RESOLVE])
def test_only_an_operator_moves_a_stuck_proposal(event: ProposalEvent, actor: str) -> None:
    with pytest.raises(NotAuthorised):
        advance(example_proposal(state=S.STUCK), event, actor=actor, now=NOW, reason="why")


@pytest.mark.parametrize("reason", ["", "  "])
def test_resolving_needs_a_reason(reason: str) -> None:
    with pytest.raises(Refused, match="needs a reason"):
        advance(example_proposal(state=S.STUCK), E.RESOLVE, actor="alice", now=NOW, reason=reason)


# --- deadlines, expiry, attempts ------------------------------------------------------------------------------------


def applying() -> Proposal:
    return begin_apply(example_proposal(state=S.APPROVED), actor="daemon", now=NOW, confirm_window_seconds=1200)


def test_the_confirm_deadline_is_set_with_apply_and_gone_with_the_window() -> None:
    proposal = applying()
    assert proposal.state is S.APPLYING
    assert proposal.confirm_deadline == NOW + timedelta(seconds=1200)
    confirming = advance(proposal, E.ACKED, actor="daemon", now=LATER)
    assert confirming.confirm_deadline == proposal.confirm_deadline
    assert advance(confirming, E.CONFIRM, actor="alice", now=LATER).confirm_deadline is None
    assert advance(confirming, E.TIMEOUT, actor="daemon", now=LATER).confirm_deadline is None


@pytest.mark.parametrize(("minutes", "overdue"), [(19, False), (20, True), (21, True)])
def test_a_confirm_is_overdue_from_its_deadline_on(minutes: int, overdue: bool) -> None:
    confirming = advance(applying(), E.ACKED, actor="daemon", now=LATER)
    assert is_confirm_overdue(confirming, NOW + timedelta(minutes=minutes)) is overdue


def test_a_confirming_proposal_without_deadline_is_overdue_and_others_never_are() -> None:
    assert is_confirm_overdue(example_proposal(state=S.CONFIRMING), NOW)
    assert not is_confirm_overdue(example_proposal(state=S.ACTIVE), NOW)


@pytest.mark.parametrize("state", list(ProposalState))
def test_only_what_waits_to_be_applied_expires(state: ProposalState) -> None:
    proposal = example_proposal(state=state, expires_after_seconds=60)
    assert not is_expired(proposal, NOW + timedelta(seconds=59))
    assert is_expired(proposal, NOW + timedelta(seconds=60)) is (state in {S.PENDING, S.APPROVED})


def test_an_expired_proposal_is_refused_with_when_and_what_to_do() -> None:
    proposal = example_proposal()
    refuse_expired(proposal, NOW)
    with pytest.raises(Expired) as caught:
        refuse_expired(proposal, NOW + timedelta(minutes=34))
    assert str(caught.value) == (
        "proposal p-7f3c is expired and cannot be approved (expired 4m ago, expires_after 30m)"
    )
    assert caught.value.hint == "teagent plan --policy transit-balance --propose"


def test_what_a_person_asked_for_is_asked_for_again_as_it_was() -> None:
    proposal = example_proposal()
    by_hand = replace(proposal, history=(replace(proposal.history[0], actor="alice"), *proposal.history[1:]))
    for one, hint in (
        (by_hand, "teagent simulate CHANGE... --propose transit-balance"),
        (replace(by_hand, experiment="a then b, step 1 of 2"), "teagent experiment plan --propose"),
    ):
        with pytest.raises(Expired) as caught:
            refuse_expired(one, NOW + timedelta(minutes=34))
        assert caught.value.hint == hint


def test_a_revert_is_tried_three_times_and_then_is_stuck() -> None:
    proposal = example_proposal(state=S.REVERTING)
    for attempt in range(1, REVERT_ATTEMPTS):
        proposal = attempt_failed(proposal, actor="daemon", now=NOW, reason="not acknowledged")
        assert (proposal.state, proposal.revert_attempts) == (S.REVERTING, attempt)
    events = len(proposal.history)
    proposal = attempt_failed(proposal, actor="daemon", now=NOW, reason="not acknowledged")
    assert (proposal.state, proposal.revert_attempts) == (S.STUCK, 3)
    assert [entry.event for entry in proposal.history[events:]] == [E.FAIL]


def test_a_stuck_proposal_that_is_reverted_again_has_all_its_attempts() -> None:
    stuck = replace(example_proposal(state=S.STUCK), revert_attempts=3)
    assert advance(stuck, E.REVERT, actor="alice", now=NOW).revert_attempts == 0


@pytest.mark.parametrize("state", sorted(set(ProposalState) - {S.REVERTING}))
def test_an_attempt_fails_only_while_reverting(state: ProposalState) -> None:
    with pytest.raises(IllegalTransition):
        attempt_failed(example_proposal(state=state), actor="daemon", now=NOW, reason="x")


# --- ids ------------------------------------------------------------------------------------------------------------


def test_an_id_has_four_digits_and_more_only_where_it_is_taken() -> None:
    entropy = 0x7F3C9A2100000000
    assert proposal_id(entropy) == "p-7f3c"
    assert proposal_id(entropy, {"p-7f3c"}) == "p-7f3c9"
    assert proposal_id(entropy, {"p-7f3c", "p-7f3c9"}) == "p-7f3c9a"
    assert proposal_id(0) == "p-0000"


def test_an_id_that_is_wholly_taken_asks_for_other_entropy() -> None:
    with pytest.raises(ValueError, match="other entropy"):
        proposal_id(1, {f"p-{'0' * n}" for n in range(4, 16)} | {"p-0000000000000001"})


IDS = ["p-7f3c", "p-7f3c9", "p-7a00", "p-1b2c"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("p-7f3c", "p-7f3c"), ("7f3c", "p-7f3c"), ("7F3C9", "p-7f3c9"), ("1", "p-1b2c"), (" p-7a ", "p-7a00")],
)
def test_an_id_or_the_beginning_of_just_one_is_resolved(text: str, found: str) -> None:
    assert resolve_id(text, IDS) == found


@pytest.mark.parametrize("text", ["9", "p-9999", "", "p-", "p", "7f3c90"])
def test_what_begins_no_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        resolve_id(text, IDS)


def test_the_beginning_of_several_ids_is_refused_with_their_names() -> None:
    with pytest.raises(Refused, match="7 is the beginning of 3 proposals: p-7a00, p-7f3c, p-7f3c9"):
        resolve_id("7", IDS)


# --- two-person rule ------------------------------------------------------------------------------------------------


def test_one_person_is_enough_where_one_is_asked_for() -> None:
    assert approval_event(example_proposal(), actor="kim", approvers=1) is E.APPROVE
    assert approval_event(example_proposal(), actor="root", approvers=1) is E.APPROVE
    assert approval_event(example_proposal(), actor="policy:relief", approvers=1) is E.APPROVE


def test_two_people_are_two_different_people() -> None:
    proposal = example_proposal()
    assert approval_event(proposal, actor="kim", approvers=2) is E.ENDORSE
    endorsed = advance(proposal, E.ENDORSE, actor="kim", now=NOW)
    assert (endorsed.state, endorsers(endorsed)) == (S.PENDING, ("kim",))
    with pytest.raises(Refused, match="kim has approved p-7f3c already, and policy transit-balance asks for 2 people"):
        approval_event(endorsed, actor="kim", approvers=2)
    assert approval_event(endorsed, actor="lee", approvers=2) is E.APPROVE
    assert approval_event(endorsed, actor="lee", approvers=3) is E.ENDORSE


def test_root_is_not_a_person_where_people_are_counted() -> None:
    with pytest.raises(Refused, match="root is nobody in particular"):
        approval_event(example_proposal(), actor="root", approvers=2)


# --- the documentation ----------------------------------------------------------------------------------------------


def test_the_documentation_shows_the_table_as_it_is() -> None:
    text = DOC.read_text()
    for part in (lifecycle.diagram(), lifecycle.state_table()):
        assert part in text, f"docs/internals/lifecycle.md is out of date, it should hold:\n{part}"


def test_the_paths_of_the_examples_lead_where_they_say() -> None:
    assert set(PATHS) == set(ProposalState)
    assert [example_proposal(state=state).state for state in PATHS] == list(PATHS)
