"""The changes that a lab makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs.internet import Internet, load_internet
from labs.internet.changes import LabChange, draw_changes
from teagent.model.what_if import parse_wish

INTERNET = Path(__file__).resolve().parents[3] / "labs" / "three-transit" / "internet.yaml"


@pytest.fixture(scope="module")
def internet() -> Internet:
    return load_internet(INTERNET)


def drawn(internet: Internet, seed: int) -> list[LabChange]:
    return list(draw_changes(internet, count=20, max_prepend=3, seed=seed))


@pytest.mark.parametrize("seed", range(5))
def test_each_starts_from_what_is_and_a_changed_prefix_goes_home_first(internet: Internet, seed: int) -> None:
    now = {own.prefix: dict(own.home) for own in internet.prefixes}
    home = {own.prefix: dict(own.home) for own in internet.prefixes}
    for change in drawn(internet, seed):
        assert change.before == now[change.prefix]
        assert change.after != change.before
        assert change.home == (change.after == home[change.prefix]) == (change.before != home[change.prefix])
        now[change.prefix] = dict(change.after)


def test_they_stay_within_the_limit_and_on_the_links_of_home(internet: Internet) -> None:
    home = {own.prefix: dict(own.home) for own in internet.prefixes}
    for change in drawn(internet, 1):
        for link, prepends in change.after.items():
            if home[change.prefix][link] is None:
                assert prepends is None
            else:
                assert prepends in range(4)


def test_they_come_again_with_the_seed_and_differ_without(internet: Internet) -> None:
    assert drawn(internet, 1) == drawn(internet, 1) != drawn(internet, 2)


def test_they_are_said_as_the_command_line_takes_them() -> None:
    home = {"transit-a": 0, "transit-b": 2, "transit-c": None}
    after = {"transit-a": 3, "transit-b": 2, "transit-c": None}
    there = LabChange(prefix="10.0.0.0/24", before=home, after=after, home=False)
    back = LabChange(prefix="10.0.0.0/24", before=after, after=home, home=True)
    assert there.wishes() == ("prepend 10.0.0.0/24 transit-a 3",)
    assert back.wishes() == ("home 10.0.0.0/24",)
    assert [str(parse_wish(text)) for text in (*there.wishes(), *back.wishes())] == [*there.wishes(), *back.wishes()]
    assert there.words() == "10.0.0.0/24: transit-a 0->3"
    assert back.words() == "10.0.0.0/24 home: transit-a 3->0"
