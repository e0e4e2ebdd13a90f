"""Implements ports.Telemetry with SNMP: a full look at a router first, then only what is needed of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from teagent.adapters.snmp import oddities
from teagent.adapters.snmp.bundle import Bundle, below_by_asking, find_bundles
from teagent.adapters.snmp.reading import TICKS_PER_SECOND, fallbacks, interface, interfaces, sample, with_bundles
from teagent.adapters.snmp.session import SnmpSession
from teagent.adapters.snmp.table import COUNTERS_32, COUNTERS_64, IDENTITY, NAMES, Column, Moment, Table
from teagent.adapters.snmp.target import SnmpTarget
from teagent.adapters.snmp.text import line
from teagent.adapters.snmp.walk import Limits, Walker
from teagent.engine.measure.interfaces import find_interface
from teagent.errors import NotFound, SnmpNoSuchObject, SnmpTimeout
from teagent.model.link import Interface
from teagent.ports import Clock, RouterReading

# A name that appears later may be a better match for a selector, so the names are read again now and then.
FULL_EVERY_SECONDS = 3600.0
# While an interface is missing its return is looked for, but a mistyped name must not walk a large router all day.
SEARCH_EVERY_SECONDS = 60.0
# Which ports carry a bundle changes when somebody changes it; whether they are up is seen at each poll.
BUNDLES_EVERY_SECONDS = 300.0

Cell: TypeAlias = tuple[Column, int]


@dataclass(slots=True)
class _Known:
    """What the last full look found.

    `selected` are the interfaces of interest, `cells` what a steady poll asks for, `identity` those of them that must
    read the same again. `complete` is whether every interest was found and counts. `bundles_due` is when to ask again
    which ports carry the bundles among them.
    """

    table: Table
    rows: dict[int, Interface]
    sys_name: str
    oddities: tuple[str, ...]
    selected: tuple[int, ...]
    cells: tuple[Cell, ...]
    identity: Mapping[Cell, int | bytes]
    full_at: float
    complete: bool
    bundles: Mapping[int, Bundle] = field(default_factory=dict)
    bundles_due: float = 0.0


@dataclass(slots=True)
class _Router:
    session: SnmpSession
    interests: tuple[str, ...]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    limits: Limits = field(default_factory=Limits)
    known: _Known | None = None


class SnmpTelemetry:
    """Reads routers over SNMP, several at once, with one request outstanding at each.

    `interests` are the interfaces that matter, by router, in any spelling that `find_interface` takes. For a router
    with interests `counters` holds those only, and after one full look a poll is a GET of their cells; indexes that
    move, names that change and restarts are noticed in that very poll and lead to a full look. For a router without
    interests every read is a full look, with counters of all interfaces.
    """

    def __init__(
        self,
        targets: Mapping[str, SnmpTarget],
        *,
        clock: Clock,
        interests: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._clock = clock
        self._routers = {
            name: _Router(
                session=SnmpSession(name, target),
                interests=tuple(dict.fromkeys((interests or {}).get(name, ()))),
            )
            for name, target in targets.items()
        }

    async def read(self, router: str) -> RouterReading:
        """Raises SnmpTimeout, SnmpAuthFailed, SnmpUnreachable or SnmpNoSuchObject; NotFound for no such router."""
        state = self._routers.get(router)
        if state is None:
            raise NotFound("router", router, known=sorted(self._routers))
        async with state.lock:
            started, pdus = self._clock.monotonic(), state.session.pdus
            known = state.known
            # What fails half way must not leave half of it behind.
            state.known = None
            if known is None or not self._fresh(state, known) or not await self._steady(state, known):
                known = await self._full(state)
            if state.interests and self._clock.monotonic() >= known.bundles_due:
                await self._look_for_bundles(state, known)
            state.known = known
            return self._reading(router, state, known, started=started, pdus=pdus)

    async def stop(self) -> None:
        for state in self._routers.values():
            async with state.lock:
                await state.session.close()

    def _fresh(self, state: _Router, known: _Known) -> bool:
        if not state.interests:
            return False
        age = self._clock.monotonic() - known.full_at
        return age < (FULL_EVERY_SECONDS if known.complete else SEARCH_EVERY_SECONDS)

    async def _full(self, state: _Router) -> _Known:
        """Everything of a router that matters, and how to read it again."""
        full_at = self._clock.monotonic()
        table = Table()
        walker = Walker(state.session, table, state.limits, self._clock.now)
        await walker.cells([(Column.SYS_NAME, 0)])
        counted = (*COUNTERS_64, Column.IF_DISCONTINUITY)
        if state.interests:
            await walker.columns(IDENTITY)
            selected = _select(state.interests, interfaces(table))
            await walker.cells([(column, index) for index in selected for column in counted])
        else:
            await walker.columns((*IDENTITY, *counted))
            selected = tuple(table.indexes())
        await walker.cells([cell for index in selected for cell in fallbacks(table, index)])
        rows = interfaces(table)
        if not rows:
            raise SnmpNoSuchObject(
                f"{state.session.name}: the agent shows no interfaces",
                hint="its view must include 1.3.6.1.2.1.2 (ifTable) and 1.3.6.1.2.1.31 (ifXTable)",
                router=state.session.name,
                address=state.session.target.address,
            )
        found = oddities.find(table, only=selected)
        identity = _identity(table, selected, state.interests)
        return _Known(
            table=table,
            rows={row.if_index: row for row in rows},
            sys_name=line(table.octets(Column.SYS_NAME, 0)),
            oddities=oddities.sentences(found, rows),
            selected=selected,
            cells=_cells(table, selected, identity),
            identity=identity,
            full_at=full_at,
            complete=len(_found(state.interests, rows)) == len(state.interests)
            and all(sample(table, index) is not None for index in selected),
        )

    async def _look_for_bundles(self, state: _Router, known: _Known) -> None:
        """An agent that does not answer such questions must not be lost for it: it is left in peace for an hour."""
        walker = Walker(state.session, known.table, state.limits, self._clock.now)
        again = BUNDLES_EVERY_SECONDS
        try:
            known.bundles = await find_bundles(known.selected, walker, known.table, below_by_asking(state.session))
        except SnmpTimeout:
            known.bundles, again = {}, FULL_EVERY_SECONDS
        known.bundles_due = self._clock.monotonic() + again
        known.rows = with_bundles(known.rows.values(), known.table, known.bundles)

    async def _steady(self, state: _Router, known: _Known) -> bool:
        """Reads the cells that matter once more; False, and nothing changed, when the router is not as it was."""
        fresh = Table()
        walker = Walker(state.session, fresh, state.limits, self._clock.now)
        wanted = known.cells + tuple(cell for each in known.bundles.values() for cell in each.cells(known.table))
        if wanted:
            await walker.cells(wanted)
        else:
            await walker.uptime()
        got = {(column, index): cell for column, rows in fresh.cells.items() for index, cell in rows.items()}
        if any(cell not in got for cell in wanted) or any(got[c] != value for c, value in known.identity.items()):
            return False
        if fresh.last is None or _restarted(known.table.last, fresh.last):
            return False
        for (column, index), cell in got.items():
            known.table.cells.setdefault(column, {})[index] = cell
        known.table.moments.update(fresh.moments)
        known.table.last = fresh.last
        known.rows.update(
            with_bundles((interface(known.table, index) for index in known.selected), known.table, known.bundles)
        )
        return True

    def _reading(self, router: str, state: _Router, known: _Known, *, started: float, pdus: int) -> RouterReading:
        moment = known.table.last
        counters = ((index, sample(known.table, index)) for index in known.selected)
        return RouterReading(
            router=router,
            at=self._clock.now() if moment is None else moment.at,
            sys_uptime_seconds=None if moment is None or moment.ticks is None else moment.ticks / TICKS_PER_SECOND,
            sys_name=known.sys_name,
            interfaces=tuple(known.rows.values()),
            counters={index: counter for index, counter in counters if counter is not None},
            pdus=state.session.pdus - pdus,
            seconds=self._clock.monotonic() - started,
            oddities=known.oddities,
        )


def _found(interests: Sequence[str], rows: Sequence[Interface]) -> list[int]:
    """The ifIndex of every interest that is there; what is not is reported by whoever wanted it."""
    indexes = []
    for selector in interests:
        with suppress(SnmpNoSuchObject):
            indexes.append(find_interface(selector, rows).if_index)
    return indexes


def _select(interests: Sequence[str], rows: Sequence[Interface]) -> tuple[int, ...]:
    return tuple(sorted(set(_found(interests, rows))))


def _identity(table: Table, selected: Sequence[int], interests: Sequence[str]) -> dict[Cell, int | bytes]:
    """Per interface its name, and whatever else it was found by: cells that change when indexes are dealt anew."""
    cells: dict[Cell, int | bytes] = {}
    for index in selected:
        names = [(column, table.octets(column, index)) for column in NAMES]
        present = [(column, raw) for column, raw in names if raw is not None]
        matched = [(column, raw) for column, raw in present if line(raw) in interests]
        for column, raw in present[:1] + matched[:1]:
            cells[(column, index)] = raw
    return cells


def _cells(table: Table, selected: Sequence[int], identity: Mapping[Cell, int | bytes]) -> tuple[Cell, ...]:
    """What a steady poll asks for, interface by interface; only what the agent has."""
    cells: list[Cell] = []
    for index in selected:
        counters = sample(table, index)
        wanted = [column for column, of in identity if of == index]
        wanted += [Column.IF_OPER_STATUS, Column.IF_HIGH_SPEED, Column.IF_DISCONTINUITY]
        if not table.number(Column.IF_HIGH_SPEED, index):
            wanted.append(Column.IF_SPEED)
        if counters is not None:
            wanted += COUNTERS_64 if counters.bits == 64 else COUNTERS_32
        cells += [(column, index) for column in wanted if index in table.cells.get(column, {})]
    return tuple(cells)


def _restarted(before: Moment | None, after: Moment) -> bool:
    if before is None or before.ticks is None or after.ticks is None:
        return False
    return after.ticks < before.ticks
