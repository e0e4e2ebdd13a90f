"""What predictions are made of, put together: graph, evidence, scorecards, and the jobs that keep them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from teagent.config.effective import Config
from teagent.daemon.build import as_graphs
from teagent.daemon.jobs import Jobs
from teagent.ports import Clock, Store
from teagent.service.decide import Decider
from teagent.service.evidence import Evidence
from teagent.service.experiments import Experiments
from teagent.service.ingest import Ingest
from teagent.service.learning import Learning
from teagent.service.observe import Observer
from teagent.service.predictor import Predictor
from teagent.service.proposals import ProposalBook
from teagent.service.reconcile import Routes
from teagent.service.scorecards import Scorecards

LEARN_SECONDS = 5.0
SETTLE_SECONDS = 300.0
"""Without a policy that says so: how long traffic takes to follow an announcement."""


class Predicting:
    """Inert; `before` is what it takes the place of, whose graph it takes over where that is the same file."""

    def __init__(
        self,
        config: Config,
        *,
        book: ProposalBook,
        observer: Observer,
        ingest: Ingest,
        routes: Routes,
        store: Store,
        clock: Clock,
        before: Predicting | None,
    ) -> None:
        network, links = config.network, tuple(config.network.links)
        self._config = config
        graphs = as_graphs(config, clock=clock, before=None if before is None else before.predictor.as_graphs)
        self.predictor: Predictor = Predictor(network=network, as_graphs=graphs)
        self.evidence = Evidence(
            links=links,
            predictor=self.predictor,
            routes=routes,
            store=store,
            settle_seconds=max((p.confirm.settle_seconds for p in config.policies), default=SETTLE_SECONDS),
        )
        self.scorecards = Scorecards(
            links=links, book=book, observer=observer, predictor=self.predictor, store=store, clock=clock
        )
        self.learning = Learning(
            links=links,
            evidence=self.evidence,
            scorecards=self.scorecards,
            ingest=ingest,
            observer=observer,
            clock=clock,
        )

    def schedule(self, jobs: Jobs, doubt: Callable[[datetime], tuple[str, ...]]) -> None:
        """`doubt` says why nothing may be decided now: what decisions may not rest on teaches nothing either."""
        if self._config.as_graph is not None:
            every = self._config.as_graph.reload_seconds
            jobs.every(every, "as_graph", self._reload_graph, at_once=True, breakable=True)
        jobs.every(LEARN_SECONDS, "learn", lambda: self.learning.cycle(doubt), at_once=True, breakable=True)

    async def _reload_graph(self) -> None:
        await self.predictor.reload()
        await self.evidence.ground()


def experiments(config: Config, *, decider: Decider, predictor: Predictor) -> Experiments | None:
    """None where none are wanted."""
    wanted = config.decide.experiments
    if wanted is None:
        return None
    policy = next(policy for policy in config.policies if policy.name == wanted.policy)
    return Experiments(
        prefixes=wanted.prefixes, window=wanted.window, policy=policy, decider=decider, predictor=predictor
    )
