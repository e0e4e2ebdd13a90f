"""Lists in a field of a record: of the types basicList, subTemplateList and subTemplateMultiList (RFC 6313 section
4.5), which the elements 291 to 293 and others have.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from teagent.errors import BadLength, Truncated
from teagent.wire.flow.element_names import DataType, name_and_type
from teagent.wire.flow.layout import Layout
from teagent.wire.flow.template import VARIABLE, Decoded, Field, decode_fixed, decode_variable
from teagent.wire.flow.template_sets import ENTERPRISE_BIT
from teagent.wire.flow.values import Value, shown

LISTS: Final = frozenset({DataType.BASIC_LIST, DataType.SUB_TEMPLATE_LIST, DataType.SUB_TEMPLATE_MULTI_LIST})
MOST_NESTED: Final = 4
SEMANTICS: Final = {0: "noneOf", 1: "exactlyOneOf", 2: "oneOrMoreOf", 3: "allOf", 4: "ordered"}
_PAIR: Final = struct.Struct(">HH")

Layouts = Mapping[int, Layout]
RecordsOf = Callable[[Layout, Decoded, int], Iterator[dict[str, Value]]]
"""The fields of records, which may have lists in them, nested so deep."""


def list_value(kind: DataType, octets: bytes, layouts: Layouts, records_of: RecordsOf, depth: int = 0) -> Value:
    """`kind` is one of LISTS; `layouts` are those of the domain. Raises Truncated and BadLength where the octets are no
    such list, or name a template that is not known.
    """
    if not octets:
        raise Truncated("a list of no octets")
    if depth >= MOST_NESTED:
        raise BadLength(f"lists in lists, more than {MOST_NESTED} deep")
    head: dict[str, Value] = {"semantic": SEMANTICS.get(octets[0], "undefined")}
    if kind == DataType.BASIC_LIST:
        return head | _basic(octets, layouts, records_of, depth)
    if kind == DataType.SUB_TEMPLATE_LIST:
        (number,) = struct.unpack_from(">H", octets, 1) if len(octets) >= 3 else (0,)
        return head | _records(number, octets[3:], layouts, records_of, depth)
    lists: list[Value] = []
    at = 1
    while at < len(octets):
        number, length = _PAIR.unpack_from(octets, at) if len(octets) - at >= 4 else (0, 0)
        if length < 4 or at + length > len(octets):
            raise BadLength(f"a list of {length} octets, {len(octets) - at} are left", offset=at)
        lists.append(_records(number, octets[at + 4 : at + length], layouts, records_of, depth))
        at += length
    return head | {"lists": lists}


def _basic(octets: bytes, layouts: Layouts, records_of: RecordsOf, depth: int) -> dict[str, Value]:
    if len(octets) < 5:
        raise Truncated(f"a basicList of {len(octets)} octets")
    element, length = _PAIR.unpack_from(octets, 1)
    at, enterprise = 5, 0
    if element & ENTERPRISE_BIT:
        if len(octets) < 9:
            raise Truncated(f"a basicList of {len(octets)} octets")
        at, enterprise = 9, int.from_bytes(octets[5:9], "big")
    field = Field(element & ~ENTERPRISE_BIT, length, enterprise)
    name, kind = name_and_type(field)
    values: list[Value] = []
    for value in _elements(octets[at:], length):
        if kind in LISTS:
            values.append(list_value(kind, value, layouts, records_of, depth + 1))
        else:
            values.append(shown(value, kind or DataType.OCTET_ARRAY))
    return {"element": name, "values": values}


def _elements(octets: bytes, length: int) -> Iterator[bytes]:
    """What is of a fixed length may not have a rest."""
    if length == VARIABLE:
        at = 0
        while at < len(octets):
            size, at = octets[at], at + 1
            if size == 255:
                size, at = int.from_bytes(octets[at : at + 2], "big"), at + 2
            if at + size > len(octets):
                raise Truncated("the last element of a basicList goes past its end", offset=at)
            yield octets[at : at + size]
            at += size
        return
    if length == 0 or len(octets) % length:
        raise BadLength(f"a basicList of {len(octets)} octets, its elements have {length}")
    for at in range(0, len(octets), length):
        yield octets[at : at + length]


def _records(number: int, octets: bytes, layouts: Layouts, records_of: RecordsOf, depth: int) -> dict[str, Value]:
    layout = layouts.get(number)
    if layout is None:
        raise BadLength(f"a list by template {number}, which is not known")
    template = layout.template
    if template.variable:
        decoded = decode_variable(template, octets)
        if decoded.cut:
            raise Truncated(f"the last record by template {number} goes past the end of its list")
    else:
        decoded = Decoded(decode_fixed(template, octets), {})
        if len(octets) % template.least:
            raise BadLength(f"a list of {len(octets)} octets, its records by template {number} have {template.least}")
    return {"template": number, "records": list(records_of(layout, decoded, depth + 1))}
