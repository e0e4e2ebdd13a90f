"""Observe: poll the routers, turn counters into utilisation, and know what is not known."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from teagent.engine.measure.bundle import BundleMemory, Shrunk, left_bps, members, shrunk
from teagent.engine.measure.counters import difference, no_counters, was_reset
from teagent.engine.measure.interfaces import find_interface
from teagent.errors import SnmpNoSuchObject, StoreError, TelemetryError
from teagent.model.link import BundleMember, CounterSample, Interface, Link, NoData, Reading, Utilisation
from teagent.model.units import format_duration
from teagent.ports import Clock, RouterReading, Store, Telemetry

log = structlog.get_logger("observe")

BREAKER_FAILURES = 5
BREAKER_PROBE_SECONDS = 60.0
RESETS_TRUSTED = 2
RESETS_WITHIN_SECONDS = 900.0
"""A restart resets counters once, and an operator who clears them may do so twice; an agent that does it more often
loses what was carried in between, and who knows what else.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterHealth:
    """How polling of one router goes. `reason` is why there is no data, empty while there is."""

    router: str
    last_at: datetime | None = None
    no_data_since: datetime | None = None
    reason: str = ""
    hint: str = ""
    failures: int = 0
    polls: int = 0
    pdus: int = 0
    seconds: float = 0.0
    sys_name: str = ""
    sys_uptime_seconds: float | None = None
    oddities: tuple[str, ...] = ()


class Observer:
    """Keeps the newest reading and a bounded history for each link.

    `history_seconds` is how far the triggers look back; older rows are in the store. `store_trouble` says why the
    last readings could not be stored, and is empty while they can.
    """

    def __init__(
        self,
        *,
        links: Mapping[str, Link],
        telemetry: Telemetry,
        store: Store,
        clock: Clock,
        poll_seconds: float,
        stale_after_seconds: float,
        history_seconds: float,
    ) -> None:
        self._links = links
        self._telemetry = telemetry
        self._store = store
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._stale_after = timedelta(seconds=stale_after_seconds)
        self._history_span = timedelta(seconds=history_seconds)
        self._health = {link.router: RouterHealth(router=link.router) for link in links.values()}
        self._next_probe: dict[str, float] = {}
        self._last: dict[str, RouterReading] = {}
        self._samples: dict[str, CounterSample] = {}
        self._interfaces: dict[str, Interface] = {}
        self._resets: dict[str, deque[float]] = {name: deque(maxlen=100) for name in links}
        self._bundles: dict[str, BundleMemory] = {}
        self._latest: dict[str, Reading] = {}
        self._history: dict[str, deque[Utilisation]] = {name: deque() for name in links}
        self._started_at = clock.now()
        self._polling = asyncio.Lock()  # two readings of one router at once would have no time between them
        self.counters: Counter[str] = Counter()
        self.store_trouble = ""

    async def load(self) -> None:
        """Fills the history from the store, so that a restart forgets no hold time."""
        now = self._clock.now()
        for row in await self._store.utilisation(since=now - self._history_span, until=now):
            if row.link in self._history:
                self._history[row.link].append(row)

    async def poll(self, routers: Collection[str] | None = None) -> None:
        """One round over all routers, or over these, side by side; a router that fails harms no other."""
        rows: list[Utilisation] = []
        async with self._polling, asyncio.TaskGroup() as group:
            for router in self._health:
                if routers is None or router in routers:
                    group.create_task(self._poll_router(router, rows))
        if rows:
            await self._keep(rows)

    async def _keep(self, rows: Sequence[Utilisation]) -> None:
        """Polling goes on without the history on disk: what is shown and guarded are the readings in memory."""
        try:
            await self._store.add_utilisation(rows)
        except StoreError as error:
            self.counters["store_failures"] += 1
            if not self.store_trouble:
                log.error("utilisation cannot be stored", error=error.message, hint=error.hint)
            self.store_trouble = error.message
            return
        if self.store_trouble:
            log.info("utilisation is stored again")
        self.store_trouble = ""

    async def _poll_router(self, router: str, rows: list[Utilisation]) -> None:
        if self._clock.monotonic() < self._next_probe.get(router, 0.0):
            return
        self.counters["polls"] += 1
        try:
            reading = await self._telemetry.read(router)
            self._found(router, reading)
            for link in self._links.values():
                if link.router == router:
                    self._take(link, reading, rows)
        except TelemetryError as error:
            self._lost(router, error)
        except Exception as error:
            # A bug that one router's answers bring to light must not end the polls of the others.
            if not self._health[router].reason:
                log.error("polling broke", router=router, exc_info=error)
            self._lost(router, TelemetryError(f"polling {router} broke: {error!r}", hint="journalctl -u teagent"))

    def _lost(self, router: str, error: TelemetryError) -> None:
        health = self._health[router]
        now = self._clock.now()
        self.counters["poll_failures"] += 1
        if not health.reason:
            log.warning("router gives no data", router=router, reason=error.message, hint=error.hint)
        failures = health.failures + 1
        if failures >= BREAKER_FAILURES:
            self._next_probe[router] = self._clock.monotonic() + BREAKER_PROBE_SECONDS
        self._health[router] = replace(
            health,
            failures=failures,
            reason=error.message,
            hint=error.hint or "",
            no_data_since=health.no_data_since or health.last_at or self._started_at,
        )
        for link in self._links.values():
            if link.router == router:
                self._set_no_data(link.name, error.message, now)

    def _found(self, router: str, reading: RouterReading) -> None:
        health = self._health[router]
        if health.reason:
            log.info("router gives data again", router=router, failures=health.failures)
        self._next_probe.pop(router, None)
        self._last[router] = reading
        self._health[router] = replace(
            health,
            last_at=reading.at,
            no_data_since=None,
            reason="",
            hint="",
            failures=0,
            polls=health.polls + 1,
            pdus=reading.pdus,
            seconds=reading.seconds,
            sys_name=reading.sys_name,
            sys_uptime_seconds=reading.sys_uptime_seconds,
            oddities=reading.oddities,
        )

    def _take(self, link: Link, reading: RouterReading, rows: list[Utilisation]) -> None:
        try:
            interface = find_interface(link.interface, reading.interfaces)
        except SnmpNoSuchObject as error:
            self._set_no_data(link.name, error.message, reading.at)
            return
        known = self._interfaces.get(link.name)
        if known is not None and known.if_index != interface.if_index:
            log.warning("interface has moved", link=link.name, was=known.if_index, now=interface.if_index)
            self._samples.pop(link.name, None)
            self._bundles.pop(link.name, None)
        self._interfaces[link.name] = interface
        self._bundles[link.name] = BundleMemory.of(interface, self._bundles.get(link.name))
        sample = reading.counters.get(interface.if_index)
        if sample is None:
            self._samples.pop(link.name, None)
            self._set_no_data(link.name, no_counters(interface, reading.at).reason, reading.at)
            return
        before = self._samples.get(link.name)
        result = difference(before, sample, capacity_bps=link.capacity_bps, link=link.name)
        if was_reset(before, sample):
            self._resets[link.name].append(self._clock.monotonic())
        self._samples[link.name] = sample
        if isinstance(result, NoData):
            self._set_no_data(link.name, result.reason, reading.at)
            return
        if isinstance(self._latest.get(link.name), NoData):
            log.info("link has data", link=link.name)
        self._latest[link.name] = result
        history = self._history[link.name]
        if history and result.at < history[-1].at:
            # Our clock stepped back: a history that overlaps itself proves nothing, so triggers begin anew.
            self.counters["clock_steps"] += 1
            log.warning("clock stepped back, history restarts", link=link.name)
            history.clear()
        history.append(result)
        while history and history[0].at < result.at - self._history_span:
            history.popleft()
        rows.append(result)

    def _set_no_data(self, link: str, reason: str, now: datetime) -> None:
        before = self._latest.get(link)
        if isinstance(before, NoData):
            since = before.since
            if before.reason != reason:
                log.info("link has no data", link=link, reason=reason)
        else:
            since = before.at if before is not None else now
            log.info("link has no data", link=link, reason=reason)
        # Where our clock has stepped back, the last reading lies in what is now the future.
        self._latest[link] = NoData(since=min(since, now), reason=reason)

    def readings(self, now: datetime) -> dict[str, Reading]:
        """The newest reading for every link; one older than stale_after is NoData, never the old figure."""
        readings: dict[str, Reading] = {}
        for name in self._links:
            reading = self._latest.get(name)
            if reading is None:
                reading = NoData(since=self._started_at, reason="not polled yet")
            elif isinstance(reading, Utilisation) and now - reading.at > self._stale_after:
                age = (now - reading.at).total_seconds()
                reading = NoData(since=reading.at, reason=f"last reading is {age:.0f}s old")
            readings[name] = reading
        return readings

    def history(self) -> dict[str, tuple[Utilisation, ...]]:
        return {name: tuple(rows) for name, rows in self._history.items()}

    def read_until(self, now: datetime) -> datetime:
        """The time of the newest reading that is not later than `now`; when this was started where there is none."""
        times = [rows[-1].at for rows in self._history.values() if rows and rows[-1].at <= now]
        return max(times, default=self._started_at)

    def average(self, link: str, *, since: datetime, until: datetime) -> Utilisation | NoData:
        """The mean over the part of the interval that readings cover; NoData when they cover less than half."""
        in_bits = out_bits = covered = 0.0
        for row in self._history.get(link, ()):
            begin = max(since, row.at - timedelta(seconds=row.seconds))
            overlap = (min(until, row.at) - begin).total_seconds()
            if overlap > 0:
                in_bits += row.in_bps * overlap
                out_bits += row.out_bps * overlap
                covered += overlap
        span = (until - since).total_seconds()
        if covered <= 0 or covered < span / 2:
            return NoData(since=since, reason=f"readings cover {covered:.0f}s of {span:.0f}s")
        return Utilisation(link=link, at=until, in_bps=in_bits / covered, out_bps=out_bits / covered, seconds=span)

    def carrying(self, now: datetime, *, share: float) -> frozenset[str]:
        """The links by which at least this share of their capacity comes in, as of their newest reading."""
        return frozenset(
            name
            for name, reading in self.readings(now).items()
            if isinstance(reading, Utilisation) and reading.in_bps >= share * self._links[name].capacity_bps
        )

    def interface_links(self) -> dict[tuple[str, int], str]:
        """(router, ifIndex) -> link, as last seen by polling."""
        return {
            (link.router, self._interfaces[name].if_index): name
            for name, link in self._links.items()
            if name in self._interfaces
        }

    def doubts(self) -> dict[str, tuple[str, ...]]:
        """By link, why its readings are not to be trusted although there are some."""
        since = self._clock.monotonic() - RESETS_WITHIN_SECONDS
        counts = {name: sum(at > since for at in resets) for name, resets in self._resets.items()}
        within = format_duration(RESETS_WITHIN_SECONDS)
        return {
            name: (f"the counters of {name} began anew {count} times within {within}, limit {RESETS_TRUSTED}",)
            for name, count in counts.items()
            if count > RESETS_TRUSTED
        }

    def shrunk(self) -> tuple[Shrunk, ...]:
        """The links that carry less than is configured, since a bundle lost a member."""
        found = (
            shrunk(self._links[name], interface, self._bundles[name]) for name, interface in self._interfaces.items()
        )
        return tuple(each for each in found if each is not None)

    def left_bps(self, link: str) -> float | None:
        """What its interface carries now, None where nobody tells."""
        interface = self._interfaces.get(link)
        return None if interface is None else left_bps(interface, self._bundles[link])

    def members(self, link: str) -> tuple[BundleMember, ...]:
        """Of the bundle that carries it; none where there is none, or the agent does not tell."""
        interface = self._interfaces.get(link)
        return () if interface is None else members(interface, self._bundles[link])

    def interface(self, link: str) -> Interface | None:
        return self._interfaces.get(link)

    def reading(self, router: str) -> RouterReading | NoData:
        """The last poll of the router; NoData while it does not answer."""
        health = self._health.get(router)
        reading = self._last.get(router)
        if health is None or reading is None or health.reason:
            since = health.no_data_since if health is not None else None
            reason = health.reason if health is not None and health.reason else "not polled yet"
            return NoData(since=since or self._started_at, reason=reason)
        return reading

    def health(self) -> Sequence[RouterHealth]:
        return tuple(self._health.values())
