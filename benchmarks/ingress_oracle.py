"""What could be known before any change: a bound for what `ingress_world.py` shows after 0 changes.

    python benchmarks/ingress_oracle.py [--seed 1] [--worlds 8] [--form source,capped,level] [--strength medium,strong]
        [--as-rel FILE] [--json]

In the same worlds, side by side with the learned model, two oracles foretell what unseen vectors do. Both know how
common each hidden rule is and how rules come about, whose customer every sender is, and where all of them are, without
noise; none of the rules that were drawn. They weigh drawn rules by Bayes: of each upstream, by where its customers are,
and of each sender. One knows the world's AS graph and what all senders find of each link; the other takes the graph
that models get for the world's. What the first one misses is luck; what lies between the two is the price of a graph
that is wrong. A model that has neither the rates nor the graph cannot be expected to reach the first.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from hidden_world import LINKS, NEVER, Biases, Floats, HiddenWorld, Ints, Seen, Told, bias
from ingress_episode import Episode, Steps, episode_of
from ingress_models import Band, LearnedModel, Model, Traffic
from ingress_world import DATA, STRENGTHS, biases_of, graph_of, judge, of_world

GROUP_RULES, OWN_RULES = 500, 120
"""So many drawn rules of upstreams, and of senders beside them, are weighed."""
FURTHEST = 12
"""Costs further apart than this are as far as this."""
LEAST_CHANCE = 1e-4
"""Of a home that no drawn rule explains."""


class Oracle:
    def __init__(self, told: Episode, known: Told, world: HiddenWorld, rng: np.random.Generator) -> None:
        self._traffic = Traffic(told)
        self._part_of, self._part_share = world.part_of, world.part_share
        self._form, self._home, self._group = world.form, known.home, known.group
        far = np.minimum(known.cost - known.cost.min(axis=1, keepdims=True), FURTHEST)
        self._patterns, pattern = np.unique(far, axis=0, return_inverse=True)
        self._pattern = pattern.reshape(-1)
        self._draw(world.biases, rng)
        self._weigh()

    def _draw(self, b: Biases, rng: np.random.Generator) -> None:
        cost = bias(rng, GROUP_RULES, b.upstream_pref)
        if self._form == "level":
            cost += NEVER * rng.integers(0, 2, cost.shape) * (rng.random((len(cost), 1)) < 0.5)
        self._cost = cost[:, None] + bias(rng, OWN_RULES, b.local_pref)
        self._ignores = (rng.random(cost.shape) < b.ignored_prepends)[:, None] | (
            rng.random((OWN_RULES, LINKS)) < b.ignored_prepends / 3
        )
        own = rng.random((OWN_RULES, 1)) < b.own_tie_break
        self._tie = np.where(own, rng.random((OWN_RULES, LINKS)), rng.random(cost.shape)[:, None])
        self._sticky = rng.random(OWN_RULES) < b.sticky

    def _chosen(self, pattern: int, vector: tuple[int, ...], previous: int) -> Ints:
        """(rules of upstreams, rules of senders)"""
        prepends = np.minimum(vector, 2) if self._form == "capped" else np.array(vector)
        cost = self._patterns[pattern] + self._cost + np.where(self._ignores, 0, prepends)
        stays = self._sticky[:, None] & (np.arange(LINKS) == previous)
        return np.argmin(cost + np.where(stays, -0.1, 0.5 * self._tie), axis=2)

    def _weigh(self) -> None:
        log = np.zeros((int(self._group.max()) + 1, GROUP_RULES))
        self._cases = {}
        for pattern in range(len(self._patterns)):
            chosen = self._chosen(pattern, (0,) * LINKS, -1)
            for home in range(LINKS):
                rows = np.flatnonzero((self._pattern == pattern) & (self._home == home))
                if len(rows):
                    fits = chosen == home
                    self._cases[pattern, home] = rows, fits
                    np.add.at(log, self._group[rows], np.log(np.maximum(fits.mean(axis=1), LEAST_CHANCE)))
        weight = np.exp(log - log.max(axis=1, keepdims=True))
        self._weight = weight / weight.sum(axis=1, keepdims=True)

    def learn(self, seen: Seen) -> None:
        self._traffic.see(seen)

    def predict(self, vector: tuple[int, ...]) -> Floats:
        part = np.zeros((len(self._part_of), LINKS))
        for (pattern, home), (rows, fits) in self._cases.items():
            chosen = self._chosen(pattern, vector, home)
            count = fits.sum(axis=1)
            goes = np.stack([(fits & (chosen == k)).sum(axis=1) for k in range(LINKS)], axis=1)
            share = np.where(count[:, None] > 0, goes / np.maximum(count, 1)[:, None], np.eye(LINKS)[home])
            part[rows] = self._weight[self._group[rows]] @ share
        result = np.zeros((int(self._part_of.max()) + 1, LINKS))
        np.add.at(result, self._part_of, part * self._part_share[:, None])
        return result

    def band(self, vector: tuple[int, ...]) -> Band:
        """Without width."""
        expected = self._traffic.volumes() @ self.predict(vector)
        return expected, expected, expected


def models(told: Episode, world: HiddenWorld, seed: int) -> dict[str, Model]:
    known = world.told()
    misled = Told(cost=told.hops[world.part_of], group=known.group, home=known.home)
    return {
        "learned": LearnedModel(told),
        "oracle, wrong graph": Oracle(told, misled, world, np.random.default_rng((seed, 2))),
        "oracle": Oracle(told, known, world, np.random.default_rng((seed, 3))),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as-rel", type=Path, default=DATA / "asrel" / "20241001.as-rel2.txt.bz2")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", type=int, default=8, help="of each form and strength")
    parser.add_argument("--form", default="source,capped,level")
    parser.add_argument("--strength", default=",".join(STRENGTHS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    graph = graph_of(arguments)
    figures = {}
    for form in arguments.form.split(","):
        for strength in arguments.strength.split(","):
            rows, seed = [], arguments.seed * 100_000
            while len(rows) < arguments.worlds:
                seed += 1
                world = HiddenWorld(graph, form=form, biases=biases_of([], strength), senders=2000, seed=seed)
                told = episode_of(world, steps=Steps(), seed=seed, checkpoints=(0,))
                if told is not None:
                    rows.append(of_world(judge(told, models(told, world, seed))))
            for name, _ in rows[0]:
                top1, moved, error = np.mean([world[name, 0][:3] for world in rows], axis=0).tolist()
                figures[f"{form} {strength}, {name}"] = {"top1": top1, "moved": moved, "error": error}
                if not arguments.json:
                    print(f"{form} {strength}, {name:20} top-1 {top1:6.1%}  moved {moved:6.1%}  error {error:5.2f}")
    if arguments.json:
        print(json.dumps({"name": "ingress_oracle", "figures": figures, "targets": {}, "met": {}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
