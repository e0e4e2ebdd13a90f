"""What routers say of changes, and the routers that say it, as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from teagent.model.bgp import Prefix
from teagent.model.units import format_time
from teagent.model.witness import Proof, RouterProof
from teagent.ports import SessionSeen, WitnessHealth
from teagent.service.documents.values import Document


def proof_document(proof: Proof | None) -> Document | None:
    """None for what never was on the wire."""
    if proof is None:
        return None
    return {"state": proof.state.value, "since": format_time(proof.since), "routers": router_proofs(proof.routers)}


def router_proofs(proofs: Sequence[RouterProof]) -> list[Document]:
    return [{"router": row.router, "state": row.state.value, "reason": row.reason} for row in proofs]


def witness_document(health: WitnessHealth) -> Document:
    """`told`: the whole table has come. `routes` are those of our own prefixes."""
    return {
        "router": health.router,
        "kind": health.kind.value,
        "connected": health.connected,
        "since": format_time(health.since),
        "reason": health.reason,
        "told": health.told,
        "system": health.system,
        "messages": health.messages,
        "undecoded": health.undecoded,
        "routes": health.routes,
        "sessions": [_session(session) for session in health.sessions],
    }


def _session(session: SessionSeen) -> Document:
    return {
        "address": session.address,
        "asn": session.asn,
        "up": session.up,
        "since": format_time(session.since),
        "reason": session.reason,
    }


def stray_documents(stray: Sequence[tuple[Prefix, str]]) -> list[Document]:
    """Overrides that a router holds and nobody owns."""
    return [{"prefix": str(prefix), "router": router} for prefix, router in stray]
