"""Proposals that a person makes: under a policy's rules, and in his own name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import pytest_asyncio

from teagent.errors import NotFound, Refused, StalePlan
from teagent.model.policy import Approval
from teagent.model.proposal import ProposalState
from teagent.model.what_if import parse_wish
from teagent.ports import LearnedKind
from tests.fakes.clock import FakeClock
from tests.unit.service.deciding import DecidingWorld
from tests.unit.service.world import HEAVY, POLICY, M

pytestmark = pytest.mark.asyncio

WISHES = (parse_wish(f"prepend {HEAVY} a 2"),)


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> DecidingWorld:
    world = DecidingWorld(clock)
    await world.store.start()
    await world.routes.refresh()
    await world.windows(3)
    return world


async def test_it_waits_for_approval_in_the_name_of_who_asked(world: DecidingWorld) -> None:
    world.decide_with(replace(POLICY, approval=Approval(required=False, expires_after_seconds=600)))
    _, found, proposal = await world.decider.propose_by_hand(WISHES, POLICY.name, actor="kim")
    assert proposal.plan.changes == found.changes
    assert (proposal.state, proposal.history[0].actor) == (ProposalState.PENDING, "kim")
    assert world.pending() == [proposal.id]
    assert world.on_wire() == {}


async def test_it_is_applied_as_any_other(world: DecidingWorld) -> None:
    _, _, proposal = await world.decider.propose_by_hand(WISHES, POLICY.name, actor="kim")
    await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert world.book.get(proposal.id).state is ProposalState.CONFIRMING
    assert list(world.on_wire()) == [str(HEAVY)]


async def test_what_is_predicted_of_it_is_kept_to_be_scored(world: DecidingWorld) -> None:
    _, _, proposal = await world.decider.propose_by_hand(WISHES, POLICY.name, actor="kim")
    assert [row.key for row in await world.store.learned(LearnedKind.PREDICTION)] == [proposal.id]


async def test_where_it_is_stale_it_says_how_to_ask_again(world: DecidingWorld) -> None:
    _, _, proposal = await world.decider.propose_by_hand(WISHES, POLICY.name, actor="kim")
    world.telemetry.rates["edge1"]["eth1"] = 5 * M
    await world.run(60)
    with pytest.raises(StalePlan) as caught:
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert caught.value.hint == f"teagent simulate CHANGE... --propose {POLICY.name}"


async def test_it_takes_the_place_of_what_waits_on_its_ground(world: DecidingWorld) -> None:
    await world.decider.cycle()
    [waiting] = world.pending()
    _, _, proposal = await world.decider.propose_by_hand(WISHES, POLICY.name, actor="kim")
    assert world.pending() == [proposal.id]
    assert world.book.get(waiting).state is ProposalState.SUPERSEDED


async def test_what_the_rules_refuse_is_said_and_not_kept(world: DecidingWorld) -> None:
    with pytest.raises(Refused, match="max_prepend"):
        await world.decider.propose_by_hand((parse_wish(f"prepend {HEAVY} a 5"),), POLICY.name, actor="kim")
    with pytest.raises(NotFound, match="there is no policy other"):
        await world.decider.propose_by_hand(WISHES, "other", actor="kim")
    assert world.book.all() == []
