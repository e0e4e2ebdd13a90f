"""`teagent doctor`: what the rest of teagent takes for given, looked at now, each with what to do about it.

Of what nothing here can see it is said that it is assumed. Looking asks the relay, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from teagent.engine.measure.senders import sender_shares
from teagent.engine.measure.trust import disagreements
from teagent.model.bgp import Address, Prefix
from teagent.model.diagnosis import Diagnosis, Verdict
from teagent.model.link import Link, LinkKind, NoData
from teagent.model.network import Network
from teagent.model.units import format_bps, format_duration, format_share
from teagent.model.witness import ProofState, WitnessKind
from teagent.ports import SessionSeen, SpeakerState, Witness, WitnessHealth
from teagent.service.exporters import ExporterWatch
from teagent.service.ingest import Ingest
from teagent.service.observe import Observer
from teagent.service.prove import Prover
from teagent.service.reconcile import Routes

PORT_TOLERANCE = 0.01
"""Between a configured capacity and the speed of its port, which both are round figures."""
MOST_BY_NEIGHBOR = 0.9
"""Of what is of a known AS. A transit that has customers sends less of it by itself."""
LEAST_NAMED = 0.5
BY_TEXT = "teagent doctor --router-config {router}=FILE, with what the router's `show running-config` says"
SHARED_HINT = "docs/how-to/connect-a-router.md"
CHECK = {WitnessKind.BMP: "bmp", WitnessKind.IBGP: "witness_session"}

Finding: TypeAlias = tuple[Verdict, str, str]
"""Verdict, message, remedy."""


class Doctor:
    """`neighbors` are the border routers and the addresses that ExaBGP speaks to; `signed` are those of them that we
    have a TCP MD5 key for. In a dry run nobody speaks.

    `allow_list_digest` is of the allow-list as the configuration wants it.
    """

    def __init__(
        self,
        *,
        network: Network,
        neighbors: Mapping[str, Address],
        signed: Collection[str],
        dry_run: bool,
        allow_list_digest: str,
        routes: Routes,
        prover: Prover,
        witness: Witness | None,
        observer: Observer,
        ingest: Ingest,
        exporter_watch: ExporterWatch,
        clock_skew_seconds: float,
    ) -> None:
        self._network = network
        self._neighbors = dict(neighbors)
        self._signed = frozenset(signed)
        self._dry_run = dry_run
        self._allow_list_digest = allow_list_digest
        self._routes = routes
        self._prover = prover
        self._witness = witness
        self._observer = observer
        self._ingest = ingest
        self._exporter_watch = exporter_watch
        self._clock_skew_seconds = clock_skew_seconds

    async def examine(self, now: datetime) -> tuple[Diagnosis, ...]:
        """In the order in which they depend on each other: the relay, its sessions, proofs, then what is measured."""
        state = await self._routes.refresh()
        return tuple(self._all(state, now))

    def _all(self, state: SpeakerState | NoData, now: datetime) -> Iterator[Diagnosis]:
        yield _say("relay", "", "relay", self._relay(state))
        yield _say("allow_list", "", "allow_list", self._allow_list(state))
        told: dict[str, dict[WitnessKind, WitnessHealth]] = {}
        for health in () if self._witness is None else self._witness.health():
            told.setdefault(health.router, {})[health.kind] = health
        for router, address in self._neighbors.items():
            links = [link for link in self._network.links.values() if link.router == router]
            yield _say("session", router, str(address), self._session(state, router, address))
            ways = told.get(router, {})
            for kind in ways or {WitnessKind.BMP}:
                yield _say(CHECK[kind], router, CHECK[kind], _told(kind, ways.get(kind)))
            yield _say("wins", router, "overrides", self._wins(router))
            yield _say("home", router, "network", self._home(router, links))
            for link in links:
                yield _say("upstream", router, link.name, _upstream(link, ways.get(WitnessKind.BMP)))
                yield _say("signals", router, link.name, _unseen(router))
        for link in self._network.links.values():
            yield _say("snmp", link.router, link.name, self._counted(link, now))
            yield _say("capacity", link.router, link.name, self._capacity(link))
            yield _say("flows", link.router, link.name, self._flows(link, now))
            if link.kind is LinkKind.TRANSIT:
                yield _say("senders", link.router, link.name, self._senders(link, now))
        yield from self._clocks()

    # --- the way out -----------------------------------------------------------------------------------------------

    def _relay(self, state: SpeakerState | NoData) -> Finding:
        if self._dry_run:
            return Verdict.ASSUMED, "bgp.dry_run is true: the relay is not asked", "bgp.dry_run: false goes live"
        if isinstance(state, NoData):
            return Verdict.WRONG, state.reason, "systemctl status exabgp-teagent"
        return Verdict.PROVEN, "answers", ""

    def _allow_list(self, state: SpeakerState | NoData) -> Finding:
        remedy = "as its owner: teagent allow-list write; then teagent allow-list check"
        if self._dry_run or isinstance(state, NoData):
            return Verdict.ASSUMED, "the relay cannot be asked which allow-list it uses", "teagent allow-list check"
        if state.allow_list is None:
            return Verdict.WRONG, f"the relay has no usable allow-list: {state.allow_list_problem}", remedy
        if state.allow_list != self._allow_list_digest:
            said = f": {state.allow_list_problem}" if state.allow_list_problem else ""
            return Verdict.WRONG, f"the relay uses another allow-list than the configuration wants{said}", remedy
        return Verdict.PROVEN, "the relay uses what the configuration wants", ""

    def _session(self, state: SpeakerState | NoData, router: str, address: Address) -> Finding:
        if self._dry_run or isinstance(state, NoData):
            return Verdict.ASSUMED, "the relay cannot be asked", "see the line on the relay"
        found = next((row for row in state.neighbors if row.address == str(address)), None)
        if found is None or found.state != "up":
            why = "not known to the relay" if found is None else found.state
            key = f"routers.{router}.bgp.md5_password"
            keys = f"it has the TCP MD5 key of {key}" if router in self._signed else f"it wants a TCP MD5 key ({key})"
            remedy = (
                "teagent exabgp-config, teagent router-config, whether TCP port 179 is open between them, and whether "
                f"{keys}: without the same key at both ends it just times out"
            )
            return Verdict.WRONG, f"ExaBGP's session with {address} is {why}", remedy
        return Verdict.PROVEN, "ExaBGP's session is up", ""

    def _wins(self, router: str) -> Finding:
        owned = [own.prefix for own in self._network.prefixes if own.engineer]
        state = self._routes.state
        held = set() if isinstance(state, NoData) else {each.override.prefix for each in state.overrides}
        rows = [
            (prefix, row)
            for prefix in owned
            if prefix in held
            for row in self._prover.at(prefix)
            if row.router == router
        ]
        for prefix, row in rows:
            if row.state is ProofState.REJECTED:
                return Verdict.WRONG, f"{prefix}: {router} {row.reason}", BY_TEXT.format(router=router)
        proven = [str(prefix) for prefix, row in rows if row.state is ProofState.PROVEN]
        if proven:
            return Verdict.PROVEN, f"it holds and prefers the override of {', '.join(proven)}", ""
        why = "it has not told of one yet" if rows else "no override is announced"
        return Verdict.ASSUMED, f"whether overrides win cannot be seen: {why}", BY_TEXT.format(router=router)

    def _home(self, router: str, links: Sequence[Link]) -> Finding:
        names = {link.name for link in links}
        carried = [own.prefix for own in self._network.prefixes if own.engineer and names & set(own.home)]
        seen = {prefix: self._home_seen(router, prefix) for prefix in carried}
        lost = [str(prefix) for prefix, there in seen.items() if there is False]
        if lost:
            return Verdict.WRONG, f"it does not originate {', '.join(lost)} by itself", SHARED_HINT
        unknown = [str(prefix) for prefix, there in seen.items() if there is None]
        if unknown or not carried:
            what = ", ".join(unknown) or "anything"
            return Verdict.ASSUMED, f"whether it originates {what} cannot be seen", BY_TEXT.format(router=router)
        return Verdict.PROVEN, "it originates every prefix by itself", ""

    def _home_seen(self, router: str, prefix: Prefix) -> bool | None:
        seen = None if self._witness is None else self._witness.sighting(router, prefix)
        return None if seen is None or isinstance(seen, NoData) else seen.home

    # --- what is measured ------------------------------------------------------------------------------------------

    def _counted(self, link: Link, now: datetime) -> Finding:
        reading = self._observer.readings(now)[link.name]
        if isinstance(reading, NoData):
            return Verdict.WRONG, f"its counters are not read: {reading.reason}", "teagent router probe ADDRESS"
        return Verdict.PROVEN, "its counters are read", ""

    def _capacity(self, link: Link) -> Finding:
        speed = self._observer.left_bps(link.name)
        configured = format_bps(link.capacity_bps)
        if speed is None:
            return Verdict.ASSUMED, f"its interface tells no speed, configured are {configured}", "ask the provider"
        if link.capacity_bps > speed * (1 + PORT_TOLERANCE):
            return (
                Verdict.WRONG,
                f"configured are {configured}, its interface has {format_bps(speed)}",
                f"links.{link.name}.capacity; or a member of a bundle is down",
            )
        if link.capacity_bps < speed * (1 - PORT_TOLERANCE):
            return (
                Verdict.ASSUMED,
                f"configured are {configured} on a port of {format_bps(speed)}: less was bought, or it is a mistake",
                f"links.{link.name}.capacity is what the provider carries",
            )
        return Verdict.PROVEN, f"configured are {configured}, as its interface has", ""

    def _flows(self, link: Link, now: datetime) -> Finding:
        matrix = self._ingest.latest(now)
        said = disagreements(matrix, self._ingest.coverage_limits).get(link.name)
        doubts = [*([said] if said else []), *self._ingest.flow_doubts(now).get(link.name, ())]
        if doubts:
            return Verdict.WRONG, "; ".join(doubts), f"teagent exporter; {SHARED_HINT}"
        share = None if isinstance(matrix, NoData) else matrix.coverage.get(link.name)
        if share is None:
            why = matrix.reason if isinstance(matrix, NoData) else "it carries too little"
            return Verdict.ASSUMED, f"its flows cannot be held against its counters: {why}", "wait for one flows.window"
        return Verdict.PROVEN, f"its flows are {format_share(share)} of what its interface counts", ""

    def _senders(self, link: Link, now: datetime) -> Finding:
        """A transit link that nobody but the transit sends by is rather one whose router writes the neighbor's AS."""
        matrix = self._ingest.latest(now)
        if isinstance(matrix, NoData):
            return Verdict.ASSUMED, f"who sends by it cannot be told: {matrix.reason}", "wait for one flows.window"
        shares = sender_shares(matrix, link.name, link.peer_asn)
        if shares is None:
            return Verdict.ASSUMED, "who sends by it cannot be told: nothing comes in", "teagent exporter"
        if shares.neighbor > MOST_BY_NEIGHBOR * shares.named:
            sent = f"{format_share(shares.neighbor)} of it is sent by AS{int(link.peer_asn)} itself, say its flows"
            return (
                Verdict.ASSUMED,
                f"{sent}: does {link.router} write the neighbor's AS in place of the origin's (peer-as)?",
                f"flows.source_as: origins; {SHARED_HINT}",
            )
        if shares.named < LEAST_NAMED:
            return (
                Verdict.ASSUMED,
                f"the AS of its sender is known of {format_share(shares.named)} of it: predictions are by prefix",
                "flows.origins",
            )
        return Verdict.PROVEN, f"the AS of its sender is known of {format_share(shares.named)} of it", ""

    def _clocks(self) -> Iterator[Diagnosis]:
        routers = {health.exporter: health.router for health in self._ingest.exporters()}
        limit = format_duration(self._clock_skew_seconds)
        for exporter, figures in sorted(self._exporter_watch.figures().items()):
            skew = figures.clock_skew_seconds
            if skew is None:
                found = Verdict.ASSUMED, "it has not told its time", "teagent exporter"
            elif abs(skew) > self._clock_skew_seconds:
                found = Verdict.WRONG, f"its clock is {skew:+.0f}s from ours, limit {limit}", "NTP on it, and here"
            else:
                found = Verdict.PROVEN, f"its clock is {skew:+.0f}s from ours", ""
            yield _say("clock", routers.get(exporter) or "", exporter, found)


def _say(check: str, router: str, subject: str, found: Finding) -> Diagnosis:
    verdict, message, remedy = found
    return Diagnosis(verdict=verdict, check=check, router=router, subject=subject, message=message, remedy=remedy)


def _told(kind: WitnessKind, health: WitnessHealth | None) -> Finding:
    if health is None:
        return (
            Verdict.ASSUMED,
            "it has neither BMP nor a witness session: every change there is unproven",
            "bmp or witness_session in the configuration; " + SHARED_HINT,
        )
    if not health.connected:
        silent = "sends no BMP" if kind is WitnessKind.BMP else "has no witness session"
        return Verdict.WRONG, f"{silent}: {health.reason}", "docs/explanation/witness.md"
    if kind is WitnessKind.IBGP:
        return Verdict.PROVEN, "tells on its witness session what it prefers", ""
    return Verdict.PROVEN, "tells by BMP what it holds", ""


def _upstream(link: Link, health: WitnessHealth | None) -> Finding:
    """The link's own session, which teagent has no part in."""
    sessions: Sequence[SessionSeen] = () if health is None or not health.connected else health.sessions
    seen = next((session for session in sessions if session.address == str(link.neighbor)), None)
    if seen is None:
        return Verdict.ASSUMED, f"the session with {link.neighbor} cannot be seen", "show bgp summary on the router"
    if not seen.up:
        why = f": {seen.reason}" if seen.reason else ""
        return Verdict.WRONG, f"the session with {link.neighbor} is down{why}", "show bgp summary on the router"
    if seen.asn != int(link.peer_asn):
        return (
            Verdict.WRONG,
            f"{link.neighbor} is AS{seen.asn}, configured is AS{int(link.peer_asn)}",
            f"links.{link.name}.peer_asn",
        )
    return Verdict.PROVEN, f"the session with {link.neighbor} AS{seen.asn} is up", ""


def _unseen(router: str) -> Finding:
    return (
        Verdict.ASSUMED,
        "what the router makes of signals cannot be seen from here",
        BY_TEXT.format(router=router),
    )
