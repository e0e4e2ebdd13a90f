"""Which interface a selector means."""

from __future__ import annotations

import pytest

from teagent.engine.measure.interfaces import find_interface
from teagent.errors import SnmpNoSuchObject
from teagent.model.link import Interface


def row(index: int, name: str = "", descr: str = "", alias: str = "", state: str = "up") -> Interface:
    return Interface(
        if_index=index,
        if_name=name,
        if_descr=descr,
        if_alias=alias,
        if_high_speed_bps=None,
        if_oper_status=state,
    )


ROWS = (
    row(1, "Gi0/0/1", "GigabitEthernet0/0/1", "transit-a"),
    row(2, "Gi0/0/2", "GigabitEthernet0/0/2", "Gi0/0/1"),
    row(1_600_000_001, "Te0/1/0", "TenGigE0/1/0", ""),
)


@pytest.mark.parametrize(
    ("selector", "index"),
    [
        ("Gi0/0/2", 2),
        ("GigabitEthernet0/0/2", 2),
        ("transit-a", 1),
        ("ifIndex:2", 2),
        ("ifIndex:1600000001", 1_600_000_001),
    ],
)
def test_interface_is_found_by_any_of_its_names(selector, index):
    assert find_interface(selector, ROWS).if_index == index


def test_name_counts_before_description_before_alias():
    assert find_interface("Gi0/0/1", ROWS).if_index == 1
    assert find_interface("x", (row(5, alias="x"), row(6, descr="x"))).if_index == 6


def test_missing_interface_is_refused_with_near_matches():
    with pytest.raises(SnmpNoSuchObject) as caught:
        find_interface("gi0/0/2", ROWS)
    assert caught.value.message.startswith("there is no interface gi0/0/2, near matches are Gi0/0/2")
    assert caught.value.fields["near"][0] == "Gi0/0/2"
    assert caught.value.hint is not None


def test_missing_interface_without_likeness_says_among_how_many():
    with pytest.raises(SnmpNoSuchObject, match=r"there is no interface zzz among 3$"):
        find_interface("zzz", ROWS)


@pytest.mark.parametrize("selector", ["", "ifIndex:", "ifIndex:9", "ifIndex:-1", "ifIndex:2x"])
def test_selector_that_names_nothing_is_refused(selector):
    with pytest.raises(SnmpNoSuchObject):
        find_interface(selector, (*ROWS, row(3)))


def test_of_duplicate_names_the_only_one_that_is_up_is_meant():
    rows = (row(1, "Te0/0/25", state="down"), row(2, "Te0/0/25"), row(3, "Te0/0/25", state="notPresent"))
    assert find_interface("Te0/0/25", rows).if_index == 2


@pytest.mark.parametrize(("states", "told"), [("up up", "2 of them are up"), ("down down", "none of them is up")])
def test_duplicate_names_are_refused_with_the_indexes_to_choose_from(states, told):
    rows = [row(i, "eth0", state=state) for i, state in enumerate(states.split(), start=4)]
    with pytest.raises(SnmpNoSuchObject) as caught:
        find_interface("eth0", rows)
    assert f"2 interfaces have the ifName eth0 and {told}, their ifIndex are 4, 5" in caught.value.message
    assert caught.value.hint == "name the one that is meant by another of its names, or as ifIndex:4"


def test_ambiguous_name_is_not_looked_for_among_aliases():
    rows = (row(1, "eth0"), row(2, "eth0"), row(3, "wan", alias="eth0"))
    with pytest.raises(SnmpNoSuchObject):
        find_interface("eth0", rows)


def test_router_without_interfaces_has_none():
    with pytest.raises(SnmpNoSuchObject, match="among 0"):
        find_interface("eth0", ())
