"""What was learned of senders: which of our links each takes under which prepends, and how sure that is.

Each sender has weights over the habits (`habits`), by Bayes from what was seen of it and from what senders like it
show (`pooling`). Each announcement vector puts one question to a sender; what it answers to a question that it
answered the same way lately teaches nothing new. A sender may change: with each new vector, and with time, its
evidence gives way a little to what senders like it do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import repeat

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.habits import SLOTS_MAX, WITHHELD, Habits, answers, habits
from teagent.engine.predict.ingress_scores import Scores
from teagent.engine.predict.pooling import Pooled, Ties, Weights
from teagent.engine.predict.senders import Distances

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]
Vector = tuple[int, ...]
"""Prepends for each link of the model, WITHHELD where it does not announce."""

SENDERS_MAX = 4096
"""Of so many senders, the heaviest, each has weights of its own; the others go with those like them."""

ERROR = 0.04
"""How often what is seen is not what the sender's habit says: attribution, a path that broke, a rule that is in no
list."""

CHANGES = 0.006
"""The chance that a sender has other habits at the next vector."""

HALF_LIFE = timedelta(days=120)
"""In this time half of the senders are taken to have other habits, without any change of ours."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """Of N senders, what was seen while `vector` (link -> prepends; absent: withheld) was announced.

    `asn` (N, distinct); `share` (N, K) of each sender's traffic over each of `links`, rows of which sum to 1; `before`
    (N) the place in `links` over which most of it came before the vector, -1 where nobody knows; `bps` (N).
    `vector_before` is what was announced then; None stands for what was observed last. Senders of
    which nothing was seen are left out.
    """

    at: datetime
    links: tuple[str, ...]
    vector: Mapping[str, int]
    asn: Ints
    share: Floats
    before: Ints
    bps: Floats
    vector_before: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        count = len(self.asn)
        if self.share.shape != (count, len(self.links)) or len(self.before) != count or len(self.bps) != count:
            raise ValueError("the columns of an observation have different lengths")
        if len(np.unique(self.asn)) != count:
            raise ValueError("a sender is in an observation twice")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """A vector whose answers still come in: `before` (n) the slot that each sender was on, -1 unknown; `answers`
    (n, S) sums of shares, `seen` (n) how many.
    """

    vector: Vector
    at: datetime
    before: Ints
    answers: Floats
    seen: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IngressModel:
    """n senders, S slots, H habits. `slots` (n, S) are places in `links`; `bps` (n) how heavy each is, smoothed;
    `seen` (n) how many vectors it answered; `evidence` (n, H) from answers that are complete.
    """

    links: tuple[str, ...]
    distances: Distances
    asn: Ints
    slots: Ints
    bps: Floats
    seen: Ints
    evidence: Weights
    ties: Ties
    open: tuple[Question, ...] = ()
    pooled: Pooled | None = None
    learned_at: datetime | None = None
    scores: Scores = field(default_factory=Scores)

    @property
    def habits(self) -> Habits:
        return habits(min(len(self.links), SLOTS_MAX))

    def rows(self, asns: Ints) -> Ints:
        """The places of senders, -1 for those without weights of their own."""
        if not len(self.asn):
            return np.full(len(asns), -1, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.asn, asns), len(self.asn) - 1)
        return np.where(self.asn[place] == asns, place, -1)

    def answers(self, vector: Vector, places: Ints, previous: int) -> Ints:
        """(H) the slot that each habit takes under the vector, where the slots are at `places` (S) among the links."""
        return answers(len(places), tuple(vector[k] for k in places.tolist()), previous)

    def vector(self, prepends: Mapping[str, int]) -> Vector:
        return tuple(map(prepends.get, self.links, repeat(WITHHELD)))


def empty(links: Sequence[str], distances: Distances | None = None) -> IngressModel:
    """Knows nothing but what the graph says. Raises ValueError where the distances are to other links."""
    links = tuple(links)
    distances = distances or Distances.unknown(links)
    if distances.links != links:
        raise ValueError("distances are to other links than the model's")
    width = min(len(links), SLOTS_MAX)
    none = np.zeros(0, dtype=np.int64)
    return IngressModel(
        links=links,
        distances=distances,
        asn=none,
        slots=np.zeros((0, width), dtype=np.int64),
        bps=np.zeros(0),
        seen=none,
        evidence=np.zeros((0, len(habits(width))), dtype=np.float32),
        ties=Ties(patterns=none[None], chances=(1.0,), member=none, upstream_of=none),
    )
