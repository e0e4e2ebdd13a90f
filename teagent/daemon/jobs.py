"""The daemon's jobs on APScheduler: one line each, never skipped silently, every run counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from teagent.errors import TeagentError
from teagent.ports import Clock

log = structlog.get_logger("jobs")

STOP_SECONDS = 15.0
"""How long a stop waits for the jobs that run; less than the units' TimeoutStopSec."""


class Jobs:
    """A late job runs late, and once (APScheduler's own defaults would drop it after a second).

    A job that fails is counted, is logged once until it works again, and runs again at its next time. One whose last
    run has not ended, or that comes an interval late, is counted as misfired and logged once. `ended` says when a job
    last ended well.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scheduler = _Scheduler(
            clock,
            timezone="UTC",
            # Two instances: the second finds the first under way, and says so.
            job_defaults={"coalesce": True, "max_instances": 2, "misfire_grace_time": None},
        )
        self.counters: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._begun: dict[str, float] = {}
        self._intervals: dict[str, float] = {}
        self._breakable: set[str] = set()
        self._patient: set[str] = set()
        self._failing: set[str] = set()
        self._late: set[str] = set()
        self._stopping = False

    def every(
        self,
        seconds: float,
        name: str,
        action: Callable[[], Awaitable[None]],
        *,
        at_once: bool = False,
        breakable: bool = False,
        patient: bool = False,
    ) -> None:
        """`at_once`: the first run is now, not after an interval. `breakable`: a stop need not wait for its end.
        `patient`: a run may take longer than the interval, and those that would fall into it are left out.
        """
        trigger = _Every(seconds, lambda late: self._misfired(name, f"comes {late:.1f}s late"))
        first = {"next_run_time": self._clock.now()} if at_once else {}
        self._scheduler.add_job(self._run, trigger, id=name, args=(name, action), **first)
        self._intervals[name] = seconds
        if breakable:
            self._breakable.add(name)
        if patient:
            self._patient.add(name)

    async def _run(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.current_task()
        if name in self._running and name in self._patient:
            return
        if name in self._running or task is None:
            self._misfired(name, "its last run has not ended")
            return
        self._running[name] = task
        self._begun[name] = time.perf_counter()
        try:
            await action()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        except TeagentError as error:
            self._failed(name, error)
        except Exception as error:  # noqa: BLE001 - logged with its trace
            # A programming error in one job must not take the watch over live changes with it.
            self._failed(name, error)
        else:
            self._worked(name)
        finally:
            self.seconds[name] = self.running_seconds(name)
            if self.seconds[name] < self._intervals[name]:
                self._late.discard(name)
            del self._running[name]

    def soon(self, name: str) -> None:
        """Its next run is now, and the ones after it an interval apart from then on."""
        if self._scheduler.running and not self._stopping:
            self._scheduler.modify_job(name, next_run_time=self._clock.now())

    def running_seconds(self, name: str) -> float:
        """How long the run that is under way has been, 0 where there is none."""
        return time.perf_counter() - self._begun[name] if name in self._running else 0.0

    def _worked(self, name: str) -> None:
        self.counters[name, "ok"] += 1
        self.ended[name] = time.monotonic()
        if name in self._failing:
            self._failing.discard(name)
            log.info("job works again", job=name)

    def _failed(self, name: str, error: Exception) -> None:
        self.counters[name, "failed"] += 1
        if name in self._failing:
            return
        self._failing.add(name)
        trace = None if isinstance(error, TeagentError) else error
        log.error("job failed", job=name, error=str(error) or type(error).__name__, exc_info=trace)

    def _misfired(self, name: str, why: str) -> None:
        self.counters[name, "misfired"] += 1
        if name not in self._late:
            self._late.add(name)
            log.warning("job is late", job=name, reason=why)

    def start(self) -> None:
        self._scheduler.start()

    async def stop(self) -> None:
        """No job starts any more; those that run end, in STOP_SECONDS, or are cancelled. May be called twice."""
        if self._stopping:
            return
        self._stopping = True
        if self._scheduler.running:
            self._scheduler.pause()
        for name in self._breakable & set(self._running):
            self._running[name].cancel()
        if self._running:
            _, late = await asyncio.wait(list(self._running.values()), timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            if late:
                log.warning("jobs were cancelled", jobs=sorted(self._running), after_seconds=STOP_SECONDS)
                await asyncio.wait(late)
        # Not before: APScheduler cancels what runs.
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)


class _Scheduler(AsyncIOScheduler):  # type: ignore[misc]  # untyped
    """APScheduler plans by the wall clock. When that steps back, what was planned is planned anew, instead of waiting
    until the clock has caught up.
    """

    def __init__(self, clock: Clock, **options: Any) -> None:
        super().__init__(**options)
        self._clock = clock

    def wakeup(self) -> None:
        if self.running:
            now = self._clock.now()
            for job in self.get_jobs():
                if job.next_run_time is not None and job.next_run_time - now > job.trigger.interval:
                    self.modify_job(job.id, next_run_time=now + job.trigger.interval)
        super().wakeup()


class _Every(IntervalTrigger):  # type: ignore[misc]  # untyped
    """One run for all that a blocked loop, a machine that slept or a clock that was set forward left out.

    APScheduler's own trigger would list each of them, for years of seconds where a clock begins in 1970.
    """

    def __init__(self, seconds: float, late: Callable[[float], None]) -> None:
        super().__init__(seconds=seconds, timezone="UTC")
        self._tell = late
        self._told: datetime | None = None

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        following: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        if previous_fire_time is None or following is None or following > now:
            return following
        if self._told != previous_fire_time:  # it is asked twice for each run
            self._told = previous_fire_time
            self._tell((now - previous_fire_time).total_seconds())
        next_time: datetime = now + self.interval
        return next_time
