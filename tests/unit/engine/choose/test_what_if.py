"""What an operator has in mind, as a dry run."""

from __future__ import annotations

import pytest

from teagent.engine.choose.what_if import WhatIf, what_if
from teagent.engine.predict.simulate import simulate
from teagent.errors import NotFound, Refused
from teagent.model.announcement import Modify
from teagent.model.plan import Candidate
from teagent.model.what_if import GoHome, SetPrepend, parse_wish
from tests.golden.case import CASES, load, merged, snapshot_of

BASE = load(CASES / "two-transit.yaml")


def ask(*texts: str, **change: object) -> WhatIf:
    return what_if(snapshot_of(merged(BASE, change)), [parse_wish(text) for text in texts])


def vector(found: WhatIf, prefix: str = "11.0.0.0/24") -> dict[str, int]:
    return found.after.vector(parse_wish(f"home {prefix}").prefix)


def test_changes_are_made_one_after_the_other() -> None:
    found = ask("prepend 11.0.0.0/24 transit-a 1", "prepend 11.0.0.0/24 transit-b 0", "prepend 11.0.0.0/24 transit-a 3")
    assert vector(found) == {"transit-a": 3, "transit-b": 0}
    assert len(found.changes) == 2


def test_it_starts_from_what_is_live_and_home_is_where_the_routers_are() -> None:
    override = {"overrides": {"11.0.0.0/24": {"transit-a": 1, "transit-b": 0}}}
    assert vector(ask("prepend 11.0.0.0/24 transit-a 2", **override)) == {"transit-a": 2, "transit-b": 0}
    found = ask("home 11.0.0.0/24", **override)
    assert vector(found) == {"transit-a": 0, "transit-b": 2}
    assert all(isinstance(change, Modify) for change in found.changes)


def test_several_prefixes_are_one_dry_run() -> None:
    found = ask("prepend 11.0.0.0/24 transit-a 3", "prepend 10.0.0.0/24 transit-a 3")
    both = Candidate(vectors=tuple((w.prefix, tuple(vector(found, str(w.prefix)).items())) for w in found.wishes))
    alone = simulate(snapshot_of(BASE), both)
    assert found.dry_run.links == alone.links
    assert found.dry_run.outlook.movers


def test_nothing_changes_where_all_is_so_already() -> None:
    found = ask("prepend 11.0.0.0/24 transit-b 2", "home 10.0.0.0/24")
    assert (found.changes, found.dry_run.moved.high, found.dry_run.outlook.movers) == ((), 0.0, ())


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("home 9.0.0.0/24", NotFound, "there is no prefix of ours 9.0.0.0/24"),
        ("prepend 11.0.0.0/24 transit-c 1", NotFound, "there is no link transit-c"),
        ("prepend 12.0.0.0/24 transit-a 1", Refused, "12.0.0.0/24 is not announced on transit-a"),
    ],
)
def test_what_is_not_ours_is_said(text: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        ask(text)


def test_without_a_matrix_nothing_can_be_said() -> None:
    with pytest.raises(Refused, match="there is no traffic matrix"):
        ask("home 11.0.0.0/24", no_matrix="no window of flows has closed yet")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "prepend",
        "prepend 11.0.0.0/24 transit-a",
        "prepend 11.0.0.0/24 transit-a -1",
        "prepend 11.0.0.0/24 transit-a 6",
        "prepend 11.0.0.0/24 transit-a 1 2",
        "prepend 11.0.0.1/24 transit-a 1",
        "withdraw 11.0.0.0/24",
        "home 11.0.0.0/24 now",
        "home x",
    ],
)
def test_what_is_no_change_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a "):
        parse_wish(text)


@pytest.mark.parametrize("text", ["prepend 2001:db8::/32 ix-1 5", "home 198.51.100.0/24"])
def test_a_change_reads_as_it_is_written(text: str) -> None:
    wish = parse_wish(text)
    assert isinstance(wish, SetPrepend | GoHome)
    assert str(wish) == text
