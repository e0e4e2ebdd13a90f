"""One brief of a made-up proposal: does a model answer, in time, and as it is asked to?"""

from __future__ import annotations

from teagent.engine.advise.answer import BRIEF, read_text
from teagent.engine.advise.facts import Fact, Facts, Trend
from teagent.engine.advise.prompts import brief
from teagent.model.advice import cost_of
from teagent.ports import Advisor
from teagent.service.documents.advised import advisor_document, cost_document, model_text_document
from teagent.service.documents.values import Document

EXAMPLE = Facts(
    facts=(
        Fact(text="transit-a carries 9.31G (93%) now; its capacity is 10.0G.", about=("transit-a",)),
        Fact(text="The load of transit-a is expected to go down to 7.10G (71%).", about=("transit-a",)),
        Fact(text="transit-b carries 4.02G (40%) now; its capacity is 10.0G.", about=("transit-b",)),
        Fact(text="The load of transit-b is expected to go up to 6.23G (62%).", about=("transit-b",)),
        Fact(text="198.51.100.0/24 on transit-a: 0 prepends now, 2 prepends with it.", about=("transit-a",)),
        Fact(text="The plan has 1 change; nothing has been announced yet."),
    ),
    names=frozenset({"transit-a", "transit-b", "198.51.100.0/24"}),
    trends={"transit-a": Trend.DOWN, "transit-b": Trend.UP},
)


async def try_model(advisor: Advisor) -> Document:
    """Raises AdvisorError with what is wrong."""
    state = await advisor.state()
    reply = await advisor.ask(brief(EXAMPLE))
    said = read_text(reply.text, BRIEF, EXAMPLE)
    return {
        "advisor": advisor_document(state),
        "facts": [fact.text for fact in EXAMPLE.facts],
        "brief": model_text_document(said),
        "cost": cost_document(cost_of(reply)),
    }
