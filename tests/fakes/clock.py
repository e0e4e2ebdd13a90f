"""A clock that moves only when told."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta


class FakeClock:
    """Implements teagent.ports.Clock; `advance` wakes the sleepers whose time has come."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._monotonic = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> datetime:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        due = [future for at, future in self._sleepers if at <= self._monotonic]
        self._sleepers = [(at, future) for at, future in self._sleepers if at > self._monotonic]
        for future in due:
            if not future.done():
                future.set_result(None)
        return self._now

    def step(self, seconds: float) -> None:
        """The wall clock alone jumps, as when somebody sets the date."""
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic + seconds, future))
        await future
