"""Advise: what a language model says of a proposal, after the proposal and beside it.

Nothing that decides waits for this, reads what it leaves, or calls it. What comes of it is text and figures in a
document of its own; the proposal is read and never written.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

import structlog

from teagent.engine.advise import answer, facts, prompts
from teagent.engine.advise.settings import equals, settings, suggestion
from teagent.engine.choose.decide import describe
from teagent.engine.choose.search import Task, candidate_in
from teagent.engine.predict.scene import prepare
from teagent.errors import AdvisorError, StoreError, TeagentError
from teagent.model.advice import Advice, Cost, ModelText, Suggestion, cost_of
from teagent.model.link import NoData
from teagent.model.plan import Considered, Decision
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal, ProposalState
from teagent.ports import Clock, Store
from teagent.service.caller import Caller
from teagent.service.decide import Decider
from teagent.service.documents.advised import advice_document
from teagent.service.documents.values import Document
from teagent.service.predictor import Predictor
from teagent.service.proposals import ProposalBook

log = structlog.get_logger("advisor")

FACT = "advice:"
TIED = 4
"""So many equal plans are told of at the most."""

T = TypeVar("T")


class Advising:
    """One proposal at a time, the newest that waits first, each tried once."""

    def __init__(
        self,
        *,
        caller: Caller,
        book: ProposalBook,
        decider: Decider,
        predictor: Predictor,
        policies: Mapping[str, Policy],
        store: Store,
        clock: Clock,
        suggest: bool,
    ) -> None:
        self.caller = caller
        self._book = book
        self._decider = decider
        self._predictor = predictor
        self._policies = policies
        self._store = store
        self._clock = clock
        self._suggest = suggest
        self._tried: set[str] = set()
        self._shown: dict[str, Document] = {}
        self.counters: Counter[str] = Counter()

    async def load(self) -> None:
        """What earlier lives were told; a proposal that was advised on is not asked about again."""
        await self.caller.load()
        for proposal in self._book.all():
            kept = await self._store.fact(FACT + proposal.id)
            if isinstance(kept, dict):
                self._shown[proposal.id] = kept
                self._tried.add(proposal.id)

    def document(self, proposal: str) -> Document | None:
        return self._shown.get(proposal)

    async def cycle(self) -> None:
        waiting = [p for p in self._book.in_state(ProposalState.PENDING) if p.id not in self._tried]
        if not waiting or self.caller.open:
            return
        self._tried.add(waiting[0].id)
        await self._keep(await self.advise(waiting[0]))

    async def advise(self, proposal: Proposal) -> Advice:
        """Of whatever the model did: what it did not do well is missing, with the reason."""
        abstained: list[str] = []
        costs: list[Cost] = []
        brief = await _or_abstain("brief", self._brief(proposal, costs), abstained)
        suggested, preferred = None, None
        if self._suggest and brief is not None:  # without the one the other is not worth its seconds
            suggested = await _or_abstain("suggestion", self._suggestion(proposal, costs), abstained)
            preferred = await _or_abstain("preference", self._preference(proposal, costs), abstained)
        return Advice(
            proposal=proposal.id,
            at=self._clock.now(),
            model=self.caller.advisor.model,
            brief=brief,
            suggestion=suggested,
            preferred=preferred or "",
            abstained=tuple(abstained),
            cost=sum(costs, Cost()),
        )

    async def _keep(self, advice: Advice) -> None:
        document = advice_document(advice)
        self._shown[advice.proposal] = document
        self.counters["advised" if advice.brief else "abstained"] += 1
        log.info(
            "advised",
            proposal=advice.proposal,
            model=advice.model,
            calls=advice.cost.calls,
            tokens=advice.cost.tokens,
            seconds=round(advice.cost.seconds, 1),
            abstained=list(advice.abstained) or None,
        )
        try:
            await self._store.set_fact(FACT + advice.proposal, document)
        except StoreError as error:
            self.counters["store_failures"] += 1
            log.warning("advice cannot be stored", proposal=advice.proposal, error=error.message)

    async def _brief(self, proposal: Proposal, costs: list[Cost]) -> ModelText:
        known = facts.of_proposal(proposal, self._policies.get(proposal.policy))
        reply = await self.caller.ask(prompts.brief(known))
        costs.append(cost_of(reply))
        return answer.read_text(reply.text, answer.BRIEF, known)

    async def _suggestion(self, proposal: Proposal, costs: list[Cost]) -> Suggestion | None:
        """None where there is nothing to choose from any more."""
        policy, decision = self._policies.get(proposal.policy), self._decider.last().get(proposal.policy)
        if policy is None or decision is None:
            return None
        triggered = tuple(status.link for status in decision.triggers if status.firing)
        snapshot = await self._decider.snapshot()
        prefixes = {*proposal.plan.prefixes(), *(p for one in decision.considered for p in one.plan.prefixes())}
        listed = settings(snapshot.network, snapshot.live, policy, prefixes)
        if not triggered or not listed or isinstance(snapshot.matrix, NoData):
            return None
        known = facts.of_proposal(proposal, policy)
        task = f"Facts:\n{known.text()}\n\nWhich one setting relieves {', '.join(triggered)} best?"
        chosen = listed[await self.choose(task, [str(setting) for setting in listed], costs)]
        scene = await asyncio.to_thread(prepare, snapshot)
        weighing = Task(
            scene=scene,
            policy=policy,
            triggered=triggered,
            now=snapshot.taken_at,
            forecaster=self._predictor.forecaster,
        )
        return await asyncio.to_thread(suggestion, weighing, chosen, candidate_in(proposal.plan))

    async def _preference(self, proposal: Proposal, costs: list[Cost]) -> str | None:
        """None where the solver has no equals. Raises AdvisorError unless two calls in reversed order agree."""
        tied = self._tied(proposal, self._decider.last().get(proposal.policy))
        if len(tied) < 2:
            return None
        return await self.agreed("Which of these equally good plans would you take?", tied, costs)

    def _tied(self, proposal: Proposal, decision: Decision | None) -> list[str]:
        if decision is None or decision.chosen is None or decision.chosen.plan.digest != proposal.plan.digest:
            return []
        found: Sequence[Considered] = equals(decision.considered)[:TIED]
        return [f"{describe(one.plan)}, moves {one.dry_run.moved.expected / 1e6:.0f} Mbps" for one in found]

    async def choose(self, task: str, texts: Sequence[str], costs: list[Cost], *, wait: bool = True) -> int:
        """Which of the texts, by its place."""
        listed = prompts.options(texts)
        reply = await self.caller.ask(prompts.choose(task, listed), wait=wait)
        costs.append(cost_of(reply))
        ids = [option.id for option in listed]
        return ids.index(answer.read_choice(reply.text, ids))

    async def agreed(self, task: str, texts: Sequence[str], costs: list[Cost], *, wait: bool = True) -> str:
        """What is chosen in either order: small models choose by place. Raises AdvisorError where that differs."""
        first = texts[await self.choose(task, texts, costs, wait=wait)]
        backwards = list(reversed(texts))
        second = backwards[await self.choose(task, backwards, costs, wait=wait)]
        if first != second:
            raise AdvisorError("asked in reversed order the model chose another one", reason="disagrees")
        return first


async def _or_abstain(what: str, asked: Awaitable[T], abstained: list[str]) -> T | None:
    try:
        return await asked
    except TeagentError as error:
        abstained.append(f"{what}: {error.message}")
        return None
