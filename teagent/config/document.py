"""A YAML file as plain values, with the place of every key and value.

The grammar is PyYAML's; the scalars are YAML 1.2's core schema, because YAML 1.1 reads the community 64500:10 as
the number 3870010, `no` as false and 0123 as 83. Refused besides: duplicate keys, anchors and aliases, tags, merge
keys, several documents in a file, and anything larger or deeper than a configuration is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

import yaml

from teagent.errors import ConfigError, Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 16

Keys: TypeAlias = tuple[str | int, ...]
NULL = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset({"true", "True", "TRUE"})
FALSE = frozenset({"false", "False", "FALSE"})
INT = re.compile(r"^[-+]?(0|[1-9][0-9]*)$")
DECIMAL = re.compile(r"^[-+]?(0|[1-9][0-9]*)\.[0-9]+$")
# YAML 1.1 reads 0123 as octal, YAML 1.2 reads 0o17 as octal and 0x1F as hexadecimal, people read them as they like.
AMBIGUOUS = re.compile(r"^[-+]?(0[0-9]+(\.[0-9]*)?|0o[0-7]+|0x[0-9a-fA-F]+)$")


class DecimalNumber(float):
    """A number with a point, with the text it was read from: 1.10 is the AS number 65546, and not 1.1."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


@dataclass(frozen=True, slots=True)
class Place:
    """Counted from 1, in characters."""

    line: int
    column: int


START = Place(1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """`keys` and `values` hold the place of each key and value by its path; `problems` are those of the YAML itself."""

    file: str
    data: Any
    keys: Mapping[Keys, Place]
    values: Mapping[Keys, Place]
    problems: tuple[Problem, ...] = field(default=())

    def problem(self, path: Keys, message: str, *, at_key: bool = False) -> Problem:
        """At the value of `path`, or where it is absent at the nearest thing around it."""
        place = self._place(path, at_key=at_key)
        return Problem(file=self.file, line=place.line, column=place.column, key=spell(path), message=message)

    def _place(self, path: Keys, *, at_key: bool) -> Place:
        key, value = self.keys.get(path), self.values.get(path)
        if key is not None and (at_key or value is None or value.line > key.line):
            return key  # a value in block style begins a line below its key, where nobody would look for it
        if value is not None:
            return value
        return self._place(path[:-1], at_key=True) if path else START


def spell(path: Keys) -> str:
    """`prefixes[0].home.transit-a`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read(path: Path) -> Document:
    """Raises ConfigError when the file cannot be read or is not YAML; other problems are in the document."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([_at(str(path), None, f"the file cannot be read: {reason}")]) from error
    return parse(raw, file=str(path))


def parse(raw: bytes, *, file: str) -> Document:
    """Raises ConfigError when the bytes are not one YAML document; other problems are in the document."""
    text = _decode(raw, file)
    composer = _Composer(file)
    try:
        composer.document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.reader.ReaderError as error:
        place = _place_in(text, error.position)
        message = f"the character U+{error.character:04X} is not allowed in YAML"
        raise ConfigError([*composer.problems, _at(file, place, message)]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else START
        raise ConfigError([*composer.problems, _at(file, place, _syntax(error, text, place))]) from error
    return Document(
        file=file,
        data=composer.data,
        keys=composer.keys,
        values=composer.values,
        problems=tuple(composer.problems),
    )


def resolve(text: str) -> str | int | float | bool | None:
    """A plain (unquoted) scalar by YAML 1.2's core schema, decimals only. Raises ValueError where it is ambiguous."""
    if text in NULL:
        return None
    if text in TRUE or text in FALSE:
        return text in TRUE
    if AMBIGUOUS.match(text):
        # The text is not repeated: it may be a secret that somebody wrote here.
        raise ValueError("may be read as octal, hexadecimal or decimal: write it in decimal, or quote it")
    if INT.match(text):
        if len(text) > 20:
            raise ValueError(f"a number of {len(text)} digits is larger than anything here")
        return int(text)
    if DECIMAL.match(text):
        return DecimalNumber(text)
    return text


class _Composer:
    """Builds values out of PyYAML's events; goes on after a problem, so that all of them are found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.data: Any = None
        self.keys: dict[Keys, Place] = {}
        self.values: dict[Keys, Place] = {}
        self.problems: list[Problem] = []

    def document(self, events: Iterator[yaml.Event]) -> None:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = "a second document begins here, one file holds one"
                    raise ConfigError([*self.problems, self._problem((), event, message)])
            elif not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
                self.data = self._value((), event, events)
        if not documents:
            raise ConfigError([_at(self.file, START, "the file is empty")])

    def _value(self, path: Keys, event: yaml.Event, events: Iterator[yaml.Event]) -> Any:
        self.values[path] = _start(event)
        if isinstance(event, yaml.AliasEvent):
            self._report(path, event, f"*{event.anchor} refers to another place, write the value out")
            return None
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise TypeError(f"{event} cannot begin a value")
        if event.anchor:
            self._report(path, event, f"the anchor &{event.anchor} is not supported, write the value out")
        if event.tag:
            self._report(path, event, f"the tag {event.tag} is not supported, leave it out")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(path, event)
        if len(path) >= MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels"
            raise ConfigError([*self.problems, self._problem((), event, message)])
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, events)
        return self._sequence(path, events)

    def _scalar(self, path: Keys, event: yaml.ScalarEvent) -> Any:
        if event.style is not None:
            return event.value
        try:
            return resolve(event.value)
        except ValueError as error:
            self._report(path, event, str(error))
            return event.value

    def _sequence(self, path: Keys, events: Iterator[yaml.Event]) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value((*path, len(items)), event, events))
        return items

    def _mapping(self, path: Keys, events: Iterator[yaml.Event]) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(path, event, events)
            here = (*path, key)
            place = self.keys.get(here)
            if key in rows and place is not None:
                self._report(here, event, f"duplicate key, it is on line {place.line} already")
                self._value((*here, "(duplicate)"), next(events), events)
                continue
            self.keys[here] = _start(event)
            rows[key] = self._value(here, next(events), events)
        return rows

    def _key(self, path: Keys, event: yaml.Event, events: Iterator[yaml.Event]) -> str:
        if isinstance(event, yaml.ScalarEvent):
            if event.value == "":
                self._report(path, event, "a key is empty")
            elif event.anchor or event.tag:
                self._report(path, event, f"the key {event.value} has an anchor or a tag, leave it out")
            return str(event.value)
        self._report(path, event, "a key must be plain text; quote it if it begins with [ { * or &")
        if not isinstance(event, yaml.AliasEvent):
            self._value((*path, "(key)"), event, events)
        return "(key)"

    def _report(self, path: Keys, event: yaml.Event, message: str) -> None:
        self.problems.append(self._problem(path, event, message))

    def _problem(self, path: Keys, event: yaml.Event, message: str) -> Problem:
        place = _start(event)
        return Problem(file=self.file, line=place.line, column=place.column, key=spell(path), message=message)


def _start(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark else START


def _at(file: str, place: Place | None, message: str) -> Problem:
    line, column = (place.line, place.column) if place else (0, 0)
    return Problem(file=file, line=line, column=column, key="", message=message)


def _place_in(text: str, position: int) -> Place:
    before = text[:position]
    return Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


def _decode(raw: bytes, file: str) -> str:
    """A UTF-8 byte-order mark is allowed, as YAML allows it; any other encoding is not."""
    if len(raw) > MAX_BYTES:
        raise ConfigError([_at(file, None, f"the file is larger than {MAX_BYTES} bytes")])
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError([_at(file, START, "the file is UTF-16, save it as UTF-8")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = raw[: error.start].decode("utf-8-sig", errors="replace")
        message = f"the byte 0x{raw[error.start]:02x} is not UTF-8"
        raise ConfigError([_at(file, _place_in(good, len(good)), message)]) from error


SYNTAX: Sequence[tuple[str, str]] = (
    ("found character '\\t'", "a tab, indent with spaces"),
    ("mapping values are not allowed here", "a ':' where none can be: quote text that contains ': '"),
    ("found character", "text begins with a character that YAML keeps for itself, quote it"),
    ("could not find expected ':'", "a line without ':' after its key"),
    ("expected <block end>, but found", "the indentation does not match the lines above"),
    ("found unexpected end of stream", "a quote is opened and never closed"),
    ("expected ',' or '}'", "a '}' or ',' is missing; quote text with ':' in it, such as an IPv6 prefix"),
    ("expected ',' or ']'", "a ']' or ',' is missing; quote text with ':' in it, such as an IPv6 prefix"),
    ("sequence entries are not allowed here", "a list begins with '- ' on a line of its own"),
    ("expected alphabetic or numeric character", "text begins with * or &, quote it"),
    ("found undefined tag", "tags are not supported, quote text that begins with !"),
)


def _syntax(error: yaml.MarkedYAMLError, text: str, place: Place) -> str:
    problem = str(error.problem or error.context or "not YAML")
    lines = text.split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if line[place.column - 1 : place.column] == "\t" or line[: len(line) - len(line.lstrip())].count("\t"):
        return "a tab, indent with spaces"
    for start, ours in SYNTAX:
        if start in problem:
            return ours
    return f"not YAML: {problem[:1].lower()}{problem[1:]}"
