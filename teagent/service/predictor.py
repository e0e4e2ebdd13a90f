"""What predictions rest on besides the traffic of now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from teagent.model.network import Network

if TYPE_CHECKING:  # loaded where a graph is configured, for its libraries take 20 MiB
    from teagent.engine.predict.as_graph import AsGraph
    from teagent.engine.predict.topology import Topology
    from teagent.service.as_graphs import AsGraphs


class Predictor:
    """`topology` is None until the AS graph has been read, and for good where none is configured."""

    def __init__(self, *, network: Network, as_graphs: AsGraphs | None) -> None:
        self._network = network
        self.as_graphs = as_graphs
        self._grafted: AsGraph | None = None
        self.topology: Topology | None = None

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
