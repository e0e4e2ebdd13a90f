"""What predictions rest on besides the traffic of now: the AS graph, what was learned, what was wrong before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from teagent.engine.predict.shares import TIES_STICK, Forecaster
from teagent.model.network import Network

if TYPE_CHECKING:  # loaded where they are needed, for their libraries take 20 MiB
    from teagent.engine.predict.as_graph import AsGraph
    from teagent.engine.predict.ingress import IngressModel
    from teagent.engine.predict.senders import Distances
    from teagent.engine.predict.topology import Topology
    from teagent.service.as_graphs import AsGraphs

VECTORS_MIN = 2
"""Without an AS graph, what was learned from fewer announcement vectors than this says nothing of moves."""


class Predictor:
    """`topology` is None until the AS graph has been read, and for good where none is configured; `model` until there
    is something to learn from. `widening` is by how much bands are to be widened.
    """

    def __init__(self, *, network: Network, as_graphs: AsGraphs | None) -> None:
        self._network = network
        self.as_graphs = as_graphs
        self._grafted: AsGraph | None = None
        self.topology: Topology | None = None
        self.model: IngressModel | None = None
        self.forecaster: Forecaster = TIES_STICK
        self.widening = 1.0

    async def reload(self) -> None:
        """Reads the AS graph if its file has changed, and grafts our links on it."""
        if self.as_graphs is None:
            return
        from teagent.engine.predict.topology import Topology

        await self.as_graphs.reload()
        graph = self.as_graphs.value
        if graph is not None and graph is not self._grafted:
            self.topology = await asyncio.to_thread(Topology.of, graph, self._network)
            self._grafted = graph

    def distances(self) -> Distances:
        """What the AS graph of now says of senders; nothing where there is none."""
        from teagent.engine.predict.senders import Distances

        links = tuple(self._network.links)
        if self.topology is None:
            return Distances.unknown(links)
        return Distances.in_graph(self.topology.propagator, links)

    def use(self, model: IngressModel) -> None:
        """Forecasts rest on it from now on, unless it knows too little."""
        from teagent.engine.predict.known_senders import KnownSenders

        self.model = model
        vectors = int(model.seen.max(initial=0)) + len(model.open)
        knows = self.topology is not None or vectors >= VECTORS_MIN
        self.forecaster = KnownSenders(model) if knows else TIES_STICK
