"""Implements ports.Witness: routers connect to us (RFC 7854 section 3.2) and tell what they hold.

A connection is taken from configured addresses only, one a router, the newest. Kept are the sessions and, of the
routes, those of our own prefixes; all others are read over, or pass on to whoever wants their origins.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from teagent.adapters.bmp.table import RouterTable
from teagent.adapters.tcp import READ_OCTETS, next_octets
from teagent.errors import TeagentError, WireError
from teagent.model.bgp import Address, Prefix
from teagent.model.link import NoData
from teagent.model.witness import Sighting, WitnessKind
from teagent.ports import Clock, SessionSeen, WitnessHealth
from teagent.wire.bgp_update import Update, own_nets
from teagent.wire.bmp import BmpStream, RouteMonitoring, Termination

GRACE_SECONDS = 10.0
"""How long what a router said holds after it was made to tell it anew."""
RECHECK_SECONDS = 5.0
"""Until a table in which a router's own route is missing is asked for once more."""
QUIET_SECONDS = 15.0
"""It is not, while it may be about to say what became of a change."""
LOOK_SECONDS = 1.0
STRANGERS_NAMED = 100


OnUpdate = Callable[[RouteMonitoring, Update], None]


@dataclass(slots=True)
class HomeRoutes:
    """Which of its own routes a router has, over the tables that it told: one that it had before, and that two tables
    running lack, is gone. A router that has just started may tell its table before it has its own routes.
    """

    _missing: dict[Prefix, int] = field(default_factory=dict)  # of those it ever had: tables without it

    def told(self, originated: frozenset[Prefix]) -> None:
        missing = {prefix: tables + 1 for prefix, tables in self._missing.items() if prefix not in originated}
        self._missing = missing | dict.fromkeys(originated, 0)

    def has(self, prefix: Prefix) -> bool | None:
        """None where it is not known."""
        tables = self._missing.get(prefix)
        return None if tables is None or tables == 1 else tables == 0

    def doubtful(self) -> bool:
        return 1 in self._missing.values()


@dataclass(slots=True)
class _Router:
    """`building` is told on the present connection, and takes the place of `table` once it is whole."""

    name: str
    since: datetime
    reason: str = "has not connected yet"
    lost: float = 0.0
    table: RouterTable | None = None
    building: RouterTable | None = None
    writer: asyncio.StreamWriter | None = None
    home: HomeRoutes = field(default_factory=HomeRoutes)
    resyncing: bool = False
    counters: Counter[str] = field(default_factory=Counter)


class BmpWitness:
    """`routers` are the addresses that each router connects from. `on_update` is called with each UPDATE, whatever it
    is about. Inert until `start`.

    `resync_seconds`: after how long a router is made to tell its table anew, None for never.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        routers: Mapping[Address, str],
        prefixes: Sequence[Prefix],
        speaker: Address,
        clock: Clock,
        resync_seconds: float | None = None,
        on_update: OnUpdate | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._names = dict(routers)
        self._own = own_nets(prefixes)
        self._speaker = speaker
        self._clock = clock
        self._resync_seconds = resync_seconds
        self._on_update = on_update
        self._routers = {name: _Router(name=name, since=clock.now()) for name in routers.values()}
        self._server: asyncio.Server | None = None
        self._strangers: set[str] = set()
        self.counters: Counter[str] = Counter()

    @property
    def port(self) -> int:
        """That it listens on."""
        return self._port if self._server is None else int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Raises TeagentError where the address cannot be listened on."""
        if self._server is not None:
            return
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=READ_OCTETS)
        except OSError as error:
            raise TeagentError(
                f"bmp cannot be received on {self._host}:{self._port}: {(error.strerror or str(error)).lower()}",
                hint="bmp.listen in the configuration",
            ) from error

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for router in self._routers.values():
            if router.writer is not None:
                router.writer.close()
        await server.wait_closed()

    # --- connections -----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = _peer_address(writer)
        router = self._routers.get(self._names.get(address, "")) if address is not None else None
        if router is None:
            self._refuse(str(address))
            writer.close()
            return
        if router.writer is not None:
            # The router knows best: where it connects anew, what was before is dead.
            router.writer.close()
        _keep_alive(writer)
        now = self._clock.now()
        router.writer, router.since, router.reason = writer, now, ""
        table = RouterTable(own=self._own, speaker=self._speaker, uptime=self._clock.monotonic())
        router.building, router.table = table, router.table if router.resyncing else None
        router.resyncing = False
        reason = ""
        try:
            reason = await self._read(router, table, reader)
        except WireError as error:
            router.counters["broken"] += 1
            reason = f"what it sends is no bmp: {error.message}"
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
        finally:
            writer.close()
            router.counters.update(table.counters)
            self._ended(router, writer, reason)
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _read(self, router: _Router, table: RouterTable, reader: asyncio.StreamReader) -> str:
        """Until the end of the connection; why it came. Raises WireError and OSError."""
        stream = BmpStream()
        said = "the router closed the connection"
        while (octets := await next_octets(reader, within_seconds=LOOK_SECONDS)) != b"":
            now, uptime = self._clock.now(), self._clock.monotonic()
            for message in stream.feed(octets or b""):
                update = table.take(message, now, uptime)
                if update is not None and self._on_update is not None and isinstance(message, RouteMonitoring):
                    self._on_update(message, update)
                if isinstance(message, Termination) and message.reason:
                    said = f"the router closed the connection: {message.reason}"
            self._promote(router, table)
            # Also where it never pauses: statistics may come as often as we look.
            if self._is_old(router, table):
                router.resyncing = True
                return "told to begin anew"
            # A table of a million routes comes without a pause: others have their turn between two pieces of it.
            await asyncio.sleep(0)
        return said

    def _is_old(self, router: _Router, table: RouterTable) -> bool:
        if router.table is not table:
            return False
        uptime = self._clock.monotonic()
        if router.home.doubtful():
            return uptime - table.began >= RECHECK_SECONDS
        if self._resync_seconds is None:
            return False
        return uptime - table.changed >= QUIET_SECONDS and uptime - table.began >= self._resync_seconds

    def _promote(self, router: _Router, table: RouterTable) -> None:
        if router.building is table and router.table is not table and table.told(self._clock.monotonic()):
            router.table = table
            router.home.told(table.originated())

    def _ended(self, router: _Router, writer: asyncio.StreamWriter, reason: str) -> None:
        if router.writer is not writer:
            return
        router.writer, router.building = None, None
        router.since, router.reason, router.lost = self._clock.now(), reason, self._clock.monotonic()
        if router.resyncing:
            return
        router.table = None

    def _refuse(self, address: str) -> None:
        self.counters["strangers"] += 1
        if len(self._strangers) < STRANGERS_NAMED:
            self._strangers.add(address)

    # --- looking ---------------------------------------------------------------------------------------------------

    def sighting(self, router: str, prefix: Prefix) -> Sighting | NoData:
        found = self._routers.get(router)
        now = self._clock.now()
        if found is None:
            return NoData(since=now, reason="is not configured to send BMP")
        table, uptime = found.table or found.building, self._clock.monotonic()
        old = found.building is not table
        if table is None or (old and uptime - found.lost > GRACE_SECONDS):
            return NoData(since=found.since, reason=f"sends no BMP: {found.reason or 'it tells its table anew'}")
        seen = table.sighting(prefix, uptime, home=found.home.has(prefix))
        # What is missing in the table before may be in the one that is being told.
        return replace(seen, complete=False) if old else seen

    def strangers(self) -> frozenset[str]:
        """At the most STRANGERS_NAMED of them."""
        return frozenset(self._strangers)

    def health(self) -> Sequence[WitnessHealth]:
        uptime = self._clock.monotonic()
        return tuple(self._health(router, uptime) for router in self._routers.values())

    def _health(self, router: _Router, uptime: float) -> WitnessHealth:
        table = router.building or router.table
        counters = router.counters + (router.building.counters if router.building is not None else Counter[str]())
        sessions = () if table is None else table.sessions.values()
        return WitnessHealth(
            router=router.name,
            kind=WitnessKind.BMP,
            connected=router.writer is not None or router.resyncing,
            since=router.since,
            reason=router.reason,
            told=table is not None and table.told(uptime),
            system="" if table is None else table.system,
            messages=counters["messages"],
            undecoded=counters["undecoded"] + counters["broken"],
            routes=0 if table is None else table.own_routes(),
            sessions=tuple(
                SessionSeen(
                    address=str(session.address),
                    asn=session.asn,
                    up=session.up,
                    since=session.since,
                    reason=session.reason,
                )
                for session in sessions
                if session.up is not None
            ),
        )


def _peer_address(writer: asyncio.StreamWriter) -> Address | None:
    """Of IPv4 that came by an IPv6 socket, the IPv4 address."""
    told = writer.get_extra_info("peername")
    if not told:
        return None
    address = ip_address(str(told[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """BMP has no keepalive of its own: TCP's finds a router that is gone within a minute."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
