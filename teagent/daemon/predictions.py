"""What the control socket answers about predictions."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING

from teagent.daemon.control import Actor, Handler
from teagent.errors import Refused
from teagent.model.units import format_time
from teagent.model.what_if import Wish, parse_wish
from teagent.service import documents
from teagent.service.documents import Document

if TYPE_CHECKING:
    from teagent.daemon.app import App


class PredictionHandlers:
    """All of them only read."""

    def __init__(self, app: App) -> None:
        self._app = app

    def commands(self) -> Mapping[str, Handler]:
        return {"simulate.compute": self.simulate, "snapshot.take": self.snapshot}

    async def simulate(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        snapshot, found = await self._app.decider.what_if(_wishes(arguments["changes"]))
        return documents.what_if_document(snapshot, found)

    async def snapshot(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        """As a file; the client writes it, with its own rights."""
        from teagent.adapters.snapshot_file import SavedSnapshot, pack

        snapshot = await self._app.decider.snapshot()
        graphs = self._app.predictor.as_graphs
        saved = SavedSnapshot(snapshot=snapshot, as_graph=None if graphs is None else graphs.value)
        content = await asyncio.to_thread(pack, saved)
        return {
            "at": format_time(snapshot.taken_at),
            "snapshot_digest": snapshot.digest,
            "file": base64.b64encode(content).decode("ascii"),
        }


def _wishes(texts: object) -> list[Wish]:
    if not isinstance(texts, list) or not texts:
        raise Refused("the request has no changes")
    try:
        return [parse_wish(str(text)) for text in texts]
    except ValueError as error:
        raise Refused(str(error)) from error
