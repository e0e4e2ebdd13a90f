"""A dry run on a stored snapshot, in this process. The engine takes time to import: only `simulate` asks for this."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from teagent.adapters import snapshot_file
from teagent.engine.choose.what_if import what_if
from teagent.engine.predict.ingress_state import from_state
from teagent.engine.predict.topology import Topology
from teagent.errors import TeagentError
from teagent.model.what_if import Wish
from teagent.service.documents import Document, what_if_document
from teagent.service.predictor import Predictor


def what_if_of(file: Path, wishes: Sequence[Wish]) -> Document:
    """The same document as the daemon's. Raises as `snapshot_file.load` and `what_if` do."""
    saved = snapshot_file.load(file)
    predictor = Predictor(network=saved.snapshot.network, as_graphs=None)
    graph = saved.as_graph
    if graph is not None:
        predictor.topology = Topology.of(graph, saved.snapshot.network)
    if saved.ingress is not None:
        try:
            predictor.use(from_state(saved.ingress, predictor.distances()))
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise TeagentError(f"{file} is damaged: what was learned is not what a model holds") from error
    found = what_if(saved.snapshot, wishes, forecaster=predictor.forecaster, topology=predictor.topology)
    return what_if_document(saved.snapshot, found)
