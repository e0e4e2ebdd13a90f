"""What happens in one hidden world, written down: observations in their order, and outcomes that nobody has seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hidden_world import FORMS, LINKS, Biases, Floats, HiddenWorld, Ints, Seen

from teagent.engine.predict.as_graph import AsGraph
from teagent.engine.predict.propagation import FAR, Propagator

CHECKPOINTS = (0, 5, 20)
TESTS = 8
PREPENDS_MAX = 3
MOVES_LEAST = 0.05
"""A world in which unseen vectors move less than this share of the bytes, in the mean, teaches nothing."""

ATTEMPTS = 12
"""So many origins are tried for each world: some move nothing whatever they announce."""
APART, FURTHER = 4, 1_000_003
"""Seeds of worlds are so far apart; attempts beyond that go further away."""

VECTORS = [v for v in itertools.product(range(PREPENDS_MAX + 1), repeat=LINKS) if min(v) == 0]
"""Without those that prepend on every link, which say the same as others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """What a vector gave: `share` (N, K) and `bps` (N)."""

    vector: tuple[int, ...]
    share: Floats
    bps: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """`steps[i]` is what was seen after the i-th change, twice, hours apart; `tests[i]` what would have followed it.

    `hops` (N, K) and `upstreams` (N lists of AS numbers) are what the graph that the model gets says of the senders.
    `routed_before[i]` (N, K) is the truth before the tests of checkpoint i.
    """

    asns: Ints
    hops: Ints
    upstreams: tuple[tuple[int, ...], ...]
    steps: tuple[tuple[Seen, Seen], ...]
    tests: dict[int, tuple[Test, ...]]
    routed_before: dict[int, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How often what is announced, and what is asked, differs from now in the prepends of one link only, 0 to 1."""

    announced: float = 0.0
    asked: float = 0.5


def episodes(
    graph: AsGraph, *, form: str, biases: Biases, senders: int, steps: Steps, seed: int, worlds: int
) -> Iterator[tuple[HiddenWorld, Episode]]:
    """Worlds, each with what happened in it; fewer where none of `ATTEMPTS` moved anything."""
    for number in range(worlds):
        first = ((seed * 1000 + number) * len(FORMS) + FORMS.index(form)) * APART
        for attempt in range(ATTEMPTS):
            own = first + attempt % APART + attempt // APART * FURTHER
            world = HiddenWorld(graph, form=form, biases=biases, senders=senders, seed=own)
            told = episode_of(world, steps=steps, seed=own, checkpoints=CHECKPOINTS)
            if told is not None:
                yield world, told
                break


def episode_of(world: HiddenWorld, *, steps: Steps, seed: int, checkpoints: tuple[int, ...]) -> Episode | None:
    """None where prepending moves nothing. The world was made and has not announced anything."""
    rng = np.random.default_rng((seed, 1))
    vector = (0,) * LINKS
    announced, seen, tests, before = {vector}, [], {}, {}
    for number in range(max(checkpoints) + 1):
        if number:
            vector = _next(vector, announced, steps.announced, rng)
            announced.add(vector)
        world.announce(vector)
        world.wait(0.25)
        first = world.observe()
        world.wait(float(rng.uniform(2, 30)))
        seen.append((first, world.observe()))
        if number in checkpoints:
            chosen = [_next(vector, announced, steps.asked, rng) for _ in range(TESTS)]
            tests[number] = tuple(Test(vector=v, share=o[0], bps=o[1]) for v in chosen if (o := world.outcome(v, 0.25)))
            before[number] = world.truth(world.choice)
    moved = [_moved(before[n], t) for n in checkpoints for t in tests[n]]
    if np.mean(moved) < MOVES_LEAST:
        return None
    hops, upstreams = _known(world)
    return Episode(
        asns=world.asns, hops=hops, upstreams=upstreams, steps=tuple(seen), tests=tests, routed_before=before
    )


def _next(
    vector: tuple[int, ...], announced: set[tuple[int, ...]], near: float, rng: np.random.Generator
) -> tuple[int, ...]:
    """One that was never announced; with the chance `near` it differs from now in the prepends of one link only."""
    choices = [v for v in VECTORS if v not in announced]
    neighbors = [v for v in choices if sum(a != b for a, b in zip(v, vector, strict=True)) == 1]
    if neighbors and rng.random() < near:
        choices = neighbors
    return choices[int(rng.integers(len(choices)))]


def _moved(before: Floats, test: Test) -> float:
    moves = np.argmax(before, axis=1) != np.argmax(test.share, axis=1)
    return float(test.bps[moves].sum() / test.bps.sum())


def _known(world: HiddenWorld) -> tuple[Ints, tuple[tuple[int, ...], ...]]:
    graph = world.known_graph
    nodes = graph.nodes(world.asns)
    return hops_in(graph, world), tuple(tuple(graph.asn[graph.providers[int(n)]].tolist()) for n in nodes)


def hops_in(graph: AsGraph, world: HiddenWorld) -> Ints:
    """(N, K) of the senders, in a graph that our links are grafted on."""
    reach = Propagator(graph, world.origin, world.sessions).reach(world.links)
    hops: Ints = np.minimum(reach.hops[:, graph.nodes(world.asns)].T.astype(np.int64), FAR)
    return hops
