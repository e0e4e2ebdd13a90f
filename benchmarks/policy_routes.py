"""The form `path` of a hidden world: every AS chooses by rules of its own, and its customers inherit the choice.

Classes are kept (customer before peer before provider), so that routing comes to rest; within a class an AS may prefer
one neighbour whatever the length, look at lengths without prepends or not at all, break ties in its own way, and keep
the older of equal routes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.as_graph import Adjacency, AsGraph
from teagent.engine.predict.sessions import Session
from teagent.model.bgp import Asn

if TYPE_CHECKING:
    from hidden_world import Biases

Ints = npt.NDArray[np.int64]

ROUNDS = 40
WORST = np.iinfo(np.int64).max


@dataclass(slots=True, eq=False)
class Edges:
    """Who may hear from whom, sorted by the hearer; `tie` is the hearer's own order of equals."""

    to: Ints
    start: Ints
    hearers: Ints
    source: Ints
    tie: Ints
    preferred: npt.NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Table:
    """Routes of all nodes: link (-1 none), length with prepends, without, and the neighbour that it is heard from."""

    link: Ints
    length: Ints
    plain: Ints
    heard_from: Ints


class PolicyRoutes:
    def __init__(
        self,
        graph: AsGraph,
        origin: Asn,
        sessions: tuple[Session, ...],
        biases: Biases,
        senders: Ints,
        rng: np.random.Generator,
    ) -> None:
        """`senders` are AS numbers; one that appears again is a part that chooses for itself."""
        self._rng, self._biases = rng, biases
        self._nodes = len(graph)
        self._entry = np.array([graph.node(s.neighbor) for s in sessions])
        own = graph.node(origin)
        sender = graph.nodes(senders)
        repeated = np.ones(len(sender), dtype=bool)
        repeated[np.unique(sender, return_index=True)[1]] = False
        passes = ~graph.is_stub()
        virtual = np.flatnonzero(repeated | ~passes[sender])
        self._of_sender = sender.copy()
        self._of_sender[virtual] = self._nodes + np.arange(len(virtual))
        total = self._nodes + len(virtual)
        up = np.zeros(total, dtype=bool)
        front = self._entry
        while len(front):
            up[front] = True
            above = np.unique(graph.providers.of_all(front)[1]).astype(np.int64)
            front = above[~up[above]]
        self._total = total
        core = np.flatnonzero(passes)
        core = core[core != own]
        self._up = self._edges(graph.customers, core[up[core]], None, up, own)
        asked = np.concatenate([core, sender[virtual]])
        name = np.concatenate([core, self._of_sender[virtual]])
        self._over = self._edges(graph.peers, asked, name, up, own)
        may_pass = np.zeros(total, dtype=bool)
        may_pass[core] = True
        self._down = self._edges(graph.providers, asked, name, may_pass, own)
        self._draw_rules(np.arange(total))
        self._memory = np.full(total, -2)

    def _edges(
        self, adjacency: Adjacency, asked: Ints, name: Ints | None, allowed: npt.NDArray[np.bool_], own: int
    ) -> Edges:
        place, source = adjacency.of_all(asked)
        to = (asked if name is None else name)[place]
        kept = allowed[source] & (source != own)
        to, source = to[kept], source[kept].astype(np.int64)
        order = np.argsort(to, kind="stable")
        to, source = to[order], source[order]
        hearers, start = np.unique(to, return_index=True)
        edges = Edges(to, start, hearers, source, np.zeros(len(to), np.int64), np.zeros(len(to), bool))
        edges.tie = self._rng.permutation(len(to)) + 1
        return edges

    def _draw_rules(self, nodes: Ints) -> None:
        rng, b = self._rng, self._biases
        if not hasattr(self, "_sticky"):
            self._sticky = np.zeros(self._total, dtype=bool)
            self._no_prepends = np.zeros(self._total, dtype=bool)
            self._no_length = np.zeros(self._total, dtype=bool)
        self._sticky[nodes] = rng.random(len(nodes)) < b.sticky
        self._no_prepends[nodes] = rng.random(len(nodes)) < b.ignored_prepends / 2
        self._no_length[nodes] = rng.random(len(nodes)) < b.ignored_prepends / 4
        drawn = np.zeros(self._total, dtype=bool)
        drawn[nodes] = True
        prefers = np.zeros(self._total, dtype=bool)
        prefers[nodes] = rng.random(len(nodes)) < (b.local_pref + b.upstream_pref) / 2
        for edges in (self._up, self._over, self._down):
            mine = drawn[edges.to]
            edges.tie[mine] = rng.permutation(len(edges.to))[mine] + 1
            edges.preferred[mine] = False
            lucky = edges.start + (
                rng.random(len(edges.start)) * np.diff(np.append(edges.start, len(edges.to)))
            ).astype(int)
            lucky = lucky[prefers[edges.hearers]]
            edges.preferred[lucky] = True

    def drift(self, share: float) -> None:
        self._draw_rules(np.flatnonzero(self._rng.random(self._total) < share))

    def choices(self, vector: tuple[int, ...], *, remember: bool) -> Ints:
        """Which link each sender uses; what is remembered decides for who keeps the older of equals."""
        table = Table(
            np.full(self._total, -1), np.zeros(self._total, int), np.zeros(self._total, int), np.full(self._total, -1)
        )
        seeds = self._entry, np.array(vector) + 1
        self._settle(self._up, table, np.ones(self._total, bool), seeds)
        first = table.link < 0
        self._settle(self._over, table, first & ~np.isin(np.arange(self._total), self._entry), None, rounds=1)
        second = table.link < 0
        self._settle(self._down, table, second, None)
        if remember:
            self._memory = table.heard_from
        return table.link[self._of_sender]

    def _settle(
        self,
        edges: Edges,
        table: Table,
        may: npt.NDArray[np.bool_],
        seeds: tuple[Ints, Ints] | None,
        rounds: int = ROUNDS,
    ) -> None:
        """Everybody takes the best that its neighbours have now, until nobody has anything else."""
        sticks = self._sticky[edges.to] & (self._memory[edges.to] == edges.source)
        tie = np.where(sticks, 0, edges.tie)
        rank = np.where(edges.preferred, 0, 1) << 52
        for _ in range(rounds):
            if seeds is not None:
                table.link[seeds[0]] = np.arange(len(seeds[0]))
                table.length[seeds[0]], table.plain[seeds[0]] = seeds[1], 1
            length = np.where(self._no_prepends[edges.to], table.plain[edges.source], table.length[edges.source])
            length = np.where(self._no_length[edges.to], 0, length)
            key = rank | (length << 32) | tie
            key[table.link[edges.source] < 0] = WORST
            if not len(key):
                return
            best = np.minimum.reduceat(key, edges.start)
            wins = np.flatnonzero((key == np.repeat(best, np.diff(np.append(edges.start, len(key))))) & (key != WORST))
            wins = wins[may[edges.to[wins]]]
            if seeds is not None:
                wins = wins[~np.isin(edges.to[wins], seeds[0])]
            to, source = edges.to[wins], edges.source[wins]
            new = table.link[source], table.length[source] + 1, table.plain[source] + 1, source
            old = table.link[to], table.length[to], table.plain[to], table.heard_from[to]
            if all(np.array_equal(a, b) for a, b in zip(new, old, strict=True)):
                return
            table.link[to], table.length[to], table.plain[to], table.heard_from[to] = new
