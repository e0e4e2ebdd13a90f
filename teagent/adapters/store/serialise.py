"""Model values as JSON text and back, without loss, driven by the types of the dataclasses' fields.

A dataclass is an object of its fields, but for those that it makes of the others itself; where a field may hold one of
several dataclasses the object also says which, as `type`. Times are ISO 8601 in UTC with microseconds, prefixes are
text, a mapping is an object, an AnnouncementSet is {prefix: {link: prepend}}. A field that a document lacks takes its
default, so that fields can be added; a field that the model lacks is an error, for to drop it would be to lose it.
Floats may be NaN or infinite, as Python writes them.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeVar

from teagent.errors import StoreCorrupt
from teagent.model.announcement import Announcement, AnnouncementSet

T = TypeVar("T")

PREFIXES = frozenset({IPv4Network, IPv6Network})
ADDRESSES = frozenset({IPv4Address, IPv6Address})
TAG = "type"


@dataclass(frozen=True, slots=True)
class Codec:
    """How values of one type become JSON values and back; `encode` and `decode` raise TypeError or ValueError."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def to_json(kind: type[T], value: T) -> Any:
    """`value` as JSON values. Raises TypeError where it is not what its type says."""
    return codec_of(kind).encode(value)


def from_json(kind: type[T], document: Any) -> T:
    """Raises StoreCorrupt, naming the type, where the document does not describe such a value."""
    try:
        return typing.cast("T", codec_of(kind).decode(document))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreCorrupt(
            f"the store holds a {kind.__name__.lower()} that cannot be read: {error}",
            hint="restore a backup, or run the teagent that wrote it",
        ) from error


def to_text(kind: type[T], value: T) -> str:
    return dump(to_json(kind, value))


def from_text(kind: type[T], text: str) -> T:
    return from_json(kind, load(text))


def dump(document: Any) -> str:
    """JSON in one line. Raises TypeError for what JSON cannot hold."""
    return json.dumps(document, separators=(",", ":"))


def load(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise StoreCorrupt(f"the store holds a document that is not JSON: {error}", hint="restore a backup") from error


def load_object(text: str) -> dict[str, Any]:
    document = load(text)
    if not isinstance(document, dict):
        raise StoreCorrupt("the store holds a document that is not a JSON object", hint="restore a backup")
    return document


def time_text(at: datetime) -> str:
    """Sortable as text. Raises ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def codec_of(kind: Any) -> Codec:
    """The codec of a type as written in a dataclass. Raises TypeError for a type that no stored value may have."""
    return _made(kind)


@cache
def _made(kind: Any) -> Codec:
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        return _union(frozenset(typing.get_args(kind)), kind)
    if origin is tuple:
        return _tuple(typing.get_args(kind))
    if origin is frozenset:
        item = _tuple((*typing.get_args(kind), Ellipsis))
        return Codec(lambda values: sorted(item.encode(values)), lambda values: frozenset(item.decode(values)))
    if origin is collections.abc.Mapping:
        return _mapping(*typing.get_args(kind))
    if isinstance(kind, typing.NewType):
        return codec_of(kind.__supertype__)
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Codec(lambda value: kind(value).value, kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast("type[Any]", kind))
    raise TypeError(f"a {kind} has no form in the store")


def _tuple(args: tuple[Any, ...]) -> Codec:
    if len(args) == 2 and args[1] is Ellipsis:
        item = codec_of(args[0])
        return Codec(
            lambda values: [item.encode(value) for value in values],
            lambda values: tuple(item.decode(value) for value in _expect(list, values)),
        )
    items = [codec_of(arg) for arg in args]
    return Codec(
        lambda values: [item.encode(value) for item, value in zip(items, values, strict=True)],
        lambda values: tuple(item.decode(value) for item, value in zip(items, _expect(list, values), strict=True)),
    )


def _mapping(key: Any, value: Any) -> Codec:
    """An object; its keys are those of the mapping as text."""
    keys, values = codec_of(key), codec_of(value)
    return Codec(
        lambda given: {_expect(str, keys.encode(k)): values.encode(v) for k, v in given.items()},
        lambda given: {keys.decode(k): values.decode(v) for k, v in _expect(dict, given).items()},
    )


def _dataclass(kind: type[Any]) -> Codec:
    hints = typing.get_type_hints(kind)
    fields = {field.name: codec_of(hints[field.name]) for field in dataclasses.fields(kind) if field.init}

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is not a {kind.__name__}")
        return {name: codec.encode(getattr(value, name)) for name, codec in fields.items()}

    def decode(document: Any) -> Any:
        unknown = _expect(dict, document).keys() - fields.keys()
        if unknown:
            raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
        return kind(**{name: fields[name].decode(value) for name, value in document.items()})

    return Codec(encode, decode)


def _union(members: frozenset[type[Any]], kind: Any) -> Codec:
    if members == PREFIXES:
        return Codec(str, lambda text: ip_network(_expect(str, text)))
    if members == ADDRESSES:
        return Codec(str, lambda text: ip_address(_expect(str, text)))
    optional = types.NoneType in members
    tagged = {member.__name__: member for member in members if dataclasses.is_dataclass(member)}
    others = [member for member in members if member is not types.NoneType and member.__name__ not in tagged]
    scalars = {json_type: codec_of(member) for member in others for json_type in JSON_TYPES.get(member, ())}
    # A union with one member besides None needs no tag: `datetime | None`.
    single = codec_of(others[0]) if len(others) == 1 and not tagged else None

    def encode(value: Any) -> Any:
        if value is None and optional:
            return None
        if single is not None:
            return single.encode(value)
        if type(value).__name__ in tagged:
            return {TAG: type(value).__name__, **codec_of(type(value)).encode(value)}
        return _scalar(value).encode(value)

    def decode(document: Any) -> Any:
        if document is None and optional:
            return None
        if single is not None:
            return single.decode(document)
        if isinstance(document, dict) and document.get(TAG) in tagged:
            return codec_of(tagged[document[TAG]]).decode({k: v for k, v in document.items() if k != TAG})
        return _scalar(document).decode(document)

    def _scalar(value: Any) -> Codec:
        for json_type, codec in scalars.items():
            if isinstance(value, json_type):
                return codec
        raise TypeError(f"{value!r} is none of {kind}")

    return Codec(encode, decode)


def _expect(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value


def _number(value: Any) -> float:
    """A float field may hold an integer, which stays one: 4 is shown as 4, not as 4.0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return int(value) if isinstance(value, int) else float(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not an integer")
    return int(value)


def _encode_announcements(announcements: AnnouncementSet) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for announcement in announcements:
        table.setdefault(str(announcement.prefix), {})[announcement.link] = announcement.prepend
    return table


def _decode_announcements(document: Any) -> AnnouncementSet:
    return AnnouncementSet(
        Announcement(prefix=prefix, link=link, prepend=_integer(prepend))
        for prefix, vector in ((ip_network(text), vector) for text, vector in _expect(dict, document).items())
        for link, prepend in _expect(dict, vector).items()
    )


PLAIN: dict[Any, Codec] = {
    str: Codec(lambda value: _expect(str, value), lambda value: _expect(str, value)),
    bool: Codec(lambda value: _expect(bool, value), lambda value: _expect(bool, value)),
    int: Codec(_integer, _integer),
    float: Codec(_number, _number),
    datetime: Codec(time_text, lambda text: time_of(_expect(str, text))),
    AnnouncementSet: Codec(_encode_announcements, _decode_announcements),
}
JSON_TYPES: dict[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}
"""Which JSON values a scalar member of a union is told by; times are never in a union with text."""
