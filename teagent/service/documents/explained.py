"""The answer to a complaint as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from teagent.engine.choose.explain import Explanation, Help, Ingress, LinkState, SourceShare
from teagent.model.units import format_time
from teagent.service.documents.values import Document, decimal, source, time_or_none, whole


def explain_document(explanation: Explanation, *, at: datetime, proposals: Mapping[str, str] | None = None) -> Document:
    """`proposals`: digest of a plan -> id of the live proposal that holds it, so that a plan that helps can be named
    by what there is to approve.
    """
    known = proposals or {}
    return {
        "at": format_time(at),
        "snapshot_at": format_time(explanation.at),
        "prefix": str(explanation.prefix),
        "engineer": explanation.engineer,
        "owner": explanation.owner or "home",
        "at_home": explanation.at_home,
        "announced": [
            {"link": row.link, "prepend": row.prepend, "home_prepend": row.home_prepend}
            for row in explanation.announced
        ],
        "ingress": [_ingress(row) for row in explanation.ingress],
        "links": [_link(row) for row in explanation.links],
        "helps": [_help(row, known.get(row.digest)) for row in explanation.helps],
        "notes": list(explanation.notes),
        "summary": list(explanation.summary),
    }


def _sender(row: SourceShare) -> Document:
    return {"source": source(row.source), "bps": whole(row.bps), "share": decimal(row.share, 4)}


def _ingress(row: Ingress) -> Document:
    return {
        "link": row.link,
        "bps": whole(row.bps),
        "share": decimal(row.share, 4),
        "top_sources": [_sender(sender) for sender in row.top_sources],
    }


def _link(row: LinkState) -> Document:
    return {
        "link": row.link,
        "capacity_bps": whole(row.capacity_bps),
        "in_bps": whole(row.in_bps),
        "in_utilisation": decimal(row.in_utilisation, 4),
        "congested": row.congested,
        "above_since": time_or_none(row.above_since),
        "message": row.message,
        "by_prefixes": [
            {"prefix": str(part.prefix), "bps": whole(part.bps), "share": decimal(part.share, 4)}
            for part in row.by_prefixes
        ],
        "by_sources": [_sender(sender) for sender in row.by_sources],
    }


def _help(row: Help, proposal: str | None) -> Document:
    return {
        "policy": row.policy,
        "digest": row.digest,
        "proposal": proposal,
        "link": row.link,
        "before_bps": whole(row.before_bps),
        "expected_bps": whole(row.expected_bps),
        "message": row.message,
    }
