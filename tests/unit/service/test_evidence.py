"""What teaches and what does not; what is kept, and what becomes of it when it cannot be read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import pytest_asyncio

from teagent.engine.predict.beliefs import beliefs_of, sending
from teagent.engine.predict.shares import TIES_STICK
from teagent.errors import DiskFull
from teagent.model.bgp import Asn
from teagent.model.link import NoData
from teagent.ports import LearnedKind
from tests.fakes.clock import FakeClock
from tests.unit.service.learning_world import LearningWorld
from tests.unit.service.world import HEAVY, M

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> LearningWorld:
    world = LearningWorld(clock)
    await world.store.start()
    await world.routes.refresh()
    return world


async def settled(world: LearningWorld) -> LearningWorld:
    """Home has been seen long enough, and was learned."""
    for _ in range(3):
        await world.window()
    return world


async def moved(world: LearningWorld) -> LearningWorld:
    """HEAVY is prepended on a, and one of its two senders went to b."""
    await world.active({HEAVY: {"a": 2, "b": 0}})
    for _ in range(3):
        await world.window(moved={64601: "b"})
    return world


async def test_nothing_is_learned_before_the_announcements_have_settled(world: LearningWorld) -> None:
    await world.window()
    assert (world.predictor.model, await world.observations()) == (None, 0)


async def test_a_settled_window_is_learned_once_and_kept(world: LearningWorld) -> None:
    await settled(world)
    await world.window()
    assert await world.observations() == 1  # both prefixes are announced alike
    assert world.predictor.model is not None
    assert world.predictor.model.asn.tolist() == [64601, 64602, 64603]


async def test_one_vector_says_nothing_of_moves_and_two_do(world: LearningWorld) -> None:
    await settled(world)
    assert world.predictor.forecaster is TIES_STICK
    await moved(world)
    assert world.predictor.forecaster is not TIES_STICK
    assert "learned from" in world.predictor.forecaster.assumption


async def test_a_window_that_mixes_two_vectors_teaches_nothing(world: LearningWorld) -> None:
    await settled(world)
    await world.active({HEAVY: {"a": 2, "b": 0}})
    for _ in range(2):  # the first holds the change, the second its settling
        await world.window(moved={64601: "b"})
        assert await world.observations() == 1


async def test_who_came_by_which_link_before_the_change_is_known(world: LearningWorld) -> None:
    await moved(await settled(world))
    model = world.predictor.model
    assert model is not None
    question = next(q for q in model.open if q.vector == (2, 0))
    assert question.before[model.rows(np.array([64601, 64602]))].tolist() == [0, 0]
    found = beliefs_of(model, {"a": 2, "b": 0}, {}, asn=Asn(64601), top=1)[0][0]
    assert found.seen_on == "b"


async def test_doubted_flows_teach_nothing(world: LearningWorld) -> None:
    for _ in range(4):
        await world.window(seen=0.3)
    assert await world.observations() == 0


@pytest.mark.parametrize(("unseen", "learned"), [(0.5 * M, 1), (30 * M, 0)])
async def test_a_doubted_link_that_is_next_to_idle_keeps_nobody_from_learning(world, unseen, learned) -> None:
    for _ in range(4):
        await world.window(unseen_on_b=unseen)
    assert await world.observations() == learned


async def test_flows_without_an_as_teach_nothing(world: LearningWorld) -> None:
    for _ in range(4):
        await world.window(asn=False)
    assert await world.observations() == 0


async def test_announcements_that_are_not_known_have_to_settle_again(world: LearningWorld) -> None:
    await settled(world)
    world.speaker.down = True
    await world.routes.refresh()
    world.evidence.note(world.clock.now())
    world.speaker.down = False
    await world.routes.refresh()
    matrix = world.ingest.latest(world.clock.now())
    assert not isinstance(matrix, NoData)
    world.evidence.note(world.clock.now())
    assert world.evidence.settled(replace(matrix, at=world.clock.now())) == {}


async def test_a_killed_daemon_finds_what_it_had_learned(world: LearningWorld) -> None:
    await moved(await settled(world))
    before = world.predictor.model
    await world.restart()
    await world.evidence.load()
    after = world.predictor.model
    assert before is not None
    assert after is not None
    assert after.asn.tolist() == before.asn.tolist()
    assert [q.vector for q in after.open] == [q.vector for q in before.open]
    assert world.predictor.forecaster is not TIES_STICK


async def test_what_was_observed_after_the_model_was_saved_is_learned_again(world: LearningWorld) -> None:
    await settled(world)
    [saved] = await world.store.learned(LearnedKind.INGRESS_MODEL)
    await moved(world)
    assert saved.arrays is not None
    await world.store.keep_learned(LearnedKind.INGRESS_MODEL, saved.key, saved.at, saved.arrays)
    await world.restart()
    await world.evidence.load()
    assert world.predictor.model is not None
    assert [q.vector for q in world.predictor.model.open] == [(0, 2), (2, 0)]


@pytest.mark.parametrize("damage", ["version", "links", "missing", "unreadable"])
async def test_a_state_that_cannot_be_read_is_set_aside_and_learned_anew(world: LearningWorld, damage: str) -> None:
    await moved(await settled(world))
    [row] = await world.store.learned(LearnedKind.INGRESS_MODEL)
    arrays = dict(row.arrays or {})
    match damage:
        case "version":
            arrays["version"] = np.array(99)
        case "links":
            arrays["links"] = np.array(["a", "c"])
        case "missing":
            del arrays["evidence"]
    await world.store.keep_learned(LearnedKind.INGRESS_MODEL, row.key, row.at, arrays)
    if damage == "unreadable":
        world.store._learned[LearnedKind.INGRESS_MODEL, row.key] = (row.at, b"PK nonsense")
    await world.restart()
    await world.evidence.load()
    assert world.predictor.model is not None
    assert [q.vector for q in world.predictor.model.open] == [(0, 2), (2, 0)]
    assert len(await world.store.learned(LearnedKind.SET_ASIDE)) == 1


async def test_a_full_disk_keeps_nobody_from_learning(world: LearningWorld) -> None:
    world.store.fail_with = DiskFull("full")
    world.observer.store_trouble = ""
    for _ in range(3):
        await world.window()
        world.observer.store_trouble = ""
    matrix = world.ingest.latest(world.clock.now())
    assert not isinstance(matrix, NoData)
    await world.evidence.learn(matrix, ())
    assert world.predictor.model is not None
    assert world.evidence.counters["store_failures"] >= 1


async def test_the_heaviest_senders_are_known_by_what_they_send(world: LearningWorld) -> None:
    await settled(world)
    matrix = world.ingest.latest(world.clock.now())
    assert not isinstance(matrix, NoData)
    found = sending(matrix, HEAVY)
    assert [(asn, round(one.bps / 1e6), one.link) for asn, one in found.items()] == [(64601, 40, "a"), (64602, 30, "a")]
