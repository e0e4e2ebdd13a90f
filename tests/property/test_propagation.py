"""On any graph, with any links, prepends and peculiar neighbours: what propagation says is what BGP would settle on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st

from teagent.engine.predict import reference
from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.engine.predict.paths import Paths
from teagent.engine.predict.propagation import Propagator
from teagent.engine.predict.sessions import Session, graft
from tests.unit.engine.predict.as_graphs import NOTHING, Seen, row

US = 1000
CUSTOMER, PEER, PROVIDER = RouteClass.CUSTOMER, RouteClass.PEER, RouteClass.PROVIDER
TOLD_AS = {CUSTOMER: PROVIDER, PEER: PEER, PROVIDER: CUSTOMER}
"""What the other end is to us -> what our route is to it: who sells to us hears a customer's route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    graph: AsGraph
    sessions: tuple[Session, ...]
    vectors: tuple[dict[str, int], ...]

    def propagator(self) -> Propagator:
        return Propagator(self.graph, US, self.sessions)


@st.composite
def worlds(draw: st.DrawFn, *, special: bool = True) -> World:
    """Up to 10 ASes with any relations, cycles of providers too; up to 6 sessions on up to 4 links."""
    count = draw(st.integers(1, 10))
    pairs = [(a, b) for a in range(1, count + 1) for b in range(a + 1, count + 1)]
    related = draw(st.lists(st.sampled_from([">", "<", "-", " ", " "]), min_size=len(pairs), max_size=len(pairs)))
    transit = [(a, b) if sign == ">" else (b, a) for (a, b), sign in zip(pairs, related, strict=True) if sign in "<>"]
    peering = [pair for pair, sign in zip(pairs, related, strict=True) if sign == "-"]
    flags = st.booleans() if special else st.just(value=False)
    sessions = draw(
        st.lists(
            st.builds(
                Session,
                link=st.sampled_from("abcd"),
                neighbor=st.integers(1, count),
                heard_as=st.sampled_from([CUSTOMER, CUSTOMER, PEER, PROVIDER]),
                prefers_us=flags,
                ignores_prepends=flags,
            ),
            min_size=1,
            max_size=6,
        )
    )
    links = sorted({session.link for session in sessions})
    vectors = draw(
        st.lists(st.dictionaries(st.sampled_from(links), st.integers(0, 5)), min_size=1, max_size=4).map(tuple)
    )
    graph = AsGraph.of(
        transit=(np.array([a for a, _ in transit], int), np.array([b for _, b in transit], int)),
        peering=(np.array([a for a, _ in peering], int), np.array([b for _, b in peering], int)),
        alone=np.arange(1, count + 1),
    )
    return World(graph=graft(graph, US, sessions), sessions=_one_mind(sessions), vectors=vectors)


def _one_mind(sessions: list[Session]) -> tuple[Session, ...]:
    """Whether it looks at prepends is a neighbour's habit on all its sessions with us."""
    return tuple(
        Session(
            link=s.link,
            neighbor=s.neighbor,
            heard_as=s.heard_as,
            prefers_us=any(o.prefers_us for o in sessions if o.neighbor == s.neighbor),
            ignores_prepends=any(o.ignores_prepends for o in sessions if o.neighbor == s.neighbor),
        )
        for s in sessions
    )


def neighbors(graph: AsGraph, asn: int) -> Iterator[tuple[int, RouteClass]]:
    """Each neighbour but us, and the class that its routes have here."""
    node = graph.node(asn)
    for kind, adjacency in ((CUSTOMER, graph.customers), (PEER, graph.peers), (PROVIDER, graph.providers)):
        for other in graph.asn[adjacency[node]].tolist():
            if other != US:
                yield other, kind


def settle(world: World, vector: Mapping[str, int]) -> dict[int, Seen]:
    """Everybody looks at what the neighbours tell, and chooses, until nobody changes: no heap, no phases, no hops."""
    chosen: dict[int, tuple[RouteClass, int, frozenset[str]]] = {}
    for _ in range(200):
        after = {
            asn: best for asn in world.graph.asn.tolist() if asn != US and (best := _choose(world, vector, chosen, asn))
        }
        if after == chosen:
            seen = {asn: (kind.name.lower(), length, links) for asn, (kind, length, links) in chosen.items()}
            return dict.fromkeys(world.graph.asn.tolist(), NOTHING) | seen | {US: ("own", 0, frozenset())}
        chosen = after
    raise AssertionError("BGP does not settle")


def _choose(
    world: World,
    vector: Mapping[str, int],
    chosen: Mapping[int, tuple[RouteClass, int, frozenset[str]]],
    asn: int,
) -> tuple[RouteClass, int, frozenset[str]] | None:
    offers = []  # (local preference, class, length as compared), length as passed on, links
    for session in world.sessions:
        if session.neighbor == asn and session.link in vector:
            length = 1 + vector[session.link]
            compared = 1 if session.ignores_prepends else length
            preference = 0 if session.prefers_us else 1
            offers.append(((preference, session.heard_as, compared), length, frozenset([session.link])))
    for other, kind in neighbors(world.graph, asn):
        if other in chosen:
            theirs, length, links = chosen[other]
            if theirs is CUSTOMER or kind is PROVIDER:
                offers.append(((1, kind, length + 1), length + 1, links))
    if not offers:
        return None
    best = min(rank for rank, _, _ in offers)
    equal = [(length, links) for rank, length, links in offers if rank == best]
    return best[1], min(length for length, _ in equal), frozenset().union(*(links for _, links in equal))


def plain(world: World, vector: Mapping[str, int]) -> dict[int, Seen]:
    providers, peers = reference.providers_graph(world.graph), reference.peers_graph(world.graph)
    routes = reference.propagate(providers, peers, US, world.sessions, vector)
    seen = {asn: (route.route_class.name.lower(), route.length, route.ingress) for asn, route in routes.items()}
    return dict.fromkeys(world.graph.asn.tolist(), NOTHING) | seen | {US: ("own", 0, frozenset())}


@given(worlds())
def test_fast_is_reference_is_what_bgp_settles_on(world: World) -> None:
    routes = world.propagator().propagate(world.vectors)
    for number, vector in enumerate(world.vectors):
        settled = settle(world, vector)
        event(f"ties: {any(len(links) > 1 for _, _, links in settled.values())}")
        event(f"cycle of providers: {bool(world.graph.cycles())}")
        assert row(routes, number) == settled
        assert plain(world, vector) == settled


@given(worlds())
def test_one_vector_alone_is_its_row_of_a_batch_and_the_same_link_by_link(world: World) -> None:
    propagator = world.propagator()
    batch = propagator.propagate(world.vectors)
    for number, vector in enumerate(world.vectors):
        assert row(propagator.propagate([vector])) == row(batch, number)
        route_class, length, best = propagator.shortest(vector)
        assert route_class.tolist() == batch.route_class[number].tolist()
        assert length.tolist() == batch.length[number].tolist()
        links: list[set[str]] = [set() for _ in range(len(world.graph))]
        for session, nodes in best:
            for node in nodes.tolist():
                links[node].add(session.link)
        masks = batch.ingress[number].tolist()
        assert links == [set(batch.links_of(mask)) for mask in masks]


@given(worlds())
def test_every_path_is_valley_free_without_loops_and_as_long_as_said(world: World) -> None:
    for vector in world.vectors:
        paths = Paths(world.propagator(), vector)
        for asn, kind, length in zip(
            world.graph.asn.tolist(), paths.route_class.tolist(), paths.length.tolist(), strict=True
        ):
            path = paths.path(asn)
            assert len(path) == max(length, 0)
            assert (kind in {RouteClass.OWN, RouteClass.NONE}) == (not path)
            hops = [asn, *(hop for hop in path if hop != US)]
            assert len(set(hops)) == len(hops)
            # Read from us outwards: up, at most one step over, down.
            classes = [_class_at(world, paths, hop) for hop in reversed(hops)] if path else []
            assert classes == sorted(classes)
            assert classes.count(PEER) <= 1
            for here, there in pairwise(hops if path else []):
                assert (there, _class_at(world, paths, here)) in set(neighbors(world.graph, here))


def _class_at(world: World, paths: Paths, asn: int) -> int:
    return int(paths.route_class[world.graph.node(asn)])


@given(worlds(special=False))
def test_nobody_is_told_of_anything_better_than_it_has(world: World) -> None:
    for number, seen in enumerate(
        row(world.propagator().propagate(world.vectors), n) for n in range(len(world.vectors))
    ):
        for asn, (kind, length, links) in seen.items():
            told = [
                (heard_as, seen[other][1] + 1, seen[other][2])
                for other, heard_as in neighbors(world.graph, asn)
                if seen[other][0] == "customer" or (heard_as is PROVIDER and seen[other] != NOTHING)
            ] + [
                (s.heard_as, 1 + world.vectors[number][s.link], frozenset([s.link]))
                for s in world.sessions
                if s.neighbor == asn and s.link in world.vectors[number]
            ]
            if asn == US:
                continue
            if kind == "none":
                assert not told
                continue
            has = (RouteClass[kind.upper()], length)
            assert has == min(offer[:2] for offer in told)
            assert links == frozenset().union(*(offer[2] for offer in told if offer[:2] == has))


@given(worlds(special=False), st.integers(1, 5))
def test_prepending_everywhere_alike_moves_nobody(world: World, more: int) -> None:
    before, after = (
        world.propagator().propagate([{link: n + extra for link, n in v.items()} for v in world.vectors])
        for extra in (0, more)
    )
    assert before.route_class.tolist() == after.route_class.tolist()
    assert before.ingress.tolist() == after.ingress.tolist()
    longer = np.where(np.isin(before.route_class, [RouteClass.OWN, RouteClass.NONE]), 0, more)
    assert (after.length - before.length == longer).all()
