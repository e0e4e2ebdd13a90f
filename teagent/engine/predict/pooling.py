"""What senders teach about each other: weights of habits for each, from its own evidence and from senders like it.

Empirical Bayes, in two tiers. All senders give the rates of the parts of habits (`habit_rates`), and with them what is
believed of each pattern of hops. Those that buy from the same upstream share a Dirichlet distribution over habits,
around that. Each sender is left out of what it is told itself. A sender with several upstreams goes with each as far as
that explains it. A few rounds, from the last result, are enough: evidence comes in slowly.

Who breaks a tie does it by what is near to him: the order of equals, and much else, is shared by those behind one
upstream. So a hundred of them are not a hundred witnesses to a rate, but about one: each counts by how many it shares
its upstreams with. For the same reason there is no tier between, of senders at the same distances from the same links:
of what they have in common, more is chance than rule.
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

PATTERN_IN_UPSTREAM = 20.0
"""So many senders' worth counts what is believed of a pattern, beside those that buy from the same upstream."""

BLOCK = 1024
"""So many senders at once: what is worked with stays within a few MiB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """Who is like whom. `pattern_of` (N): which of the patterns. `member`, `upstream_of` (M): pairs of a sender and a
    group that buys from one upstream over the same links, ascending in the sender.
    """

    pattern_of: Ints
    member: Ints
    upstream_of: Ints

    def independent(self) -> Weights:
        """(N) for how many senders each counts that nothing is shared with: those behind one upstream are one."""
        behind = np.bincount(self.upstream_of)
        alone = np.bincount(self.member, weights=1 / behind[self.upstream_of], minlength=len(self.pattern_of))
        upstreams = np.bincount(self.member, minlength=len(self.pattern_of))
        return np.where(upstreams > 0, alone / np.maximum(upstreams, 1), 1.0).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooled:
    """`posterior` and `prior` (N, H), rows of which sum to 1: with a sender's own evidence and without."""

    rates: Rates
    prior: Weights
    posterior: Weights


def pool(kinds: Kinds, ties: Ties, explains: Weights, last: Pooled | Rates | None, rounds: int) -> Pooled:
    """`explains` (N, H): how well each habit goes with what was seen of each sender, in any unit of its own row. `last`
    is where the rounds begin, the more of it is known the better.
    """
    used, pattern_of = np.unique(ties.pattern_of, return_inverse=True)
    kinds, ties = kinds.only(used), replace(ties, pattern_of=pattern_of.reshape(-1))
    rates = kinds.assumed if last is None else last.rates if isinstance(last, Pooled) else last
    ways = kinds.of_ways(rates)
    if isinstance(last, Pooled) and last.posterior.shape == explains.shape:
        prior = last.prior
    else:
        prior = kinds.of_habits(ways).astype(np.float32)[ties.pattern_of]
    posterior = _normal(prior * explains)
    counts = ties.independent()[:, None]
    for _ in range(rounds):
        rates = kinds.learned(ways, _sums(ties.pattern_of, posterior * counts, len(kinds.patterns)))
        ways = kinds.of_ways(rates)
        prior = _told(kinds.of_habits(ways).astype(np.float32), ties, explains, posterior)
        posterior = _normal(prior * explains)
    return Pooled(rates=rates, prior=prior, posterior=posterior)


def _told(base: Weights, ties: Ties, explains: Weights, posterior: Weights) -> Weights:
    """(N, H) what is believed of each sender without its own evidence, where `base` is believed of each pattern."""
    count = len(posterior)
    groups = int(ties.upstream_of.max(initial=-1)) + 1
    part = _parts(ties, count)
    below = csr_array((part, (ties.upstream_of, ties.member)), shape=(groups, count))
    told = (below @ posterior).astype(np.float32)
    weight = np.bincount(ties.upstream_of, weights=part, minlength=groups).astype(np.float32)
    prior = np.empty_like(posterior)
    near = np.float32(PATTERN_IN_UPSTREAM)
    first = np.searchsorted(ties.member, np.arange(0, count + BLOCK, BLOCK))
    for number, start in enumerate(range(0, count, BLOCK)):
        rows = slice(start, min(start + BLOCK, count))
        own, alone, seen = posterior[rows], base[ties.pattern_of[rows]], explains[rows]
        pairs = slice(first[number], first[number + 1])
        who, group, share = ties.member[pairs] - start, ties.upstream_of[pairs], part[pairs]
        # A pair expects (near * alone + told - share * own) / counted; of the sum over a sender's pairs, only what is
        # told differs between them.
        counted = near + weight[group] - share
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
    return np.maximum(prior, np.float32(1e-12))


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
