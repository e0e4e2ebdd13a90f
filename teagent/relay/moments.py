"""Time as the relay needs it: the date for people and for restarts, and a clock that nobody can set."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    boot: str

    def wall(self) -> float:
        """Seconds since the epoch; may step."""

    def uptime(self) -> float:
        """Seconds since the machine started, sleep included; never steps, and is the same for every process."""


class SystemClock:
    def __init__(self) -> None:
        try:
            self.boot = BOOT_ID.read_text("ascii").strip()
        except OSError:
            # A hidden /proc: other processes' uptimes are then not trusted, only our own.
            self.boot = f"process-{os.getpid()}-{self.uptime()}"

    def wall(self) -> float:
        return time.time()

    def uptime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When an override goes home by itself.

    Within one boot of the machine `due_uptime` alone decides, so that setting the clock neither hastens nor delays
    it. After a reboot only the date is left; the wait is then at most the window that was agreed on.
    """

    wall: float
    due_uptime: float
    boot: str
    window_seconds: float

    @classmethod
    def at(cls, wall: float, clock: Clock) -> Deadline:
        window = wall - clock.wall()
        return cls(wall=wall, due_uptime=clock.uptime() + window, boot=clock.boot, window_seconds=window)

    def remaining(self, clock: Clock) -> float:
        if self.boot == clock.boot:
            return self.due_uptime - clock.uptime()
        return min(self.wall - clock.wall(), self.window_seconds)

    def resumed(self, clock: Clock) -> Deadline:
        """The same deadline on this boot's clock, for one read from a journal."""
        remaining = self.remaining(clock)
        return Deadline(
            wall=self.wall,
            due_uptime=clock.uptime() + remaining,
            boot=clock.boot,
            window_seconds=self.window_seconds,
        )
