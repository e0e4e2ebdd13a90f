"""What senders teach about each other: weights of habits for each, from its own evidence and from senders like it.

Empirical Bayes, in three tiers. All senders give the rates of the parts of habits (`habit_rates`). Those with the same
pattern of hops over the same links share a Dirichlet distribution over habits, around those rates; those that buy from
the same upstream one around that. Each sender is left out of what it is told itself. A sender with several upstreams
goes with each as far as that explains it. A few rounds, from the last result, are enough: evidence comes in slowly.

Who breaks a tie does it by what is near to him: the order of equals is shared by those behind one upstream and by no
wider group. So where all of a pattern with two equal links come in on one of them, that is not a hundred equal orders
but a link that is nearer than the graph says, and prepends are reckoned from there.

Nor does one picture of where senders are tell what sets those of one pattern apart from others: what all of them teach
about the gaps between links is surer. So a sender speaks for its pattern as far as it was seen under several vectors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from teagent.engine.predict.habit_rates import Kinds, Rates

Weights = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

BLOCK = 1024
"""So many senders at once: what is worked with stays within a few MiB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """Who is like whom. `pattern_of`, `alike_of` (N): which of the patterns, and of the groups with the same pattern
    over the same links. `member`, `upstream_of` (M): pairs of a sender and a group that buys from one upstream,
    ascending in the sender.
    """

    pattern_of: Ints
    alike_of: Ints
    member: Ints
    upstream_of: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How many senders' worth the wider group counts beside the members of the narrower one."""

    rates_in_alike: float = 10.0
    alike_in_upstream: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """`explains` (N, H): how well each habit goes with what was seen of each sender, in any unit of its own row;
    `vectors` (N): under how many it was seen.
    """

    explains: Weights
    vectors: Ints

    def speaks(self) -> Weights:
        """(N) 0 to 1: for how much of a sender each counts in what those of its pattern are believed to do."""
        return (1 - 1 / np.maximum(self.vectors, 1)).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooled:
    """`posterior` and `prior` (N, H), rows of which sum to 1: with a sender's own evidence and without. `of_alike`
    (groups, H): what is expected of a sender of the group that nothing else is known of.
    """

    rates: Rates
    prior: Weights
    posterior: Weights
    of_alike: Weights


def pool(
    kinds: Kinds, ties: Ties, evidence: Evidence, last: Pooled | Rates | None, rounds: int, strength: Strength
) -> Pooled:
    """`last` is where the rounds begin, the more of it is known the better."""
    used, pattern_of = np.unique(ties.pattern_of, return_inverse=True)
    kinds, ties = kinds.only(used), replace(ties, pattern_of=pattern_of.reshape(-1))
    rates = kinds.assumed if last is None else last.rates if isinstance(last, Pooled) else last
    ways = kinds.of_ways(rates)
    base = kinds.of_habits(ways).astype(np.float32)
    if isinstance(last, Pooled) and last.posterior.shape == evidence.explains.shape:
        prior = last.prior
    else:
        prior = base[ties.pattern_of]
    posterior = _normal(prior * evidence.explains)
    of_alike = base[:0]
    for _ in range(rounds):
        rates = kinds.learned(ways, _sums(ties.pattern_of, posterior, len(kinds.patterns)))
        ways = kinds.of_ways(rates)
        base = kinds.of_habits(ways).astype(np.float32)
        prior, posterior, of_alike = _round(kinds, base, ties, evidence, posterior, strength)
    return Pooled(rates=rates, prior=prior, posterior=posterior, of_alike=of_alike)


def _round(
    kinds: Kinds, base: Weights, ties: Ties, evidence: Evidence, posterior: Weights, strength: Strength
) -> tuple[Weights, Weights, Weights]:
    count = len(posterior)
    alike = int(ties.alike_of.max(initial=-1)) + 1
    groups = int(ties.upstream_of.max(initial=-1)) + 1
    speaks = evidence.speaks()
    sums = _sums(ties.alike_of, posterior * speaks[:, None], alike) @ kinds.any_order
    size = np.bincount(ties.alike_of, weights=speaks, minlength=alike).astype(np.float32)
    pattern_of_alike = np.zeros(alike, dtype=np.int64)
    pattern_of_alike[ties.alike_of] = ties.pattern_of
    wide = np.float32(strength.rates_in_alike)
    mixed = wide * base[pattern_of_alike] + sums
    part = _parts(ties, count)
    below = csr_array((part, (ties.upstream_of, ties.member)), shape=(groups, count))
    told = (below @ posterior).astype(np.float32)
    weight = np.bincount(ties.upstream_of, weights=part, minlength=groups).astype(np.float32)
    prior = np.empty_like(posterior)
    near = np.float32(strength.alike_in_upstream)
    first = np.searchsorted(ties.member, np.arange(0, count + BLOCK, BLOCK))
    for number, start in enumerate(range(0, count, BLOCK)):
        rows = slice(start, min(start + BLOCK, count))
        own = posterior[rows]
        said = speaks[rows, None]
        alone = mixed[ties.alike_of[rows]] - said * (own @ kinds.any_order)
        alone /= wide + size[ties.alike_of[rows], None] - said
        pairs = slice(first[number], first[number + 1])
        who, group, share = ties.member[pairs] - start, ties.upstream_of[pairs], part[pairs]
        # A pair expects (near * alone + told - share * own) / counted; of the sum over a sender's pairs, only what is
        # told differs between them.
        counted = near + weight[group] - share
        seen = evidence.explains[rows]
        by_alone, by_own = (np.einsum("nh,nh->n", one, seen)[who] for one in (alone, own))
        explained = near * by_alone + np.einsum("ph,ph->p", told[group], seen[who]) - share * by_own
        explained = np.maximum(explained, 0) / counted
        total = np.bincount(who, weights=explained, minlength=len(own))
        goes = explained / np.maximum(total[who], 1e-30) / counted
        by = csr_array((goes.astype(np.float32), (who, group)), shape=(len(own), groups))
        of_alone, of_own = (np.bincount(who, weights=w, minlength=len(own)) for w in (near * goes, share * goes))
        of_alone[np.bincount(who, minlength=len(own)) == 0] = 1.0
        prior[rows] = of_alone.astype(np.float32)[:, None] * alone
        prior[rows] += by @ told
        prior[rows] -= of_own.astype(np.float32)[:, None] * own
    np.maximum(prior, np.float32(1e-12), out=prior)
    return prior, _normal(prior * evidence.explains), mixed / (wide + size)[:, None]


def _parts(ties: Ties, count: int) -> Weights:
    """Of each pair, how much of the sender goes with the upstream."""
    return (1 / np.bincount(ties.member, minlength=count)[ties.member]).astype(np.float32)


def _sums(group_of: Ints, weights: Weights, groups: int) -> Weights:
    count = len(group_of)
    onto = csr_array((np.ones(count, dtype=np.float32), (group_of, np.arange(count))), shape=(groups, count))
    result: Weights = onto @ weights
    return result


def _normal(weights: Weights) -> Weights:
    result: Weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-30))
    return result
