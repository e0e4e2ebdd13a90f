"""The daemon's jobs on APScheduler: one line each, never skipped silently, every run counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from teagent.errors import TeagentError

log = structlog.get_logger("jobs")


STOP_SECONDS = 15.0
"""How long a stop waits for the jobs that run; less than the units' TimeoutStopSec."""


class Jobs:
    """A late job runs late, and once (APScheduler's own defaults would drop it after a second).

    A job that fails is counted and logged, and runs again at its next time. `beat` says when a job last ended well.
    """

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self.counters: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._failing: set[str] = set()
        self._stopped = False

    def every(self, seconds: float, name: str, action: Callable[[], Awaitable[None]]) -> None:
        self._scheduler.add_job(self._run, "interval", seconds=seconds, id=name, args=(name, action))

    async def _run(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
        started = time.perf_counter()
        try:
            await action()
        except TeagentError as error:
            self._failed(name, error)
        except Exception as error:
            # A programming error in one job must not take the watch over live changes with it; it is counted, is
            # logged with its trace, and shows in the metrics.
            log.exception("job broke", job=name)
            self._failed(name, error)
        else:
            self.counters[name, "ok"] += 1
            self.ended[name] = time.monotonic()
            if name in self._failing:
                self._failing.discard(name)
                log.info("job works again", job=name)
        finally:
            self.seconds[name] = time.perf_counter() - started
            if task is not None:
                self._running.discard(task)

    def _failed(self, name: str, error: Exception) -> None:
        self.counters[name, "failed"] += 1
        if name not in self._failing:
            self._failing.add(name)
            log.error("job failed", job=name, error=str(error))

    def _missed(self, event: JobExecutionEvent) -> None:
        self.counters[str(event.job_id), "misfired"] += 1
        log.warning("job is late: its last run has not ended", job=event.job_id)

    def start(self) -> None:
        self._scheduler.start()

    async def stop(self) -> None:
        """No job starts any more, and those that run end; stopping twice is once."""
        if self._stopped or not self._scheduler.running:
            return
        self._stopped = True
        # Paused first: a shutdown cancels what runs, and a job may be between the store and the wire.
        self._scheduler.pause()
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_SECONDS)
        self._scheduler.shutdown(wait=False)
