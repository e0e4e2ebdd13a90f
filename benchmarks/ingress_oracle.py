"""What could be known: a measure for what `ingress_world.py` shows. After twenty changes it takes minutes a world.

    python benchmarks/ingress_oracle.py [--seed 1] [--worlds 8] [--form source,capped,level] [--strength medium,strong]
        [--bias NAME=VALUE]... [--after 0,5] [--as-rel FILE] [--json]

In the worlds that `ingress_world.py` makes of that seed, side by side with the learned model, three oracles foretell
what unseen vectors do. All know how common each hidden rule is and how rules come about, whose customer every sender
is, and where all of them were after each announcement, without noise; none of the rules that were drawn. They weigh
drawn rules by Bayes: of each upstream, by where its customers were, and of each sender. One knows the world's AS graph
and what all senders find of each link. The second takes the graph that models get for the world's. The third knows too
how such a graph goes wrong: it draws others around it, as the world's was drawn, and weighs what they say of each
sender, and what all may find of a link. What the first one misses is luck, as far as enough rules were drawn and rules
stay as they are: one that changes they take for a surprise in a hundred, so after many changes they are no bound. What
lies between it and the third is the price of a graph that is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from hidden_world import LINKS, NEVER, Biases, Floats, HiddenWorld, Ints, Seen, Told, bias, distorted
from ingress_arguments import add_world_options, biases_of, some_of
from ingress_episode import CHECKPOINTS, Episode, Steps, episodes, hops_in
from ingress_models import Band, LearnedModel, Model, Traffic
from ingress_world import graph_of, judge, of_world

from teagent.engine.predict.as_graph import AsGraph
from teagent.engine.predict.sessions import graft

FORMS = ("source", "capped", "level")
"""In `path` nobody's rules are costs of its own."""
GROUP_RULES, OWN_RULES = 2000, 80
"""So many drawn rules of upstreams, and of senders beside them, are weighed."""
GRAPHS = 16
"""So many graphs are drawn around the one that models get."""
FURTHEST = 12
"""Costs further apart than this are as far as this."""
UNEXPLAINED = 0.01
"""The chance that a sender is where its rule does not take it: it has got another one."""

Shift = tuple[int, ...]
"""Hops by which all senders find a link further than the graph says."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guess:
    """`cost` (G, N, K): what each of G graphs, any of which may be the world's, says of N parts of senders. `shifts`:
    what all may find of the links, and how likely that is.
    """

    cost: Ints
    shifts: Mapping[Shift, float]


class Oracle:
    """It is told the questions beforehand, to look at the drawn rules once for all of them."""

    def __init__(self, told: Episode, known: Told, guess: Guess, world: HiddenWorld, rng: np.random.Generator) -> None:
        self._told, self._known, self._guess = told, known, guess
        self._traffic = Traffic(told)
        self._part_of, self._part_share = world.part_of, world.part_share
        self._form = world.form
        self._steps = 0
        self._shares: dict[tuple[int, tuple[int, ...]], Floats] = {}
        self._draw(world.biases, rng)

    def _draw(self, b: Biases, rng: np.random.Generator) -> None:
        cost = bias(rng, GROUP_RULES, b.upstream_pref)
        if self._form == "level":
            cost += NEVER * rng.integers(0, 2, cost.shape) * (rng.random((len(cost), 1)) < 0.5)
        self._cost = (cost[:, None] + bias(rng, OWN_RULES, b.local_pref)).astype(np.float32)
        self._ignores = (rng.random(cost.shape) < b.ignored_prepends)[:, None] | (
            rng.random((OWN_RULES, LINKS)) < b.ignored_prepends / 3
        )
        own = rng.random((OWN_RULES, 1)) < b.own_tie_break
        tie = np.where(own, rng.random((OWN_RULES, LINKS)), rng.random(cost.shape)[:, None])
        self._tie = (0.5 * tie).astype(np.float32)
        self._sticky = rng.random(OWN_RULES) < b.sticky

    def _chosen(self, behind: Ints, vector: tuple[int, ...], previous: int) -> Ints:
        """(rules of upstreams, rules of senders) where the links are so many hops `behind` (K) the nearest."""
        prepends = np.minimum(vector, 2) if self._form == "capped" else np.array(vector)
        counted = np.where(self._ignores, 0, prepends).astype(np.float32)
        cost = behind.astype(np.float32) + self._cost + counted + self._tie
        if previous >= 0:
            kept = self._sticky, previous
            cost[:, kept[0], kept[1]] -= self._tie[:, kept[0], kept[1]] + np.float32(0.1)
        return np.argmin(cost, axis=2)

    def _foretell(self) -> None:
        """The answers to all questions that follow the steps seen so far."""
        asked = [test.vector for test in self._told.tests[self._steps - 1]]
        found = [self._with(shift, asked) for shift in self._guess.shifts]
        log = np.array([fit for fit, _ in found]) + np.log(list(self._guess.shifts.values()))
        weight = np.exp(log - log.max())
        part = np.tensordot(weight / weight.sum(), np.stack([goes for _, goes in found]), 1)
        for number, vector in enumerate(asked):
            shares = np.zeros((len(self._told.asns), LINKS))
            np.add.at(shares, self._part_of, part[number] * self._part_share[:, None])
            self._shares[self._steps, vector] = shares

    def _with(self, shift: Shift, asked: Sequence[tuple[int, ...]]) -> tuple[float, Floats]:
        """How well all that was seen goes with this shift, as a logarithm, and (questions, N, K) the chances then."""
        cost = self._guess.cost + np.array(shift)
        graphs, parts, _ = cost.shape
        behind = np.minimum(cost - cost.min(axis=2, keepdims=True), FURTHEST)
        patterns, pattern = np.unique(behind.reshape(-1, LINKS), axis=0, return_inverse=True)
        histories, history = np.unique(self._known.homes[: self._steps].T, axis=0, return_inverse=True)
        # Each pair of a part and what a graph says of it, those that are the same in both next to each other.
        pairs = (pattern.reshape(graphs, parts) * len(histories) + history.reshape(-1)) * parts + np.arange(parts)
        pairs, times = np.unique(pairs, return_counts=True)
        fits = np.zeros((parts, GROUP_RULES), dtype=np.float32)
        goes = np.zeros((parts, len(asked), LINKS, GROUP_RULES), dtype=np.float32)
        number, begin = -1, 0
        for end in (*(np.flatnonzero(np.diff(pairs // parts)) + 1).tolist(), len(pairs)):
            where, old = divmod(int(pairs[begin]) // parts, len(histories))
            if where != number:
                number, chosen = where, cache(partial(self._chosen, patterns[where]))
            fit, going = self._case(chosen, histories[old].tolist(), asked)
            for part, share in zip((pairs[begin:end] % parts).tolist(), times[begin:end] / graphs, strict=True):
                fits[part] += np.float32(share) * fit
                goes[part] += np.float32(share) * going
            begin = end
        log = np.zeros((int(self._known.group.max()) + 1, GROUP_RULES))
        np.add.at(log, self._known.group, np.log(fits))
        most = log.max(axis=1, keepdims=True)
        weight = np.exp(log - most)
        evidence = float((np.log(weight.mean(axis=1)) + most[:, 0]).sum())
        weight /= weight.sum(axis=1, keepdims=True)
        rules = (weight[self._known.group] / fits).astype(np.float32)
        return evidence, np.einsum("ng,nakg->ank", rules, goes, optimize=True)

    def _case(
        self, chosen: Callable[[tuple[int, ...], int], Ints], history: list[int], asked: Sequence[tuple[int, ...]]
    ) -> tuple[Floats, Floats]:
        """Over a sender's own rules: (rules of upstreams) how well each goes with where it was, and that times the
        chance of each link, (questions, K, rules of upstreams).
        """
        vectors = [first.vector for first, _ in self._told.steps[: self._steps]]
        fits = np.ones((GROUP_RULES, OWN_RULES), dtype=np.float32)
        for vector, previous, home in zip(vectors, (-1, *history), history, strict=False):
            fits *= np.where(chosen(vector, previous) == home, np.float32(1 - UNEXPLAINED), UNEXPLAINED)
        ends = (chosen(vector, history[-1]) for vector in asked)
        return fits.sum(axis=1), np.array([[(fits * (end == k)).sum(axis=1) for k in range(LINKS)] for end in ends])

    def learn(self, seen: Seen) -> None:
        self._steps += seen.vector != self._traffic.vector
        self._traffic.see(seen)

    def predict(self, vector: tuple[int, ...]) -> Floats:
        if (self._steps, vector) not in self._shares:
            self._foretell()
        return self._shares[self._steps, vector]

    def band(self, vector: tuple[int, ...]) -> Band:
        """Without width, and in the mean: what the dry run expects of the learned model is the median."""
        expected = self._traffic.volumes() @ self.predict(vector)
        return expected, expected, expected


def models(told: Episode, world: HiddenWorld, graph: AsGraph) -> dict[str, Model]:
    known, hops = world.told(), told.hops[world.part_of]
    sure: dict[Shift, float] = {(0,) * LINKS: 1.0}
    graphs, rules = (partial(np.random.default_rng, (world.seed, number)) for number in (4, 2))
    guesses = {
        "oracle, wrong graph": Guess(cost=hops[None], shifts=sure),
        "oracle, doubts its graph": Guess(
            cost=_drawn(graph, world, graphs()), shifts=_shifts(world.biases.provider_bias)
        ),
        "oracle": Guess(cost=known.cost[None], shifts=sure),
    }
    oracles = {name: Oracle(told, known, guess, world, rules()) for name, guess in guesses.items()}
    return {"learned": LearnedModel(told), **oracles}


def _drawn(graph: AsGraph, world: HiddenWorld, rng: np.random.Generator) -> Ints:
    """(GRAPHS, N, K) hops in graphs that differ from `graph` as the world's does."""
    error = world.biases.graph_error
    others = (graft(distorted(graph, error, rng), world.origin, world.sessions) for _ in range(GRAPHS))
    return np.stack([hops_in(other, world)[world.part_of] for other in others])


def _shifts(chance: float) -> dict[Shift, float]:
    """Of none of the links, and of one, which leaves out little."""
    one = (tuple(hops if k == link else 0 for k in range(LINKS)) for link in range(LINKS) for hops in (-1, 1))
    return {(0,) * LINKS: (1 - chance) ** LINKS, **dict.fromkeys(one, chance / 2 * (1 - chance) ** (LINKS - 1))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_world_options(parser, forms=FORMS, worlds=8)
    known = tuple(map(str, CHECKPOINTS))
    parser.add_argument("--after", type=some_of(known), default=known[:-1], help="changes, of " + ",".join(known))
    arguments = parser.parse_args()
    graph = graph_of(arguments)
    figures = {}
    after = sorted(map(int, arguments.after))
    for form in arguments.form:
        for strength in arguments.strength:
            biases = biases_of(strength, dict(arguments.bias))
            seed, worlds = arguments.seed, arguments.worlds
            rows = []
            for world, told in episodes(
                graph, form=form, biases=biases, senders=2000, steps=Steps(), seed=seed, worlds=worlds
            ):
                asked = replace(told, steps=told.steps[: after[-1] + 1], tests={n: told.tests[n] for n in after})
                rows.append(of_world(judge(asked, models(asked, world, graph))))
                print(f"{form} {strength}: {len(rows)} of {worlds} worlds", file=sys.stderr)
            if not rows:
                raise SystemExit(f"{form} {strength}: in none of the worlds anything moved")
            for name, changes in rows[0]:
                top1, moved, error = np.mean([world[name, changes][:3] for world in rows], axis=0).tolist()
                what = f"{form} {strength}, after {changes}, {name}"
                figures[what] = {"top1": top1, "moved": moved, "error": error}
                if not arguments.json:
                    print(f"{what:48} top-1 {top1:6.1%}  moved {moved:6.1%}  error {error:5.2f}")
    if arguments.json:
        print(json.dumps({"name": "ingress_oracle", "figures": figures, "targets": {}, "met": {}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
