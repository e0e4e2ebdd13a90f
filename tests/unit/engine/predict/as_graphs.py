"""Small AS graphs for tests, written as CAIDA writes them, and what holds for every propagation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from teagent.adapters.as_graph import load
from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.engine.predict.propagation import Propagator, Routes
from teagent.engine.predict.sessions import Session, sessions_in_graph
from teagent.model.bgp import Asn
from teagent.wire.as_rel import parse

Seen = tuple[str, int, frozenset[str]]
"""Class, length, ingress links."""

NOTHING: Seen = ("none", -1, frozenset())


def graph_of(*lines: str) -> AsGraph:
    """Of `10 > 20` (10 sells transit to 20) and `10 - 20` (they peer)."""
    text = "\n".join(
        line.replace(" > ", "|") + "|-1" if ">" in line else line.replace(" - ", "|") + "|0" for line in lines
    )
    found = parse(text.encode())
    return AsGraph.of(transit=(found.provider, found.customer), peering=(found.peer_a, found.peer_b))


def full_internet(data_dir: Path) -> AsGraph:
    return load(data_dir / "asrel" / "20241001.as-rel2.txt.bz2")


def row(routes: Routes, number: int = 0) -> dict[int, Seen]:
    """AS -> what it has, for one of the vectors."""
    columns = (routes.route_class[number], routes.length[number], routes.ingress[number])
    return {
        asn: (RouteClass(kind).name.lower(), length, frozenset(routes.links_of(mask)))
        for asn, kind, length, mask in zip(routes.graph.asn.tolist(), *(c.tolist() for c in columns), strict=True)
    }


def spread(
    graph: AsGraph, origin: int, vector: Mapping[str, int] | None = None, sessions: Sequence[Session] | None = None
) -> dict[int, Seen]:
    """What each AS has when the origin announces to all its neighbours, or by this vector over these sessions."""
    sessions = sessions_in_graph(graph, Asn(origin)) if sessions is None else sessions
    vector = {session.link: 0 for session in sessions} if vector is None else vector
    return row(Propagator(graph, Asn(origin), sessions).propagate([vector]))
