"""What a model says is held against the facts: figures, directions, and whose they are."""

from __future__ import annotations

import pytest

from teagent.engine.advise.check import CONTRADICTED, STRUCK, check, plain, without_thinking
from teagent.engine.advise.facts import Fact, Facts, Trend

FACTS = Facts(
    facts=(
        Fact(text="transit-a carries 9.31G (93%) now; its capacity is 10.0G.", about=("transit-a",)),
        Fact(text="The load of transit-a is expected to go down to 7.10G (71%).", about=("transit-a",)),
        Fact(text="transit-b carries 4.02G (40%) now.", about=("transit-b",)),
        Fact(text="The change reverts by itself after 20 minutes."),
        Fact(text="198.51.100.0/24 on transit-a: 0 prepends now, 2 prepends with it.", about=("transit-a",)),
    ),
    names=frozenset({"transit-a", "transit-b", "transit-c", "198.51.100.0/24", "p-7f3c"}),
    trends={"transit-a": Trend.DOWN, "transit-b": Trend.UP, "transit-c": Trend.SAME},
)


@pytest.mark.parametrize(
    "text",
    [
        "transit-a carries 9.31G, 93% of its capacity.",
        "transit-a carries 9.31 Gbps (93 percent).",
        "transit-a carries about 9.3 Gbit/s.",
        "transit-a carries 9310 Mbps.",
        "The load of transit-a goes down to 71%.",
        "transit-b takes more traffic.",
        "Traffic moves from transit-a to transit-b.",
        "198.51.100.0/24 gets two prepends on transit-a.",
        "It reverts after 20 minutes, or 1200 seconds.",
        "One of the links is transit-c.",
        "Confirm p-7f3c.",
        "transit-a is full.",
    ],
)
def test_what_the_facts_hold_stays(text: str) -> None:
    found = check(text, FACTS)
    assert (found.text, found.struck, found.contradicted) == (text, 0, 0)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("transit-a carries 9.41G.", f"transit-a carries {STRUCK}."),
        ("transit-b carries 93%.", f"transit-b carries {STRUCK}."),
        ("transit-a carries 93.", f"transit-a carries {STRUCK}."),
        ("transit-a carries 93 G.", f"transit-a carries {STRUCK}."),
        ("203.0.113.0/24 is slow.", f"{STRUCK} is slow."),
        ("198.51.100.0/25 is slow.", f"{STRUCK} is slow."),
        ("It reverts after 30 minutes.", f"It reverts after {STRUCK}."),
        ("three prepends", f"{STRUCK} prepends"),
        ("the load doubles", f"the load {STRUCK}"),
        ("half of it", f"{STRUCK} of it"),
        ("9e9 bps", f"{STRUCK} bps"),
        ("-71%", STRUCK),
        ("٩٣ percent", "percent"),
        ("⁹⁹%", STRUCK),
        ("½ of it", f"{STRUCK} of it"),
        ("transit-a2 is new", f"{STRUCK} is new"),
        ("AS64500 sends", f"{STRUCK} sends"),
        ("0x5D", STRUCK),
    ],
)
def test_a_figure_that_is_not_in_the_facts_is_struck(text: str, shown: str) -> None:
    found = check(text, FACTS)
    assert found.text == shown


@pytest.mark.parametrize(
    "text",
    [
        "transit-a gets more load.",
        "The load of transit-a will not go down.",
        "transit-b is relieved.",
        "transit-c falls.",
        "transit-b stays the same.",
        "Traffic moves from transit-b to transit-a.",
        "transit-a goes up and down.",
    ],
)
def test_a_direction_that_is_not_that_of_the_facts_is_struck(text: str) -> None:
    found = check(text, FACTS)
    assert CONTRADICTED in found.text
    assert found.contradicted >= 1


def test_only_the_clause_is_struck() -> None:
    found = check("transit-a falls to 71%, but transit-b falls too.", FACTS)
    assert found.text == f"transit-a falls to 71%, {CONTRADICTED}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>9 or 8?</think>yes", "yes"),
        ("9 or 8?</think>\nyes", "yes"),
        ("yes<think>9 or", "yes"),
        ("<THINKING>a</THINKING>yes", "yes"),
        ("<think>a</think>b<think>c</think>yes", "b yes"),
    ],
)
def test_what_was_thought_is_not_said(text: str, said: str) -> None:
    assert without_thinking(text) == (said, text)


def test_nothing_in_it_can_steer_a_terminal_or_hide() -> None:
    assert plain("a\x1b[31mb\r\nc\u202ed\u200be\u0430\tf") == "a [31mb c d e f"


def test_a_long_text_is_cut() -> None:
    assert len(check("word " * 1000, FACTS).text) < 500
