"""What one router has told on one connection: its sessions, and of its routes those of our own prefixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from teagent.errors import WireError
from teagent.model.bgp import Address, PathAttributes, Prefix
from teagent.model.witness import Refusal, Sighting
from teagent.wire.bgp_open import add_path_families
from teagent.wire.bgp_update import Update, decode_update, path_attributes
from teagent.wire.bmp import Initiation, Message, Peer, PeerDown, PeerUp, RouteMonitoring, Statistics, Undecoded, View

MOST_SESSIONS: Final = 4096
MOST_PATHS: Final = 64
"""Of one prefix on one session, where there are additional paths."""
TOLD_AFTER_SECONDS: Final = 60.0
"""A router that does not mark the end of a table has told it by then."""

REFUSALS: Final = {0: Refusal.POLICY, 4: Refusal.AS_LOOP, 65531: Refusal.NEXT_HOP}
"""RFC 7854 section 4.8; 65531 is FRR's own: routes with a next hop that is not valid."""

Key = tuple[int, Address | None]
"""Instance and address; no address: the Loc-RIB."""


@dataclass(slots=True)
class Session:
    """`up` is None for what no session was told of: the router's own routes and its Loc-RIB."""

    address: Address | None
    asn: int
    up: bool | None
    since: datetime
    reason: str = ""
    local_address: Address | None = None
    add_path: frozenset[int] = frozenset()
    routes: dict[tuple[View, Prefix], dict[int, PathAttributes]] = field(default_factory=dict)
    ended: bool = False
    counts: dict[int, int] = field(default_factory=dict)
    counted_at: datetime | None = None
    refusals: dict[Refusal, datetime] = field(default_factory=dict)

    def route(self, view: View, prefix: Prefix) -> PathAttributes | None:
        return next(iter(self.routes.get((view, prefix), {}).values()), None)


class RouterTable:
    """`own` are our prefixes, by what they are in an UPDATE; `speaker` is ExaBGP's address.

    `uptime` is of a clock that never steps, in seconds; `now` is what is shown. Raises nothing: what is wrong is
    counted.
    """

    def __init__(self, *, own: Mapping[tuple[int, int, int], Prefix], speaker: Address, uptime: float) -> None:
        self._own = own
        self._speaker = speaker
        self.began = uptime
        self.ended = False
        self.changed = uptime
        """When a route of ours was last told of."""
        self.system = ""
        self.sessions: dict[Key, Session] = {}
        self.views: set[View] = set()
        self.counters: Counter[str] = Counter()

    def take(self, message: Message, now: datetime, uptime: float) -> Update | None:
        """The UPDATE, decoded, where the message has one."""
        self.counters["messages"] += 1
        match message:
            case RouteMonitoring():
                return self._routes(message, now, uptime)
            case PeerUp():
                self._up(message, now)
            case PeerDown(peer=peer):
                session = self._session(peer, now)
                if session is not None:
                    session.up, session.since, session.reason = False, now, message.reason
                    session.routes.clear()
            case Statistics(peer=peer):
                self._statistics(message, now)
            case Initiation():
                self.system = f"{message.system_name} {message.system_description}".strip()
            case Undecoded():
                self.counters["undecoded"] += 1
            case _:
                pass
        return None

    def _session(self, peer: Peer, now: datetime) -> Session | None:
        key = (peer.distinguisher, peer.address)
        found = self.sessions.get(key)
        if found is None:
            if len(self.sessions) >= MOST_SESSIONS:
                self.counters["sessions_left_out"] += 1
                return None
            found = self.sessions[key] = Session(address=peer.address, asn=peer.asn, up=None, since=now)
        return found

    def _up(self, message: PeerUp, now: datetime) -> None:
        session = self._session(message.peer, now)
        if session is None:
            return
        try:
            families = add_path_families(sent=message.sent, received=message.received)
        except WireError:
            self.counters["undecoded"] += 1
            families = frozenset()
        session.up, session.since, session.reason, session.asn = True, now, "", message.peer.asn
        session.local_address, session.add_path = message.local_address, families
        session.routes.clear()
        # Of one that comes up later nothing was left untold.
        session.ended = self.ended

    def _statistics(self, message: Statistics, now: datetime) -> None:
        session = self._session(message.peer, now)
        if session is None:
            return
        for kind, refusal in REFUSALS.items():
            value = message.values.get(kind)
            if value is None:
                continue
            # The first figure may be of long ago. What is more now may be so since the report before: the refusal of an
            # earlier announcement is not to be taken for one of the next.
            if value > session.counts.get(kind, value) and session.counted_at is not None:
                session.refusals[refusal] = session.counted_at
            session.counts[kind] = value
        session.counted_at = now

    def _routes(self, message: RouteMonitoring, now: datetime, uptime: float) -> Update | None:
        session = self._session(message.peer, now)
        if session is None:
            return None
        view = message.peer.view
        self.views.add(view)
        try:
            update = self._decoded(message.update, session.add_path)
            if self._keep(session, view, update, message.peer.as_octets):
                self.changed = uptime
        except WireError:
            self.counters["undecoded"] += 1
            return None
        if update.end_of_rib is not None:
            session.ended = self.ended = True
        return update

    @staticmethod
    def _decoded(octets: bytes, add_path: frozenset[int]) -> Update:
        """FRR 8.4 reports without path identifiers what it receives with them: what cannot be read in the way that was
        negotiated is read in the other.
        """
        try:
            return decode_update(octets, add_path=add_path)
        except WireError:
            if not add_path:
                raise
            return decode_update(octets)

    def _keep(self, session: Session, view: View, update: Update, as_octets: int) -> bool:
        """Whether something of ours was in it."""
        gone = [net for net in update.withdrawn if net[:3] in self._own]
        for net in gone:
            session.routes.get((view, self._own[net[:3]]), {}).pop(net.path_id, None)
        ours = [net for net in update.announced if net[:3] in self._own]
        if not ours:
            return bool(gone)
        attributes = path_attributes(update.attributes, as_octets=as_octets)
        for net in ours:
            paths = session.routes.setdefault((view, self._own[net[:3]]), {})
            if net.path_id in paths or len(paths) < MOST_PATHS:
                paths[net.path_id] = attributes
        return True

    # --- looking ---------------------------------------------------------------------------------------------------

    def told(self, uptime: float) -> bool:
        """Whether the table that a connection begins with is over."""
        return self.ended or uptime - self.began >= TOLD_AFTER_SECONDS

    def own_routes(self) -> int:
        return sum(len(paths) for session in self.sessions.values() for paths in session.routes.values())

    def sighting(self, prefix: Prefix, uptime: float, *, home: bool | None) -> Sighting:
        """`home` is what is known of the router's own route."""
        session, told = self._with_speaker(), self.told(uptime)
        seen = Sighting(
            session_up=None,
            complete=told,
            tells_received=View.PRE_POLICY in self.views,
            tells_accepted=View.POST_POLICY in self.views,
            tells_selected=View.LOC_RIB in self.views,
            selected=self._selected(prefix),
            home=home,
            refusals={},
        )
        if session is None:
            return seen
        return replace(
            seen,
            session_up=bool(session.up),
            complete=told and (session.ended or not self.ended),
            received=session.route(View.PRE_POLICY, prefix),
            accepted=session.route(View.POST_POLICY, prefix),
            session_reason=session.reason,
            refusals=dict(session.refusals),
        )

    def _with_speaker(self) -> Session | None:
        """Of several instances of the router, one where it is up."""
        found = [s for s in self.sessions.values() if s.address == self._speaker and s.up is not None]
        return max(found, key=lambda session: bool(session.up), default=None)

    def _selected(self, prefix: Prefix) -> PathAttributes | None:
        local = (session.route(View.LOC_RIB, prefix) for session in self.sessions.values() if session.address is None)
        return next((route for route in local if route is not None), None)

    def originated(self) -> frozenset[Prefix]:
        """Prefixes of ours that the router has routes of its own for. FRR tells of these as of a peer without an
        address, and only at the beginning of a connection.
        """
        own = (s for s in self.sessions.values() if s.address is not None and s.address.is_unspecified)
        return frozenset(prefix for session in own for (_, prefix), paths in session.routes.items() if paths)
