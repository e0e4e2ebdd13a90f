"""Prove: what routers were told, against what they say that they hold; what they refuse is taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from teagent.engine.lifecycle import owners
from teagent.engine.proof import Judgement, judge
from teagent.errors import Refused, SpeakerError, StoreError
from teagent.model.announcement import Override, signal_community
from teagent.model.bgp import Address, LargeCommunity, Prefix
from teagent.model.link import NoData
from teagent.model.network import Network
from teagent.model.policy import Policy, Unproven
from teagent.model.proposal import Proposal, ProposalState
from teagent.model.witness import Proof, ProofState, RouterProof, Sighting, worst
from teagent.ports import Clock, Speaker, Store, StoredEvent, Witness
from teagent.service.proposals import ProposalBook
from teagent.service.reconcile import Routes

log = structlog.get_logger("prove")

REPEAT_SECONDS = 1.0
"""Between two questions about what a router seems to refuse."""
RENEW_SECONDS = 60.0
"""A router that finds a next hop unusable later on may say so only when it is told again (FRR 8.4)."""
CONNECT_SECONDS = 15.0
"""After a start, for routers to connect: until then their silence says nothing new."""
NO_WITNESS = "has no witness: neither bmp nor a witness_session"
NOBODY = ""


class Prover:
    """`neighbors` are the routers that hear overrides, and where ExaBGP speaks to them. Without a witness everything is
    unproven.
    """

    def __init__(
        self,
        *,
        witness: Witness | None,
        speaker: Speaker | None,
        routes: Routes,
        neighbors: Mapping[str, Address],
        network: Network,
        book: ProposalBook,
        store: Store,
        clock: Clock,
    ) -> None:
        self._witness = witness
        self._speaker = speaker
        self._routes = routes
        self._neighbors = {router: str(address) for router, address in neighbors.items()}
        self._routers = tuple(neighbors)
        self._network = network
        self._home = network.home()
        self._book = book
        self._store = store
        self._clock = clock
        self._proofs: dict[str, Proof] = {}
        self._doubts: dict[tuple[str, Prefix, str], float] = {}
        self._stray: frozenset[tuple[Prefix, str]] = frozenset()
        self._repeated_at = self._began_at = clock.monotonic()
        self.counters: Counter[str] = Counter()

    async def load(self) -> None:
        for proposal in self._book.all():
            fact = await self._store.fact(f"proof:{proposal.id}")
            if isinstance(fact, dict):
                self._proofs[proposal.id] = _from_fact(fact)

    # --- what is known ---------------------------------------------------------------------------------------------

    def proof(self, proposal: str) -> Proof | None:
        """The last one, of final proposals as well; None for what never was on the wire."""
        return self._proofs.get(proposal)

    def count(self, state: ProofState) -> int:
        """How many of the changes on the wire are so; those not looked at yet wait."""
        live = self._book.in_state(ProposalState.CONFIRMING, ProposalState.ACTIVE)
        proofs = [self._proofs.get(proposal.id) for proposal in live]
        return sum((ProofState.WAITING if proof is None else proof.state) is state for proof in proofs)

    def at(self, prefix: Prefix) -> tuple[RouterProof, ...]:
        """Each router's word on one prefix, now: about its owner's override, or about home."""
        owner = owners(self._book.all()).get(prefix)
        return tuple(self._row(owner, prefix, router, self._judge(owner, prefix, router)) for router in self._routers)

    def stray(self) -> Sequence[tuple[Prefix, str]]:
        """(prefix, router) where an override is held that nobody owns."""
        return sorted(self._stray, key=str)

    def refuse_blind(self, proposal: Proposal, policy: Policy) -> None:
        """Raises Refused where the policy wants proof, and a router could not give it."""
        if policy.confirm.unproven is Unproven.ALLOW or self._goes_home(proposal):
            return
        blind = [f"{router} {reason}" for router in self._routers if (reason := self._blind(router))]
        if blind:
            raise Refused(
                f"the change would be unproven: {'; '.join(blind)}",
                hint=f"teagent status; or confirm.unproven: allow in policy {policy.name}",
                policy=policy.name,
            )

    def _blind(self, router: str) -> str:
        """Why the router can't be asked; empty where it can."""
        engineered = [own.prefix for own in self._network.prefixes if own.engineer]
        for seen in (self._sighting(router, prefix) for prefix in engineered):
            if isinstance(seen, NoData):
                return seen.reason
        return ""

    def refuse_unproven(self, proposal: Proposal, policy: Policy) -> None:
        """Raises Refused where the policy wants proof, and there is none."""
        if policy.confirm.unproven is Unproven.ALLOW or self._goes_home(proposal):
            return
        proof = self._proofs.get(proposal.id)
        if proof is not None and proof.state is ProofState.PROVEN:
            return
        said = "nobody has looked yet" if proof is None else _said(proof)
        raise Refused(
            f"proposal {proposal.id} is not proven: {said}",
            hint=f"teagent proposal {proposal.id} show; or confirm.unproven: allow in policy {policy.name}",
            proposal=proposal.id,
            policy=policy.name,
        )

    def _goes_home(self, proposal: Proposal) -> bool:
        """The way home is never barred."""
        return all(self._wanted(proposal, prefix) is None for prefix in proposal.plan.prefixes())

    # --- looking ---------------------------------------------------------------------------------------------------

    async def look(self, proposal: Proposal, now: datetime) -> str | None:
        """Why a change that is on the wire has to be taken back; None while it has not."""
        owned = [prefix for prefix, owner in owners(self._book.all()).items() if owner.id == proposal.id]
        rows = [self._look_at(proposal, prefix, router) for prefix in owned for router in self._routers]
        if not rows:
            return None
        if self._witness is not None:
            await self._ask_again(doubtful=any(key[0] == proposal.id for key in self._doubts))
        each = tuple(_worse(rows, router) for router in self._routers)
        proof = Proof(state=worst(each), since=now, routers=each)
        if not self._too_early(proof):
            await self._remember(proposal, proof)
        rejected = [row for row in each if row.state is ProofState.REJECTED]
        return "; ".join(f"{row.router} {row.reason}" for row in rejected) or None

    def _too_early(self, proof: Proof) -> bool:
        connecting = self._witness is not None and self._clock.monotonic() - self._began_at < CONNECT_SECONDS
        return connecting and proof.state is ProofState.UNPROVEN

    def look_home(self) -> None:
        """Where nobody owns an override no router should hold one."""
        owned = owners(self._book.all())
        stray = set()
        for own in self._network.prefixes:
            if own.engineer and own.prefix not in owned:
                rows = [self._look_at(None, own.prefix, router) for router in self._routers]
                stray |= {(own.prefix, row.router) for row in rows if row.state is ProofState.REJECTED}
        for prefix, router in stray - self._stray:
            log.error("override is held that nobody owns", prefix=str(prefix), router=router)
        self._stray = frozenset(stray)

    def _look_at(self, owner: Proposal | None, prefix: Prefix, router: str) -> RouterProof:
        """Notes for how long it has been denied."""
        judgement = self._judge(owner, prefix, router)
        key = (NOBODY if owner is None else owner.id, prefix, router)
        if judgement.state is ProofState.REJECTED:
            self._doubts.setdefault(key, self._clock.monotonic())
        else:
            self._doubts.pop(key, None)
        return self._row(owner, prefix, router, judgement)

    def _judge(self, owner: Proposal | None, prefix: Prefix, router: str) -> Judgement:
        asn = int(self._network.asn)
        told_at = self._clock.now() if owner is None else _told_at(owner)
        wanted = None if owner is None else self._wanted(owner, prefix)
        return judge(self._sighting(router, prefix), wanted, asn=asn, since=told_at)

    def _sighting(self, router: str, prefix: Prefix) -> Sighting | NoData:
        if self._witness is None:
            return NoData(since=self._clock.now(), reason=NO_WITNESS)
        seen = self._witness.sighting(router, prefix)
        if isinstance(seen, Sighting) and seen.session_up is None:
            # A router that does not tell of its session with ExaBGP: the other end of it does.
            return replace(seen, session_up=self._heard_by(router))
        return seen

    def _heard_by(self, router: str) -> bool | None:
        """Whether the relay says that ExaBGP has a session with the router; None where it does not say."""
        state = self._routes.state
        neighbors = () if isinstance(state, NoData) else state.neighbors
        known = next((each.state for each in neighbors if each.address == self._neighbors[router]), "")
        return {"up": True, "down": False}.get(known)

    def _wanted(self, proposal: Proposal, prefix: Prefix) -> frozenset[LargeCommunity] | None:
        """The signals of the proposal's override; None where it goes home."""
        vector = proposal.plan.after.vector(prefix)
        if vector == self._home.vector(prefix):
            return None
        signals = Override.of(prefix, vector).signals
        asn, links = int(self._network.asn), self._network.links
        return frozenset(signal_community(asn, links[signal.link].id, signal) for signal in signals)

    def _row(self, owner: Proposal | None, prefix: Prefix, router: str, judgement: Judgement) -> RouterProof:
        """A denial counts once it has lasted: before that the router is asked again."""
        if judgement.state is ProofState.REJECTED:
            now = self._clock.monotonic()
            since = self._doubts.get((NOBODY if owner is None else owner.id, prefix, router), now)
            if now - since < judgement.patience_seconds:
                reason = f"is asked again, since it {judgement.reason}"
                return RouterProof(router=router, state=ProofState.WAITING, reason=reason)
        return RouterProof(router=router, state=judgement.state, reason=judgement.reason)

    async def _ask_again(self, *, doubtful: bool) -> None:
        now = self._clock.monotonic()
        if self._speaker is None or now - self._repeated_at < (REPEAT_SECONDS if doubtful else RENEW_SECONDS):
            return
        self._repeated_at = now
        self.counters["repeats"] += 1
        try:
            await self._speaker.repeat()
        except SpeakerError:
            # Without it what the router says first stands.
            self.counters["repeat_failures"] += 1
        if doubtful:
            # An ExaBGP that has just lost the router has not been refused by it.
            await self._routes.refresh()

    async def _remember(self, proposal: Proposal, proof: Proof) -> None:
        """A new state goes into the log and the store; the same one is kept with its latest words."""
        known = self._proofs.get(proposal.id)
        if known is not None and known.state is proof.state:
            self._proofs[proposal.id] = Proof(state=known.state, since=known.since, routers=proof.routers)
            return
        self._proofs[proposal.id] = proof
        self.counters[proof.state.value] += 1
        log.info("proof", proposal=proposal.id, state=proof.state.value, reason=_said(proof))
        event = StoredEvent(
            at=proof.since,
            kind=f"proposal.{proof.state.value}",
            actor="daemon",
            subject=proposal.id,
            message=_said(proof),
            fields={"policy": proposal.policy, "digest": proposal.plan.digest},
        )
        try:
            await self._store.set_fact(f"proof:{proposal.id}", _to_fact(proof))
            await self._store.log(event)
        except StoreError as error:
            # What follows from a proof must not stop here.
            self.counters["store_failures"] += 1
            log.error("proof could not be stored", proposal=proposal.id, error=error.message)


def _worse(rows: Sequence[RouterProof], router: str) -> RouterProof:
    order = list(ProofState)
    return min((row for row in rows if row.router == router), key=lambda row: order.index(row.state))


def _said(proof: Proof) -> str:
    return "; ".join(f"{row.router} {row.reason}" for row in proof.routers)


def _told_at(proposal: Proposal) -> datetime:
    told = [entry.at for entry in proposal.history if entry.to_state is ProposalState.APPLYING]
    return told[-1] if told else proposal.created_at


def _to_fact(proof: Proof) -> dict[str, object]:
    return {
        "state": proof.state.value,
        "since": proof.since.isoformat(),
        "routers": [{"router": row.router, "state": row.state.value, "reason": row.reason} for row in proof.routers],
    }


def _from_fact(fact: Mapping[str, object]) -> Proof:
    rows = fact["routers"]
    assert isinstance(rows, list)  # noqa: S101 - our own row, written by _to_fact
    return Proof(
        state=ProofState(str(fact["state"])),
        since=datetime.fromisoformat(str(fact["since"])),
        routers=tuple(
            RouterProof(router=row["router"], state=ProofState(row["state"]), reason=row["reason"]) for row in rows
        ),
    )
