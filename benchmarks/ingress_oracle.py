"""What could be known at all: a bound for what `ingress_world.py` shows after 0 and 5 changes.

    python benchmarks/ingress_oracle.py [--seed 1] [--worlds 8] [--form source,capped,level] [--strength medium,strong]
        [--as-rel FILE] [--json]

In the same worlds, side by side with the learned model, two oracles foretell what unseen vectors do. Both know how
common each hidden rule is and how rules come about, whose customer every sender is, and where all of them were after
each announcement, without noise; none of the rules that were drawn. They weigh drawn rules by Bayes: of each upstream,
by where its customers were, and of each sender. One knows the world's AS graph and what all senders find of each link;
the other takes the graph that models get for the world's. What the first one misses is luck, as far as enough rules
were drawn; what lies between the two is the price of a graph that is wrong. A model that has neither the rates nor the
graph cannot be expected to reach the first.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import cache, partial

import numpy as np
from hidden_world import LINKS, NEVER, Biases, Floats, HiddenWorld, Ints, Seen, Told, bias
from ingress_arguments import add_world_options, biases_of
from ingress_episode import Episode, Steps, episode_of
from ingress_models import Band, LearnedModel, Model, Traffic
from ingress_world import graph_of, judge, of_world

CHANGES = (0, 5)
FORMS = ("source", "capped", "level")
"""In `path` nobody's rules are costs of its own."""
GROUP_RULES, OWN_RULES = 2000, 80
"""So many drawn rules of upstreams, and of senders beside them, are weighed."""
FURTHEST = 12
"""Costs further apart than this are as far as this."""
UNEXPLAINED = 0.01
"""The chance that a sender is where its rule does not take it: it has got another one."""


class Oracle:
    """It is told the questions beforehand, to look at the drawn rules once for all of them."""

    def __init__(self, told: Episode, known: Told, world: HiddenWorld, rng: np.random.Generator) -> None:
        self._told, self._known = told, known
        self._traffic = Traffic(told)
        self._part_of, self._part_share = world.part_of, world.part_share
        self._form = world.form
        far = np.minimum(known.cost - known.cost.min(axis=1, keepdims=True), FURTHEST)
        self._patterns, pattern = np.unique(far, axis=0, return_inverse=True)
        self._pattern = pattern.reshape(-1)
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

    def _chosen(self, pattern: int, vector: tuple[int, ...], previous: int) -> Ints:
        """(rules of upstreams, rules of senders)"""
        prepends = np.minimum(vector, 2) if self._form == "capped" else np.array(vector)
        counted = np.where(self._ignores, 0, prepends).astype(np.float32)
        cost = self._patterns[pattern].astype(np.float32) + self._cost + counted + self._tie
        if previous >= 0:
            kept = self._sticky, previous
            cost[:, kept[0], kept[1]] -= self._tie[:, kept[0], kept[1]] + np.float32(0.1)
        return np.argmin(cost, axis=2)

    def _foretell(self) -> None:
        """The answers to all questions that follow the steps seen so far."""
        vectors = [first.vector for first, _ in self._told.steps[: self._steps]]
        asked = [test.vector for test in self._told.tests[self._steps - 1]]
        homes = self._known.homes[: self._steps].T
        log = np.zeros((int(self._known.group.max()) + 1, GROUP_RULES))
        cases = []
        for pattern in range(len(self._patterns)):
            chosen = cache(partial(self._chosen, pattern))
            rows = np.flatnonzero(self._pattern == pattern)
            histories, which = np.unique(homes[rows], axis=0, return_inverse=True)
            for number, history in enumerate(histories.tolist()):
                fits = np.ones((GROUP_RULES, OWN_RULES), dtype=np.float32)
                for vector, previous, home in zip(vectors, (-1, *history), history, strict=False):
                    fits *= np.where(chosen(vector, previous) == home, np.float32(1 - UNEXPLAINED), UNEXPLAINED)
                members, total = rows[which.reshape(-1) == number], fits.sum(axis=1)
                np.add.at(log, self._known.group[members], np.log(total))
                ends = (chosen(vector, history[-1]) for vector in asked)
                goes = [[(fits * (end == k)).sum(axis=1) / total for k in range(LINKS)] for end in ends]
                cases.append((members, np.array(goes)))
        weight = np.exp(log - log.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        for number, vector in enumerate(asked):
            part = np.zeros((len(self._part_of), LINKS))
            for members, goes in cases:
                part[members] = weight[self._known.group[members]] @ goes[number].T
            shares = np.zeros((len(self._told.asns), LINKS))
            np.add.at(shares, self._part_of, part * self._part_share[:, None])
            self._shares[self._steps, vector] = shares

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


def models(told: Episode, world: HiddenWorld, seed: int) -> dict[str, Model]:
    known = world.told()
    misled = Told(cost=told.hops[world.part_of], group=known.group, homes=known.homes)
    return {
        "learned": LearnedModel(told),
        "oracle, wrong graph": Oracle(told, misled, world, np.random.default_rng((seed, 2))),
        "oracle": Oracle(told, known, world, np.random.default_rng((seed, 3))),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_world_options(parser, forms=FORMS, worlds=8)
    arguments = parser.parse_args()
    graph = graph_of(arguments)
    figures = {}
    for form in arguments.form:
        for strength in arguments.strength:
            rows, seed = [], arguments.seed * 100_000
            while len(rows) < arguments.worlds:
                seed += 1
                world = HiddenWorld(graph, form=form, biases=biases_of(strength, {}), senders=2000, seed=seed)
                told = episode_of(world, steps=Steps(), seed=seed, checkpoints=CHANGES)
                if told is not None:
                    rows.append(of_world(judge(told, models(told, world, seed))))
            for name, changes in rows[0]:
                top1, moved, error = np.mean([world[name, changes][:3] for world in rows], axis=0).tolist()
                what = f"{form} {strength}, after {changes}, {name}"
                figures[what] = {"top1": top1, "moved": moved, "error": error}
                if not arguments.json:
                    print(f"{what:45} top-1 {top1:6.1%}  moved {moved:6.1%}  error {error:5.2f}")
    if arguments.json:
        print(json.dumps({"name": "ingress_oracle", "figures": figures, "targets": {}, "met": {}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
