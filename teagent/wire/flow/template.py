"""Templates of NetFlow v9 (RFC 3954 section 5) and IPFIX (RFC 7011 section 3.4), and rows decoded by them.

A template whose fields all have a fixed length becomes a numpy structured dtype, and a whole data set is one
`np.frombuffer`. With variable-length fields (RFC 7011 section 7) each record is walked, its fixed fields are gathered
into the same kind of rows, and the variable ones are kept beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from teagent.errors import LimitExceeded
from teagent.wire.flow.limits import Limits

VARIABLE: Final = 0xFFFF
_NOT_FIXED: Final = frozenset({0, VARIABLE})
Rows: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Field:
    """`enterprise` is 0 for IANA's elements; a v9 scope has a number of its own kind and so does not match one."""

    element: int
    length: int
    enterprise: int = 0
    scope: bool = False
    v9_scope: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """`dtype` has one member `f<i>` for each field i of a fixed length above 0, without gaps."""

    id: int
    fields: tuple[Field, ...]
    options: bool = False
    dtype: np.dtype[Any] = field(init=False)
    least: int = field(init=False)  # octets of the shortest record
    variable: tuple[int, ...] = field(init=False)  # fields of variable length

    def __post_init__(self) -> None:
        fixed = [(i, f.length) for i, f in enumerate(self.fields) if f.length not in {0, VARIABLE}]
        variable = tuple(i for i, f in enumerate(self.fields) if f.length == VARIABLE)
        object.__setattr__(self, "dtype", np.dtype([(f"f{i}", *_member(length)) for i, length in fixed]))
        object.__setattr__(self, "least", sum(length for _, length in fixed) + len(variable))
        object.__setattr__(self, "variable", variable)

    def describes_as(self, other: Template) -> bool:
        """Whether both describe the same records."""
        return self.fields == other.fields and self.options == other.options

    def find(self, elements: Sequence[int], *, enterprise: int = 0) -> int | None:
        """Index of the first of these elements, IANA's or an enterprise's, that the template has in full, None where
        it has none.
        """
        for element in elements:
            for i, f in enumerate(self.fields):
                if (f.element, f.enterprise) == (element, enterprise) and not f.v9_scope and f.length not in _NOT_FIXED:
                    return i
        return None


def _member(length: int) -> tuple[Any, ...]:
    """Numbers as numbers, IPv6 addresses as two of them, anything else as octets."""
    if length in {1, 2, 4, 8}:
        return (f">u{length}",)
    return (">u8", (2,)) if length == 16 else ("u1", (length,))


def checked(template: Template, limits: Limits) -> Template:
    """Raises LimitExceeded for a template that no record of a datagram could follow."""
    if template.least == 0:
        raise LimitExceeded(f"template {template.id} describes records of no octets", template=template.id)
    if template.least > limits.max_record_octets:
        raise LimitExceeded(
            f"template {template.id} describes records of {template.least} octets, a datagram holds"
            f" {limits.max_record_octets}",
            template=template.id,
        )
    return template


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Records of one data set, or of several of one template: `rows` by template.dtype; `variable` holds for each
    field of variable length the values, one a record. `cut` says that the last record did not fit.
    """

    rows: Rows
    variable: dict[int, list[bytes]]
    cut: bool = False


def decode_fixed(template: Template, body: bytes) -> Rows:
    """`body` holds whole records, and less than one record of padding."""
    size = template.least
    return np.frombuffer(body, template.dtype, count=len(body) // size)


def decode_variable(template: Template, body: bytes) -> Decoded:
    """Walks every record; work is bounded by the length of `body`, because fields of no octets are not walked."""
    steps = _steps(template)
    out = bytearray()
    values: dict[int, list[bytes]] = {i: [] for i in template.variable}
    at, end = 0, len(body)
    while end - at >= template.least:
        record = bytearray()
        found: list[bytes] = []
        for run, variable in steps:
            record += body[at : at + run]
            at += run
            if variable is None:
                continue
            length = body[at] if at < end else 0
            at += 1
            if length == 255:
                length = int.from_bytes(body[at : at + 2], "big")
                at += 2
            found.append(body[at : at + length])
            at += length
        if at > end:
            break
        out += record
        for i, value in zip(template.variable, found, strict=True):
            values[i].append(value)
    count = len(values[template.variable[0]])
    rows = np.frombuffer(bytes(out), template.dtype) if out else np.zeros(count, template.dtype)
    return Decoded(rows, values, cut=at > end)


def _steps(template: Template) -> list[tuple[int, int | None]]:
    """Octets to copy, then the field of variable length that follows them, None at the end."""
    steps: list[tuple[int, int | None]] = []
    run = 0
    for i, f in enumerate(template.fields):
        if f.length == VARIABLE:
            steps.append((run, i))
            run = 0
        else:
            run += f.length
    steps.append((run, None))
    return steps
