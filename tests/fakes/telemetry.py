"""Routers in memory whose counters run at the rates that a test sets."""

from __future__ import annotations

from teagent.errors import TelemetryError
from teagent.model.link import BundleMember, CounterSample, Interface
from teagent.ports import RouterReading
from tests.fakes.clock import FakeClock


class FakeTelemetry:
    """Implements ports.Telemetry for one interface name -> rate in bits per second on each router."""

    def __init__(self, clock: FakeClock, rates: dict[str, dict[str, float]]) -> None:
        self._clock = clock
        self.rates = rates
        self.errors: dict[str, TelemetryError] = {}
        self.reads = 0
        self._octets: dict[tuple[str, str], float] = {}
        self._read_at: dict[str, float] = {}
        self.boot_monotonic = clock.monotonic() - 1000.0
        self.alias = ""
        self.speeds: dict[str, float] = {}  # by interface; the others tell none
        self.members: dict[str, tuple[BundleMember, ...]] = {}  # by interface

    async def read(self, router: str) -> RouterReading:
        self.reads += 1
        if router in self.errors:
            raise self.errors[router]
        now, mono = self._clock.now(), self._clock.monotonic()
        elapsed = mono - self._read_at.get(router, mono)
        self._read_at[router] = mono
        interfaces, counters = [], {}
        uptime = mono - self.boot_monotonic
        for index, (name, bps) in enumerate(self.rates[router].items(), start=2):
            key = (router, name)
            self._octets[key] = self._octets.get(key, 10_000.0) + bps * elapsed / 8
            interfaces.append(
                Interface(
                    if_index=index,
                    if_name=name,
                    if_descr=name,
                    if_alias=self.alias,
                    if_high_speed_bps=self.speeds.get(name),
                    if_oper_status="up",
                    members=self.members.get(name, ()),
                )
            )
            counters[index] = CounterSample(
                at=now,
                sys_uptime_seconds=uptime,
                if_index=index,
                in_octets=round(self._octets[key]),
                out_octets=0,
                bits=64,
                discontinuity=0,
            )
        return RouterReading(
            router=router,
            at=now,
            sys_uptime_seconds=uptime,
            sys_name=router,
            interfaces=tuple(interfaces),
            counters=counters,
            pdus=1,
            seconds=0.001,
        )

    def restart(self, router: str) -> None:
        """Of the agent: its uptime and its counters begin anew."""
        self.boot_monotonic = self._clock.monotonic()
        for key in self._octets:
            if key[0] == router:
                self._octets[key] = 0.0

    async def stop(self) -> None: ...
