"""ExaBGP as the relay sees it: its sessions, its outgoing table, and how that is brought to what should be there.

Every method that awaits expects its caller to hold the turn: one command is outstanding at a time.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from teagent.relay import grammar
from teagent.relay.allow_list import AllowList, Neighbor
from teagent.relay.exabgp_pipe import ExabgpPipe, Reply
from teagent.relay.grammar import HeldRoute, Line, NegotiatedEvent, NeighborEvent, SentEvent
from teagent.relay.moments import Clock
from teagent.relay.protocol import Override, Prefix
from teagent.relay.refusal import Json, Refusal
from teagent.relay.sessions import Sessions

SENT_MAX = 10_000
START_OVER_SECONDS = 60.0


class Tell(Protocol):
    def __call__(self, event: str, **fields: Json) -> None: ...


class Exabgp:
    """`tell` hands an event to whoever listens; `session_rose` is called when a neighbor came up."""

    def __init__(self, *, pipe: ExabgpPipe, clock: Clock, tell: Tell) -> None:
        self.version: str | None = None
        self.sessions = Sessions()
        self.counters: Counter[str] = Counter()
        self.sent: dict[Prefix, dict[str, float]] = {}
        self.in_step = False
        self._pipe = pipe
        self._clock = clock
        self._tell = tell
        self._end_of_rib_owed: set[str] = set()
        self._stalled_since: float | None = None
        pipe.on_event = self._on_event

    @property
    def stalled(self) -> bool:
        return self._pipe.stalled

    def lost_its_place(self) -> bool:
        """True when the wait for an answer was so long that it must be taken for lost; we start over then."""
        now = self._clock.uptime()
        self._stalled_since = self._stalled_since or now
        if now < self._stalled_since + START_OVER_SECONDS:
            return False
        self._stalled_since = None
        self.version = None
        return True

    async def synchronise(self) -> bool:
        """Finds our place in ExaBGP's answers, once; false while it does not answer."""
        if self.version is None:
            self.version = await self._pipe.synchronise()
            self._stalled_since = None
            if self.version is not None:
                self._tell("exabgp", exabgp=self.version)
        return self.version is not None

    def check_sessions(self, allow: AllowList, family: str) -> None:
        """Raises Refusal (down) unless every neighbor that should hear of this family does."""
        for neighbor in allow.neighbors_of(family):
            address = str(neighbor.address)
            state = self.sessions.get(address)
            if state is None:
                raise Refusal("down", "session", f"ExaBGP has no neighbor {address}", value=address)
            if not state.up:
                raise Refusal("down", "session", f"the session to {address} is down", value=address)
            if not state.carries(family):
                raise Refusal("down", "family", f"the session to {address} does not carry {family}", value=address)

    async def announce(self, allow: AllowList, override: Override) -> Refusal | None:
        """None when ExaBGP acknowledged it for every neighbor and their sessions are still up."""
        self.counters["announces"] += 1
        for neighbor in allow.neighbors_of(override.family):
            reply = await self._announce_to(allow, neighbor, override)
            problem = self._problem(reply, override.prefix, neighbor)
            if problem is not None:
                self.in_step = False
                return problem
        try:
            self.check_sessions(allow, override.family)
        except Refusal as problem:
            return problem
        return None

    async def withdraw(self, allow: AllowList, prefix: Prefix) -> bool:
        """True when ExaBGP acknowledged it for every neighbor that it has."""
        self.counters["withdraws"] += 1
        self.sent.pop(prefix, None)
        done = self.version is not None
        for neighbor in allow.neighbors_of(f"ipv{prefix.version}") if done else ():
            reply = await self._pipe.command(grammar.withdraw(neighbor.address, prefix))
            known = self.sessions.get(str(neighbor.address)) is not None
            done &= reply.outcome == "done" or (reply.outcome == "error" and not known)
        self.in_step &= done
        return done

    async def repeat(self, allow: AllowList) -> bool:
        """Sends the outgoing table again to every neighbor whose session is up; true when ExaBGP acknowledged all."""
        done = True
        for neighbor in allow.neighbors:
            state = self.sessions.get(str(neighbor.address))
            if state is not None and state.up:
                reply = await self._pipe.command(grammar.repeat(neighbor.address))
                done &= reply.outcome == "done"
                self.counters["repeats"] += 1
        return done

    async def bring_in_step(self, allow: AllowList, wanted: Mapping[Prefix, Override]) -> bool:
        """Makes ExaBGP's outgoing table exactly `wanted`, then sends the End-of-RIBs owed (RFC 4724).

        False when ExaBGP did not answer, or not as it should: to be tried again.
        """
        self.counters["reconciliations"] += 1
        self._stalled_since = None
        self.in_step = (
            await self._refresh_sessions() and await self._correct(allow, wanted) and await self._end_ribs(allow)
        )
        return self.in_step

    async def _refresh_sessions(self) -> bool:
        reply = await self._pipe.command(grammar.SHOW_NEIGHBORS)
        if reply.outcome != "done":
            return False
        try:
            risen = self.sessions.refresh(grammar.parse_neighbors(reply.lines))
        except ValueError:
            self.counters["unreadable_answers"] += 1
            return False
        self._end_of_rib_owed.update(risen)
        return True

    async def _correct(self, allow: AllowList, wanted: Mapping[Prefix, Override]) -> bool:
        reply = await self._pipe.command(grammar.SHOW_ROUTES)
        if reply.outcome != "done":
            return False
        try:
            routes = grammar.parse_routes(reply.lines)
        except ValueError:
            self.counters["unreadable_answers"] += 1
            return False
        listed = {str(n.address): n for n in allow.neighbors}
        kept: set[tuple[str, Prefix]] = set()
        for route in routes:
            neighbor = listed.get(route.neighbor)
            override = wanted.get(route.prefix)
            if neighbor is not None and override is not None and _is_told(allow, neighbor, override):
                if _matches(allow, route, override):
                    kept.add((route.neighbor, route.prefix))
                continue
            self.counters["foreign_routes_withdrawn"] += 1
            self._tell("foreign", neighbor=route.neighbor, prefix=str(route.prefix))
            reply = await self._pipe.command(grammar.withdraw(ipaddress.ip_address(route.neighbor), route.prefix))
            if reply.outcome != "done":
                return False
        return await self._add_missing(allow, wanted, kept)

    async def _add_missing(
        self, allow: AllowList, wanted: Mapping[Prefix, Override], kept: set[tuple[str, Prefix]]
    ) -> bool:
        for neighbor in allow.neighbors:
            address = str(neighbor.address)
            if self.sessions.get(address) is None:
                continue
            for prefix, override in wanted.items():
                if (address, prefix) in kept or not _is_told(allow, neighbor, override):
                    continue
                self.counters["replays"] += 1
                if (await self._announce_to(allow, neighbor, override)).outcome != "done":
                    return False
        return True

    async def _end_ribs(self, allow: AllowList) -> bool:
        """Only to neighbors of the list: for others there is nothing that we could say is complete."""
        for neighbor in allow.neighbors:
            address = str(neighbor.address)
            if address not in self._end_of_rib_owed:
                continue
            for family in sorted(neighbor.families):
                if not self.sessions.carries(address, family):
                    continue
                if (await self._pipe.command(grammar.end_of_rib(neighbor.address, family))).outcome != "done":
                    return False
                self.counters["end_of_ribs"] += 1
            self._end_of_rib_owed.discard(address)
        return True

    async def _announce_to(self, allow: AllowList, neighbor: Neighbor, override: Override) -> Reply:
        hop = allow.next_hop[override.family]
        return await self._pipe.command(
            grammar.announce(neighbor.address, override, next_hop=hop, asn=allow.local_asn, form=allow.signals)
        )

    def _problem(self, reply: Reply, prefix: Prefix, neighbor: Neighbor) -> Refusal | None:
        match reply.outcome:
            case "done":
                return None
            case "error":
                return Refusal(
                    "refused", "exabgp", f"ExaBGP refused {prefix} for {neighbor.address}", value=str(prefix)
                )
            case "unknown":
                self.counters["ack_timeouts"] += 1
                return Refusal("unknown", "ack_timeout", f"ExaBGP did not answer for {prefix}; it may still go out")
            case "full":
                return Refusal("busy", "exabgp", "ExaBGP does not read its commands")
            case "gone":
                return Refusal("down", "exabgp", "ExaBGP is gone")

    def _on_event(self, line: Line) -> None:
        now = self._clock.wall()
        match line:
            case NegotiatedEvent():
                self.sessions.negotiated(line)
            case NeighborEvent() if self.sessions.changed(line, now):
                self._session_changed(line, now)
            case SentEvent():
                self._sent(line, now)
            case _:
                pass

    def _session_changed(self, event: NeighborEvent, now: float) -> None:
        if event.state == "up":
            self._end_of_rib_owed.add(event.neighbor)
            self.in_step = False
        else:
            self._end_of_rib_owed.discard(event.neighbor)
        self.counters[f"sessions_{event.state}"] += 1
        self._tell("neighbor", neighbor=event.neighbor, state=event.state, reason=event.reason, at=now)

    def _sent(self, event: SentEvent, now: float) -> None:
        self.counters["updates_sent"] += 1
        for text in event.announced:
            prefix = ipaddress.ip_network(text)
            if prefix in self.sent or len(self.sent) < SENT_MAX:
                self.sent.setdefault(prefix, {})[event.neighbor] = now
        announced: list[Json] = [*event.announced]
        withdrawn: list[Json] = [*event.withdrawn]
        self._tell("sent", neighbor=event.neighbor, announced=announced, withdrawn=withdrawn, at=now)


def _is_told(allow: AllowList, neighbor: Neighbor, override: Override) -> bool:
    return override.family in neighbor.families and override.family in allow.next_hop


def _matches(allow: AllowList, route: HeldRoute, override: Override) -> bool:
    tags = frozenset(grammar.communities(allow.local_asn, override.signals, allow.signals))
    return route.tags == tags and route.next_hop == str(allow.next_hop[override.family]) and route.path_is_empty
