"""What is said of the relay is never older than the question."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from teagent.model.link import NoData
from teagent.ports import SpeakerState
from teagent.service.reconcile import Routes
from tests.fakes.clock import FakeClock
from tests.fakes.speaker import FakeSpeaker
from tests.unit.service.world import network

pytestmark = pytest.mark.asyncio


class SlowSpeaker(FakeSpeaker):
    """Answers when it is let, with what it was when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answers = asyncio.Semaphore(0)

    async def state(self) -> SpeakerState:
        self.asked += 1
        try:
            found: SpeakerState | Exception = await super().state()
        except Exception as error:
            found = error
        await self.answers.acquire()
        if isinstance(found, Exception):
            raise found
        return found


def routes(speaker: FakeSpeaker) -> Routes:
    return Routes(speaker=speaker, home=network().home(), clock=FakeClock(datetime(2026, 1, 12, tzinfo=UTC)))


async def test_who_asks_while_an_earlier_question_is_open_gets_no_older_answer() -> None:
    speaker = SlowSpeaker()
    looked = routes(speaker)
    first = asyncio.ensure_future(looked.refresh())
    await asyncio.sleep(0)
    speaker.down = True
    second = asyncio.ensure_future(looked.refresh())
    speaker.answers.release()
    speaker.answers.release()

    assert isinstance(await first, SpeakerState)
    assert isinstance(await second, NoData)


async def test_many_that_ask_at_once_cost_the_relay_two_questions() -> None:
    speaker = SlowSpeaker()
    looked = routes(speaker)
    asking = [asyncio.ensure_future(looked.refresh()) for _ in range(50)]
    await asyncio.sleep(0)
    for _ in asking:
        speaker.answers.release()
    await asyncio.gather(*asking)

    assert speaker.asked <= 2


async def test_who_gave_up_waiting_leaves_the_next_one_a_question_of_its_own() -> None:
    speaker = SlowSpeaker()
    looked = routes(speaker)
    first = asyncio.ensure_future(looked.refresh())
    await asyncio.sleep(0)
    first.cancel()
    speaker.answers.release()

    assert isinstance(await looked.refresh(), SpeakerState)
    assert speaker.asked == 2
