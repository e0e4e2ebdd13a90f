"""Datagrams where they stand are what a list of them is."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.wire.flow.datagrams import Datagrams, together

EACH = [b"one.", b"", b"three...", b"fo"]


def standing() -> Datagrams:
    return Datagrams(b"----one.three...fo--", np.array([4, 8, 8, 16]), np.array([4, 0, 8, 2]))


def test_they_are_read_by_number_and_one_after_the_other() -> None:
    found = standing()
    assert list(found) == EACH
    assert [found[i] for i in (0, 1, 2, 3, -1, -4)] == [*EACH, EACH[3], EACH[0]]
    with pytest.raises(IndexError):
        found[4]


def test_a_part_of_them_stands_where_they_do() -> None:
    found = standing()[1:3]
    assert (list(found), len(found), found.octets) == (EACH[1:3], 2, standing().octets)
    assert not standing()[4:]


def test_of_a_list_they_stand_one_behind_the_other_and_of_themselves_where_they_are() -> None:
    found = Datagrams.of(EACH[:3])
    assert (found.octets, found.begins.tolist(), list(found)) == (b"one.three...", [0, 4, 4], EACH[:3])
    assert Datagrams.of(found) is found
    assert not Datagrams.of([])


def test_some_of_them_are_picked_out_where_they_stand() -> None:
    found = standing()
    picked = found.those(np.array([3, 0]))
    assert (list(picked), picked.octets is found.octets) == ([EACH[3], EACH[0]], True)


def test_parts_in_one_buffer_are_put_together_there_and_others_in_a_list() -> None:
    found, elsewhere = standing(), Datagrams.of([b"afar"])
    whole = together([found[2:], found[:1], found[1:2]])
    assert isinstance(whole, Datagrams)
    assert (list(whole), whole.octets is found.octets) == ([EACH[2], EACH[3], EACH[0], EACH[1]], True)
    assert together([found]) is found
    assert together([found[:1], elsewhere, found[1:2]]) == [EACH[0], b"afar", EACH[1]]
    assert together([found[:2], [b"listed"]]) == [EACH[0], EACH[1], b"listed"]
    assert together([[b"listed"], [], [b"too"]]) == [b"listed", b"too"]
