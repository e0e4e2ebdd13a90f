"""Predictions held against what happened: of changes, of changes by others, of no change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import pytest_asyncio

from teagent.model.plan import Band
from teagent.model.proposal import Proposal
from teagent.model.scorecard import Scorecard, ScoreKind
from teagent.ports import LearnedKind
from tests.fakes.clock import FakeClock
from tests.unit.service.learning_world import LearningWorld
from tests.unit.service.world import HEAVY

pytestmark = pytest.mark.asyncio
TO_B = {HEAVY: {"a": 2, "b": 0}}


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> LearningWorld:
    world = LearningWorld(clock)
    await world.store.start()
    await world.routes.refresh()
    for _ in range(3):
        await world.window()
    return world


async def proposed(world: LearningWorld) -> Proposal:
    proposal = await world.propose(TO_B)
    await world.scorecards.expect(proposal, await world.decider.snapshot())
    return proposal


async def applied(world: LearningWorld, moved: dict[int, str], windows: int = 3) -> Scorecard:
    proposal = await proposed(world)
    await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="kim")
    for _ in range(windows):
        await world.window(moved=moved)
    [card] = of(world, ScoreKind.CHANGE)
    return card


def of(world: LearningWorld, kind: ScoreKind) -> list[Scorecard]:
    return [card for card in world.scorecards.last if card.kind is kind]


async def test_a_change_is_scored_once_it_has_settled(world: LearningWorld) -> None:
    card = await applied(world, {64601: "b", 64602: "b"}, windows=5)
    assert (card.top1, card.top1_moved, card.prefixes) == (1.0, 1.0, (HEAVY,))
    assert round(card.moved_bps / 1e6) == 70
    assert [round(link.realised_share, 2) for link in card.links] == [0.0, 1.0]
    assert await world.store.learned(LearnedKind.PREDICTION) == []


async def test_who_stayed_was_not_where_he_was_predicted(world: LearningWorld) -> None:
    card = await applied(world, {64601: "b"})
    assert round(card.top1, 3) == round(40 / 70, 3)
    assert card.top1_moved == 1.0
    assert [(str(row.source), row.predicted_link, row.realised_link) for row in card.sources] == [("AS64602", "b", "a")]


async def test_a_change_that_is_taken_back_first_is_not_scored(world: LearningWorld) -> None:
    proposal = await proposed(world)
    await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="kim")
    await world.window(moved={64601: "b"})
    await world.approver.revert(proposal.id, actor="kim", reason="no")
    for _ in range(4):
        await world.window()
    assert of(world, ScoreKind.CHANGE) == of(world, ScoreKind.SHADOW) == []


async def test_the_same_change_made_by_others_scores_the_proposal_that_nobody_approved(world: LearningWorld) -> None:
    proposal = await proposed(world)
    await world.approver.reject(proposal.id, actor="kim", reason="no")
    world.routes._home = world.home.with_vector(HEAVY, TO_B[HEAVY])  # on the routers, by hand
    await world.routes.refresh()
    for _ in range(3):
        await world.window(moved={64601: "b", 64602: "b"})
    [card] = of(world, ScoreKind.SHADOW)
    assert (card.subject, card.top1) == (proposal.id, 1.0)


async def test_no_change_is_scored_again_and_again(world: LearningWorld) -> None:
    for _ in range(30):
        await world.window()
    cards = of(world, ScoreKind.NO_CHANGE)
    assert len(cards) >= 2
    assert {(card.top1, card.misprojected, card.coverage) for card in cards} == {(1.0, 0.0, 1.0)}


async def test_a_sender_that_changes_its_link_by_itself_shows_in_no_change(world: LearningWorld) -> None:
    for _ in range(4):
        await world.window(moved={64603: "b"})
    [card] = of(world, ScoreKind.NO_CHANGE)
    assert round(card.top1, 3) == round(70 / 90, 3)
    assert card.coverage is not None
    assert card.coverage < 1


async def test_a_misprojected_change_widens_the_bands_of_the_next(world: LearningWorld) -> None:
    before = await world.decider.snapshot()
    card = await applied(world, {})  # nobody followed
    assert card.misprojected > 0.05
    assert world.scorecards.misprojecting() == card
    after = await world.decider.snapshot()
    assert (before.widening, after.widening > 1) == (1.0, True)


async def test_scores_and_what_waits_for_its_change_survive_a_restart(world: LearningWorld) -> None:
    await applied(world, {})
    waiting = await world.propose({HEAVY: {"a": 3, "b": 0}})
    await world.scorecards.expect(waiting, await world.decider.snapshot())
    cards, widening = list(world.scorecards.last), world.predictor.widening
    await world.restart()
    await world.scorecards.load()
    assert list(world.scorecards.last) == cards
    assert world.predictor.widening == widening
    assert set(world.scorecards._pending) == {waiting.id}


async def test_a_link_without_a_band_is_left_out(world: LearningWorld) -> None:
    proposal = await world.propose(TO_B)
    only = replace(proposal, dry_run=replace(proposal.dry_run, links=proposal.dry_run.links[:1]))
    await world.scorecards.expect(only, await world.decider.snapshot())
    await world.approver.approve(proposal.id, digest=proposal.plan.digest, actor="kim")
    for _ in range(3):
        await world.window(moved={64601: "b"})
    [card] = of(world, ScoreKind.CHANGE)
    assert [link.link for link in card.links] == ["a"]
    assert card.links[0].predicted == Band(low=32e6, expected=40e6, high=48e6)
