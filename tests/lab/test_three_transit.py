"""The small Internet behind three transits: its networks choose between our links as internet.yaml says they do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from labs.internet import Internet, load_internet
from labs.internet.scenario import scenario_of, wait_for_routes
from labs.runner import Lab
from labs.runner.images import missing
from labs.scenario import wait_for_paths
from tests.lab.choices import Chosen, settled
from tests.lab.conftest import LABS

pytestmark = pytest.mark.lab

DIRECTORY = LABS / "three-transit"
PREFIX = "10.0.0.0/24"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """At home where all who could had been on transit A, with a prepend on A, and without it again."""

    home: Chosen
    prepended: Chosen
    back: Chosen


@pytest.fixture(scope="module")
def internet() -> Internet:
    return load_internet(DIRECTORY / "internet.yaml")


@pytest.fixture(scope="module")
def life(root: None, internet: Internet) -> Iterator[Life]:
    """The change is made in the edge's own configuration: this is about the others."""
    scenario = scenario_of(internet, DIRECTORY, seed=1)
    lab = Lab.from_file(scenario.topology, name=f"t{os.getpid()}-three-transit")
    if lacking := sorted({program for node in lab.topology.nodes for program, _ in missing(node)}):
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with lab:
        edge = lab.node("edge")

        def prepend(*letters: str) -> Chosen:
            """One prepend towards these transits and none towards the others, and what comes of it."""
            expected = {link: dict(paths) for link, paths in scenario.home.items()}
            words = ["-c", "configure", "-c", "bgp route-map delay-timer 1"]
            for letter in "ABC":
                own = (65000, 65000) if letter in letters else (65000,)
                set_ = "set as-path prepend 65000" if letter in letters else "no set as-path prepend"
                words += ["-c", f"route-map TO-{letter} permit 1000", "-c", set_, "-c", "exit"]
                expected[f"transit-{letter.lower()}"][PREFIX] = own
            edge.run(["vtysh", *words])
            wait_for_paths(lab, scenario, expected)
            return settled(lab, internet, PREFIX)

        wait_for_paths(lab, scenario, scenario.home)
        wait_for_routes(lab, scenario)
        # which of equal routes came first is chance: now those of A are older than any change
        prepend("B", "C")
        yield Life(home=prepend(), prepended=prepend("A"), back=prepend())


def names(internet: Internet, **wanted: object) -> Sequence[str]:
    """Senders that buy from our transits alone, with these properties."""
    transits = {link.transit for link in internet.links}
    return [
        network.name
        for network in internet.senders()
        if set(network.providers) <= transits
        and not network.peers
        and all(getattr(network, key) == value for key, value in wanted.items())
    ]


def test_a_network_with_one_transit_never_moves(life: Life, internet: Internet) -> None:
    alone = [name for name in names(internet) if len(internet.networks[name].providers) == 1]
    assert len(alone) >= 3
    for name in alone:
        transit = internet.networks[name].providers[0]
        link = internet.link_of(transit)
        assert link is not None
        assert {life.home[name], life.prepended[name], life.back[name]} == {link.name}, name


def test_a_prepend_makes_all_with_a_choice_leave_the_link(life: Life, internet: Internet) -> None:
    choosing = [
        name
        for name in names(internet, ignores_prepends=False, prefers=None)
        if len(internet.networks[name].providers) > 1
    ]
    assert len(choosing) >= 10
    assert [name for name in choosing if life.prepended[name] == "transit-a"] == []


def test_older_routes_stay_when_the_prepend_is_gone(life: Life, internet: Internet) -> None:
    sticky = names(internet, keeps_older=True)
    assert len(sticky) >= 4
    assert {name: life.back[name] for name in sticky} == {name: life.prepended[name] for name in sticky}
    moved = [name for name in sticky if life.back[name] != life.home[name]]
    assert moved == [name for name in sticky if "ta" in internet.networks[name].providers]


def test_where_the_order_is_fixed_everything_is_as_before(life: Life, internet: Internet) -> None:
    fixed = names(internet, keeps_older=False)
    assert {name: life.back[name] for name in fixed} == {name: life.home[name] for name in fixed}
    moved = [name for name in fixed if life.prepended[name] != life.home[name]]
    assert moved == ["dab1", "dac1"]


def test_what_is_preferred_and_what_ignores_prepends_stays(life: Life, internet: Internet) -> None:
    firm = [
        name for name in names(internet) if internet.networks[name].prefers or internet.networks[name].ignores_prepends
    ]
    assert len(firm) >= 7
    for name in firm:
        network = internet.networks[name]
        link = internet.link_of(network.prefers or network.providers[0])
        assert link is not None
        assert {life.home[name], life.prepended[name], life.back[name]} == {link.name}, name


def test_customers_of_a_regional_network_go_where_it_goes(life: Life) -> None:
    for first, second in (("ra1", "ra2"), ("rb1", "rb2"), ("rc1", "rc2")):
        assert life.home[first] == life.home[second]
        assert life.prepended[first] == life.prepended[second]
    assert life.prepended["rt1"] == "transit-b"


def test_a_peers_route_is_better_than_a_shorter_one_of_a_provider(life: Life) -> None:
    """r5 hears of us from its provider C and, as long with a prepend, from its peer A."""
    assert {life.home["re1"], life.prepended["re1"]} == {"transit-a"}
