"""Events, crashes and restarts in any order leave routes at home or owned by exactly one live proposal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from teagent.engine.lifecycle import (
    TRANSITIONS,
    advance,
    attempt_failed,
    begin_apply,
    in_the_way,
    is_confirm_overdue,
    is_expired,
    legal_events,
    owners,
    proposal_id,
    replaced_by,
    resolve_id,
    supersedes,
    target_after_revert,
)
from teagent.errors import IllegalTransition
from teagent.model.announcement import AnnouncementSet
from teagent.model.proposal import FINAL, ON_WIRE, Proposal, ProposalEvent, ProposalState
from tests.fakes.proposals import NOW, PREFIX, example_plan, example_proposal, home

S, E = ProposalState, ProposalEvent
WINDOW_SECONDS = 1200
unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine is shared


class Lifecycle(RuleBasedStateMachine):
    """One prefix, a store that keeps what it was given, routers that do what the last command said.

    `stored` is the durable truth: written before the wire. A crash may come between the two; a restart then does
    what lifecycle.md says for each state.
    """

    @initialize(with_an_active_one=st.booleans())
    def begin(self, with_an_active_one: bool) -> None:
        self.now = NOW
        self.stored: dict[str, Proposal] = {}
        self.wire: AnnouncementSet = home()
        self.created = 0
        self.refused_by_wire = False
        if with_an_active_one:
            self.propose_and_approve({"transit-a": 3, "transit-b": 0})
            self.go_forward("acked")
            self.end_window(E.CONFIRM)

    # --- what happens ---

    @precondition(lambda self: not self.in_state(*(set(ProposalState) - FINAL - {S.ACTIVE})))
    @rule(a=st.integers(0, 3), b=st.integers(0, 3), approved=st.booleans())
    def propose(self, a: int, b: int, approved: bool) -> None:
        if {"transit-a": a, "transit-b": b} == self.wire.vector(PREFIX):
            a = 3 - a
        self.propose_and_approve({"transit-a": a, "transit-b": b}, approved=approved)

    def propose_and_approve(self, vector: dict[str, int], *, approved: bool = True) -> None:
        plan = example_plan(before=self.wire, vector=vector)
        self.created += 1
        owner = owners(self.stored.values()).get(PREFIX)
        proposal = example_proposal(
            f"p-{self.created:04x}", plan=plan, now=self.now, restores=owner.id if owner else None
        )
        self.stored[proposal.id] = proposal
        if approved:
            self.event(proposal, E.APPROVE)

    @precondition(lambda self: self.in_state(S.PENDING))
    @rule()
    def propose_instead(self) -> None:
        pending = self.in_state(S.PENDING)[0]
        self.created += 1
        newer = example_proposal(f"p-{self.created:04x}", plan=pending.plan, now=self.now)
        assert supersedes(newer.plan, pending)
        self.event(pending, E.SUPERSEDE)
        self.stored[newer.id] = newer

    @rule(seconds=st.integers(1, 1500))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        for proposal in list(self.stored.values()):
            if is_expired(proposal, self.now):
                self.event(proposal, E.EXPIRE)
            elif is_confirm_overdue(proposal, self.now):
                self.revert(proposal, E.TIMEOUT)

    @precondition(lambda self: self.in_state(S.PENDING))
    @rule()
    def operator_approves(self) -> None:
        self.event(self.in_state(S.PENDING)[0], E.APPROVE)

    @precondition(lambda self: self.in_state(S.PENDING, S.APPROVED))
    @rule(event=st.sampled_from([E.REJECT, E.INVALIDATE]))
    def it_comes_to_nothing(self, event: ProposalEvent) -> None:
        self.event(self.in_state(S.PENDING, S.APPROVED)[0], event)

    @precondition(lambda self: self.in_state(S.APPROVED))
    @rule(outcome=st.sampled_from(["acked", "acked", "acked", "lost", "crash before the wire", "crash after the wire"]))
    def apply(self, outcome: str) -> None:
        self.go_forward(outcome)

    def go_forward(self, outcome: str) -> None:
        self.now += timedelta(seconds=1)  # which of two was applied last is told by time
        approved = self.in_state(S.APPROVED)[0]
        if in_the_way(approved.plan, self.stored.values()) is not None:
            return
        if approved.plan.before.vector(PREFIX) != self.wire.vector(PREFIX):
            self.event(approved, E.INVALIDATE)
            return
        applying = begin_apply(approved, actor="daemon", now=self.now, confirm_window_seconds=WINDOW_SECONDS)
        self.stored[applying.id] = applying
        if outcome != "crash before the wire":
            self.announce(applying.plan.after.vector(PREFIX))
        if outcome == "acked":
            self.event(applying, E.ACKED)
        elif outcome == "lost":
            self.revert(applying, E.FAIL)
        else:
            self.restart()

    @precondition(lambda self: self.in_state(S.CONFIRMING))
    @rule(event=st.sampled_from([E.CONFIRM, E.CONFIRM, E.TRIP, E.REVERT]))
    def window_ends(self, event: ProposalEvent) -> None:
        self.end_window(event)

    def end_window(self, event: ProposalEvent) -> None:
        confirming = self.in_state(S.CONFIRMING)[0]
        if event is not E.CONFIRM:
            self.revert(confirming, event)
            return
        for older in replaced_by(confirming, self.stored.values()):
            self.event(older, E.REPLACE)
        self.event(confirming, E.CONFIRM)

    @precondition(lambda self: self.in_state(S.ACTIVE))
    @rule(event=st.sampled_from([E.TRIP, E.REVERT]))
    def active_goes_home(self, event: ProposalEvent) -> None:
        self.revert(self.in_state(S.ACTIVE)[0], event)

    @precondition(lambda self: self.in_state(S.STUCK))
    @rule(by_hand=st.booleans())
    def operator_looks_after_the_stuck(self, by_hand: bool) -> None:
        stuck = self.in_state(S.STUCK)[0]
        if by_hand:
            for vector in target_after_revert(stuck, home=home(), others=self.stored.values()).values():
                self.announce(vector)
            self.event(stuck, E.RESOLVE)
        else:
            self.revert(stuck, E.REVERT)

    @rule(refuses=st.booleans())
    def speaker_comes_and_goes(self, refuses: bool) -> None:
        self.refused_by_wire = refuses
        if not refuses:
            for proposal in self.in_state(S.REVERTING):
                self.take_back(proposal)

    @rule()
    def restart(self) -> None:
        for proposal in list(self.stored.values()):
            if proposal.state is S.APPLYING:
                self.revert(proposal, E.REVERT)
            elif proposal.state is S.REVERTING:
                self.take_back(proposal)

    @precondition(lambda self: self.stored and not self.in_state(S.PENDING, S.APPROVED))
    @rule(data=st.data(), event=st.sampled_from(list(ProposalEvent)))
    def an_illegal_event_changes_nothing(self, data: st.DataObject, event: ProposalEvent) -> None:
        proposal = self.stored[data.draw(st.sampled_from(sorted(self.stored)))]
        if event in legal_events(proposal.state):
            return
        with pytest.raises(IllegalTransition) as refused:
            advance(proposal, event, actor="alice", now=self.now, reason="why")
        assert refused.value.fields["legal"] == [legal.value for legal in legal_events(proposal.state)]

    # --- how ---

    def in_state(self, *states: ProposalState) -> list[Proposal]:
        return [proposal for proposal in self.stored.values() if proposal.state in states]

    def event(self, proposal: Proposal, event: ProposalEvent) -> Proposal:
        moved = advance(proposal, event, actor="alice", now=self.now, reason="why")
        self.stored[proposal.id] = moved
        return moved

    def revert(self, proposal: Proposal, event: ProposalEvent) -> None:
        self.take_back(self.event(proposal, event))

    def take_back(self, proposal: Proposal) -> None:
        if self.refused_by_wire:
            self.stored[proposal.id] = attempt_failed(proposal, actor="daemon", now=self.now, reason="speaker is down")
            return
        target = target_after_revert(proposal, home=home(), others=self.stored.values())
        for vector in target.values():
            self.announce(vector)
        self.event(proposal, E.WITHDRAWN)

    def announce(self, vector: dict[str, int]) -> None:
        self.wire = self.wire.with_vector(PREFIX, vector)

    # --- what always holds ---

    @invariant()
    def routes_are_home_or_belong_to_exactly_one_live_proposal(self) -> None:
        on_wire = [p for p in self.stored.values() if p.state in ON_WIRE]
        owner = owners(on_wire).get(PREFIX)
        vector = self.wire.vector(PREFIX)
        if owner is None:
            assert vector == home().vector(PREFIX)
        elif owner.state in {S.CONFIRMING, S.ACTIVE}:
            assert vector == owner.plan.after.vector(PREFIX)
        else:  # being taken back: what may be out is what it announced, or what was there before
            assert vector in (owner.plan.after.vector(PREFIX), owner.plan.before.vector(PREFIX))

    @invariant()
    def at_most_one_is_active_and_at_most_one_goes_forward(self) -> None:
        assert len(self.in_state(S.ACTIVE)) <= 1
        assert len(self.in_state(S.APPLYING, S.CONFIRMING)) <= 1

    @invariant()
    def history_tells_how_each_proposal_came_to_its_state(self) -> None:
        for proposal in self.stored.values():
            assert [entry.seq for entry in proposal.history] == list(range(len(proposal.history)))
            state: ProposalState | None = None
            for entry in proposal.history:
                assert entry.from_state is state
                if entry.event is not None:
                    assert TRANSITIONS[state, entry.event] is entry.to_state
                state = entry.to_state
            assert state is proposal.state

    @invariant()
    def only_the_window_has_a_deadline(self) -> None:
        for proposal in self.stored.values():
            assert (proposal.confirm_deadline is not None) == (proposal.state in {S.APPLYING, S.CONFIRMING})


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(unhurried, max_examples=120, stateful_step_count=60)


@unhurried
@given(st.lists(st.integers(0, 2**64 - 1), max_size=200))
def test_ids_are_unique_and_each_resolves_to_itself(entropies: list[int]) -> None:
    taken: list[str] = []
    for entropy in dict.fromkeys(entropies):
        taken.append(proposal_id(entropy, taken))
    assert len(set(taken)) == len(taken)
    assert [resolve_id(id_, taken) for id_ in taken] == taken


@unhurried
@given(st.lists(st.sampled_from(list(ProposalEvent)), max_size=30))
def test_any_events_end_in_a_final_state_or_can_go_on(events: list[ProposalEvent]) -> None:
    proposal = example_proposal()
    for event in events:
        if event in legal_events(proposal.state):
            proposal = advance(proposal, event, actor="alice", now=NOW, reason="why")
    assert (proposal.state in FINAL) == (not legal_events(proposal.state))
