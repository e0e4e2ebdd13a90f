"""Implements ports.Witness for routers that have no BMP: a second iBGP session with each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from teagent.adapters.ibgp.session import SessionEnds, WitnessSession
from teagent.model.bgp import PathAttributes, Prefix
from teagent.model.link import NoData
from teagent.model.witness import Sighting, WitnessKind
from teagent.ports import Clock, WitnessHealth
from teagent.wire.bgp_update import own_nets

BGP_PORT = 179


class SessionWitness:
    """`sessions` are one a router. It connects, the routers wait. Inert until `start`."""

    def __init__(
        self,
        sessions: Sequence[SessionEnds],
        *,
        asn: int,
        prefixes: Sequence[Prefix],
        clock: Clock,
        port: int = BGP_PORT,
    ) -> None:
        own = own_nets(prefixes)
        self._clock = clock
        self._sessions = {
            ends.router: WitnessSession(ends, asn=asn, own=own, clock=clock, port=port) for ends in sessions
        }
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        if not self._tasks:
            runs = [session.run() for session in self._sessions.values()]
            self._tasks = [asyncio.create_task(run) for run in runs]  # noqa: TID251  # held here until `stop` ends them

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def sighting(self, router: str, prefix: Prefix) -> Sighting | NoData:
        session = self._sessions.get(router)
        if session is None:
            return NoData(since=self._clock.now(), reason="has no witness session")
        if not session.up:
            return NoData(since=session.since, reason=f"has no witness session: {session.reason}")
        if prefix.version not in session.families:
            return NoData(since=session.since, reason=f"carries no IPv{prefix.version} on its witness session")
        told, selected = session.told(), session.routes.get(prefix)
        return Sighting(
            session_up=None,
            complete=told,
            tells_received=False,
            tells_accepted=False,
            tells_selected=True,
            selected=selected,
            home=_home(selected, told=told),
            refusals={},
        )

    def strangers(self) -> frozenset[str]:
        """Nobody connects to it."""
        return frozenset()

    def health(self) -> Sequence[WitnessHealth]:
        return tuple(
            WitnessHealth(
                router=session.ends.router,
                kind=WitnessKind.IBGP,
                connected=session.up,
                since=session.since,
                reason=session.reason,
                told=session.told(),
                system="",
                messages=session.counters["messages"],
                undecoded=session.counters["undecoded"],
                routes=len(session.routes),
                sessions=(),
            )
            for session in self._sessions.values()
        )


def _home(selected: PathAttributes | None, *, told: bool) -> bool | None:
    """Whether the router's own route is there: only the best route is told of, so an override hides it."""
    if selected is None:
        return False if told else None
    return None if selected.reflected or selected.as_path else True
