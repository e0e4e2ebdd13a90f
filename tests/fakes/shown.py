"""What is decided, proposed, predicted and advised on the network of `measured`, for the tests of what is shown: a
congested transit and its remedy.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from teagent.engine.predict.belief import Belief, LinkBelief, Tier
from teagent.model.advice import Advice, Cost, ModelState, ModelText, Scored, Suggestion
from teagent.model.announcement import AnnouncementSet, difference
from teagent.model.bgp import Asn
from teagent.model.diagnosis import Diagnosis, Verdict
from teagent.model.experiment import Experiment, Lesson
from teagent.model.link import LinkKind
from teagent.model.plan import (
    Allowed,
    Band,
    Considered,
    Decision,
    Doubt,
    DryRun,
    FixedTraffic,
    LinkForecast,
    NeedsApproval,
    Outlook,
    Plan,
    Reason,
    RefusedVerdict,
    Score,
    Shift,
    SourceOutlook,
)
from teagent.model.policy import (
    Approval,
    Confirm,
    Limits,
    LinkMatch,
    Metric,
    Objective,
    Policy,
    PrefixMatch,
    PrependLever,
    Trigger,
)
from teagent.model.proposal import HistoryEntry, Proposal, ProposalEvent, ProposalState
from teagent.model.scorecard import Scorecard, ScoredLink, ScoredSource, ScoreKind
from teagent.model.traffic import Source
from teagent.model.units import format_time
from teagent.model.witness import Proof, ProofState, RouterProof
from teagent.ports import StoredEvent
from teagent.service import documents
from teagent.service.documents import Document
from tests.fakes.measured import EXPORTER, EYEBALL, FIRING, NETWORK, NOW, QUIET, READING_B, ROUTER_OK, SPEAKER, B, ago

DIGEST = "9a21c0" + "5e" * 29


def plan() -> Plan:
    home = NETWORK.home()
    after = home.with_vector(EYEBALL, {"transit-a": 2, "transit-b": 0})
    return Plan(policy="transit-balance", changes=difference(home, after), before=home, after=after, digest=DIGEST)


def dry_run() -> DryRun:
    return DryRun(
        links=(
            LinkForecast(
                link="transit-a",
                capacity_bps=10e9,
                before_bps=9.31e9,
                after=Band(low=6.5e9, expected=7.1e9, high=7.7e9),
                worst_bps=9.31e9,
                target_bps=8e9,
            ),
            LinkForecast(
                link="transit-b",
                capacity_bps=10e9,
                before_bps=4.02e9,
                after=Band(low=5.6e9, expected=6.2e9, high=6.8e9),
                worst_bps=8.32e9,
                target_bps=8e9,
            ),
        ),
        shifts=(
            Shift(
                source=Source(asn=64496),
                prefix=EYEBALL,
                from_link="transit-a",
                to_link="transit-b",
                band=Band(low=1e9, expected=1.8e9, high=2.2e9),
            ),
            Shift(
                source=Source(asn=64497),
                prefix=EYEBALL,
                from_link="transit-a",
                to_link="transit-b",
                band=Band(low=0.1e9, expected=0.4e9, high=0.9e9),
            ),
        ),
        sources=2,
        moved=Band(low=1.6e9, expected=2.2e9, high=2.8e9),
        assumption="a sender moves to the link with the shorter path",
        warnings=("no flows from transit-b",),
        outlook=Outlook(
            movers=(_sender(64496, 1.8e9, 0.4e9),),
            uncertain=(
                replace(_sender(64497, 0.4e9, 0.5e9), doubts=(Doubt(reason="tie", message="both are equally good"),)),
            ),
            fixed=(FixedTraffic(link="transit-a", bps=2e9, sources=7, largest=(Source(asn=64498),)),),
        ),
    )


def _sender(asn: int, moved_bps: float, doubt_bps: float) -> SourceOutlook:
    return SourceOutlook(
        source=Source(asn=asn),
        bps=2.2e9,
        moved_bps=moved_bps,
        doubt_bps=doubt_bps,
        before=(("transit-a", 1.0),),
        after=(("transit-a", 0.2), ("transit-b", 0.8)),
    )


CHECKS = (
    Reason(rule="max_prepend", ok=True, message="no prefix gets more than 3 prepends", value=2.0, limit=3.0),
    Reason(rule="headroom", ok=True, message="transit-b would keep 38%, limit 15%", value=0.38, limit=0.15),
)
FAILED = Reason(rule="headroom", ok=False, message="transit-b would keep 9%, limit 15%", value=0.09, limit=0.15)
SCORE = Score(excess_bps=0.0, shortfall_risk_bps=1e8, cost_per_month=1420.5, moved_bps=9e8, changes=2, prepends=1)
NEEDS_APPROVAL = NeedsApproval(reasons=CHECKS)
ALLOWED = Allowed(reasons=CHECKS)
REFUSED = RefusedVerdict(reasons=(CHECKS[0], FAILED))


def considered() -> Considered:
    return Considered(plan=plan(), dry_run=dry_run(), score=SCORE, verdict=NEEDS_APPROVAL)


def decision(*, proposes: bool = True) -> Decision:
    return Decision(
        policy="transit-balance",
        at=ago(2),
        snapshot_digest="ab" * 32,
        triggers=(FIRING, QUIET) if proposes else (QUIET,),
        chosen=considered() if proposes else None,
        considered=(considered(),) if proposes else (),
        candidates=17 if proposes else 0,
        reasons=CHECKS,
        message="2 changes relieve transit-a" if proposes else "no link is above target for long enough",
    )


def proposal(state: ProposalState = ProposalState.PENDING, *, name: str = "p-7f3c") -> Proposal:
    born = HistoryEntry(
        seq=0,
        event=None,
        from_state=None,
        to_state=ProposalState.PENDING,
        actor="policy:transit-balance",
        at=ago(240),
        reason="transit-a is above target for 18m",
    )
    approved = HistoryEntry(
        seq=1,
        event=ProposalEvent.APPROVE,
        from_state=ProposalState.PENDING,
        to_state=ProposalState.APPROVED,
        actor="alice",
        at=ago(60),
        reason="approved plan 9a21c0",
    )
    waiting = state is ProposalState.PENDING
    return Proposal(
        id=name,
        plan=plan(),
        dry_run=dry_run(),
        verdict=NEEDS_APPROVAL,
        snapshot_digest="ab" * 32,
        inputs_digest="cd" * 32,
        state=state,
        created_at=ago(240),
        expires_at=ago(240) + timedelta(minutes=30),
        confirm_deadline=NOW + timedelta(minutes=19) if state is ProposalState.CONFIRMING else None,
        history=(born,) if waiting else (born, approved),
    )


def proposal_document(state: ProposalState = ProposalState.PENDING, *, name: str = "p-7f3c") -> Document:
    return documents.proposal_document(
        proposal(state, name=name),
        network=NETWORK,
        at=NOW,
        dry_run=False,
        confirm_window_seconds=1200,
        proof=None if state is ProposalState.PENDING else PROOF,
    )


POLICY = Policy(
    name="transit-balance",
    description="Keep every transit link below 80 % in the evening peak.",
    links=LinkMatch(kinds=frozenset({LinkKind.TRANSIT})),
    prefixes=PrefixMatch(tags=frozenset({"eyeball"})),
    when=Trigger(metric=Metric.IN_UTILISATION, above=0.8, for_seconds=900, clear_below=0.7),
    objective=Objective.RELIEVE_AT_LEAST_COST,
    levers=(PrependLever(max=3),),
    limits=Limits(),
    approval=Approval(),
    confirm=Confirm(),
)
EVENT = StoredEvent(
    at=ago(60), kind="approve", actor="alice", subject="p-7f3c", message="approved plan 9a21c0", fields={"seq": 1}
)


PROOF = Proof(
    state=ProofState.PROVEN,
    since=ago(58),
    routers=(
        RouterProof(router="edge1", state=ProofState.PROVEN, reason="has accepted it"),
        RouterProof(router="edge2", state=ProofState.PROVEN, reason="has selected it"),
    ),
)


def scorecards() -> list[Scorecard]:
    """One of a change that went wrong in part, and two of no change."""

    def card(kind: ScoreKind, minutes: int, top1: float) -> Scorecard:
        change = kind is ScoreKind.CHANGE
        return Scorecard(
            kind=kind,
            subject="p-7f3c" if change else "",
            prefixes=(EYEBALL,),
            predicted_at=ago(minutes * 60 + 900),
            since=ago(minutes * 60 + 300),
            until=ago(minutes * 60),
            bps=2.2e9,
            top1=top1,
            moved_bps=1.8e9 if change else 0.0,
            top1_moved=0.9 if change else None,
            error_points=7.5,
            misprojected=0.075,
            coverage=0.5,
            links=(
                ScoredLink(
                    link="transit-a",
                    predicted=Band(low=6.5e9, expected=7.1e9, high=7.7e9),
                    realised_bps=7.9e9,
                    within_band=False,
                    predicted_share=0.2,
                    realised_share=0.275,
                ),
            ),
            sources=(
                ScoredSource(
                    source=Source(asn=64496),
                    bps=2.2e9,
                    predicted_link="transit-b",
                    realised_link="transit-a",
                    missed_bps=0.2e9,
                ),
            ),
            assumption="learned from 3 announcement vectors",
        )

    return [
        card(ScoreKind.NO_CHANGE, 120, 1.0),
        card(ScoreKind.NO_CHANGE, 60, 0.98),
        card(ScoreKind.CHANGE, 30, 0.91),
    ]


def experiment() -> Experiment:
    return Experiment(
        prefix=EYEBALL,
        first="transit-a",
        second="transit-b",
        alone=(("transit-a", 0), ("transit-b", 3)),
        both=(("transit-a", 0), ("transit-b", 0)),
        bits=0.625,
        bps=3e6,
        senders=12,
        lessons=(Lesson(asn=Asn(64496), bps=2e6, bits=0.9),),
        seen=False,
        step=1,
    )


def belief() -> Belief:
    def link(name: str, probability: float) -> LinkBelief:
        return LinkBelief(link=name, probability=probability, hops=2, ignores_prepends=0.05, never=0.1, only=0.2)

    return Belief(
        asn=Asn(64496),
        links=(link("transit-a", 0.25), link("transit-b", 0.75)),
        seen_on="transit-a",
        tier=Tier.OWN,
        vectors=3,
        upstreams=(Asn(64499),),
        sticky=0.6,
        why=("seen under 3 vectors of prepends", "stays where it is among equally good links"),
    )


def status_document(**changes: object) -> Document:
    parts: dict[str, object] = {
        "at": NOW,
        "started_at": ago(90000),
        "version": "0.1.0",
        "asn": 64500,
        "dry_run": False,
        "frozen": None,
        "speaker": SPEAKER,
        "distrust": [],
        "links": [documents.link_document(B, latest=READING_B, trigger=QUIET)],
        "routers": [documents.router_document("edge1", address="192.0.2.1", links=["transit-a"], reading=ROUTER_OK)],
        "exporters": [documents.exporter_document(EXPORTER)],
        "policies": [documents.policy_document(POLICY, last=decision(proposes=False))],
        "proposals": [],
    }
    return documents.status_document(**{**parts, **changes})  # type: ignore[arg-type]


def announcements(prepend_a: int) -> AnnouncementSet:
    return NETWORK.home().with_vector(EYEBALL, {"transit-a": prepend_a, "transit-b": 0})


def advice() -> Advice:
    """With everything in it."""
    text = ModelText(parts=(("what is wrong", "transit-a is at [struck]."),), struck=1, contradicted=0)
    scored = Scored(
        setting="198.51.100.0/24 transit-a prepend 0 -> 1",
        excess_bps=5e8,
        shortfall_risk_bps=9e8,
        cost_per_month=12.5,
        moved_bps=0.0,
        verdict="allowed by the policy's limits",
    )
    return Advice(
        proposal="p-7f3c",
        at=NOW,
        model="qwen2.5:1.5b",
        brief=text,
        suggestion=Suggestion(suggested=scored, solver=replace(scored, excess_bps=0.0), better=False),
        preferred="198.51.100.0/24 transit-a prepend 0 -> 2",
        abstained=("suggestion: the model did not answer in 120s",),
        cost=Cost(calls=2, prompt_tokens=700, tokens=180, seconds=9.5),
    )


MODEL = ModelState(
    model="qwen2.5:1.5b",
    server="http://127.0.0.1:11434",
    parameters="1.5B",
    quantization="Q4_K_M",
    size_bytes=986_000_000,
    context=32768,
    thinks=False,
)


def advisor_document() -> documents.Document:
    return documents.advisor_document(
        MODEL, day=Cost(calls=2, prompt_tokens=700, tokens=180, seconds=9.5), context=4096
    )


def asked_document(question: str) -> documents.Document:
    """Nobody chose: the look-ups are listed."""
    choice = {"typed": "teagent link", "means": "how loaded every link is", "command": "link.list"}
    return {
        "at": format_time(NOW),
        "question": question,
        "model": "qwen2.5:1.5b",
        "lookup": None,
        "result": None,
        "answer": None,
        "draft": None,
        "choices": [choice],
        "abstained": ["choice: asked in reversed order the model chose another one"],
        "cost": documents.cost_document(Cost()),
    }


DIAGNOSES = (
    Diagnosis(verdict=Verdict.PROVEN, check="relay", router="", subject="relay", message="answers"),
    Diagnosis(
        verdict=Verdict.ASSUMED,
        check="signals",
        router="edge1",
        subject="transit-a",
        message="what the router makes of signals cannot be seen from here",
        remedy="teagent doctor --router-config edge1=FILE",
    ),
    Diagnosis(
        verdict=Verdict.WRONG,
        check="session",
        router="edge1",
        subject="192.0.2.1",
        message="ExaBGP's session with 192.0.2.1 is down",
        remedy="teagent router-config",
    ),
)
