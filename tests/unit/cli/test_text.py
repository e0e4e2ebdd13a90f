"""Text for terminals: nothing is cut, nothing steers the terminal, the same in a pipe."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.cli.text import Column, age, clean, fields, percent, plural, rate, size, sparkline, table, width

START = datetime(2026, 1, 12, 19, 0, tzinfo=UTC)


@given(st.text())
def test_clean_text_cannot_steer_a_terminal(text: str) -> None:
    shown = clean(text)
    assert not any(unicodedata.category(character)[0] == "C" for character in shown)
    assert "\n" not in shown
    assert clean(shown) == shown


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2Jtransit-a", "[2Jtransit-a"),
        ("a\nb\tc\rd", "a b c d"),
        ("abc\u202edef\u2066", "abcdef"),
        ("\x9b31mred", "31mred"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("line\u2028two", "line two"),
        ("café 東京", "café 東京"),
        (None, "None"),
    ],
)
def test_control_and_hidden_characters_are_stripped(hostile: object, shown: str) -> None:
    assert clean(hostile) == shown


@given(st.lists(st.tuples(st.text(max_size=80), st.integers()), min_size=1, max_size=8))
def test_no_cell_of_a_table_is_ever_cut(rows: list[tuple[str, int]]) -> None:
    lines = table((Column("NAME"), Column("COUNT", right=True)), rows).split("\n")
    assert len(lines) == len(rows) + 1
    for line, (name, count) in zip(lines[1:], rows, strict=True):
        assert clean(name) in line
        assert line.endswith(str(count))


@given(st.lists(st.text(max_size=20), min_size=1, max_size=8))
def test_numbers_end_in_one_column_whatever_the_names(names: list[str]) -> None:
    lines = table((Column("NAME"), Column("COUNT", right=True)), [(name, 7) for name in names]).split("\n")
    assert len({width(line) for line in lines}) == 1


def test_text_is_left_numbers_are_right_and_absence_is_a_dash() -> None:
    columns = (Column("LINK"), Column("IN", right=True), Column("STATE"))
    assert table(columns, [("transit-a", "9.31G", "ok"), ("ix", None, "")]).splitlines() == [
        "LINK          IN  STATE",
        "transit-a  9.31G  ok",
        "ix             -  -",
    ]


def test_wide_columns_are_added_at_the_right_end() -> None:
    columns = (Column("A"), Column("B"), Column("C", wide=True))
    assert table(columns, [(1, 2, 3)]).splitlines() == ["A  B", "1  2"]
    assert table(columns, [(1, 2, 3)], wide=True).splitlines() == ["A  B  C", "1  2  3"]


def test_zero_is_shown_as_zero_and_not_as_absent() -> None:
    assert table((Column("N", right=True),), [(0,)]).splitlines() == ["N", "0"]


def test_fields_are_aligned_and_absent_ones_left_out() -> None:
    assert fields([("in", "9.31G"), ("commit", None), ("capacity", 0)]) == "  in        9.31G\n  capacity  0"
    assert fields([]) == ""


@pytest.mark.parametrize(
    ("bps", "shown"), [(10e9, "10G"), (2.5e9, "2.5G"), (100e6, "100M"), (40e9, "40G"), (0, "0"), (None, None)]
)
def test_round_sizes_have_no_zeros_behind(bps: float | None, shown: str | None) -> None:
    assert size(bps) == shown


def test_what_is_absent_stays_absent() -> None:
    assert (rate(None), percent(None), age(None, "2026-01-12T19:40:30Z")) == (None, None, None)


def test_a_time_in_the_future_has_no_age() -> None:
    assert age("2026-01-12T19:40:40Z", "2026-01-12T19:40:30Z") == "0s"
    assert age("2026-01-12T19:36:30Z", "2026-01-12T19:40:30Z") == "4m"


def test_plurals() -> None:
    assert (plural(1, "change"), plural(2, "change"), plural(0, "prefix", "prefixes")) == (
        "1 change",
        "2 changes",
        "0 prefixes",
    )


def test_a_sparkline_has_a_fixed_scale_and_shows_gaps_as_gaps() -> None:
    minutes = [(START + timedelta(minutes=n), share) for n, share in ((0, 0.0), (1, 0.5), (8, 1.0), (9, 0.93))]
    line = sparkline(minutes, columns=4)
    assert line == "▅··█"
    steady = [(START + timedelta(minutes=n), 0.5) for n in range(10)]
    assert sparkline(steady) == "▅" * 10


def test_a_sparkline_holds_any_share_and_any_number_of_points() -> None:
    assert sparkline([]) == ""
    assert sparkline([(START, 0.0)]) == "▁"
    assert sparkline([(START, 1.7)]) == "█"
    assert len(sparkline([(START + timedelta(seconds=n), 0.1) for n in range(1000)])) == 60
