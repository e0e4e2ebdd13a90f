"""Jobs run late rather than never, fail alone, and end before the daemon does. Intervals are short, not measured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import apscheduler.schedulers.base
import pytest
from structlog.testing import capture_logs

from teagent.adapters.clock import SystemClock
from teagent.daemon.jobs import Jobs, _Every
from teagent.errors import StoreError

pytestmark = pytest.mark.asyncio

QUICK = 0.01
NEVER = 3600.0


class Work:
    """An action that counts its runs, and waits or raises when told."""

    def __init__(self) -> None:
        self.runs = 0
        self.ended = 0
        self.error: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self) -> None:
        self.runs += 1
        if self.error is not None:
            raise self.error
        await self.go_on.wait()
        self.ended += 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # a counter has no event to wait for
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(jobs: Jobs) -> AsyncIterator[Jobs]:
    jobs.start()
    try:
        yield jobs
    finally:
        await jobs.stop()


def make() -> Jobs:
    return Jobs(SystemClock())


async def test_a_job_runs_again_and_again_and_is_counted() -> None:
    jobs, work = make(), Work()
    jobs.every(QUICK, "poll", work)
    async with running(jobs):
        await until(lambda: work.runs >= 3)
    assert jobs.counters["poll", "ok"] == work.ended >= 3
    assert "poll" in jobs.ended


async def test_a_job_may_begin_at_once() -> None:
    jobs, work, later = make(), Work(), Work()
    jobs.every(NEVER, "poll", work, at_once=True)
    jobs.every(NEVER, "decide", later)
    async with running(jobs):
        await until(lambda: work.runs == 1)
    assert later.runs == 0


async def test_a_job_that_is_wanted_soon_runs_now_and_then_at_its_intervals() -> None:
    jobs, work = make(), Work()
    jobs.every(NEVER, "drain", work)
    jobs.soon("drain")  # before they run there is nothing to hurry
    async with running(jobs):
        jobs.soon("drain")
        await until(lambda: work.ended == 1)
        [job] = jobs._scheduler.get_jobs()
        assert job.next_run_time - datetime.now(UTC) > timedelta(seconds=NEVER / 2)
    jobs.soon("drain")
    assert work.runs == 1
    assert jobs.counters["drain", "misfired"] == 0


@pytest.mark.parametrize(("error", "traced"), [(StoreError("the disk is full"), False), (KeyError("a bug"), True)])
async def test_a_job_that_raises_is_logged_once_and_the_others_go_on(error: Exception, *, traced: bool) -> None:
    jobs, broken, sound = make(), Work(), Work()
    broken.error = error
    jobs.every(QUICK, "decide", broken)
    jobs.every(QUICK, "poll", sound)
    with capture_logs() as logs:
        async with running(jobs):
            await until(lambda: broken.runs >= 3 and sound.runs >= 3)
            broken.error = None
            await until(lambda: jobs.counters["decide", "ok"] >= 1)
    assert jobs.counters["decide", "failed"] >= 3
    assert jobs.counters["poll", "failed"] == 0
    said = [line for line in logs if line["event"] != "job is late"]  # which they may be, on a busy machine
    assert [line["event"] for line in said] == ["job failed", "job works again"]
    assert said[0]["job"] == "decide"
    assert (said[0]["exc_info"] is not None) is traced


async def test_a_patient_job_may_take_longer_than_its_interval_and_never_runs_twice_at_once() -> None:
    jobs, slow, other = make(), Work(), Work()
    slow.go_on.clear()
    jobs.every(QUICK, "advise", slow, patient=True)
    jobs.every(QUICK, "watch", other)
    with capture_logs() as logs:
        async with running(jobs):
            await until(lambda: other.runs > 4)
            assert (slow.runs, slow.ended) == (1, 0)
            slow.go_on.set()
            await until(lambda: slow.ended >= 2)
    assert jobs.counters["advise", "misfired"] == 0
    assert not [line for line in logs if line.get("job") == "advise"]


async def test_a_job_slower_than_its_interval_is_counted_and_said_once() -> None:
    jobs, slow, other = make(), Work(), Work()
    slow.go_on.clear()
    jobs.every(QUICK, "poll", slow)
    jobs.every(QUICK, "watch", other)
    with capture_logs() as logs:
        async with running(jobs):
            await until(lambda: jobs.counters["poll", "misfired"] >= 3)
            assert (slow.runs, slow.ended) == (1, 0)
            assert jobs.running_seconds("poll") > 0
            slow.go_on.set()
            await until(lambda: slow.ended >= 2)
            assert other.runs > 1
    # the other may be late as well, on a busy machine
    late = [line for line in logs if line["event"] == "job is late" and line["job"] == "poll"]
    assert len(late) == 1
    assert late[0]["reason"] == "its last run has not ended"


async def test_a_blocked_loop_makes_a_job_late_and_not_absent() -> None:
    jobs, work = make(), Work()
    jobs.every(QUICK, "poll", work)
    async with running(jobs):
        await until(lambda: work.runs >= 1)
        before = work.runs
        blocked = datetime.now(UTC) + timedelta(seconds=5 * QUICK)
        while datetime.now(UTC) < blocked:
            pass
        await until(lambda: work.runs > before)
    assert jobs.counters["poll", "misfired"] >= 1


async def test_a_stop_lets_end_what_is_under_way_and_starts_nothing_more() -> None:
    jobs, work = make(), Work()
    work.go_on.clear()
    jobs.every(QUICK, "watch", work)
    jobs.start()
    await until(lambda: work.runs == 1)
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(jobs.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        work.go_on.set()
    assert (work.runs, work.ended) == (1, 1)
    await jobs.stop()


async def test_a_stop_does_not_wait_for_what_may_be_broken_off() -> None:
    jobs, poll = make(), Work()
    poll.go_on.clear()
    jobs.every(QUICK, "poll", poll, breakable=True)
    jobs.start()
    await until(lambda: poll.runs == 1)
    with capture_logs() as logs:
        await jobs.stop()
    assert poll.ended == 0
    assert jobs.running_seconds("poll") == 0
    assert logs == []


async def test_a_stop_cancels_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teagent.daemon.jobs.STOP_SECONDS", 0.01)
    jobs, hung = make(), Work()
    hung.go_on.clear()
    jobs.every(QUICK, "watch", hung)
    jobs.start()
    await until(lambda: hung.runs == 1)
    with capture_logs() as logs:
        await jobs.stop()
    assert [(line["event"], line["jobs"]) for line in logs] == [("jobs were cancelled", ["watch"])]


async def test_stopping_what_was_never_started_is_nothing() -> None:
    await make().stop()


class SteppingClock(SystemClock):
    """The machine's clock, and APScheduler's, off by `offset`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = timedelta()
        clock = self

        class Stepped(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + clock.offset

        monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Stepped)

    def now(self) -> datetime:
        return super().now() + self.offset


@pytest.mark.parametrize("hours", [-24, 24])
async def test_a_clock_that_steps_stops_no_job(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    clock, work = SteppingClock(monkeypatch), Work()
    jobs = Jobs(clock)
    jobs.every(QUICK, "watch", work)
    async with running(jobs):
        await until(lambda: work.runs >= 2)
        clock.offset = timedelta(hours=hours)
        before = work.runs
        await until(lambda: work.runs >= before + 3)


async def test_years_left_out_are_one_run_and_not_a_list_of_seconds() -> None:
    late: list[float] = []
    every = _Every(1.0, late.append)
    began = datetime(1970, 1, 1, tzinfo=UTC)
    now = datetime(2026, 1, 12, tzinfo=UTC)
    assert every.get_next_fire_time(began, now) == now + timedelta(seconds=1)
    assert every.get_next_fire_time(began, now) == now + timedelta(seconds=1)
    assert late == [(now - began).total_seconds()]
    assert every.get_next_fire_time(now, now) == now + timedelta(seconds=1)
    assert len(late) == 1
