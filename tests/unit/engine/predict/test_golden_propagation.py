"""Propagation on real data: what BGPy computes on a cut of the Internet, and the reference on all of it."""

from __future__ import annotations

import bz2
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from teagent.adapters.as_graph import load
from teagent.engine.predict import reference
from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.engine.predict.paths import Paths
from teagent.engine.predict.propagation import Propagator
from teagent.engine.predict.sessions import Session, sessions_in_graph
from tests.unit.engine.predict.as_graphs import full_internet

BGPY = {"customer": 3, "peer": 2, "provider": 1}
"""How BGPy numbers the classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """One run of BGPy: AS -> (next hop, length as received, class, ingress neighbour), ties by the lowest AS number."""

    origin: int
    prepends: Mapping[int, int]
    routes: Mapping[int, tuple[int, int, str, int]]


@pytest.fixture(scope="module")
def graph(data_dir: Path) -> AsGraph:
    return load(data_dir / "asrel" / "sub1200.as-rel2.txt.bz2")


@pytest.fixture(scope="module")
def golden(data_dir: Path) -> list[Golden]:
    names = {number: name for name, number in BGPY.items()}
    with bz2.open(data_dir / "asrel" / "sub1200.golden.json.bz2") as file:
        runs = json.load(file)["runs"]
    return [
        Golden(
            origin=run["origin"],
            prepends={int(asn): n for asn, n in run["prepends"].items()},
            routes={
                # BGPy counts the AS itself too.
                int(asn): (hop, length - 1, names[kind], ingress)
                for asn, (hop, length, kind, ingress) in run["rib"].items()
                if int(asn) != run["origin"]
            },
        )
        for run in runs
    ]


@pytest.mark.parametrize(
    ("file", "ases", "relations"),
    [
        ("20161101.as-rel.txt.bz2", 55_809, 239_064),
        ("20241001.as-rel2.txt.bz2", 77_349, 698_865),
        ("sub1200.as-rel2.txt.bz2", 1_204, 130_878),
    ],
)
def test_files_of_both_series_are_read_whole(data_dir: Path, file: str, ases: int, relations: int) -> None:
    graph = load(data_dir / "asrel" / file)
    assert len(graph) == ases
    assert len(graph.customers.target) + len(graph.peers.target) // 2 == relations
    assert graph.cycles() == ()


def test_there_are_five_origins_plain_and_prepended(golden: list[Golden]) -> None:
    assert len({run.origin for run in golden}) == 5
    assert [bool(run.prepends) for run in golden] == [False, True] * 5


def announced(graph: AsGraph, run: Golden) -> tuple[tuple[Session, ...], dict[str, int]]:
    sessions = sessions_in_graph(graph, run.origin)
    return sessions, {s.link: run.prepends.get(s.neighbor, 0) for s in sessions}


@pytest.mark.parametrize("number", range(10))
def test_reach_class_and_length_are_those_of_bgpy(graph: AsGraph, golden: list[Golden], number: int) -> None:
    run = golden[number]
    sessions, vector = announced(graph, run)
    route_class, length, _ = Propagator(graph, run.origin, sessions).shortest(vector)
    found = {
        asn: (RouteClass(kind).name.lower(), size)
        for asn, kind, size in zip(graph.asn.tolist(), route_class.tolist(), length.tolist(), strict=True)
        if kind not in {RouteClass.NONE, RouteClass.OWN}
    }
    assert found == {asn: (kind, size) for asn, (_, size, kind, _) in run.routes.items()}


@pytest.mark.parametrize("number", range(10))
def test_ingress_sets_are_those_that_follow_from_bgpys_classes_and_lengths(
    graph: AsGraph, golden: list[Golden], number: int
) -> None:
    run = golden[number]
    sessions, vector = announced(graph, run)
    found = ingress_sets(graph, Propagator(graph, run.origin, sessions), vector)
    assert found == equal_sets(graph, run, sessions, vector)
    # And BGPy's own choice is among them.
    assert all(ingress in found[asn] for asn, (_, _, _, ingress) in run.routes.items())


@pytest.mark.parametrize("number", range(10))
def test_with_bgpys_tie_break_next_hop_and_ingress_are_bgpys(graph: AsGraph, golden: list[Golden], number: int) -> None:
    run = golden[number]
    sessions, vector = announced(graph, run)
    paths = Paths(Propagator(graph, run.origin, sessions), vector)
    for asn, (hop, _, _, ingress) in run.routes.items():
        path = paths.path(asn)
        assert path[0] == hop
        assert next((other for other in reversed(path) if other != run.origin), asn) == ingress


def ingress_sets(graph: AsGraph, propagator: Propagator, vector: Mapping[str, int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for session, nodes in propagator.shortest(vector)[2]:
        for asn in graph.asn[nodes].tolist():
            found.setdefault(asn, set()).add(session.neighbor)
    return found


def equal_sets(
    graph: AsGraph, run: Golden, sessions: tuple[Session, ...], vector: Mapping[str, int]
) -> dict[int, set[int]]:
    """From BGPy's classes and lengths alone: an AS has the links of all whose offer is as good as what it took."""
    direct = {s.neighbor: (s.heard_as.name.lower(), 1 + vector[s.link]) for s in sessions}
    sets: dict[int, set[int]] = {}
    for asn, (_, length, kind, _) in sorted(run.routes.items(), key=lambda item: item[1][1]):
        sets[asn] = {asn} if direct.get(asn) == (kind, length) else set()
        for other in tellers(graph, asn, kind):
            if other in run.routes and run.routes[other][1] == length - 1:
                told = kind == "provider" or run.routes[other][2] == "customer"
                sets[asn] |= sets[other] if told else set()
    return sets


def tellers(graph: AsGraph, asn: int, kind: str) -> Iterator[int]:
    adjacency = {"customer": graph.customers, "peer": graph.peers, "provider": graph.providers}[kind]
    yield from graph.asn[adjacency[graph.node(asn)]].tolist()


@pytest.mark.slow
def test_fast_and_reference_agree_on_the_whole_internet(data_dir: Path) -> None:
    graph = full_internet(data_dir)
    providers, peers = reference.providers_graph(graph), reference.peers_graph(graph)
    rng = np.random.default_rng(20241001)
    neighbors = graph.providers.counts() + graph.peers.counts() + graph.customers.counts()
    multihomed = graph.asn[(graph.providers.counts() >= 2) & (neighbors <= 64)]
    for origin in rng.choice(multihomed, 20, replace=False).tolist():
        sessions = sessions_in_graph(graph, origin)
        vector = {s.link: int(rng.integers(0, 5)) for s in sessions if rng.random() < 0.9}
        routes = Propagator(graph, origin, sessions).propagate([vector])
        plain = reference.propagate(providers, peers, origin, sessions, vector)
        bit = {link: 1 << place for place, link in enumerate(routes.links)}
        expected = [
            (plain[asn].route_class, plain[asn].length, sum(bit[link] for link in plain[asn].ingress))
            if asn in plain
            else ((RouteClass.OWN, 0, 0) if asn == origin else (RouteClass.NONE, -1, 0))
            for asn in graph.asn.tolist()
        ]
        columns = (routes.route_class[0].tolist(), routes.length[0].tolist(), routes.ingress[0].tolist())
        assert list(zip(*columns, strict=True)) == expected, f"origin {origin} with {vector}"
