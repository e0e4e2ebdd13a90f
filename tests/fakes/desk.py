"""A daemon without a network: a real control server on a real socket, whose answers are made of real values."""

from __future__ import annotations

import asyncio
import base64
import grp
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from teagent.adapters.snapshot_file import SavedSnapshot, pack
from teagent.daemon.control import Actor, Command, ControlServer, Right
from teagent.engine.choose.digest import with_digest
from teagent.engine.choose.explain import explain_prefix
from teagent.engine.choose.what_if import what_if
from teagent.engine.lifecycle import advance, resolve_id
from teagent.errors import NotFound
from teagent.model.maintenance import DailyWindow
from teagent.model.proposal import ProposalEvent, ProposalState
from teagent.model.snapshot import Snapshot
from teagent.model.what_if import parse_wish
from teagent.service import documents
from tests.fakes import measured, shown

Arguments = Mapping[str, Any]


class Desk:
    """Answers every command. `errors` maps a command to what it raises instead; `asked` is what was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.errors: dict[str, Exception] = {}
        self.proposals = {"p-7f3c": shown.proposal()}
        self.proposes = True
        self.frozen: documents.Document | None = None
        self.status_changes: dict[str, object] = {}
        self.exported: list[documents.Document] = []
        self.advice: documents.Document | None = None

    def commands(self) -> dict[str, Command]:
        answers = {
            "status": lambda _: self._status(),
            "doctor": lambda _: documents.diagnoses_document(shown.DIAGNOSES, at=measured.NOW),
            "check": lambda _: documents.check_document(self._status()),
            "link.list": lambda _: documents.listing("links", measured.link_documents(), at=measured.NOW),
            "link.show": self._link,
            "prefix.list": lambda _: documents.listing("prefixes", [self._prefix(None)], at=measured.NOW),
            "prefix.show": lambda _: self._prefix(3),
            "router.list": lambda _: documents.listing("routers", measured.router_documents(), at=measured.NOW),
            "exporter.list": lambda _: documents.listing(
                "exporters", [documents.exporter_document(measured.EXPORTER)], at=measured.NOW
            ),
            "matrix.show": lambda given: documents.matrix_document(
                measured.matrix(), at=measured.NOW, top=given["top"]
            ),
            "policy.list": lambda _: documents.listing(
                "policies", [documents.policy_document(shown.POLICY, last=shown.decision())], at=measured.NOW
            ),
            "policy.explain": lambda _: documents.decision_document(shown.decision(), measured.NETWORK),
            "plan.compute": self._plan,
            "simulate.compute": lambda given: documents.what_if_document(
                snapshot(),
                what_if(snapshot(), [parse_wish(text) for text in given["changes"]]),
                proposal="p-7f3c" if given.get("propose") else None,
            ),
            "scorecard.list": lambda _: documents.scorecards_document(
                shown.scorecards(), at=measured.NOW, since=measured.ago(30 * 86400), widening=1.5
            ),
            "experiment.plan": lambda given: documents.experiments_document(
                [shown.experiment()],
                at=measured.NOW,
                window=DailyWindow.parse("02:00-04:30"),
                proposal="p-7f3c" if given["propose"] else None,
            ),
            "ingress.show": lambda given: documents.ingress_document(
                [(shown.belief(), 2.2e9)][: given["top"]],
                at=measured.NOW,
                prefix=measured.EYEBALL,
                vector={"transit-a": 0, "transit-b": 1},
            ),
            "snapshot.take": lambda _: {
                "at": "2026-01-12T19:40:28Z",
                "snapshot_digest": snapshot().digest,
                "file": base64.b64encode(pack(SavedSnapshot(snapshot=snapshot(), as_graph=None))).decode(),
            },
            "proposal.list": lambda _: documents.listing(
                "proposals", map(documents.proposal_summary_document, self.proposals.values()), at=measured.NOW
            ),
            "proposal.show": lambda given: self._document(self._find(given)),
            "proposal.approve": lambda given: self._move(given, ProposalEvent.APPROVE),
            "proposal.reject": lambda given: self._move(given, ProposalEvent.REJECT),
            "proposal.confirm": lambda given: self._move(given, ProposalEvent.CONFIRM),
            "proposal.revert": lambda given: self._move(given, ProposalEvent.REVERT),
            "proposal.resolve": lambda given: self._move(given, ProposalEvent.RESOLVE),
            "freeze": self._freeze,
            "thaw": self._thaw,
            "log.list": lambda _: documents.listing("events", [documents.event_document(shown.EVENT)], at=measured.NOW),
            "explain.show": lambda _: self._explain(),
            "advisor.status": lambda _: {"at": "2026-01-12T19:40:30Z", **shown.advisor_document()},
            "ask": lambda given: shown.asked_document(given["question"]),
            "config.reload": lambda _: {"at": "2026-01-12T19:40:30Z", "reloading": "/etc/teagent/config.yaml"},
        }
        changing = {"freeze", "thaw", "config.reload"} | {name for name in answers if name.startswith("proposal.")}
        changing -= {"proposal.list", "proposal.show"}
        commands = {name: self._command(name, answer, changes=name in changing) for name, answer in answers.items()}
        return {**commands, "log.follow": Command(self._follow), "log.export": Command(self._export)}

    def _command(self, name: str, answer: Any, *, changes: bool) -> Command:
        async def handler(_actor: Actor, given: Arguments) -> object:
            self.asked.append((name, {key: value for key, value in given.items() if value not in (None, "", False)}))
            if name in self.errors:
                raise self.errors[name]
            return answer(given)

        return Command(handler, right=Right.APPROVE if changes else Right.VIEW)

    async def _follow(self, _actor: Actor, _given: Arguments) -> AsyncIterator[object]:
        yield documents.event_document(shown.EVENT)
        yield documents.event_document(shown.EVENT)

    async def _export(self, _actor: Actor, _given: Arguments) -> AsyncIterator[object]:
        for document in self.exported:
            yield document

    def _status(self) -> documents.Document:
        return shown.status_document(frozen=self.frozen, **self.status_changes)

    def _link(self, given: Arguments) -> object:
        if given["name"] != "transit-a":
            raise NotFound("link", given["name"], known=["transit-a", "transit-b"])
        return documents.link_document(
            measured.A,
            latest=measured.READING_A,
            p95=measured.P95_A,
            trigger=measured.FIRING,
            history=measured.HISTORY_A,
        )

    def _prefix(self, top: int | None) -> documents.Document:
        return documents.prefix_document(
            measured.NETWORK.prefixes[0],
            network=measured.NETWORK,
            live=measured.NETWORK.home(),
            matrix=measured.matrix(),
            top=top,
        )

    def _plan(self, given: Arguments) -> object:
        proposal = "p-7f3c" if given["propose"] and self.proposes else None
        decision = shown.decision(proposes=self.proposes)
        return documents.plans_document(
            [documents.decision_document(decision, measured.NETWORK, proposal=proposal)], at=measured.NOW
        )

    def _find(self, given: Arguments) -> Any:
        return self.proposals[resolve_id(given["id"], self.proposals)]

    def _move(self, given: Arguments, event: ProposalEvent) -> object:
        moved = advance(
            self._find(given), event, actor="alice", now=measured.NOW, reason=given.get("reason") or "because"
        )
        if moved.state is ProposalState.APPROVED:
            moved = shown.proposal(ProposalState.CONFIRMING, name=moved.id)
        self.proposals[moved.id] = moved
        return self._document(moved)

    def _document(self, proposal: Any) -> documents.Document:
        document = documents.proposal_document(
            proposal, network=measured.NETWORK, at=measured.NOW, dry_run=False, confirm_window_seconds=1200, approvers=1
        )
        return document | {"advice": self.advice}

    def _freeze(self, given: Arguments) -> object:
        self.frozen = documents.freeze_document(since=measured.NOW, by="alice", reason=given["reason"])
        return {"at": "2026-01-12T19:40:30Z", "frozen": self.frozen}

    def _thaw(self, _given: Arguments) -> object:
        self.frozen = None
        return {"at": "2026-01-12T19:40:30Z", "frozen": None}

    def _explain(self) -> object:
        explained = explain_prefix(snapshot(), (shown.decision(),), measured.EYEBALL)
        return documents.explain_document(explained, at=measured.NOW, proposals={shown.DIGEST: "p-7f3c"})


def snapshot() -> Snapshot:
    return with_digest(
        Snapshot(
            taken_at=measured.ago(2),
            network=measured.NETWORK,
            live=measured.NETWORK.home(),
            latest={"transit-a": measured.READING_A, "transit-b": measured.READING_B},
            history={"transit-a": measured.HISTORY_A, "transit-b": ()},
            matrix=measured.matrix(),
            busy={},
            frozen=False,
            distrust=(),
            digest="",
        )
    )


@contextmanager
def serving(desk: Desk) -> Iterator[Path]:
    """The desk on a socket of its own, in a thread of its own; everything has ended when this ends."""
    with tempfile.TemporaryDirectory(prefix="teagent-") as directory:
        path = Path(directory) / "teagent.sock"
        ready, loop = threading.Event(), asyncio.new_event_loop()
        over = asyncio.Event()

        async def serve() -> None:
            ours = grp.getgrgid(os.getgid()).gr_name
            server = ControlServer(path, desk.commands(), approvers=(ours,), timeout_seconds=10)
            await server.start()
            ready.set()
            await over.wait()
            await server.stop()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        try:
            assert ready.wait(10)
            yield path
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join(20)
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
