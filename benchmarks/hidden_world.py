"""Worlds whose senders choose by rules that a model cannot see: what `ingress_world.py` judges a model on.

The world has its own AS graph, other than the one that the model gets. Senders choose in one of several forms:

- `source`: each sender compares path lengths in the world's graph, with hidden costs of its own and of its upstream;
- `path`: every AS of the Internet chooses by hidden rules (a preferred neighbour within a class, prepends or lengths
  that it does not look at, its own tie-break, older routes kept), and who buys from it inherits the choice;
- `capped`: as `source`, but nobody counts more than two prepends, as filters against long paths make it;
- `level`: as `source`, but half of the upstreams put our links into levels of local-pref, so that no prepend moves
  traffic between levels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from policy_routes import PolicyRoutes

from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.engine.predict.propagation import FAR, Propagator
from teagent.engine.predict.sessions import Session, graft
from teagent.model.bgp import Asn

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FORMS = ("source", "path", "capped", "level")
LINKS = 3
NEVER = 50
"""A cost that no prepend outweighs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Biases:
    """How strong each hidden rule is: shares of senders (of ASes in the form `path`), 0 to 1, unless said otherwise."""

    local_pref: float = 0.14
    upstream_pref: float = 0.08
    ignored_prepends: float = 0.08
    provider_bias: float = 0.4
    """The chance, for each link, that all senders find it one hop longer or shorter than the graph says."""
    own_tie_break: float = 0.3
    sticky: float = 0.35
    split: float = 0.05
    drift: float = 0.004
    """Senders that get new rules, per change."""
    graph_error: float = 0.01
    """Of the edges, so many are missing, so many more than the model knows, and a third as many are of another kind."""
    noise: float = 0.03
    """Senders of which an observation attributes a part to a wrong link."""
    missing: float = 0.04
    """Senders that an observation does not see."""
    volume_noise: float = 0.06
    """Standard deviation of the logarithm of a sender's volume from one observation to the next."""
    diurnal: float = 0.4
    """Amplitude of the day, as a share of the mean volume."""

    def strong(self) -> Biases:
        """Every hidden rule nearly twice as strong."""
        more = {f.name: min(getattr(self, f.name) * 1.8, 0.9) for f in fields(self)}
        more["diurnal"] = self.diurnal
        more["volume_noise"] = self.volume_noise * 1.3
        return replace(self, **more)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """One observation of N senders: `share` (N, K) and `bps` (N), NaN in both where a sender was not seen."""

    vector: tuple[int, ...]
    hour: float
    share: Floats
    bps: Floats


def distorted(graph: AsGraph, error: float, rng: np.random.Generator) -> AsGraph:
    """Another graph: edges missing, edges more, relations that are others.

    Whoever comes to sell is the higher one of the two, as everybody else who sells: were a large network made the
    customer of a small one, all that is behind it would go through chains of customers, ten hops and more long.
    """
    sellers, buyers = graph.transit_pairs()
    one, other = graph.peering_pairs()
    stub = graph.is_stub()
    core = graph.asn[~stub]
    weight = (graph.customers.counts() + graph.peers.counts())[~stub] + 1.0
    # Providers are better known than peerings, and nobody loses the last one.
    last = np.bincount(graph.nodes(buyers), minlength=len(graph))[graph.nodes(buyers)] < 2
    keep = (rng.random(len(sellers)) > error / 2) | last
    turned = rng.random(len(sellers)) < error / 6
    turned &= ~last
    as_peers = (sellers[keep & turned], buyers[keep & turned])
    sellers, buyers = sellers[keep & ~turned], buyers[keep & ~turned]
    keep = rng.random(len(one)) > error
    turned = rng.random(len(one)) < error / 3
    to_transit = _seller_first(graph, one[keep & turned], other[keep & turned])
    one, other = one[keep & ~turned], other[keep & ~turned]
    some = rng.integers(0, len(graph), int(len(sellers) * error / 2))
    more_transit = _seller_first(graph, rng.choice(core, len(some), p=weight / weight.sum()), graph.asn[some])
    count = int(len(one) * error)
    more_peers = (rng.choice(core, count, p=weight / weight.sum()), rng.choice(core, count, p=weight / weight.sum()))
    transit = _distinct(
        np.concatenate([sellers, to_transit[0], more_transit[0]]),
        np.concatenate([buyers, to_transit[1], more_transit[1]]),
    )
    peering = _distinct(
        np.concatenate([one, as_peers[0], more_peers[0]]), np.concatenate([other, as_peers[1], more_peers[1]])
    )
    low, high = np.minimum(*peering), np.maximum(*peering)
    pairs = np.sort(np.stack(transit), axis=0)
    free = ~np.isin((low << 32) | high, (pairs[0] << 32) | pairs[1])
    return AsGraph.of(transit=transit, peering=_distinct(low[free], high[free]), alone=graph.asn)


def _seller_first(graph: AsGraph, one: Ints, other: Ints) -> tuple[Ints, Ints]:
    """Each pair of AS numbers, the higher one first: by rank, then by how many neighbors it has."""
    height = _height(graph)
    higher = height[graph.nodes(one)] > height[graph.nodes(other)]
    return np.where(higher, one, other), np.where(higher, other, one)


@lru_cache(maxsize=2)
def _height(graph: AsGraph) -> Ints:
    """(n) the place of each node from the edge upwards: who sells to another is behind it."""
    neighbors = graph.customers.counts() + graph.peers.counts()
    height: Ints = np.argsort(np.lexsort((neighbors, graph.ranks())))
    return height


def _distinct(a: Ints, b: Ints) -> tuple[Ints, Ints]:
    packed = np.unique((a << 32 | b)[a != b])
    return packed >> 32, packed & (2**32 - 1)


def bias(rng: np.random.Generator, rows: int, chance: float) -> Ints:
    """Costs per link: mostly none, some one to three hops, some that exclude every other link or one of them."""
    result = np.zeros((rows, LINKS), dtype=np.int64)
    link = rng.integers(0, LINKS, rows)
    kind = rng.choice(4, rows, p=[0.35, 0.25, 0.25, 0.15])
    amount = rng.integers(1, 4, rows)
    biased = rng.random(rows) < chance
    at = np.arange(rows)
    result[at, link] += np.where(biased & (kind == 0), amount, 0)
    result[at, link] -= np.where(biased & (kind == 1), amount, 0)
    result[at, link] -= np.where(biased & (kind == 2), NEVER, 0)
    result[at, link] += np.where(biased & (kind == 3), NEVER, 0)
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What an oracle is told of N parts of senders, but in the form `path`: costs (N, K) in the world's graph with the
    bias of each link, whose customers they are, and where they were after each announcement (steps, N).
    """

    cost: Ints
    group: Ints
    homes: Ints


class HiddenWorld:
    """One origin with three links, N senders, and the rules they choose by. `observe` is the only way to look in."""

    def __init__(self, graph: AsGraph, *, form: str, biases: Biases, senders: int, seed: int) -> None:
        self.seed, self.rng = seed, np.random.default_rng(seed)
        self.form, self.biases = form, biases
        self.origin, self.sessions = self._origin(graph)
        self.links = tuple(s.link for s in self.sessions)
        self.known_graph = graft(graph, self.origin, self.sessions)
        self._graph = graft(distorted(graph, biases.graph_error, self.rng), self.origin, self.sessions)
        self.asns = self._senders(senders)
        self._parts()
        self._volumes()
        if form == "path":
            self._routes = PolicyRoutes(
                self._graph, self.origin, self.sessions, biases, self.asns[self.part_of], self.rng
            )
        else:
            self._rules()
        self.choice = np.full(len(self.part_of), -1)
        self._homes: list[Ints] = []
        self.vector: tuple[int, ...] = (0,) * LINKS
        self.hour = float(self.rng.uniform(0, 24))

    # --- how it is made --------------------------------------------------------------------------------------------

    def _origin(self, graph: AsGraph) -> tuple[Asn, tuple[Session, ...]]:
        candidates = np.flatnonzero(graph.is_stub() & (graph.providers.counts() >= LINKS))
        if not len(candidates):
            raise SystemExit(f"no AS of this graph buys from {LINKS} others and sells to nobody: it makes no origin")
        node = int(self.rng.choice(candidates))
        neighbors = self.rng.choice(graph.providers[node], LINKS, replace=False)
        return Asn(int(graph.asn[node])), tuple(
            Session(link=f"link-{i}", neighbor=Asn(int(graph.asn[n])), heard_as=RouteClass.CUSTOMER)
            for i, n in enumerate(neighbors)
        )

    def _senders(self, count: int) -> Ints:
        """Half of them by how many neighbours they have, half of them anybody."""
        propagator = Propagator(self._graph, self.origin, self.sessions)
        reach = propagator.reach(self.links)
        self._hops = np.minimum(reach.hops.astype(np.int64), FAR)
        ours = [self._graph.node(self.origin), *(self._graph.node(s.neighbor) for s in self.sessions)]
        possible = (self._hops.min(axis=0) < FAR) & (self._graph.providers.counts() + self._graph.peers.counts() > 0)
        possible[ours] = False
        nodes = np.flatnonzero(possible)
        if len(nodes) < count:
            raise SystemExit(f"{len(nodes)} ASes of this graph have a way to the origin: too few for {count} senders")
        weight = (self._graph.providers.counts() + self._graph.peers.counts())[nodes].astype(float) ** 0.7
        heavy = self.rng.choice(nodes, count // 2, replace=False, p=weight / weight.sum())
        rest = np.setdiff1d(nodes, heavy)
        chosen = np.concatenate([heavy, self.rng.choice(rest, count - len(heavy), replace=False)])
        return self._graph.asn[np.sort(chosen)]

    def _parts(self) -> None:
        """A split sender is two senders with one name."""
        count = len(self.asns)
        self.split = np.flatnonzero(self.rng.random(count) < self.biases.split)
        self.part_of = np.concatenate([np.arange(count), self.split])
        self.part_share = np.ones(len(self.part_of))
        second = self.rng.uniform(0.15, 0.5, len(self.split))
        self.part_share[self.split] -= second
        self.part_share[count:] = second

    def _volumes(self) -> None:
        count = len(self.asns)
        self.exponent = float(self.rng.uniform(0.8, 1.4))
        rank = self.rng.permutation(count) + 1
        volume = rank**-self.exponent
        self._mean_bps = volume / volume.sum() * 10e9
        zone = self.rng.choice([0.0, 6.0, 12.0], count, p=[0.6, 0.25, 0.15])
        self._peak_hour = 20.0 + zone + self.rng.normal(0, 1.5, count)
        self._amplitude = self.biases.diurnal * self.rng.uniform(0.3, 1.4, count)
        self._wander = self.rng.normal(0, self.biases.volume_noise, count)

    def _rules(self) -> None:
        nodes = self._graph.nodes(self.asns)
        self._upstream = np.array([self._first_upstream(int(n)) for n in nodes])
        self._groups, self._group_of = np.unique(self._upstream, return_inverse=True)
        groups, parts = len(self._groups), len(self.part_of)
        rng, b = self.rng, self.biases
        self._link_bias = np.where(rng.random(LINKS) < b.provider_bias, rng.choice([-1, 1], LINKS), 0)
        self._group_bias = bias(rng, groups, b.upstream_pref)
        self._group_ignores = rng.random((groups, LINKS)) < b.ignored_prepends
        self._group_tie = rng.random((groups, LINKS))
        self._group_level = rng.integers(0, 2, (groups, LINKS)) * (rng.random((groups, 1)) < 0.5)
        self._own_bias = bias(rng, parts, b.local_pref)
        self._own_tie = np.where(rng.random((parts, 1)) < b.own_tie_break, rng.random((parts, LINKS)), np.nan)
        self._own_ignores = rng.random((parts, LINKS)) < b.ignored_prepends / 3
        self._sticky = rng.random(parts) < b.sticky

    def _first_upstream(self, node: int) -> int:
        above = self._graph.providers[node]
        return int(self.rng.choice(above)) if len(above) else -1 - node

    # --- what happens ----------------------------------------------------------------------------------------------

    def routed(self, vector: tuple[int, ...]) -> Ints:
        """Which link each part would choose under this vector, from where it is now."""
        if self.form == "path":
            return self._routes.choices(vector, remember=False)
        group = self._group_of[self.part_of]
        nodes = self._graph.nodes(self.asns)[self.part_of]
        prepends = np.array(vector)
        if self.form == "capped":
            prepends = np.minimum(prepends, 2)
        ignores = self._group_ignores[group] | self._own_ignores
        cost = self._hops[:, nodes].T + self._link_bias + self._group_bias[group] + self._own_bias
        if self.form == "level":
            cost = cost + NEVER * self._group_level[group]
        cost = cost + np.where(ignores, 0, prepends)
        tie = np.where(np.isnan(self._own_tie), self._group_tie[group], self._own_tie)
        stays = self._sticky[:, None] & (self.choice[:, None] == np.arange(LINKS))
        return np.argmin(cost + np.where(stays, -0.1, tie * 0.5), axis=1)

    def truth(self, choice: Ints) -> Floats:
        share = np.zeros((len(self.asns), LINKS))
        np.add.at(share, (self.part_of, choice), self.part_share)
        return share

    def bps(self, hour: float, wander: Floats) -> Floats:
        day = 1 + self._amplitude * np.cos((hour - self._peak_hour) / 24 * 2 * np.pi)
        volume: Floats = self._mean_bps * np.maximum(day, 0.05) * np.exp(wander)
        return volume

    def announce(self, vector: tuple[int, ...]) -> None:
        """Some senders get new rules, then all choose."""
        self._drift()
        self.choice = self._routes.choices(vector, remember=True) if self.form == "path" else self.routed(vector)
        self.vector = vector
        self._homes.append(self.choice)

    def told(self) -> Told:
        nodes = self._graph.nodes(self.asns)[self.part_of]
        return Told(
            cost=self._hops[:, nodes].T + self._link_bias,
            group=self._group_of[self.part_of],
            homes=np.stack(self._homes),
        )

    def outcome(self, vector: tuple[int, ...], hours: float) -> tuple[Floats, Floats]:
        """(N, K) shares and (N) bps that this vector would give so many hours from now; nothing is announced."""
        keep = 0.5 ** (hours / 12)
        fresh = self.rng.normal(0, self.biases.volume_noise, len(self.asns))
        wander = keep * self._wander + np.sqrt(1 - keep**2) * fresh
        return self.truth(self.routed(vector)), self.bps(self.hour + hours, wander)

    def wait(self, hours: float) -> None:
        """The hour of the day goes on and volumes wander, back to their mean in half a day."""
        self.hour += hours
        keep = 0.5 ** (hours / 12)
        fresh = self.rng.normal(0, self.biases.volume_noise, len(self.asns))
        self._wander = keep * self._wander + np.sqrt(1 - keep**2) * fresh

    def observe(self) -> Seen:
        rng, b = self.rng, self.biases
        share = self.truth(self.choice)
        count = len(share)
        wrong = np.flatnonzero(rng.random(count) < b.noise)
        part = rng.uniform(0.05, 0.6, len(wrong))
        share[wrong] *= 1 - part[:, None]
        share[wrong, rng.integers(0, LINKS, len(wrong))] += part
        bps = self.bps(self.hour, self._wander) * np.exp(rng.normal(0, 0.02, count))
        unseen = rng.random(count) < b.missing
        share[unseen], bps[unseen] = np.nan, np.nan
        return Seen(vector=self.vector, hour=self.hour, share=share, bps=bps)

    def _drift(self) -> None:
        if self.form == "path":
            self._routes.drift(self.biases.drift)
            return
        rng, b = self.rng, self.biases
        parts = np.flatnonzero(rng.random(len(self.part_of)) < b.drift)
        self._own_bias[parts] = bias(rng, len(parts), max(0.5, b.local_pref))
        self._own_tie[parts] = rng.random((len(parts), LINKS))
        self._sticky[parts] = rng.random(len(parts)) < b.sticky
