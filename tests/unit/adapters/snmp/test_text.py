"""Hostile and odd names become one safe line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.adapters.snmp.text import MAX_LENGTH, is_clean, line


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"xe-0/0/0", "xe-0/0/0"),
        (b"", ""),
        (None, ""),
        ("Zürich → Genève".encode(), "Zürich → Genève"),
        (b"Z\xfcrich", "Zürich"),
        (b"GigabitEthernet0/1\x00", "GigabitEthernet0/1"),
        (b"  padded \n", "padded"),
        (b"two  blanks", "two  blanks"),
        (b"line one\r\nline two", "line one line two"),
        (b"red\x1b[31malert\x1b[0m", "red [31malert [0m"),
        (b"bell\x07", "bell"),
        (b"\xc2\x9b31m", "31m"),
        ("abc\u202edef\u200b".encode(), "abcdef"),
        ("para\u2028graph".encode(), "para graph"),
        (b"\x00\x1e\x02", "0x001e02"),
        (b"\x00\x00", ""),
        (b"   ", ""),
    ],
)
def test_name_is_shown_on_one_safe_line(raw, shown):
    assert line(raw) == shown


def test_long_name_is_cut_where_names_end():
    assert len(line(b"x" * 10_000)) == MAX_LENGTH
    assert line(b"x" * 10_000).endswith("…")
    assert line(b"x" * MAX_LENGTH) == "x" * MAX_LENGTH


@pytest.mark.parametrize(
    ("raw", "clean"),
    [(b"eth0", True), (b"eth0\x00", True), (b" eth0 ", True), (b"", True), (b"e\x1bth0", False), (b"Z\xfcrich", False)],
)
def test_cleaned_names_are_known(raw, clean):
    assert is_clean(raw) is clean


@given(st.binary(max_size=600))
def test_no_octets_leave_a_control_character(raw):
    shown = line(raw)
    assert len(shown) <= MAX_LENGTH
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)
    assert line(shown.encode()) == shown or shown.endswith("…")
