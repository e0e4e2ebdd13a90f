"""Which look-ups a question leads to, and what their facts are."""

from __future__ import annotations

import pytest

from teagent.engine.advise.found import facts_of
from teagent.engine.advise.lookups import links_in, lookups, prefixes_in
from teagent.model.what_if import parse_wish
from teagent.wire.control import check_arguments
from tests.fakes import measured
from tests.fakes.desk import Desk

NETWORK, LIVE = measured.NETWORK, measured.NETWORK.home()
PREFIX = str(measured.EYEBALL)


def typed(question: str) -> list[str]:
    return [each.typed for each in lookups(question, NETWORK, LIVE, ["transit-balance"])]


def test_a_prefix_in_the_question_is_explained_first() -> None:
    assert typed(f"why is {PREFIX} slow?")[:2] == [f"teagent explain {PREFIX}", f"teagent matrix --prefix {PREFIX}"]


def test_an_address_means_the_prefix_that_covers_it() -> None:
    address = str(next(measured.EYEBALL.hosts()))
    assert prefixes_in(f"Is {address}, or 192.168.1.1, down?", NETWORK) == (measured.EYEBALL,)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("what if transit-a fails tonight?", ("transit-a",)),
        ("what if TRANSIT-A fails tonight?", ("transit-a",)),
        ("what if A fails tonight?", ("transit-a",)),
        ("what if a link fails tonight?", ()),
        ("what of transit-a2?", ()),
    ],
)
def test_a_link_is_named_in_full_or_by_its_last_letter(question: str, found: tuple[str, ...]) -> None:
    assert links_in(question, NETWORK) == found


def test_a_link_that_fails_is_not_answered_by_a_drain() -> None:
    failed = [each for each in lookups("what if A fails tonight?", NETWORK, LIVE, []) if "failed:" in each.text]
    assert [(each.command, each.failure is not None and each.failure.link) for each in failed] == [
        ("link.list", "transit-a")
    ]


def test_a_link_is_drained_as_far_as_prepends_can() -> None:
    drains = [each for each in lookups("what if A were drained?", NETWORK, LIVE, []) if "drained" in each.text]
    assert [each.command for each in drains] == ["simulate.compute"]
    assert " transit-a 5'" in drains[0].typed
    assert drains[0].failure is None


def test_a_question_about_nothing_has_the_general_ones() -> None:
    assert typed("hello?") == ["teagent proposal", "teagent plan", "teagent link", "teagent matrix"]


@pytest.mark.parametrize("question", [f"why is {PREFIX} slow on transit-a?", "what if A fails?", "transit-balance?"])
def test_every_lookup_is_a_command_as_the_socket_takes_it(question: str) -> None:
    for each in lookups(question, NETWORK, LIVE, ["transit-balance"]):
        if each.command:
            arguments = check_arguments(each.command, each.arguments)
            assert not arguments.get("propose")
            for wish in each.arguments.get("changes", ()):  # type: ignore[attr-defined]  # a list of texts
                parse_wish(wish)


@pytest.mark.parametrize(
    "command",
    [
        "explain.show",
        "link.list",
        "link.show",
        "matrix.show",
        "plan.compute",
        "policy.explain",
        "proposal.list",
        "simulate.compute",
    ],
)
@pytest.mark.asyncio
async def test_every_lookup_has_facts_without_a_word_of_a_device(command: str) -> None:
    given = {
        "explain.show": {"prefix": PREFIX},
        "link.show": {"name": "transit-a"},
        "policy.explain": {"policy": "transit-balance"},
        "simulate.compute": {"changes": [f"home {PREFIX}"]},
    }.get(command, {})
    answer = Desk().commands()[command].handler(None, check_arguments(command, given))  # type: ignore[arg-type]
    facts = facts_of(command, await answer, [*NETWORK.links, PREFIX])  # type: ignore[misc,arg-type]
    assert facts.facts
    foreign = {link.interface for link in NETWORK.links.values()} | {link.router for link in NETWORK.links.values()}
    assert not any(word in fact.text for fact in facts.facts for word in foreign)
