"""What people may do with a proposal, and what is refused with which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from teagent.errors import Expired, Frozen, IllegalTransition, NotFound, Refused, SpeakerRejected, StalePlan
from teagent.model.proposal import Proposal, ProposalEvent
from tests.unit.service.world import HEAVY, OTHER, POLICY, World

pytestmark = pytest.mark.asyncio


async def test_an_approval_puts_exactly_the_plan_on_the_wire(world: World) -> None:
    proposal = await world.applied()

    assert world.state(proposal) == "confirming"
    assert world.on_wire() == {str(HEAVY): {"a": 1, "b": 0}}


async def test_the_store_knows_before_the_wire_does(world: World) -> None:
    proposal = await world.propose()
    seen: list[str] = []
    announce = world.speaker.announce

    async def look_first(*args: object, **more: object) -> None:
        stored = await world.store.proposal(proposal.id)
        assert stored is not None
        assert stored.confirm_deadline is not None
        seen.append(stored.state.value)
        await announce(*args, **more)  # type: ignore[arg-type]

    world.speaker.announce = look_first  # type: ignore[method-assign,assignment]
    await world.approver.approve(proposal.id, digest=None, actor="kim")

    assert seen == ["applying"]


async def test_the_relay_is_told_the_same_deadline_as_the_store(world: World) -> None:
    proposal = await world.applied()

    assert world.speaker.held[HEAVY].deadline == world.book.get(proposal.id).confirm_deadline


async def test_an_expired_proposal_cannot_be_approved(world: World) -> None:
    proposal = await world.propose()
    world.clock.advance(601)

    with pytest.raises(Expired, match=r"expired 1s ago, expires_after 10m"):
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert world.state(proposal) == "expired"
    assert world.on_wire() == {}


async def test_one_that_the_watcher_expired_is_refused_with_the_same_words(world: World) -> None:
    proposal = await world.propose()
    world.clock.advance(601)
    await world.watcher.tick(world.clock.now())

    with pytest.raises(Expired, match="cannot be approved"):
        await world.approver.approve(proposal.id, digest=None, actor="kim")


async def test_a_stale_proposal_is_refused_with_what_moved(world: World) -> None:
    proposal = await world.propose()
    world.differences = ["b in_utilisation 41% -> 78%"]

    with pytest.raises(StalePlan, match="b in_utilisation 41% -> 78%") as caught:
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert caught.value.exit_code == 6
    assert world.state(proposal) == "stale"
    assert world.on_wire() == {}


async def test_an_approval_of_another_digest_than_was_shown_changes_nothing(world: World) -> None:
    proposal = await world.propose()

    with pytest.raises(StalePlan):
        await world.approver.approve(proposal.id, digest="0" * 64, actor="kim")
    assert world.state(proposal) == "pending"


async def test_before_the_announcement_the_store_is_written_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the store, then the wire: and each commit in between is time in which the link stays full."""
    proposal = await world.propose()
    order: list[str] = []
    save, announce = world.store.save_proposals, world.speaker.announce

    async def saving(*proposals: Proposal, **more: Any) -> None:
        order.append(f"store {proposals[0].state.value}")
        await save(*proposals, **more)

    async def announcing(*words: Any, **more: Any) -> None:
        order.append("wire")
        await announce(*words, **more)

    monkeypatch.setattr(world.store, "save_proposals", saving)
    monkeypatch.setattr(world.speaker, "announce", announcing)
    await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert order == ["store applying", "wire", "store confirming"]
    stored = await world.store.proposal(proposal.id)
    assert stored is not None
    states = [entry.to_state.value for entry in stored.history]
    assert states == ["pending", "approved", "applying", "confirming"]


async def test_what_is_applied_already_cannot_be_approved_again(world: World) -> None:
    proposal = await world.applied()

    with pytest.raises(IllegalTransition, match="is confirming: approve is not possible, it can confirm"):
        await world.approver.approve(proposal.id, digest=None, actor="kim")


async def test_an_unknown_proposal_is_said_to_be_unknown(world: World) -> None:
    with pytest.raises(NotFound, match="no proposal p-0000"):
        await world.approver.approve("p-0000", digest=None, actor="kim")


async def test_a_freeze_blocks_approval_and_never_a_revert(world: World) -> None:
    applied = await world.applied()
    waiting = await world.propose({OTHER: {"a": 1, "b": 0}})
    await world.freeze.freeze(actor="kim", reason="maintenance")

    with pytest.raises(Frozen, match="by kim: maintenance"):
        await world.approver.approve(waiting.id, digest=None, actor="kim")
    await world.approver.revert(applied.id, actor="kim", reason="")
    assert world.state(applied) == "reverted"
    assert world.on_wire() == {}


async def test_in_dry_run_nothing_can_be_applied(dry_world: World) -> None:
    proposal = await dry_world.propose()

    with pytest.raises(Refused, match=r"bgp\.dry_run is true"):
        await dry_world.approver.approve(proposal.id, digest=None, actor="kim")
    assert dry_world.state(proposal) == "pending"
    assert dry_world.speaker.log == []


async def test_what_the_relay_refuses_is_taken_back_and_told(world: World) -> None:
    proposal = await world.propose()
    world.speaker.reject("max_prepend")

    with pytest.raises(SpeakerRejected, match="max_prepend"):
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}


async def test_a_lost_acknowledgement_goes_home_because_it_may_have_gone_out(world: World) -> None:
    proposal = await world.propose()
    world.speaker.lose_ack()

    with pytest.raises(Exception, match="no answer"):
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert world.state(proposal) == "reverted"
    assert world.speaker.log[-1] == ("withdraw", str(HEAVY))


async def test_a_confirmation_after_the_window_is_refused(world: World) -> None:
    proposal = await world.applied()
    world.clock.advance(301)

    with pytest.raises(Refused, match="closed 1s ago"):
        await world.approver.confirm(proposal.id, actor="kim")


async def test_confirming_clears_the_deadline_at_the_relay_first(world: World) -> None:
    proposal = await world.active()

    assert world.state(proposal) == "active"
    assert world.speaker.held[HEAVY].deadline is None


async def test_when_the_relay_cannot_be_told_nothing_is_confirmed(world: World) -> None:
    proposal = await world.applied()
    world.speaker.down = True

    with pytest.raises(Exception, match="cannot be reached"):
        await world.approver.confirm(proposal.id, actor="kim")
    assert world.state(proposal) == "confirming"


async def test_a_revert_in_the_window_restores_what_was_before(world: World) -> None:
    first = await world.active()
    second = await world.applied({HEAVY: {"a": 2, "b": 0}})
    assert world.on_wire() == {str(HEAVY): {"a": 2, "b": 0}}
    await world.approver.revert(second.id, actor="kim", reason="")

    assert world.state(second) == "reverted"
    assert world.state(first) == "active"
    assert world.on_wire() == {str(HEAVY): {"a": 1, "b": 0}}
    assert world.speaker.held[HEAVY].owner == first.id


async def test_a_later_confirmed_change_replaces_the_earlier(world: World) -> None:
    first = await world.active()
    second = await world.active({HEAVY: {"a": 2, "b": 0}})

    assert world.state(first) == "replaced"
    assert world.state(second) == "active"


async def test_a_revert_of_an_active_change_goes_home(world: World) -> None:
    proposal = await world.active()
    await world.approver.revert(proposal.id, actor="kim", reason="enough")

    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}


async def test_a_newer_proposal_supersedes_a_waiting_one_on_the_same_prefix(world: World) -> None:
    first = await world.propose()
    await world.propose({HEAVY: {"a": 2, "b": 0}})

    assert world.state(first) == "superseded"


async def test_nothing_is_approved_over_a_change_that_is_not_settled(world: World) -> None:
    first = await world.applied()
    second = await world.propose({HEAVY: {"a": 2, "b": 0}})

    with pytest.raises(Refused, match=f"{first.id} is confirming on the same prefixes"):
        await world.approver.approve(second.id, digest=None, actor="kim")
    assert world.state(second) == "pending"


async def test_with_two_approvers_the_first_puts_nothing_on_the_wire_and_the_second_does(world: World) -> None:
    world.policies[POLICY.name] = replace(POLICY, approval=replace(POLICY.approval, approvers=2))
    proposal = await world.propose()
    first = await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="kim")
    assert (first.state.value, world.on_wire()) == ("pending", {})
    with pytest.raises(Refused, match="kim has approved"):
        await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="kim")
    await world.restart()
    world.policies[POLICY.name] = replace(POLICY, approval=replace(POLICY.approval, approvers=2))
    second = await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="lee")
    assert second.state.value == "confirming"
    assert world.on_wire() == {"198.51.100.0/24": {"a": 1, "b": 0}}
    assert [
        entry.actor for entry in second.history if entry.event in {ProposalEvent.ENDORSE, ProposalEvent.APPROVE}
    ] == [
        "kim",
        "lee",
    ]


async def test_a_first_approval_expires_with_the_proposal(world: World) -> None:
    world.policies[POLICY.name] = replace(POLICY, approval=replace(POLICY.approval, approvers=2))
    proposal = await world.propose()
    await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="kim")
    world.clock.advance(601)
    with pytest.raises(Expired):
        await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="lee")


async def test_the_second_approval_is_bound_to_the_digest_and_to_the_state_as_well(world: World) -> None:
    world.policies[POLICY.name] = replace(POLICY, approval=replace(POLICY.approval, approvers=2))
    proposal = await world.propose()
    await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="kim")
    with pytest.raises(StalePlan):
        await world.approver.approve(proposal.id, digest="f" * 64, actor="lee")
    world.differences = ["transit-b in_utilisation 41% -> 78%"]
    with pytest.raises(StalePlan):
        await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="lee")
    assert world.state(proposal) == "stale"
    assert world.on_wire() == {}
