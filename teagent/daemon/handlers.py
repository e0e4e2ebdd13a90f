"""What the control socket answers: one method a command, each a use case and its document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from teagent import __version__
from teagent.config.derived import speaking_routers
from teagent.daemon.advice import AdviceHandlers
from teagent.daemon.arguments import count_of, own_prefix, text_of
from teagent.daemon.control import Actor, Command, Handler, Right
from teagent.daemon.measured import MeasuredHandlers
from teagent.daemon.predictions import PredictionHandlers
from teagent.engine.choose.explain import explain_prefix
from teagent.errors import NotFound
from teagent.model.plan import Decision
from teagent.model.policy import Policy
from teagent.model.proposal import FINAL, Proposal
from teagent.model.units import format_time
from teagent.ports import CHAINS
from teagent.service import documents
from teagent.service.documents import Document

if TYPE_CHECKING:
    from teagent.daemon.app import App

MAX_TOP = 10_000
MAX_EVENTS = 10_000
FOLLOW_PAUSE_SECONDS = 0.5
EXPORT_ROWS = 500


class Handlers:
    """Reads of the app go through here as well as changes; every changing command names its actor."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._measured = MeasuredHandlers(app)

    def commands(self) -> Mapping[str, Command]:
        read: dict[str, Handler] = {
            "status": self.status,
            "check": self.check,
            "doctor": self.doctor,
            "policy.list": self.policy_list,
            "policy.explain": self.policy_explain,
            "proposal.list": self.proposal_list,
            "proposal.show": self.proposal_show,
            "log.list": self.log_list,
            "log.follow": self.log_follow,
            "log.export": self.log_export,
            "explain.show": self.explain_show,
        }
        decide: dict[str, Handler] = {
            "proposal.approve": self.approve,
            "proposal.reject": self.reject,
            "proposal.confirm": self.confirm,
            "proposal.revert": self.revert,
            "freeze": self.freeze,
        }
        administer: dict[str, Handler] = {
            "proposal.resolve": self.resolve,
            "thaw": self.thaw,
            "config.reload": self.reload,
        }
        commands = {
            name: Command(handler, right=right)
            for right, handlers in ((Right.VIEW, read), (Right.APPROVE, decide), (Right.ADMINISTER, administer))
            for name, handler in handlers.items()
        }
        commands |= self._measured.commands()
        commands |= PredictionHandlers(self._app).commands()
        commands |= AdviceHandlers(self._app, commands).commands()
        # Computing is reading; asking for approval is not.
        commands["plan.compute"] = Command(
            self.plan_compute, right=lambda arguments: Right.APPROVE if arguments.get("propose") else Right.VIEW
        )
        return commands

    # --- reading ---------------------------------------------------------------------------------------------------

    @property
    def _now(self) -> datetime:
        return self._app.clock.now()

    async def status(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        app = self._app
        await app.look()
        now = self._now
        return documents.status_document(
            at=now,
            started_at=app.started_at,
            version=__version__,
            asn=int(app.config.network.asn),
            dry_run=app.config.bgp.dry_run,
            frozen=self._freeze(),
            speaker=None if app.config.bgp.dry_run else app.routes.state,
            witness=None if app.witness is None else list(map(documents.witness_document, app.witness.health())),
            stray_overrides=documents.stray_documents(app.prover.stray()),
            distrust=app.decider.distrust(now),
            links=await self._measured.links(),
            routers=self._measured.routers(),
            exporters=self._measured.exporters(now),
            policies=[self._policy_document(policy) for policy in app.config.policies],
            proposals=[self._summary(each) for each in app.book.live()],
            as_graph=documents.as_graph_document(app.predicting.predictor),
            misprojected=documents.misprojected_document(
                app.predicting.scorecards.misprojecting(), widening=app.predicting.predictor.widening
            ),
            neighbors={
                str(router.neighbor): documents.Neighbor(
                    router=router.name,
                    md5_password=None if router.md5_password is None else router.md5_password.reference,
                )
                for router in speaking_routers(app.config)
            },
        )

    async def check(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        return documents.check_document(await self.status(actor, arguments))

    async def doctor(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        return documents.diagnoses_document(await self._app.doctor.examine(self._now), at=self._now)

    def _policy_document(self, policy: Policy) -> Document:
        return documents.policy_document(policy, last=self._app.decider.last().get(policy.name))

    async def policy_list(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        rows = [self._policy_document(policy) for policy in self._app.config.policies]
        return documents.listing("policies", rows, at=self._now)

    async def policy_explain(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        name = text_of(arguments, "policy")
        if name not in self._app.policies:
            raise NotFound("policy", name, known=list(self._app.policies))
        decision = self._app.decider.last().get(name) or (await self._app.decider.compute(name))[0]
        return self._decision_document(decision)

    def _decision_document(self, decision: Decision) -> Document:
        chosen = decision.chosen
        waiting = next(
            (p.id for p in self._app.book.live() if chosen is not None and p.plan.digest == chosen.plan.digest), None
        )
        return documents.decision_document(decision, self._app.config.network, proposal=waiting)

    async def plan_compute(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        policy = arguments.get("policy")
        if policy is not None and policy not in self._app.policies:
            raise NotFound("policy", str(policy), known=list(self._app.policies))
        decisions = await self._app.decider.compute(None if policy is None else str(policy))
        if arguments.get("propose"):
            self._app.freeze.check()
            await self._app.decider.propose(decisions)
        return documents.plans_document([self._decision_document(each) for each in decisions], at=self._now)

    async def proposal_list(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        everything = bool(arguments.get("all"))
        rows = [p for p in self._app.book.all() if everything or p.state not in FINAL]
        return documents.listing("proposals", map(self._summary, rows), at=self._now)

    async def proposal_show(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        return self._proposal_document(self._app.book.find(text_of(arguments, "id")))

    def _summary(self, proposal: Proposal) -> Document:
        app = self._app
        return documents.proposal_summary_document(
            proposal, proof=app.prover.proof(proposal.id), doubts=app.decider.doubts(proposal)
        )

    def _proposal_document(self, proposal: Proposal) -> Document:
        app = self._app
        policy = app.policies.get(proposal.policy)
        outcome = app.scorer.outcome(proposal.id)
        return documents.proposal_document(
            proposal,
            network=app.config.network,
            at=self._now,
            dry_run=app.config.bgp.dry_run,
            confirm_window_seconds=None if policy is None else policy.confirm.window_seconds,
            proof=app.prover.proof(proposal.id),
            doubts=app.decider.doubts(proposal),
            approvers=None if policy is None else policy.approval.approvers,
        ) | {
            "outcome": None if outcome is None else documents.outcome_document(outcome),
            "advice": None if app.advising is None else app.advising.document(proposal.id),
        }

    async def explain_show(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        snapshot = await self._app.decider.snapshot()
        decisions = tuple(self._app.decider.last().values())
        explained = explain_prefix(
            snapshot, decisions, own_prefix(self._app.config.network, text_of(arguments, "prefix"))
        )
        proposals = {p.plan.digest: p.id for p in self._app.book.live()}
        return documents.explain_document(explained, at=self._now, proposals=proposals)

    async def log_list(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        events = await self._app.store.events(
            limit=count_of(arguments, "limit", 200, MAX_EVENTS), subject=self._subject(arguments)
        )
        return documents.listing("events", map(documents.event_document, events), at=self._now)

    def _subject(self, arguments: Mapping[str, object]) -> str | None:
        proposal = arguments.get("proposal")
        return None if proposal is None else self._app.book.find(str(proposal)).id

    async def log_follow(self, _actor: Actor, arguments: Mapping[str, object]) -> AsyncIterator[Document]:
        """Events from now on, until the client goes."""
        subject = self._subject(arguments)
        seen = self._now
        known: set[tuple[object, ...]] = set()
        while True:
            for event in reversed(await self._app.store.events(limit=200, subject=subject)):
                key = (event.at, event.kind, event.subject, event.message)
                if event.at >= seen and key not in known:
                    known.add(key)
                    yield documents.event_document(event)
            if len(known) > MAX_EVENTS:
                seen, known = self._now, set()
            await self._app.clock.sleep(FOLLOW_PAUSE_SECONDS)

    async def log_export(self, _actor: Actor, _arguments: Mapping[str, object]) -> AsyncIterator[Document]:
        """Both histories whole, row by row, with what it takes to check them elsewhere."""
        for chain in CHAINS:
            position = 0
            while rows := await self._app.store.chain_rows(chain, after=position, limit=EXPORT_ROWS):
                for row in rows:
                    yield documents.chain_row_document(chain, row)
                position = rows[-1].position

    # --- changing --------------------------------------------------------------------------------------------------

    async def approve(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        digest = arguments.get("digest")
        return self._proposal_document(
            await self._app.approver.approve(
                text_of(arguments, "id"), digest=None if digest is None else str(digest), actor=actor.user
            )
        )

    async def reject(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        return self._proposal_document(
            await self._app.approver.reject(
                text_of(arguments, "id"), actor=actor.user, reason=str(arguments.get("reason") or "")
            )
        )

    async def confirm(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        return self._proposal_document(await self._app.approver.confirm(text_of(arguments, "id"), actor=actor.user))

    async def revert(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        return self._proposal_document(
            await self._app.approver.revert(
                text_of(arguments, "id"), actor=actor.user, reason=str(arguments.get("reason") or "")
            )
        )

    async def resolve(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        return self._proposal_document(
            await self._app.approver.resolve(
                text_of(arguments, "id"), actor=actor.user, reason=text_of(arguments, "reason")
            )
        )

    async def freeze(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        await self._app.freeze.freeze(actor=actor.user, reason=str(arguments.get("reason") or ""))
        return self._freeze_document()

    async def thaw(self, actor: Actor, _arguments: Mapping[str, object]) -> Document:
        await self._app.freeze.thaw(actor=actor.user)
        return self._freeze_document()

    def _freeze_document(self) -> Document:
        return {"at": format_time(self._now), "frozen": self._freeze()}

    def _freeze(self) -> Document | None:
        standing = self._app.freeze.standing
        if standing is None:
            return None
        return documents.freeze_document(since=standing.since, by=standing.by, reason=standing.reason)

    async def reload(self, actor: Actor, _arguments: Mapping[str, object]) -> Document:
        """The file is checked here and now, with all its problems in the answer; the exchange follows the answer."""
        self._app.request_reload(actor.user)
        return {"at": format_time(self._now), "reloading": str(self._app.config.path)}
