"""What a router was told, against what it says that it does: proven, not so, or not to be known. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from teagent.model.announcement import SIGNAL_PREPEND, SIGNAL_WITHHOLD
from teagent.model.bgp import LargeCommunity, PathAttributes
from teagent.model.link import NoData
from teagent.model.witness import ProofState, Refusal, Sighting

REFUSED_SECONDS = 4.0
"""A router may report a route before it has resolved its next hop, and needs to be told again to report it right."""
ABSENT_SECONDS = 20.0
"""What a router has not received is under way, or will be put back by reconciling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`patience_seconds`: for how long a rejection has to last until it is believed."""

    state: ProofState
    reason: str
    patience_seconds: float = 0.0


def joined(seen: Sequence[Sighting | NoData]) -> Sighting | NoData:
    """What one router tells in several ways, at least one. Where they tell of the same, the first counts."""
    told = [each for each in seen if isinstance(each, Sighting)]
    if not told:
        silent = [each for each in seen if isinstance(each, NoData)]
        return NoData(since=max(each.since for each in silent), reason=", and ".join(each.reason for each in silent))
    knows = next((each for each in told if each.session_up is not None), told[0])
    receives = next((each for each in told if each.tells_received), told[0])
    accepts = next((each for each in told if each.tells_accepted), told[0])
    selects = next((each for each in told if each.tells_selected), told[0])
    return Sighting(
        session_up=knows.session_up,
        session_reason=knows.session_reason,
        complete=all(each.complete for each in told),
        tells_received=receives.tells_received,
        received=receives.received,
        tells_accepted=accepts.tells_accepted,
        accepted=accepts.accepted,
        tells_selected=selects.tells_selected,
        selected=selects.selected,
        home=next((each.home for each in told if each.home is not None), None),
        refusals={refusal: at for each in reversed(told) for refusal, at in each.refusals.items()},
    )


def judge(
    sighting: Sighting | NoData, wanted: Collection[LargeCommunity] | None, *, asn: int, since: datetime
) -> Judgement:
    """`wanted` are the signals that the router was told `since`, None where it was told to go home. `asn` is ours."""
    if isinstance(sighting, NoData):
        return Judgement(state=ProofState.UNPROVEN, reason=sighting.reason)
    selected = sighting.tells_selected and (wanted is None or _signals(sighting.selected, asn) == frozenset(wanted))
    if sighting.session_up is None and not selected:
        return Judgement(state=ProofState.UNPROVEN, reason="does not tell of its session with ExaBGP")
    if wanted is None:
        return _at_home(sighting, asn)
    if sighting.session_up is False:
        why = f": {sighting.session_reason}" if sighting.session_reason else ""
        return Judgement(state=ProofState.WAITING, reason=f"has no session with ExaBGP{why}")
    if sighting.home is False:
        bare = sighting.tells_selected and sighting.selected is None
        return _rejected(
            "has no route of the prefix, neither the override nor its own"
            if bare
            else "has lost its own route of the prefix, only the override is left"
        )
    return _held(sighting, frozenset(wanted), asn, since)


def _rejected(reason: str, patience_seconds: float = REFUSED_SECONDS) -> Judgement:
    return Judgement(state=ProofState.REJECTED, reason=reason, patience_seconds=patience_seconds)


def _at_home(sighting: Sighting, asn: int) -> Judgement:
    if any(_signals(route, asn) for route in (sighting.accepted, sighting.selected)):
        return _rejected("still holds an override", ABSENT_SECONDS)
    if not sighting.complete:
        return Judgement(state=ProofState.WAITING, reason="has not told its whole table yet")
    return Judgement(state=ProofState.PROVEN, reason="holds no override")


def _held(sighting: Sighting, wanted: frozenset[LargeCommunity], asn: int, since: datetime) -> Judgement:
    accepted = sighting.accepted
    if sighting.tells_selected and _signals(sighting.selected, asn) == wanted:
        return Judgement(state=ProofState.PROVEN, reason="has selected it")
    if accepted is None and sighting.tells_accepted:
        return _missing(sighting, asn, since)
    if accepted is not None and _signals(accepted, asn) != wanted:
        return _rejected(f"holds it with other signals: {_named(accepted, asn)}")
    if sighting.tells_selected:
        return _not_selected(sighting, asn)
    if accepted is not None:
        return Judgement(state=ProofState.PROVEN, reason="has accepted it")
    if sighting.complete:
        return Judgement(state=ProofState.UNPROVEN, reason="tells neither what it accepts nor what it selects")
    return Judgement(state=ProofState.WAITING, reason="has not told its whole table yet")


def _not_selected(sighting: Sighting, asn: int) -> Judgement:
    if sighting.selected is None and not sighting.complete:
        return Judgement(state=ProofState.WAITING, reason="has not told its whole table yet")
    if sighting.accepted is not None:
        return _rejected("hides it: another route of the prefix is preferred")
    if sighting.selected is not None and _signals(sighting.selected, asn):
        return _rejected(f"prefers it with other signals: {_named(sighting.selected, asn)}")
    return _rejected(
        "prefers another route of the prefix: the override is filtered, its next hop cannot be used, its path has an AS"
        " loop, or home weighs more"
    )


def _missing(sighting: Sighting, asn: int, since: datetime) -> Judgement:
    if sighting.received is not None:
        return _rejected(_dropped(sighting, sighting.received, asn, since))
    if not sighting.complete:
        return Judgement(state=ProofState.WAITING, reason="has not told its whole table yet")
    if sighting.tells_received:
        return _rejected("has not received it", ABSENT_SECONDS)
    return _rejected("does not hold it: not received, or refused")


def _dropped(sighting: Sighting, received: PathAttributes, asn: int, since: datetime) -> str:
    """What it says itself first: its counters tell what it refused since."""
    lately = {refusal for refusal, at in sighting.refusals.items() if at >= since}
    if asn in received.as_path or Refusal.AS_LOOP in lately:
        return f"dropped it: an AS loop, the path holds AS{asn}"
    if Refusal.NEXT_HOP in lately:
        return f"dropped it: it cannot use the next hop {received.next_hop}, which may be an address of its own"
    if Refusal.POLICY in lately:
        return "dropped it: filtered by its inbound policy"
    return f"dropped it: its inbound policy, or the next hop {received.next_hop}, which it does not resolve"


def _signals(route: PathAttributes | None, asn: int) -> frozenset[LargeCommunity]:
    if route is None:
        return frozenset()
    ours = {SIGNAL_PREPEND, SIGNAL_WITHHOLD}
    return frozenset(c for c in route.large_communities if c.global_admin == asn and c.function in ours)


def _named(route: PathAttributes, asn: int) -> str:
    return ", ".join(map(str, sorted(_signals(route, asn)))) or "none"
