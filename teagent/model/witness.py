"""What border routers say of themselves, beside what they were told: the proof that a change took effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from teagent.model.bgp import PathAttributes


class WitnessKind(StrEnum):
    """How a router tells."""

    BMP = "bmp"
    IBGP = "ibgp"  # a second session, on which it tells its best routes


class Refusal(StrEnum):
    """Why a router says that it dropped a route; none of them names the route."""

    POLICY = "policy"
    AS_LOOP = "as_loop"
    NEXT_HOP = "next_hop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One prefix as one router tells of it: on the router's session with the speaker, and of the router itself.

    `session_up` is None where the router tells of no such session. `complete`: what is not there is absent, not merely
    untold yet. `tells_*` says which of its tables the router reports: routes as received, as its inbound policy left
    them, and as selected. `home` says whether its own route of the prefix is there, None where that is not told.
    `refusals` is when at the earliest each reason was last given on the session, for any route.
    """

    session_up: bool | None
    complete: bool
    tells_received: bool
    tells_accepted: bool
    tells_selected: bool
    received: PathAttributes | None = None
    accepted: PathAttributes | None = None
    selected: PathAttributes | None = None
    home: bool | None = None
    session_reason: str = ""
    refusals: Mapping[Refusal, datetime]


class ProofState(StrEnum):
    """From bad to good: of several, the first counts."""

    REJECTED = "rejected"  # a router says otherwise
    WAITING = "waiting"  # a router has not answered yet
    UNPROVEN = "unproven"  # a router cannot be asked
    PROVEN = "proven"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterProof:
    router: str
    state: ProofState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Of a change, over all routers that were told. `since`: when it came into its state."""

    state: ProofState
    since: datetime
    routers: tuple[RouterProof, ...]


def worst(proofs: tuple[RouterProof, ...]) -> ProofState:
    """UNPROVEN where there is nobody to ask."""
    states = {proof.state for proof in proofs}
    return next((state for state in ProofState if state in states), ProofState.UNPROVEN)
