"""What `teagent graph` answers, as documents; the keys are those of docs/reference/graph.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from teagent.adapters.as_graph import load
from teagent.cli.progress import bar
from teagent.cli.settings import configured
from teagent.config.load import load as load_config
from teagent.config.secrets import process_environment
from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.engine.predict.paths import Paths
from teagent.engine.predict.propagation import Propagator
from teagent.engine.predict.sessions import Session, graft_network, sessions_in_graph
from teagent.engine.predict.synthetic import Shape, internet
from teagent.engine.predict.upstreams import Upstreams, cut_by_failure
from teagent.errors import NotFound
from teagent.model.bgp import Asn, parse_asn
from teagent.wire.as_rel import render

Document = dict[str, Any]

MANY_SESSIONS = 50
"""From here on it is worth saying how far one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who announces over which sessions; `vector` maps the links that announce to their prepends. `strangers` are links
    to neighbors of which the graph knows nothing.
    """

    graph: AsGraph
    origin: Asn
    sessions: tuple[Session, ...]
    vector: Mapping[str, int]
    strangers: tuple[str, ...] = ()


def graph_file(as_rel: Path | None, config: Path | None = None) -> Path:
    """The file that is named, else that of the configuration. Raises UsageError where neither says."""
    named = process_environment().get("TEAGENT_CONFIG") if config is None else str(config)
    found = as_rel or configured(named, "as_graph", "path")
    if found is None:
        raise click.UsageError("which graph? --as-rel FILE, $TEAGENT_AS_REL, or as_graph in the configuration")
    return found


def load_graph(path: Path) -> AsGraph:
    """Through the user's cache."""
    environment = process_environment()
    home = environment.get("XDG_CACHE_HOME") or (
        str(Path(environment["HOME"]) / ".cache") if environment.get("HOME") else None
    )
    return load(path, cache_dir=Path(home) / "teagent" if home else None)


def question(
    *,
    as_rel: Path | None,
    origin: Asn | None,
    config: Path | None,
    prepends: Sequence[tuple[str, int]],
    withheld: Sequence[str],
    ignoring: Sequence[Asn],
    preferring: Sequence[Asn],
) -> Question:
    """Raises UsageError for an origin or a prepend that is missing, said twice or contradicted, NotFound
    for what is none of its links.
    """
    if (origin is None) == (config is None):
        raise click.UsageError("say who announces: either --origin ASN or --config FILE")
    # Before the graph is looked for, which a configuration that does not load cannot name.
    network = None if config is None else load_config(config, environment=None).network
    graph = load_graph(graph_file(as_rel, config))
    strangers: tuple[str, ...] = ()
    if network is not None:
        origin = network.asn
        strangers = tuple(link.name for link in network.links.values() if link.peer_asn not in graph)
        graph, sessions = graft_network(graph, network)
        vector = {link.name: link.home_prepend for link in network.links.values()}
    else:
        origin = Asn(origin or 0)
        sessions = sessions_in_graph(graph, origin)
        vector = {session.link: 0 for session in sessions}
    known = {session.neighbor for session in sessions}
    for asn in (*ignoring, *preferring):
        if asn not in known:
            raise NotFound("neighbor", f"AS{asn} of AS{origin}", known=[f"AS{n}" for n in sorted(known)])
    sessions = tuple(
        Session(
            link=session.link,
            neighbor=session.neighbor,
            heard_as=session.heard_as,
            prefers_us=session.neighbor in preferring,
            ignores_prepends=session.neighbor in ignoring,
        )
        for session in sessions
    )
    vector = _announced(vector, prepends, withheld, partial(_links, origin=origin, sessions=sessions))
    return Question(graph=graph, origin=origin, sessions=sessions, vector=vector, strangers=strangers)


def _announced(
    vector: dict[str, int],
    prepends: Sequence[tuple[str, int]],
    withheld: Sequence[str],
    links_of: Callable[[str], Sequence[str]],
) -> dict[str, int]:
    """Raises UsageError where what was asked for contradicts itself."""
    prepended: dict[str, int] = {}
    said: dict[str, str] = {}
    for key, count in prepends:
        for link in links_of(key):
            if link in said:
                twice = f"{key} twice" if said[link] == key else f"{said[link]} and {key}, which are both {link}"
                raise click.UsageError(f"--prepend says {twice}: leave one of the two out")
            prepended[link], said[link] = count, key
    silent = {link: key for key in withheld for link in links_of(key)}
    for link in prepended.keys() & silent.keys():
        raise click.UsageError(f"{silent[link]} is withheld, and prepended to: leave one of the two out")
    return {link: count for link, count in (vector | prepended).items() if link not in silent}


def _links(key: str, origin: Asn, sessions: Sequence[Session]) -> list[str]:
    """The link of that name, or all links to that neighbor."""
    try:
        asn: Asn | None = parse_asn(key)
    except ValueError:
        asn = None
    found = [s.link for s in sessions if s.link == key] or [s.link for s in sessions if s.neighbor == asn]
    if not found:
        raise NotFound(f"link or neighbor of AS{origin} called", key, known=[s.link for s in sessions])
    return list(dict.fromkeys(found))


def info(as_rel: Path | None) -> Document:
    path = graph_file(as_rel)
    graph = load_graph(path)
    stub, bought, ranks = graph.is_stub(), graph.providers.counts(), graph.ranks()
    sold = graph.customers.counts()
    return {
        "file": str(path),
        "ases": len(graph),
        "transit_relations": len(graph.customers.target),
        "peerings": len(graph.peers.target) // 2,
        "siblings": graph.siblings,
        "stubs": int(stub.sum()),
        "multihomed_stubs": int((stub & (bought > 1)).sum()),
        "top": [int(a) for a in graph.asn[~stub & (bought == 0)]],
        "ranks": int(ranks.max(initial=-1)) + 1,
        "largest": [
            {"asn": int(graph.asn[n]), "customers": int(sold[n]), "peers": int(graph.peers.counts()[n])}
            for n in np.argsort(-sold, kind="stable")[:10]
        ],
        "provider_cycles": [[int(asn) for asn in group] for group in graph.cycles()],
    }


def cone(as_rel: Path | None, asn: Asn, *, other: Asn | None, origin: Asn | None) -> Document:
    graph = load_graph(graph_file(as_rel))
    node = graph.node(asn)
    above = Upstreams(graph)
    document: Document = {
        "asn": asn,
        "providers": graph.asn[graph.providers[node]].tolist(),
        "customers": graph.asn[graph.customers[node]].tolist(),
        "peers": graph.asn[graph.peers[node]].tolist(),
        "cone": sorted(above.customer_cone(asn)),
        "upstreams": sorted(above.upstreams(asn)),
    }
    if other is not None:
        document["shared_with"] = other
        document["shared_upstreams"] = sorted(above.shared_upstreams(asn, other))
    if origin is not None:
        document["origin"] = origin
        document["cut_by_failure"] = sorted(cut_by_failure(graph, origin, sessions_in_graph(graph, origin), asn))
    return document


def path(asked: Question, asn: Asn) -> Document:
    paths = Paths(Propagator(asked.graph, asked.origin, asked.sessions), asked.vector)
    node = asked.graph.node(asn)
    found = paths.propagator.shortest(asked.vector)[2]
    ingress = [session for session, nodes in found if node in nodes]
    return _route(asn, int(paths.route_class[node]), int(paths.length[node]), ingress) | {
        "origin": asked.origin,
        "next_hops": list(paths.next_hops(asn)),
        "path": list(paths.path(asn)),
    }


def propagate(asked: Question, *, progress: bool, every_as: bool) -> Document:
    """`ases` are only there with `every_as`: the whole Internet is 15 MB of JSON."""
    propagator = Propagator(asked.graph, asked.origin, asked.sessions)
    route_class, length, best = propagator.shortest(asked.vector)
    ways: list[list[Session]] = [[] for _ in range(len(asked.graph) if every_as else 0)]
    count = np.zeros(len(asked.graph), dtype=np.int64)
    chosen = []
    live = sum(session.link in asked.vector for session in asked.sessions)
    shown = progress and live >= MANY_SESSIONS and sys.stderr.isatty()
    with bar(live, "sessions") if shown else nullcontext(lambda _: None) as done:
        for session, nodes in best:
            count[nodes] += 1
            chosen.append((session, nodes))
            for node in nodes.tolist() if every_as else ():
                ways[node].append(session)
            done(1)
    document: Document = {
        "origin": asked.origin,
        "classes": {kind.name.lower(): int((route_class == kind).sum()) for kind in RouteClass},
        "sessions": [
            {
                "link": session.link,
                "neighbor": session.neighbor,
                "heard_as": session.heard_as.name.lower(),
                "prepend": asked.vector[session.link],
                "alone": int((count[nodes] == 1).sum()),
                "tied": int((count[nodes] > 1).sum()),
            }
            for session, nodes in chosen
        ],
        "withheld": sorted({session.link for session in asked.sessions} - set(asked.vector)),
    }
    if every_as:
        rows = zip(asked.graph.asn.tolist(), route_class.tolist(), length.tolist(), ways, strict=True)
        document["ases"] = [_route(asn, kind, size, found) for asn, kind, size, found in rows]
    return document


def _route(asn: int, kind: int, length: int, ingress: Sequence[Session]) -> Document:
    return {
        "asn": asn,
        "class": RouteClass(kind).name.lower(),
        "length": None if length < 0 else length,
        "ingress_neighbors": sorted({session.neighbor for session in ingress}),
        "ingress_links": sorted({session.link for session in ingress}),
    }


def generate(ases: int, seed: int) -> str:
    transit = max(8, ases // 6)
    shape = Shape(ases=ases, tier1=min(12, 4 + ases // 1000), transit=min(transit, ases - 12))
    graph = internet(np.random.default_rng(seed), shape)
    return render(
        transit=graph.transit_pairs(),
        peering=graph.peering_pairs(),
        comment=f"generated by teagent graph generate --ases {ases} --seed {seed}",
    )
