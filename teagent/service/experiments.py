"""Experiments: what would teach most, and a proposal for its next step."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from teagent.engine.choose.candidates import prepend_limit
from teagent.engine.predict.scene import prepare
from teagent.errors import NotFound, Refused
from teagent.model.bgp import Prefix
from teagent.model.experiment import Experiment
from teagent.model.link import NoData
from teagent.model.maintenance import DailyWindow
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal
from teagent.model.snapshot import Snapshot
from teagent.model.what_if import SetPrepend
from teagent.service.decide import Decider
from teagent.service.predictor import Predictor


class Experiments:
    """Of the configured prefixes, within the limits of `policy`; proposals can be approved in `window` only."""

    def __init__(
        self,
        *,
        prefixes: tuple[Prefix, ...],
        window: DailyWindow,
        policy: Policy,
        decider: Decider,
        predictor: Predictor,
    ) -> None:
        self.window = window
        self._prefixes = prefixes
        self._policy = policy
        self._decider = decider
        self._predictor = predictor

    async def plan(self) -> tuple[Snapshot, tuple[Experiment, ...]]:
        """What teaches most first. Raises Refused where there is nothing to learn with."""
        snapshot = await self._decider.snapshot()
        if isinstance(snapshot.matrix, NoData):
            raise Refused(f"there is no traffic matrix: {snapshot.matrix.reason}", hint="teagent exporter")
        if self._predictor.model is None:
            raise Refused(
                "nothing was learned yet, so that nobody can say what would teach more",
                hint="it takes a window of trusted flows that name their AS, after the announcements have settled",
            )
        return snapshot, await asyncio.to_thread(self._found, snapshot)

    def _found(self, snapshot: Snapshot) -> tuple[Experiment, ...]:
        from teagent.engine.choose.experiments import experiments

        model = self._predictor.model
        if model is None:
            return ()
        scene = prepare(snapshot)
        found = [
            each
            for prefix in self._prefixes
            if (own := snapshot.network.own(prefix)) is not None
            for each in experiments(scene, model, own, prepend=prepend_limit(self._policy, own))
        ]
        return tuple(sorted(found, key=lambda one: -one.bits))

    async def propose(self, wanted: Mapping[str, str | None], *, actor: str) -> tuple[Experiment, Proposal]:
        """The next step of the best that is not over; `wanted` may name `prefix`, `first` and `second`. Raises NotFound
        where there is none such, Refused as Decider.propose_by_hand. A confirmed experiment on the prefix is no reason
        against the next one.
        """
        _, found = await self.plan()
        open_ones = [one for one in found if one.step and _is(one, wanted)]
        if not open_ones:
            raise NotFound("experiment left with", _said(wanted), known=[_name(one) for one in found if one.step])
        best = open_ones[0]
        vector = best.alone if best.step == 1 else best.both
        wishes = [SetPrepend(prefix=best.prefix, link=link, prepend=prepend) for link, prepend in vector]
        made = await self._decider.propose_by_hand(wishes, self._policy.name, actor=actor, experiment=best.name)
        return best, made[-1]


def _is(one: Experiment, wanted: Mapping[str, str | None]) -> bool:
    given = {"prefix": str(one.prefix), "first": one.first, "second": one.second}
    return all(value is None or given[key] == value for key, value in wanted.items())


def _name(one: Experiment) -> str:
    return f"{one.prefix} {one.first} {one.second}"


def _said(wanted: Mapping[str, str | None]) -> str:
    return " ".join(value for value in wanted.values() if value) or "any prefix"
