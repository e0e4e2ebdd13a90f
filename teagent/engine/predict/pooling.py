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
    """Who is like whom. `patterns` (A, N): which of the patterns each sender has, if links are as far as in each of A
    cases, the likeliest first; `chances` (A) of these. `member`, `upstream_of` (M): pairs of a sender and a group that
    buys from one upstream over the same links, ascending in the sender.
    """

    patterns: Ints
    chances: tuple[float, ...]
    member: Ints
    upstream_of: Ints

    @property
    def pattern_of(self) -> Ints:
        """(N) in the likeliest case."""
        result: Ints = self.patterns[0]
        return result

    def independent(self) -> Weights:
        """(N) for how many senders each counts that nothing is shared with: those behind one upstream are one."""
        behind = np.bincount(self.upstream_of)
        count = self.patterns.shape[1]
        alone = np.bincount(self.member, weights=1 / behind[self.upstream_of], minlength=count)
        upstreams = np.bincount(self.member, minlength=count)
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
    combined = _Combined.of_ties(ties)
    used, patterns = np.unique(combined.patterns, return_inverse=True)
    kinds, combined = kinds.only(used), replace(combined, patterns=patterns.reshape(combined.patterns.shape))
    rates = kinds.assumed if last is None else last.rates if isinstance(last, Pooled) else last
    ways = kinds.of_ways(rates)
    base = kinds.of_habits(ways).astype(np.float32)
    if isinstance(last, Pooled) and last.posterior.shape == explains.shape:
        prior = last.prior
    else:
        prior = combined.believed(base)[combined.of]
    posterior = _normal(prior * explains)
    counts = ties.independent()[:, None]
    for _ in range(rounds):
        rates = kinds.learned(ways, combined.by_pattern(base, posterior * counts))
        ways = kinds.of_ways(rates)
        base = kinds.of_habits(ways).astype(np.float32)
        prior = _told(combined.believed(base), combined.of, ties, explains, posterior)
        posterior = _normal(prior * explains)
    return Pooled(rates=rates, prior=prior, posterior=posterior)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Combined:
    """Senders that have the same pattern in every case are one of C combinations: `of` (N) says which each is,
    `patterns` (A, C) what its pattern is in each of A cases, `chances` (A) how likely those are.
    """

    of: Ints
    patterns: Ints
    chances: tuple[float, ...]

    @classmethod
    def of_ties(cls, ties: Ties) -> _Combined:
        patterns, of = np.unique(ties.patterns, axis=1, return_inverse=True)
        return cls(of=of.reshape(-1), patterns=patterns, chances=ties.chances)

    def believed(self, base: Weights) -> Weights:
        """(C, H), where `base` (P, H) is believed of patterns: the mean over the cases."""
        result = np.zeros((self.patterns.shape[1], base.shape[1]), dtype=np.float32)
        for chance, pattern_of in zip(self.chances, self.patterns, strict=True):
            result += np.float32(chance) * base[pattern_of]
        return result

    def by_pattern(self, base: Weights, seen: Weights) -> Weights:
        """(P, H) sums of what was `seen` (N, H), in each case as far as that explains it."""
        in_all = _sums(self.of, seen, self.patterns.shape[1])
        part = np.divide(in_all, np.maximum(self.believed(base), np.float32(1e-30)), dtype=np.float32)
        result: Weights = np.zeros_like(base)
        for chance, pattern_of in zip(self.chances, self.patterns, strict=True):
            result += np.float32(chance) * _sums(pattern_of, part, len(base))
        result *= base
        return result


def _told(alike: Weights, alike_of: Ints, ties: Ties, explains: Weights, posterior: Weights) -> Weights:
    """(N, H) what is believed of each sender without its own evidence, where `alike` (C, H) is believed of senders at
    the same distances, and `alike_of` (N) says which of those each is.
    """
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
        own, alone, seen = posterior[rows], alike[alike_of[rows]], explains[rows]
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
