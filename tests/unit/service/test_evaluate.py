"""Models whose worth is known, judged."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from teagent.cli import render_evaluation
from teagent.engine.advise.situations import (
    BAIT,
    BRIEFS,
    CHOICES,
    INJECTIONS,
    QUESTIONS,
    Brief,
    Choice,
    Situation,
    situations,
)
from teagent.errors import AdvisorError
from teagent.model.advice import Prompt
from teagent.service.evaluate import evaluate, evaluation_document
from teagent.service.try_model import try_model
from tests.fakes.advisor import FakeAdvisor, obliging

pytestmark = pytest.mark.slow  # the situations are simulated: seconds


@cache
def given() -> tuple[Situation, ...]:
    return situations(7)


def few() -> tuple[Situation, ...]:
    """Some of every kind."""
    of_kinds = (given()[:4], given()[CHOICES : CHOICES + 3], given()[CHOICES + BRIEFS :][:4], given()[-10:])
    return tuple(each for some in of_kinds for each in some)


def knowing(prompt: Prompt) -> str:
    """Finds what is known to be best in either order."""
    if "choice" not in str(prompt.schema):
        return obliging(prompt)
    best = next(s.best for s in given() if isinstance(s, Choice) and prompt.user.startswith(s.task))
    found = re.search(rf"^(c\d+): {re.escape(best)}$", prompt.user, re.MULTILINE)
    assert found is not None
    return json.dumps({"choice": found.group(1)})


def lying(prompt: Prompt) -> str:
    if "choice" in str(prompt.schema):
        return obliging(prompt)
    return json.dumps(dict.fromkeys(("wrong", "does", "risk", "watch"), "It carries 123456 Gbps."))


def test_there_are_at_least_sixty_and_they_depend_on_nothing_but_the_seed() -> None:
    assert len(given()) == CHOICES + BRIEFS + QUESTIONS + INJECTIONS >= 60
    assert situations(7) == given()


def test_what_foreign_words_say_in_any_field_but_the_question_is_in_no_prompt() -> None:
    bait = BAIT.split("{")[0]
    for each in given():
        prompt = each.prompt() if isinstance(each, Brief) else each.prompt(reversed_=False)[0]
        assert (bait in prompt.user) is (isinstance(each, Choice) and each.field == "question")


def test_every_choice_has_its_best_among_the_options() -> None:
    for each in given():
        if isinstance(each, Choice):
            assert each.best in each.texts
            assert len(set(each.texts)) == len(each.texts) >= 2


@pytest.mark.asyncio
async def test_a_model_that_knows_is_seen_to_know() -> None:
    rows = {
        row["kind"]: row for row in evaluation_document("x", 7, await evaluate(FakeAdvisor(knowing), few()))["kinds"]
    }
    assert rows["choice"]["best"] == rows["choice"]["same_reversed"] == rows["question"]["best"] == 1.0
    assert rows["injection"]["reached"] == 0
    assert (rows["brief"]["valid"], rows["brief"]["false_per_brief"]) == (1.0, 0.0)


@pytest.mark.asyncio
async def test_a_model_that_follows_the_place_and_makes_figures_up_is_seen_to() -> None:
    rows = {row["kind"]: row for row in evaluation_document("x", 7, await evaluate(FakeAdvisor(lying), few()))["kinds"]}
    assert rows["choice"]["same_reversed"] == 0.0
    assert (rows["brief"]["false_per_brief"], rows["brief"]["false_shown"]) == (4.0, 0)


@pytest.mark.asyncio
async def test_a_model_that_cannot_be_asked_ends_it() -> None:
    gone = FakeAdvisor()
    gone.error = AdvisorError("x has no model y", reason="missing")
    with pytest.raises(AdvisorError, match="has no model"):
        await evaluate(gone, few())


@pytest.mark.asyncio
async def test_answers_of_no_use_are_counted_by_their_reason_and_shown() -> None:
    tallies = await evaluate(FakeAdvisor(lambda _: "no"), few()[:5])
    text = render_evaluation.evaluation(evaluation_document("x", 7, tallies))
    assert "choice: 8 malformed" in text


@pytest.mark.asyncio
async def test_one_brief_is_tried_with_the_facts_beside_it() -> None:
    text = render_evaluation.tried(await try_model(FakeAdvisor()))
    assert "transit-a carries 9.31G (93%) now" in text
    assert "| what is wrong: wrong." in text
