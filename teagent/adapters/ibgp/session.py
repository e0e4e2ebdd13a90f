"""One iBGP session with a border router that only listens: it never announces, having nothing to announce with.

The router reflects its best route of each of our prefixes (RFC 4456): what it has learned from ExaBGP and prefers, or
its own. What it said counts while the session is up, and no longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address
from typing import Final

from teagent.adapters.tcp import connect, next_octets
from teagent.errors import WireError
from teagent.model.bgp import Address, PathAttributes, Prefix
from teagent.ports import Clock
from teagent.wire import bgp_notification, bgp_open
from teagent.wire import bgp_session as wire
from teagent.wire.bgp_update import UPDATE, decode_update, path_attributes

HOLD_SECONDS: Final = 30
CONNECT_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 1.0
TOLD_AFTER_SECONDS: Final = 30.0
"""A router that does not mark the end of its table has told it by then: these are a few routes."""
FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnds:
    """`local_address` is one that ExaBGP does not speak from: the router tells the two sessions apart by it.
    `identifier` is unique among our BGP speakers (RFC 6286). `md5_key` signs the session (RFC 2385), empty where none
    is wanted; it never shows in the repr.
    """

    router: str
    neighbor: Address
    local_address: Address
    identifier: IPv4Address
    md5_key: bytes = field(default=b"", repr=False)

    def silence(self) -> str:
        """What it may mean that nothing answers: a segment that is signed otherwise than expected is dropped unseen."""
        key = f"routers.{self.router}.bgp.md5_password"
        other = f"has no TCP MD5 key, or another one than {key}" if self.md5_key else f"wants a TCP MD5 key ({key})"
        return f"{self.neighbor} does not answer: the way to its TCP port 179 is closed, or it {other}"


class _EndedError(Exception):
    """The session is over. `last` is what is said to the router."""

    def __init__(self, reason: str, last: bytes = b"") -> None:
        super().__init__(reason)
        self.reason, self.last = reason, last


class WitnessSession:
    """`own` are our prefixes, by what they are in an UPDATE. `run` until it is cancelled.

    `up` since `since`; while it is not, `reason` says why. `families` are those that the router tells routes of.
    """

    def __init__(
        self, ends: SessionEnds, *, asn: int, own: Mapping[tuple[int, int, int], Prefix], clock: Clock, port: int
    ) -> None:
        self.ends = ends
        self._asn, self._own, self._clock, self._port = asn, own, clock, port
        self._wanted = frozenset(prefix.version for prefix in own.values())
        self.up = False
        self.since: datetime = clock.now()
        self.reason = "has not been reached yet"
        self.families: frozenset[int] = frozenset()
        self.routes: dict[Prefix, PathAttributes] = {}
        self.counters: Counter[str] = Counter()
        self._ended: set[int] = set()
        self._began = 0.0

    def told(self) -> bool:
        """Whether the table that a session begins with is over."""
        whole = self.families <= self._ended
        return self.up and (whole or self._clock.monotonic() - self._began >= TOLD_AFTER_SECONDS)

    async def run(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                lasted = await self._once()
            except Exception as error:  # noqa: BLE001  # a bug that a router's messages bring to light is no silence of it
                self.counters["undecoded"] += 1
                self._down(f"reading it broke: {error!r}")
                lasted = False
            delay = FIRST_RETRY_SECONDS if lasted else min(2 * delay, LONGEST_RETRY_SECONDS)
            await self._clock.sleep(delay)

    async def _once(self) -> bool:
        """One connection, to its end; whether the session was up in it."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await connect(
                    self.ends.neighbor, self._port, local=self.ends.local_address, md5_key=self.ends.md5_key
                )
        except TimeoutError:
            self._down(self.ends.silence())
            return False
        except OSError as error:
            self._down((error.strerror or str(error)).lower())
            return False
        talk = _Talk(self, reader, writer, asn=self._asn, families=self._wanted, clock=self._clock)
        try:
            await talk.hold()
        except _EndedError as end:
            self._end(writer, end.reason, end.last)
        except OSError as error:
            self._end(writer, (error.strerror or str(error)).lower(), b"")
        except asyncio.CancelledError:
            self._end(writer, "it was ended", wire.encode_notification(wire.CEASE, wire.SHUTDOWN))
            raise
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return talk.was_up

    def _end(self, writer: asyncio.StreamWriter, reason: str, last: bytes) -> None:
        self._down(reason)
        with contextlib.suppress(OSError):
            writer.write(last)

    def _down(self, reason: str) -> None:
        """`since` is of the first of the attempts that fail."""
        if self.up:
            self.since = self._clock.now()
        self.up, self.reason = False, reason
        self.families = frozenset()
        self.routes.clear()

    def begin(self, families: frozenset[int]) -> None:
        self.up, self.since, self.reason = True, self._clock.now(), ""
        self.families = families & self._wanted
        self._began = self._clock.monotonic()
        self._ended.clear()
        self.routes.clear()

    def take(self, message: bytes, *, as_octets: int) -> None:
        """An UPDATE. Raises WireError."""
        update = decode_update(message)
        for net in update.withdrawn:
            if net[:3] in self._own:
                self.routes.pop(self._own[net[:3]], None)
        ours = [self._own[net[:3]] for net in update.announced if net[:3] in self._own]
        if ours:
            self.routes.update(dict.fromkeys(ours, path_attributes(update.attributes, as_octets=as_octets)))
        if update.end_of_rib is not None:
            self._ended.add(update.end_of_rib)


class _Talk:
    """What is said on one connection."""

    def __init__(
        self,
        session: WitnessSession,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        asn: int,
        families: frozenset[int],
        clock: Clock,
    ) -> None:
        self._session, self._reader, self._writer, self._clock = session, reader, writer, clock
        self._asn, self._families = asn, families
        self._peer: wire.Open | None = None
        self._hold_seconds = float(HOLD_SECONDS)
        self._said = self._heard = clock.monotonic()
        self.was_up = False

    async def hold(self) -> None:
        """Until the end of the session. Raises _EndedError and OSError."""
        opening = wire.encode_open(
            asn=self._asn,
            hold_seconds=HOLD_SECONDS,
            identifier=self._session.ends.identifier,
            families=sorted(self._families),
        )
        self._say(opening)
        stream = wire.MessageStream()
        while (octets := await next_octets(self._reader, within_seconds=LOOK_SECONDS)) != b"":
            try:
                for message in stream.feed(octets or b""):
                    self._take(message)
            except WireError as error:
                self._session.counters["undecoded"] += 1
                reason = f"what it sends is no bgp: {error.message}"
                raise _EndedError(reason, wire.encode_notification(wire.HEADER_ERROR)) from error
            self._keep(heard=octets is not None)
            # A whole table comes without a pause: others have their turn between two pieces of it.
            await asyncio.sleep(0)
        raise _EndedError("the router closed the connection")

    def _keep(self, *, heard: bool) -> None:
        """Both timers (RFC 4271 section 4.4)."""
        now = self._clock.monotonic()
        if heard:
            self._heard = now
        if not self._hold_seconds:
            return
        if now - self._heard >= self._hold_seconds:
            reason = f"the router has said nothing for {self._hold_seconds:g}s"
            raise _EndedError(reason, wire.encode_notification(wire.HOLD_TIMER))
        if self._peer is not None and now - self._said >= self._hold_seconds / 3:
            self._say(wire.encode_keepalive())

    def _say(self, message: bytes) -> None:
        self._writer.write(message)
        self._said = self._clock.monotonic()

    def _take(self, message: bytes) -> None:
        self._session.counters["messages"] += 1
        match wire.kind(message):
            case bgp_open.OPEN if self._peer is None:
                self._open(message)
            case wire.KEEPALIVE if self._peer is not None:
                if not self.was_up:
                    self.was_up = True
                    self._session.begin(self._peer.families)
            case _ if wire.kind(message) == UPDATE and self.was_up and self._peer is not None:
                self._update(message, self._peer)
            case wire.NOTIFICATION:
                why = bgp_notification.reason(message)
                raise _EndedError(f"the router closed it: {why}" if why else "the router closed it")
            case other:
                raise _EndedError(f"the router sent a message of type {other} out of turn", wire.encode_notification(5))

    def _open(self, message: bytes) -> None:
        try:
            peer = wire.decode_open(message)
        except WireError as error:
            self._session.counters["undecoded"] += 1
            raise _EndedError(error.message, wire.encode_notification(wire.OPEN_ERROR)) from error
        if peer.asn != self._asn:
            reason = f"the router is AS{peer.asn} on it, not AS{self._asn}"
            raise _EndedError(reason, wire.encode_notification(wire.OPEN_ERROR, wire.BAD_PEER_AS))
        if peer.hold_seconds in {1, 2}:
            reason = f"the router offers a hold time of {peer.hold_seconds}s, limit 3s"
            raise _EndedError(reason, wire.encode_notification(wire.OPEN_ERROR, wire.UNACCEPTABLE_HOLD_TIME))
        self._peer = peer
        self._hold_seconds = float(min(HOLD_SECONDS, peer.hold_seconds))
        self._say(wire.encode_keepalive())

    def _update(self, message: bytes, peer: wire.Open) -> None:
        """What cannot be read may have been about one of our prefixes: all is told anew."""
        try:
            self._session.take(message, as_octets=peer.as_octets)
        except WireError as error:
            self._session.counters["undecoded"] += 1
            reason = f"an update makes no sense: {error.message}"
            raise _EndedError(reason, wire.encode_notification(wire.UPDATE_ERROR)) from error
