"""Which neighbors ExaBGP has, and which of them are up, from its events and from `show neighbor`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from teagent.relay.grammar import NegotiatedEvent, NeighborEvent, Session
from teagent.relay.refusal import Json

FAMILIES = ("ipv4", "ipv6")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    up: bool
    since: float | None  # seconds since the epoch; None when it was so before we looked
    families: tuple[str, ...] | None  # negotiated; None where ExaBGP did not say

    def carries(self, family: str) -> bool:
        return self.up and (self.families is None or family in self.families)


class Sessions:
    def __init__(self) -> None:
        self._states: dict[str, SessionState] = {}
        self._negotiated: dict[str, tuple[str, ...]] = {}

    def get(self, neighbor: str) -> SessionState | None:
        """None for a neighbor that ExaBGP has never mentioned."""
        return self._states.get(neighbor)

    def carries(self, neighbor: str, family: str) -> bool:
        state = self._states.get(neighbor)
        return state is not None and state.carries(family)

    def negotiated(self, event: NegotiatedEvent) -> None:
        self._negotiated[event.neighbor] = event.families

    def changed(self, event: NeighborEvent, now: float) -> bool:
        """True when the session was not already so."""
        if event.state == "connected":
            return False
        up = event.state == "up"
        before = self._states.get(event.neighbor)
        families = self._negotiated.get(event.neighbor) if up else None
        self._states[event.neighbor] = SessionState(up=up, since=now, families=families)
        return up or before is None or before.up  # a second `up` is a new session whose end we missed

    def refresh(self, found: Iterable[Session]) -> tuple[str, ...]:
        """Takes ExaBGP's word for all of them; returns those that are up and were not thought to be."""
        rows = {session.neighbor: session for session in found}
        risen = tuple(n for n, s in rows.items() if s.up and not ((known := self._states.get(n)) and known.up))
        for neighbor, session in rows.items():
            before = self._states.get(neighbor)
            since = before.since if before is not None and before.up == session.up else None
            self._states[neighbor] = SessionState(
                up=session.up, since=since, families=session.families if session.up else None
            )
        self._states = {n: s for n, s in self._states.items() if n in rows}
        return risen

    def as_json(self, listed: Iterable[str]) -> list[Json]:
        """All of ExaBGP's neighbors and those of the allow-list; `unknown` are those that ExaBGP does not have."""
        rows: list[Json] = []
        for neighbor in sorted({*self._states, *listed}):
            state = self._states.get(neighbor)
            rows.append(
                {
                    "address": neighbor,
                    "state": "unknown" if state is None else "up" if state.up else "down",
                    "since": state.since if state else None,
                    "families": list(state.families) if state and state.families is not None else None,
                }
            )
        return rows
