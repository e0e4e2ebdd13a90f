"""Experiments as ordinary proposals that wait for their hour."""

from __future__ import annotations

import pytest
import pytest_asyncio

from teagent.errors import NotFound, Refused
from teagent.model.maintenance import DailyWindow
from teagent.model.proposal import Proposal, ProposalState
from teagent.service.experiments import Experiments
from tests.fakes.clock import FakeClock
from tests.unit.service.learning_world import LearningWorld
from tests.unit.service.world import HEAVY, POLICY

pytestmark = pytest.mark.asyncio
WINDOW = DailyWindow.parse("02:00-04:30")
NOTHING = {"prefix": None, "first": None, "second": None}


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> LearningWorld:
    world = LearningWorld(clock)
    await world.store.start()
    await world.routes.refresh()
    world.approver._maintenance = WINDOW
    return world


def experiments(world: LearningWorld) -> Experiments:
    return Experiments(
        prefixes=(HEAVY,), window=WINDOW, policy=POLICY, decider=world.decider, predictor=world.predictor
    )


async def learned(world: LearningWorld) -> LearningWorld:
    for _ in range(3):
        await world.window()
    return world


async def test_before_anything_was_learned_nobody_can_say_what_teaches(world: LearningWorld) -> None:
    with pytest.raises(Refused, match="there is no traffic matrix"):
        await experiments(world).plan()
    await world.window()
    with pytest.raises(Refused, match="nothing was learned yet"):
        await experiments(world).plan()


async def test_both_orders_are_listed(world: LearningWorld) -> None:
    _, found = await experiments(await learned(world)).plan()
    assert {(one.first, one.second) for one in found} == {("a", "b"), ("b", "a")}


async def test_the_next_step_is_a_proposal_that_names_the_order(world: LearningWorld) -> None:
    one, proposal = await experiments(await learned(world)).propose(NOTHING | {"first": "a"}, actor="kim")
    assert (one.step, proposal.state) == (1, ProposalState.PENDING)
    assert proposal.experiment == "a then b, step 1 of 2"
    assert proposal.plan.after.vector(HEAVY) == {"a": 0, "b": 3}
    assert proposal.policy == POLICY.name
    await world.book.load()
    assert world.book.get(proposal.id).experiment == proposal.experiment


async def test_it_can_be_approved_in_its_hour_only(world: LearningWorld) -> None:
    _, proposal = await experiments(await learned(world)).propose(NOTHING | {"first": "a"}, actor="kim")
    assert not WINDOW.holds(world.clock.now())
    with pytest.raises(Refused, match="can be approved at 02:00-04:30 UTC, now it is"):
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    world.approver._maintenance = DailyWindow.parse("00:00-23:59")
    approved = await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert approved.state is ProposalState.CONFIRMING


async def test_without_the_key_it_can_not_be_approved_any_more(world: LearningWorld) -> None:
    _, proposal = await experiments(await learned(world)).propose(NOTHING | {"first": "a"}, actor="kim")
    world.approver._maintenance = None
    with pytest.raises(Refused, match="the configuration has none any more"):
        await world.approver.approve(proposal.id, digest=None, actor="kim")


async def confirmed(world: LearningWorld, proposal: Proposal) -> Proposal:
    """Approved, looked at again as the daemon does, and seen under for some windows."""
    world.approver._maintenance = DailyWindow.parse("00:00-23:59")
    world.approver._recheck = world.decider.recheck
    await world.approver.approve(proposal.id, digest=None, actor="kim")
    await world.routes.refresh()
    for _ in range(3):
        await world.window()
    return await world.approver.confirm(proposal.id, actor="kim")


async def test_the_second_step_is_made_over_the_first_which_it_replaces(world: LearningWorld) -> None:
    asked = experiments(await learned(world))
    _, first = await asked.propose(NOTHING | {"first": "a"}, actor="kim")
    assert (await confirmed(world, first)).state is ProposalState.ACTIVE
    world.clock.advance(POLICY.limits.cooldown_seconds)
    for _ in range(3):
        await world.window()
    one, second = await asked.propose(NOTHING | {"first": "a"}, actor="kim")
    assert (one.step, second.experiment) == (2, "a then b, step 2 of 2")
    assert second.plan.before.vector(HEAVY) == {"a": 0, "b": 3}
    assert (await confirmed(world, second)).state is ProposalState.ACTIVE
    assert world.book.get(first.id).state is ProposalState.REPLACED


async def test_over_what_is_no_experiment_none_is_proposed(world: LearningWorld) -> None:
    proposal = await (await learned(world)).applied()
    await world.routes.refresh()
    for _ in range(3):
        await world.window()
    await world.approver.confirm(proposal.id, actor="kim")
    world.clock.advance(POLICY.limits.cooldown_seconds)
    for _ in range(3):
        await world.window()
    with pytest.raises(Refused, match=f"owner: {HEAVY} belongs to proposal {proposal.id}$"):
        await experiments(world).propose(NOTHING, actor="kim")


async def test_what_is_no_experiment_can_be_approved_at_any_time(world: LearningWorld) -> None:
    proposal = await (await learned(world)).applied()
    assert proposal.state is ProposalState.CONFIRMING


async def test_what_the_policy_forbids_is_not_proposed(world: LearningWorld) -> None:
    await learned(world)
    await world.freeze.freeze(actor="kim", reason="maintenance")
    with pytest.raises(Refused, match="frozen"):
        await experiments(world).propose(NOTHING, actor="kim")


async def test_an_experiment_that_is_none_is_said(world: LearningWorld) -> None:
    with pytest.raises(NotFound, match="there is no experiment left with c, known are "):
        await experiments(await learned(world)).propose(NOTHING | {"first": "c"}, actor="kim")
