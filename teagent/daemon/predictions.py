"""What the control socket answers about predictions."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from teagent.daemon.arguments import count_of, own_prefix, seconds_of
from teagent.daemon.control import Actor, Command, Right
from teagent.errors import Refused
from teagent.model.bgp import ASN_MAX, Asn
from teagent.model.link import NoData
from teagent.model.units import format_time
from teagent.model.what_if import Wish, parse_wish
from teagent.service import documents
from teagent.service.documents import Document

if TYPE_CHECKING:
    from teagent.daemon.app import App

MAX_SCORECARDS = 5000
MAX_TOP = 200


class PredictionHandlers:
    """All of them only read, but for a simulation that is to be proposed."""

    def __init__(self, app: App) -> None:
        self._app = app

    def commands(self) -> Mapping[str, Command]:
        return {
            # Computing is reading; asking for approval is not.
            "simulate.compute": Command(
                self.simulate, right=lambda arguments: Right.APPROVE if arguments.get("propose") else Right.VIEW
            ),
            "snapshot.take": Command(self.snapshot),
            "scorecard.list": Command(self.scorecards),
            "ingress.show": Command(self.ingress),
            "experiment.plan": Command(
                self.experiments, right=lambda arguments: Right.APPROVE if arguments.get("propose") else Right.VIEW
            ),
        }

    async def simulate(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        wishes, policy = _wishes(arguments["changes"]), arguments.get("propose")
        decider = self._app.decider
        if not policy:
            snapshot, found = await decider.what_if(wishes)
            return documents.what_if_document(snapshot, found)
        self._app.freeze.check()
        snapshot, found, proposal = await decider.propose_by_hand(wishes, str(policy), actor=actor.user)
        return documents.what_if_document(snapshot, found, proposal=proposal.id)

    async def snapshot(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        """As a file; the client writes it, with its own rights."""
        from teagent.adapters.snapshot_file import SavedSnapshot, pack
        from teagent.engine.predict.ingress_state import to_state

        predictor = self._app.predicting.predictor
        snapshot = await self._app.decider.snapshot()
        saved = SavedSnapshot(
            snapshot=snapshot,
            as_graph=None if predictor.as_graphs is None else predictor.as_graphs.value,
            ingress=None if predictor.model is None else await asyncio.to_thread(to_state, predictor.model),
        )
        content = await asyncio.to_thread(pack, saved)
        return {
            "at": format_time(snapshot.taken_at),
            "snapshot_digest": snapshot.digest,
            "file": base64.b64encode(content).decode("ascii"),
        }

    async def scorecards(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        now = self._app.clock.now()
        since = now - timedelta(seconds=seconds_of(arguments["since_seconds"]))
        cards = await self._app.store.scorecards(since=since, limit=MAX_SCORECARDS)
        return documents.scorecards_document(
            cards, at=now, since=since, widening=self._app.predicting.predictor.widening
        )

    async def ingress(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        """What is believed of one sender, or of the heaviest, under the announcement of one of our prefixes."""
        from teagent.engine.predict.beliefs import beliefs_of, sending

        app, now = self._app, self._app.clock.now()
        prefix = own_prefix(app.config.network, arguments.get("prefix"))
        model, live = app.predicting.predictor.model, app.routes.live()
        if model is None:
            raise Refused(
                "nothing was learned yet of how senders choose",
                hint="it takes a window of trusted flows that name their AS, after the announcements have settled",
            )
        if isinstance(live, NoData):
            raise Refused(f"what is announced is not known: {live.reason}")
        asn = arguments.get("asn")
        wanted = None if asn is None else Asn(count_of(arguments, "asn", 0, ASN_MAX))
        matrix = app.ingest.latest(now)
        seen = {} if isinstance(matrix, NoData) else sending(matrix, prefix)
        beliefs = await asyncio.to_thread(
            beliefs_of, model, live.vector(prefix), seen, asn=wanted, top=count_of(arguments, "top", 20, MAX_TOP)
        )
        return documents.ingress_document(beliefs, at=now, prefix=prefix, vector=live.vector(prefix))

    async def experiments(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        """What would teach most; with `propose` its next step becomes a proposal."""
        found = self._app.experiments
        if found is None:
            raise Refused(
                "experiments are not configured",
                hint="decide.experiments in the configuration names prefixes, a time of day and a policy",
            )
        proposal = None
        if arguments.get("propose"):
            self._app.freeze.check()
            wanted = {key: _text_or_none(arguments.get(key)) for key in ("prefix", "first", "second")}
            _, made = await found.propose(wanted, actor=actor.user)
            proposal = made.id
        snapshot, listed = await found.plan()
        return documents.experiments_document(listed, at=snapshot.taken_at, window=found.window, proposal=proposal)


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _wishes(texts: object) -> list[Wish]:
    if not isinstance(texts, list) or not texts:
        raise Refused("the request has no changes")
    try:
        return [parse_wish(str(text)) for text in texts]
    except ValueError as error:
        raise Refused(str(error)) from error
