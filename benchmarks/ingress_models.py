"""The models that `ingress_world.py` compares, behind one interface."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
from hidden_world import LINKS, Flags, Floats, Ints, Seen
from ingress_dry_run import DryRuns
from ingress_episode import Episode

from teagent.engine.predict.ingress import Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.propagation import FAR
from teagent.engine.predict.senders import Distances

Band = tuple[Floats, Floats, Floats]
"""(low, expected, high), each (K): shares of the total load."""

SIMPLE = ("nothing", "plain", "ties", "stay")
NAMES = tuple(f"link-{k}" for k in range(LINKS))
START = datetime(2026, 1, 1, tzinfo=UTC)
SPLIT_LEAST = 0.02
"""A smaller part of a sender's traffic on another link is taken for noise."""


class Model(Protocol):
    def learn(self, seen: Seen) -> None: ...

    def predict(self, vector: tuple[int, ...]) -> Floats:
        """(N, K) shares of each sender."""

    def band(self, vector: tuple[int, ...]) -> Band: ...


class Traffic:
    """Volumes and shares as they were seen last: by vector, over all observations since it was announced."""

    def __init__(self, told: Episode) -> None:
        count = len(told.asns)
        self.vector: tuple[int, ...] | None = None
        self.bps = np.full(count, np.nan)
        self.share = np.full((count, LINKS), 1 / LINKS)
        self.main = np.full(count, -1)
        self.main_before = self.main
        self._sum, self._count = np.zeros((count, LINKS)), np.zeros(count)

    def see(self, seen: Seen) -> Flags:
        """Which senders were seen."""
        if seen.vector != self.vector:
            self.vector, self.main_before = seen.vector, self.main
            self._sum, self._count = np.zeros_like(self._sum), np.zeros_like(self._count)
        there = ~np.isnan(seen.bps)
        self.bps = np.where(there, seen.bps, self.bps)
        self._sum[there] += seen.share[there]
        self._count += there
        known = self._count > 0
        self.share = np.where(known[:, None], self._sum / np.maximum(self._count, 1)[:, None], self.share)
        self.main = np.where(known, self.share.argmax(axis=1), self.main)
        return there

    def volumes(self) -> Floats:
        """(N) as shares; who was never seen counts as light, and where nobody was, all count alike."""
        unseen = np.isnan(self.bps)
        bps = np.where(unseen, 1.0 if unseen.all() else self.bps[~unseen].min(), self.bps)
        result: Floats = bps / bps.sum()
        return result


class SimpleModel:
    def __init__(self, told: Episode, kind: str) -> None:
        self._kind, self._hops = kind, told.hops
        self._traffic = Traffic(told)
        self._times_on = np.zeros((len(told.asns), LINKS))
        self._remembered: dict[tuple[int, ...], Floats] = {}

    def learn(self, seen: Seen) -> None:
        there = self._traffic.see(seen)
        self._times_on[there] += seen.share[there]
        memory = self._remembered.setdefault(seen.vector, np.full(self._times_on.shape, np.nan))
        memory[there] = seen.share[there]

    def predict(self, vector: tuple[int, ...]) -> Floats:
        now = self._traffic.share
        if self._kind == "nothing":
            share = now.copy()
        elif self._kind == "plain":
            least = self._least(vector)
            share = least / least.sum(axis=1, keepdims=True)
        else:
            share = np.eye(LINKS)[self._broken(vector)]
            if self._kind == "stay" and self._traffic.vector is not None:
                moves = self._broken(vector) != self._broken(self._traffic.vector)
                share = np.where(moves[:, None], share, now)
        memory = self._remembered.get(vector)
        return share if memory is None else np.where(np.isnan(memory), share, memory)

    def band(self, vector: tuple[int, ...]) -> Band:
        """Without width: the simple models say nothing of how sure they are."""
        expected = self._traffic.volumes() @ self.predict(vector)
        return expected, expected, expected

    def _least(self, vector: tuple[int, ...]) -> Flags:
        cost = np.where(self._hops >= FAR, 2 * int(FAR), self._hops + np.array(vector))
        result: Flags = cost == cost.min(axis=1, keepdims=True)
        return result

    def _broken(self, vector: tuple[int, ...]) -> Ints:
        """Of the equals the one where the sender is, else the one where it was most."""
        often = self._times_on / np.maximum(self._times_on.sum(axis=1, keepdims=True), 1)
        worth = 2 * (np.arange(LINKS) == self._traffic.main[:, None]) + often
        result: Ints = np.where(self._least(vector), worth, -1).argmax(axis=1)
        return result


class LearnedModel:
    def __init__(self, told: Episode) -> None:
        self._asn = told.asns
        count = [len(upstreams) for upstreams in told.upstreams]
        distances = Distances(
            links=NAMES,
            asn=told.asns,
            hops=told.hops,
            start=np.concatenate([[0], np.cumsum(count)]),
            upstream=np.array([asn for upstreams in told.upstreams for asn in upstreams], dtype=np.int64),
        )
        self._model = empty(NAMES, distances)
        self._traffic = Traffic(told)
        self._chances = Chances(self._model)
        self._dry_runs: DryRuns | None = None
        self._began: float | None = None

    def learn(self, seen: Seen) -> None:
        there = self._traffic.see(seen)
        if self._began is None:
            self._began = seen.hour
        observation = Observation(
            at=START + timedelta(hours=seen.hour - self._began),
            links=NAMES,
            vector=dict(zip(NAMES, seen.vector, strict=True)),
            asn=self._asn[there],
            share=seen.share[there],
            before=self._traffic.main_before[there],
            bps=seen.bps[there],
        )
        self._model = learn(self._model, observation)
        self._dry_runs = None
        self._chances = Chances(self._model)

    def predict(self, vector: tuple[int, ...]) -> Floats:
        sender, link = self._senders()
        before = self._traffic.vector or (0,) * LINKS
        cases = self._chances.cases(self._asn[sender], link)
        chances = self._chances.of(cases, before, vector)[cases.of]
        share = np.zeros((len(self._asn), LINKS))
        np.add.at(share, sender, chances * self._traffic.share[sender, link][:, None])
        return share / share.sum(axis=1, keepdims=True)

    def band(self, vector: tuple[int, ...]) -> Band:
        """Those of the dry run."""
        if self._dry_runs is None:
            sender, link = self._senders()
            part = self._traffic.volumes()[sender] * self._traffic.share[sender, link]
            now = self._traffic.vector or (0,) * LINKS
            self._dry_runs = DryRuns(self._model, now, self._asn[sender], link, part / part.sum())
        return self._dry_runs.band(vector)

    def _senders(self) -> tuple[Ints, Ints]:
        """Each sender on each of its links."""
        sender, link = np.nonzero(self._traffic.share >= SPLIT_LEAST)
        return sender, link
