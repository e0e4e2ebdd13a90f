"""Propagation once more, plain and slow: what `propagation` is tested against.

All offers that are on their way lie in one heap, the most preferred first: class, then length. An AS takes the first
that reaches it and all that are as good, and tells its neighbours what the rule of Gao and Rexford lets it tell. What
it tells is never preferred to what it has, so nobody changes its mind.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import networkx as nx

from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.engine.predict.sessions import Session
from teagent.model.bgp import Asn

Rank = tuple[int, int]
"""Class and length, as the receiver compares them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What an AS has: the class, the AS path's length as received, and all links that are equally good."""

    route_class: RouteClass
    length: int
    ingress: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Offer:
    rank: Rank
    asn: Asn
    route_class: RouteClass
    length: int
    ingress: tuple[str, ...]


def providers_graph(graph: AsGraph) -> nx.DiGraph:
    """An arc from each AS to each of its providers; nodes are AS numbers."""
    result = nx.DiGraph()
    result.add_nodes_from(graph.asn.tolist())
    sellers, buyers = graph.transit_pairs()
    result.add_edges_from(zip(buyers.tolist(), sellers.tolist(), strict=True))
    return result


def peers_graph(graph: AsGraph) -> nx.Graph:
    result = nx.Graph()
    result.add_nodes_from(graph.asn.tolist())
    one, other = graph.peering_pairs()
    result.add_edges_from(zip(one.tolist(), other.tolist(), strict=True))
    return result


def propagate(
    providers: nx.DiGraph, peers: nx.Graph, origin: Asn, sessions: Sequence[Session], vector: Mapping[str, int]
) -> dict[Asn, Route]:
    """The route of every AS that has one, the origin left out; arguments as in `Propagator`."""
    routes: dict[Asn, Route] = {}
    heap = list(_first_offers(sessions, vector))
    heapq.heapify(heap)
    while heap:
        rank = heap[0].rank
        arrived = []
        while heap and heap[0].rank == rank:
            arrived.append(heapq.heappop(heap))
        for asn, group in groupby(arrived, key=lambda offer: offer.asn):
            if asn in routes or asn == origin:
                continue
            offers = list(group)
            # Of what an AS takes as equally good, it passes the shortest on.
            best = min(offers, key=lambda offer: offer.length)
            ingress = frozenset(link for offer in offers for link in offer.ingress)
            routes[asn] = Route(route_class=best.route_class, length=best.length, ingress=ingress)
            for offer in _told(providers, peers, asn, routes[asn]):
                heapq.heappush(heap, offer)
    return routes


def _first_offers(sessions: Sequence[Session], vector: Mapping[str, int]) -> Iterator[_Offer]:
    for session in sessions:
        if session.link not in vector:
            continue
        mine = [s for s in sessions if s.neighbor == session.neighbor and s.link in vector]
        prefers, ignores = any(s.prefers_us for s in mine), any(s.ignores_prepends for s in mine)
        best = min(s.heard_as for s in mine)
        if prefers and session.heard_as is not best:
            continue
        length = 1 + vector[session.link]
        yield _Offer(
            rank=(RouteClass.OWN if prefers else session.heard_as, 1 if ignores else length),
            asn=session.neighbor,
            route_class=session.heard_as,
            length=length,
            ingress=(session.link,),
        )


def _told(providers: nx.DiGraph, peers: nx.Graph, asn: Asn, route: Route) -> Iterator[_Offer]:
    listeners = [(customer, RouteClass.PROVIDER) for customer in providers.predecessors(asn)]
    if route.route_class is RouteClass.CUSTOMER:
        listeners += [(provider, RouteClass.CUSTOMER) for provider in providers.successors(asn)]
        listeners += [(peer, RouteClass.PEER) for peer in peers.neighbors(asn)]
    for listener, heard_as in listeners:
        length = route.length + 1
        yield _Offer(
            rank=(heard_as, length),
            asn=listener,
            route_class=heard_as,
            length=length,
            ingress=tuple(sorted(route.ingress)),
        )
