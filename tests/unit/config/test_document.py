from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from teagent.config import document
from teagent.config.document import DecimalNumber, parse, read
from teagent.errors import ConfigError


def data(text: str) -> Any:
    read_document = parse(text.encode(), file="f")
    assert read_document.problems == ()
    return read_document.data


def wrong(raw: str | bytes) -> list[str]:
    """All problems, whether they ended the reading or not."""
    try:
        return [str(p) for p in parse(raw.encode() if isinstance(raw, str) else raw, file="f").problems]
    except ConfigError as error:
        return [str(p) for p in error.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64500:10", "64500:10"),
        ("10:30", "10:30"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        (".5", ".5"),
        ("2026-01-12", "2026-01-12"),
        ("2026-01-12T19:40:30Z", "2026-01-12T19:40:30Z"),
        ("=", "="),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("0.20", 0.2),
        ("'0123'", "0123"),
        ('"true"', "true"),
        ("2001:db8::1", "2001:db8::1"),
        ("80%", "80%"),
    ],
)
def test_scalars_are_read_as_yaml_1_2_reads_them(text: str, value: object) -> None:
    found = data(f"a: {text}")["a"]
    assert found == value
    assert isinstance(found, type(value))


def test_a_dotted_number_keeps_its_text() -> None:
    found = data("a: 1.10")["a"]
    assert isinstance(found, DecimalNumber)
    assert found.text == "1.10"


@pytest.mark.parametrize("text", ["0123", "-0123", "007", "00", "01.5", "0o17", "0x1F"])
def test_a_number_that_may_be_octal_is_refused_without_repeating_it(text: str) -> None:
    assert wrong(f"a: {text}") == [
        "f:1:4: a: may be read as octal, hexadecimal or decimal: write it in decimal, or quote it"
    ]


def test_an_endless_number_is_refused() -> None:
    assert wrong(f"a: {'9' * 5000}") == ["f:1:4: a: a number of 5000 digits is larger than anything here"]


def test_every_duplicate_key_is_reported_at_its_second_place() -> None:
    assert wrong("a: 1\nb: {x: 1, x: 2}\na: 3\n") == [
        "f:2:11: b.x: duplicate key, it is on line 2 already",
        "f:3:1: a: duplicate key, it is on line 1 already",
    ]


def test_anchors_aliases_tags_and_merge_keys_are_refused() -> None:
    assert wrong("a: &x [1]\nb: *x\nc: !!str 1\nd: {<<: *x}\n") == [
        "f:1:4: a: the anchor &x is not supported, write the value out",
        "f:2:4: b: *x refers to another place, write the value out",
        "f:3:4: c: the tag tag:yaml.org,2002:str is not supported, leave it out",
        "f:4:9: d.<<: *x refers to another place, write the value out",
    ]


def test_a_billion_laughs_is_no_more_than_its_lines() -> None:
    lines = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))]
    assert len(wrong("\n".join(lines))) == 9 + 8 * 9


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f:1:1: the file is empty"),
        ("# nothing\n", "f:1:1: the file is empty"),
        ("a: 1\n---\nb: 2\n", "f:2:1: a second document begins here, one file holds one"),
        ("a:\n\t- 1\n", "f:2:1: a tab, indent with spaces"),
        ("\ta: 1\n", "f:1:1: a tab, indent with spaces"),
        ("a: b: c\n", "f:1:5: a ':' where none can be: quote text that contains ': '"),
        ("a: 'b\n", "f:2:1: a quote is opened and never closed"),
        ("a: {x: 1\n", "f:2:1: a '}' or ',' is missing; quote text with ':' in it, such as an IPv6 prefix"),
        ("a: [1, 2\n", "f:2:1: a ']' or ',' is missing; quote text with ':' in it, such as an IPv6 prefix"),
        ("a: @b\n", "f:1:4: text begins with a character that YAML keeps for itself, quote it"),
        ("- a\nb: 1\n", "f:2:1: the indentation does not match the lines above"),
        ("a: - b\n", "f:1:4: a list begins with '- ' on a line of its own"),
        ("a: x\0y\n", "f:1:5: the character U+0000 is not allowed in YAML"),
        ("? [a, b]\n: 1\n", "f:1:3: a key must be plain text; quote it if it begins with [ { * or &"),
        ("a: {'': 1}\n", "f:1:5: a: a key is empty"),
    ],
)
def test_what_is_not_our_yaml_is_said_in_our_words_at_its_place(text: str, problem: str) -> None:
    assert problem in wrong(text)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_is_bounded(opening: str) -> None:
    assert any("nested deeper than 16 levels" in problem for problem in wrong(opening * 20000))


def test_bytes_that_are_not_utf_8_are_placed() -> None:
    assert wrong(b"a: 1\nb: x\xffy\n") == ["f:2:5: the byte 0xff is not UTF-8"]


def test_utf_16_is_named() -> None:
    assert wrong("a: 1\n".encode("utf-16")) == ["f:1:1: the file is UTF-16, save it as UTF-8"]


def test_a_byte_order_mark_is_allowed_and_moves_no_column() -> None:
    assert wrong(b"\xef\xbb\xbfa: 0123\n") == wrong(b"a: 0123\n")
    assert parse(b"\xef\xbb\xbfa: 1\n", file="f").data == {"a": 1}


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    assert wrong(b"a" * (document.MAX_BYTES + 1)) == [f"f: the file is larger than {document.MAX_BYTES} bytes"]


def test_windows_line_ends_count_as_one() -> None:
    assert wrong("a: 1\r\nb: 0123\r\n")[0].startswith("f:2:4: ")


def test_places_are_those_of_keys_and_values() -> None:
    found = parse(b"a:\n  b: [x, {c: 1}]\n", file="f")
    assert str(found.problem(("a", "b", 1, "c"), "m")) == "f:2:14: a.b[1].c: m"
    assert str(found.problem(("a", "b", 1, "c"), "m", at_key=True)) == "f:2:11: a.b[1].c: m"
    assert str(found.problem(("a", "missing"), "m")) == "f:1:1: a.missing: m"
    assert str(found.problem(("nowhere",), "m")) == "f:1:1: nowhere: m"


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_a_file_that_cannot_be_read_is_a_problem_and_not_a_traceback(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "config.yaml"
    make(path)
    with pytest.raises(ConfigError, match="the file cannot be read"):
        read(path)
