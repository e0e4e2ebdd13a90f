"""What a language model said, as it is shown: apart, and marked."""

from __future__ import annotations

from teagent.cli import render_advice, render_ask
from teagent.service import documents
from tests.fakes import measured, shown
from tests.fakes.desk import Desk

SHOWN = render_advice.advice(documents.advice_document(shown.advice()))


def test_every_line_of_the_models_own_begins_with_a_bar_and_its_cost_stands_above() -> None:
    lines = SHOWN.splitlines()
    assert lines[0] == ("text of the language model qwen2.5:1.5b (2 calls, 180 tokens, 9.5s); it decides nothing:")
    assert lines[1] == "| what is wrong: transit-a is at [struck]."
    assert lines[2] == "struck from it, because the facts do not say so: 1 figure, 0 statements"


def test_a_suggestion_stands_beside_the_solvers_and_says_that_nothing_follows() -> None:
    assert "it would try: 198.51.100.0/24 transit-a prepend 0 -> 1: 500M above target" in SHOWN
    assert "the solver: 198.51.100.0/24 transit-a prepend 0 -> 1: 0 above target" in SHOWN
    assert "its own does not score better; nothing follows from that by itself" in SHOWN


def test_what_is_missing_is_said_with_its_reason() -> None:
    assert "missing: suggestion: the model did not answer in 120s" in SHOWN


def test_control_characters_of_a_model_do_not_reach_the_terminal() -> None:
    document = documents.advice_document(shown.advice())
    document["brief"] = {"parts": [{"heading": "x", "text": "a\x1b[2Jb"}], "struck": 0, "contradicted": 0}
    assert "\x1b" not in render_advice.advice(document)


def test_without_a_choice_the_lookups_are_listed_as_they_are_typed() -> None:
    text = render_ask.asked(shown.asked_document("how busy is it?"))
    assert "teagent link  how loaded every link is" in text
    assert "missing: choice: asked in reversed order the model chose another one" in text


def test_a_lookup_is_shown_with_its_result_and_the_models_words_below() -> None:
    result = documents.listing("links", measured.link_documents(), at=measured.NOW)
    document = shown.asked_document("how busy is it?") | {
        "lookup": {"typed": "teagent link", "means": "", "command": "link.list"},
        "result": result,
        "answer": {"parts": [{"heading": "answer", "text": "transit-a is full."}], "struck": 0, "contradicted": 0},
    }
    parts = render_ask.asked(document).split("\n\n")
    assert parts[0] == "$ teagent link"
    assert parts[1].startswith("LINK ")
    assert parts[2].splitlines()[1] == "| answer: transit-a is full."


def test_a_draft_says_that_it_is_in_force_nowhere() -> None:
    drafted = {"policy": "relief", "instead_of": "policies/10.yaml", "text": "policy: relief\n", "problems": ["no"]}
    document = shown.asked_document("keep it") | {
        "lookup": {"typed": "teagent policy check", "means": "", "command": None},
        "draft": drafted,
    }
    text = render_ask.asked(document)
    assert "It is in force nowhere" in text
    assert text.splitlines()[-3] == "problem: no"


def test_a_model_that_was_trained_for_less_is_a_problem() -> None:
    state = shown.advisor_document() | {"problems": ["the model was trained for 2048 tokens, advisor.context is 4096"]}
    assert render_advice.state(state).splitlines()[-1].startswith("problem: the model was trained for 2048")


def test_a_model_that_cannot_think_though_it_is_to_is_a_problem() -> None:
    found = documents.advisor_document(shown.MODEL, think=True)
    assert found["problems"] == ["advisor.think is true, and the model cannot think first"]


def test_a_proposal_without_advice_says_nothing_of_it() -> None:
    from teagent.cli import render_proposal

    document = Desk()._document(shown.proposal())
    assert "language model" not in render_proposal.proposal(document)
    advised = document | {"advice": documents.advice_document(shown.advice())}
    assert SHOWN in render_proposal.proposal(advised)
