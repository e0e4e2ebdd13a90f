"""What the control socket answers with the help of a language model: its state, and questions in words.

A model only picks from look-ups that read, and words their results. Without one, or where it is unsure, the look-ups
are listed, and a person picks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from teagent.config.draft import draft
from teagent.daemon.arguments import text_of
from teagent.daemon.control import Actor, Command
from teagent.engine.advise import answer, prompts
from teagent.engine.advise.check import plain
from teagent.engine.advise.draft import keeping
from teagent.engine.advise.found import facts_of
from teagent.engine.advise.lookups import Lookup, lookups
from teagent.errors import AdvisorError, Refused, TeagentError
from teagent.model.advice import Cost, cost_of
from teagent.model.announcement import AnnouncementSet
from teagent.model.bgp import Prefix
from teagent.model.units import format_time
from teagent.service import documents
from teagent.service.documents import Document
from teagent.wire.control import check_arguments

if TYPE_CHECKING:
    from teagent.daemon.app import App
    from teagent.service.advise import Advising

NO_MODEL = "no language model is configured"


class AdviceHandlers:
    """`commands` are those that a look-up may be; of them only those that ask for no more than the right to read."""

    def __init__(self, app: App, commands: Mapping[str, Command]) -> None:
        self._app = app
        self._lookups = dict(commands)

    def commands(self) -> Mapping[str, Command]:
        return {"advisor.status": Command(self.status), "ask": Command(self.ask)}

    async def status(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        advising = self._app.advising
        if advising is None:
            raise Refused(NO_MODEL, hint="advisor.enabled in the configuration; docs/how-to/use-a-local-model.md")
        caller, now = advising.caller, format_time(self._app.clock.now())
        state = await caller.advisor.state()
        wanted = self._app.config.advisor
        document = documents.advisor_document(state, day=caller.day, context=wanted.context, think=wanted.think)
        problems = [*_texts(document["problems"]), *([caller.trouble] if caller.trouble else [])]
        return {"at": now, **document, "problems": problems}

    async def ask(self, actor: Actor, arguments: Mapping[str, object]) -> Document:
        question = text_of(arguments, "question")
        app, advising, costs, abstained = self._app, self._app.advising, list[Cost](), list[str]()
        live, network = app.routes.live(), app.config.network
        known = live if isinstance(live, AnnouncementSet) else network.home()
        listed = lookups(question, network, known, list(app.policies))
        chosen = await _choose(advising, question, listed, costs, abstained)
        result, said, drafted = None, None, None
        if chosen is not None and chosen.keeps is not None:
            drafted = self._draft(chosen.keeps)
        elif chosen is not None:
            result = await self._look_up(actor, chosen)
            said = await self._say(advising, question, chosen, result, costs, abstained)
        return {
            "at": format_time(app.clock.now()),
            "question": question,
            "model": None if advising is None else advising.caller.advisor.model,
            "lookup": None if chosen is None else _shown(chosen),
            "result": result,
            "answer": said,
            "draft": drafted,
            "choices": [_shown(each) for each in listed],
            "abstained": abstained,
            "cost": documents.cost_document(sum(costs, Cost())),
        }

    async def _look_up(self, actor: Actor, chosen: Lookup) -> Document:
        command = self._lookups[chosen.command]
        arguments = check_arguments(chosen.command, chosen.arguments)
        if command.needs(arguments):
            raise Refused(f"{chosen.command} is no look-up")
        found: Any = command.handler(actor, arguments)
        document: Document = await found
        return document

    async def _say(
        self,
        advising: Advising | None,
        question: str,
        chosen: Lookup,
        result: Mapping[str, Any],
        costs: list[Cost],
        abstained: list[str],
    ) -> Document | None:
        network = self._app.config.network
        names = [*network.links, *(str(own.prefix) for own in network.prefixes), *self._app.policies]
        known = facts_of(chosen.command, result, names, failure=chosen.failure)
        if advising is None or not known.facts:
            return None
        try:
            reply = await advising.caller.ask(prompts.answer(question, known), wait=False)
            costs.append(cost_of(reply))
            return documents.model_text_document(answer.read_text(reply.text, answer.ANSWER, known))
        except AdvisorError as error:
            abstained.append(f"answer: {error.message}")
            return None

    def _draft(self, prefix: Prefix) -> Document:
        config = self._app.config
        found = keeping(prefix, config.policies, config.network)
        if found is None:
            raise Refused(f"no draft can be made: no policy moves {prefix}, or one that moves nothing else")
        text, problems = draft(found, config)
        return {
            "policy": found.name,
            "instead_of": str(config.policy_files[found.name]),
            "text": text,
            "problems": list(problems),
        }


async def _choose(
    advising: Advising | None, question: str, listed: Sequence[Lookup], costs: list[Cost], abstained: list[str]
) -> Lookup | None:
    """What is chosen in either order; None where that is not the same, or nobody is there to choose."""
    if advising is None:
        abstained.append(f"choice: {NO_MODEL}")
        return None
    texts = [each.text for each in listed]
    task = f"Which look-up answers this question of an engineer: {plain(question)[: prompts.MAX_QUESTION]}"
    try:
        chosen = await advising.agreed(task, texts, costs, wait=False)
    except TeagentError as error:
        abstained.append(f"choice: {error.message}")
        return None
    return listed[texts.index(chosen)]


def _shown(lookup: Lookup) -> Document:
    return {"typed": lookup.typed, "means": lookup.text, "command": lookup.command or None}


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
