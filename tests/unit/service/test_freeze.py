"""The kill switch is in force whatever else fails, and is remembered."""

from __future__ import annotations

import pytest

from teagent.errors import DiskFull, Frozen, Refused, StoreError
from teagent.model.link import NoData
from tests.unit.service.world import World

pytestmark = pytest.mark.asyncio


async def test_a_freeze_says_since_when_by_whom_and_why(world: World) -> None:
    await world.freeze.freeze(actor="kim", reason="maintenance")
    with pytest.raises(Frozen, match="frozen since 2026-01-12T19:40:00Z by kim: maintenance"):
        world.freeze.check()
    assert world.speaker.is_frozen
    assert [(event.kind, event.actor) for event in await world.store.events()] == [("frozen", "kim")]


async def test_a_second_freeze_changes_nothing_of_the_first(world: World) -> None:
    await world.freeze.freeze(actor="kim", reason="maintenance")
    world.clock.advance(60)
    await world.freeze.freeze(actor="lee", reason="")
    assert (world.freeze.standing.by, world.freeze.standing.reason) == ("kim", "maintenance")
    assert len(await world.store.events()) == 1


async def test_a_freeze_survives_a_restart_and_a_thaw_does_too(world: World) -> None:
    await world.freeze.freeze(actor="kim", reason="")
    await world.restart()
    assert world.freeze.frozen
    await world.freeze.thaw(actor="lee")
    await world.restart()
    assert not world.freeze.frozen
    assert not world.speaker.is_frozen


async def test_a_full_disk_is_not_in_the_way_of_the_kill_switch(world: World) -> None:
    world.store.fail_with = DiskFull("teagent.db cannot grow", hint="free space")
    with pytest.raises(StoreError, match=r"frozen, but a restart would forget it: teagent.db cannot grow") as caught:
        await world.freeze.freeze(actor="kim", reason="")
    assert caught.value.hint == "free space"
    assert world.freeze.frozen
    assert world.speaker.is_frozen

    world.store.fail_with = None
    await world.freeze.freeze(actor="kim", reason="")
    await world.restart()
    assert world.freeze.frozen


async def test_a_relay_that_is_away_is_told_when_it_is_back(world: World) -> None:
    world.speaker.down = True
    await world.freeze.freeze(actor="kim", reason="")
    assert world.freeze.frozen
    world.speaker.down = False
    await world.freeze.tell_relay()
    assert world.speaker.is_frozen


async def test_there_is_nothing_to_thaw(world: World) -> None:
    with pytest.raises(Refused, match="not frozen"):
        await world.freeze.thaw(actor="kim")


async def test_in_dry_run_nobody_has_to_be_told(dry_world: World) -> None:
    await dry_world.freeze.freeze(actor="kim", reason="")
    assert dry_world.freeze.frozen
    assert dry_world.speaker.log == []


async def test_the_relays_freeze_file_freezes_the_daemon_and_only_its_removal_thaws(world: World) -> None:
    world.speaker.freeze_file = True
    world.freeze.see(await world.speaker.state())
    with pytest.raises(Frozen, match="by the freeze file"):
        world.freeze.check()
    with pytest.raises(Refused, match="only its removal thaws"):
        await world.freeze.thaw(actor="kim")
    world.freeze.see(NoData(since=world.clock.now(), reason="the relay is away"))
    assert world.freeze.frozen
    world.speaker.freeze_file = False
    world.freeze.see(await world.speaker.state())
    world.freeze.check()


async def test_a_thaw_leaves_the_freeze_file_in_force(world: World) -> None:
    world.speaker.freeze_file = True
    world.freeze.see(await world.speaker.state())
    await world.freeze.freeze(actor="kim", reason="")
    await world.freeze.thaw(actor="kim")
    assert not world.speaker.is_frozen
    assert world.freeze.standing is not None
    assert world.freeze.standing.by == "the freeze file"
