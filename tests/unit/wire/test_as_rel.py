"""CAIDA's serial-1 and serial-2."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.errors import WireError
from teagent.wire.as_rel import AsRelationships, parse, render


def pairs(found: AsRelationships) -> tuple[list[tuple[int, int]], list[tuple[int, int]], list[tuple[int, int]]]:
    return (
        list(zip(found.provider.tolist(), found.customer.tolist(), strict=True)),
        list(zip(found.peer_a.tolist(), found.peer_b.tolist(), strict=True)),
        list(zip(found.sibling_a.tolist(), found.sibling_b.tolist(), strict=True)),
    )


def why(data: bytes) -> WireError:
    with pytest.raises(WireError) as caught:
        parse(data)
    return caught.value


def test_serial_1_is_read() -> None:
    found = parse(b"# source|of|this\n64496|64497|-1\n64497|64498|0\n")
    assert pairs(found) == ([(64496, 64497)], [(64497, 64498)], [])
    assert found.lines == 3


def test_serial_2_is_read_whatever_its_sources_are_called() -> None:
    found = parse(b"64496|64497|-1|bgp\n64497|64498|0|bgp,mlp\n64498|64499|0|\n")
    assert pairs(found) == ([(64496, 64497)], [(64497, 64498), (64498, 64499)], [])


@pytest.mark.parametrize("relation", [b"1", b"2"])
def test_siblings_of_old_files_are_kept_apart(relation: bytes) -> None:
    assert pairs(parse(b"64496|64497|" + relation)) == ([], [], [(64496, 64497)])


def test_the_largest_and_the_smallest_as_numbers_are_read() -> None:
    assert pairs(parse(b"4294967295|1|-1\n")) == ([(4294967295, 1)], [], [])


@pytest.mark.parametrize(
    "data", [b"1|2|-1\r\n3|4|0\r\n", b"1|2|-1\n3|4|0", b"\n\n1|2|-1\n\n3|4|0\n\n", b"# a\r\n1|2|-1|x\r\n3|4|0|y"]
)
def test_line_ends_and_empty_lines_do_not_matter(data: bytes) -> None:
    assert pairs(parse(data)) == ([(1, 2)], [(3, 4)], [])


@pytest.mark.parametrize("data", [b"", b"\n", b"#", b"# 1|2|-1\n", b"\r\n"])
def test_a_file_of_nothing_has_no_relations(data: bytes) -> None:
    assert pairs(parse(data)) == ([], [], [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"64496", "is not a|b|relation"),
        (b"1|2", "is not a|b|relation"),
        (b"1|2|0|bgp|x", "is not a|b|relation"),
        (b"|", "is not a|b|relation"),
        (b"|||", "two AS numbers"),
        (b"1||0", "two AS numbers"),
        (b"one|2|0", "two AS numbers"),
        (b"1|2x|0", "two AS numbers"),
        (b"-1|2|0", "two AS numbers"),
        (b"0|2|0", "two AS numbers"),
        (b" 1|2|0", "two AS numbers"),
        (b"4294967296|2|0", "two AS numbers"),
        (b"11111111111|2|0", "two AS numbers"),
        (b"1|2|", "has a relation"),
        (b"1|2|-", "has a relation"),
        (b"1|2|-2", "has a relation"),
        (b"1|2|-11", "has a relation"),
        (b"1|2|3", "has a relation"),
        (b"1|2|0 ", "has a relation"),
        (b"7|7|0", "relates an AS to itself"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line: bytes, said: str) -> None:
    error = why(b"# head\n\n64496|64497|-1\n" + line + b"\n64498|64499|0\n")
    assert said in error.message
    assert error.message.startswith(f"line 4: '{line.decode()}'")
    assert error.fields["line"] == 4
    assert error.offset == 23


def test_the_first_bad_line_is_the_one_that_is_named() -> None:
    assert why(b"1|2|0\nx|2|0\ny|2|0\n").fields["line"] == 2


def test_a_long_line_of_rubbish_is_quoted_in_part() -> None:
    error = why(b"\xff" * 100_000)
    assert "\\xff" in error.message
    assert len(error.message) < 300


def test_a_line_of_rubbish_is_quoted_without_what_a_terminal_obeys() -> None:
    message = why(b"1|\x1b[2J\r\x0b|0\n").message
    assert message.startswith("line 1: '1|\\x1b[2J\\x0d\\x0b|0' ")
    assert message.isprintable()


@pytest.mark.parametrize("again", [b"1|2|-1", b"1|2|-1|mlp"])
def test_a_pair_that_is_repeated_counts_once(again: bytes) -> None:
    assert pairs(parse(b"1|2|-1\n3|4|0\n" + again + b"\n4|3|0\n")) == ([(1, 2)], [(3, 4)], [])


@pytest.mark.parametrize("other", [b"2|1|-1", b"1|2|0", b"2|1|0", b"1|2|2"])
def test_a_pair_with_two_relations_is_refused(other: bytes) -> None:
    error = why(b"1|2|-1\n5|6|0\n" + other + b"\n")
    assert error.fields["line"] == 3
    assert error.message.endswith(" gives a pair of ASes a second relation, other than in a line above")


def test_an_example_is_given_of_the_format_and_not_of_what_contradicts_it() -> None:
    assert why(b"1|2").message.endswith(", for example 64500|64501|-1")
    assert why(b"7|7|0").message == "line 1: '7|7|0' relates an AS to itself"


def test_what_is_written_is_read_back() -> None:
    text = render(
        transit=(np.array([1, 4294967295]), np.array([2, 3])), peering=(np.array([2]), np.array([3])), comment="made"
    )
    assert text.splitlines()[0] == "# made"
    assert pairs(parse(text.encode())) == ([(1, 2), (4294967295, 3)], [(2, 3)], [])
