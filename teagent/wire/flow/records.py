"""What stands between a datagram and its columns: data sets with the template that explains them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from teagent.errors import BadLength, BadVersion, LimitExceeded, Truncated, WireError
from teagent.wire.flow.gathered import Gathered
from teagent.wire.flow.layout import Layout
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.sequence import Sequences
from teagent.wire.flow.template import Decoded, Rows, decode_fixed, decode_variable

ANY_STREAM: Final = -1


class Undecoded(StrEnum):
    """Why something could not be used; a closed list, because it labels counters."""

    BAD_VERSION = "bad_version"
    BAD_LENGTH = "bad_length"
    TRUNCATED = "truncated"
    LIMIT_EXCEEDED = "limit_exceeded"
    NO_TEMPLATE = "no_template"
    NO_ADDRESSES = "no_addresses"
    NOT_IP = "not_ip"


def reason_of(error: WireError) -> Undecoded:
    for kind, reason in (
        (BadVersion, Undecoded.BAD_VERSION),
        (Truncated, Undecoded.TRUNCATED),
        (LimitExceeded, Undecoded.LIMIT_EXCEEDED),
        (BadLength, Undecoded.BAD_LENGTH),
    ):
        if isinstance(error, kind):
            return reason
    raise AssertionError(f"{type(error).__name__} has no reason")


@dataclass(slots=True, kw_only=True, eq=False)
class Domain:
    """State of one observation domain (IPFIX), source id (v9) or engine (v5). Mutable, owned by ExporterState.

    `stream` is the source port that it is for, ANY_STREAM where all of them agree about its templates. `flows` says
    whether it has sent any, and not only options.
    `boot` is the unix time at which the exporter's sysUpTime was 0, where IPFIX options told it, NaN otherwise.
    """

    version: int
    number: int
    stream: int
    layouts: dict[int, Layout]
    rates: SamplingRates
    sequences: Sequences
    boot: float
    flows: bool = False


class RecordSet(NamedTuple):
    """A data set. A tuple, because these are many.

    It holds so many `records` of `layout.template`, to which `rates` apply; `boot` is as in Domain, or out of the
    header.
    """

    domain: Domain
    rates: SamplingRates
    layout: Layout
    body: bytes
    records: int
    exported_at: float
    boot: float
    decoded: Decoded | None = None  # already there where fields have a variable length

    def decode(self) -> Decoded:
        return self.decoded or Decoded(decode_fixed(self.layout.template, self.body), {})


class Run(NamedTuple):
    """The data sets that stand at one place in `datagrams` of one shape: all their records together. The first set is
    in `octets` at `begin`, the next ones `step` octets further each, and each is as large as `dtype`. `headers` are
    those of the datagrams, where the times of the records need them.
    """

    domain: Domain
    rates: SamplingRates
    layout: Layout
    octets: bytes
    begin: int
    step: int
    dtype: np.dtype[Any]
    records: int
    datagrams: int
    headers: bytes

    @property
    def long(self) -> bool:
        """Whether a copy of the records would take longer than to pick each column out of the datagrams."""
        return self.records >= LONG

    def view(self) -> Rows:
        """Of shape (datagrams, records in each)."""
        template = self.layout.template
        shape = (self.datagrams, self.records // self.datagrams)
        return np.ndarray(shape, template.dtype, self.octets, self.begin, (self.step, template.least))

    def cut(self) -> bytes:
        """The records one after the other."""
        if self.datagrams == 1:
            return self.octets[self.begin : self.begin + self.dtype.itemsize]
        return np.ndarray((self.datagrams,), self.dtype, self.octets, self.begin, (self.step,)).tobytes()


def record_set(domain: Domain, layout: Layout, body: bytes, *, exported_at: float, boot: float) -> RecordSet:
    template = layout.template
    if template.variable:
        decoded = decode_variable(template, body)
        return RecordSet(
            domain, domain.rates, layout, decoded.rows.tobytes(), len(decoded.rows), exported_at, boot, decoded
        )
    return RecordSet(domain, domain.rates, layout, body, len(body) // template.least, exported_at, boot)


LONG: Final = 256  # records
DataSet: TypeAlias = RecordSet | Run


def joined(sets: Iterable[DataSet]) -> Iterator[list[DataSet]]:
    """Sets of one template and one domain together, in order of arrival; but the long runs first."""
    groups: dict[tuple[int, int], list[DataSet]] = {}
    for found in sets:
        groups.setdefault((id(found.rates), id(found.layout)), []).append(found)
    for group in groups.values():
        yield sorted(group, key=_is_short)


def _is_short(found: DataSet) -> bool:
    return not (isinstance(found, Run) and found.long)


def rows_of(group: list[DataSet]) -> Rows:
    """The records of the sets of a group as a copy."""
    template = group[0].layout.template
    if template.variable:
        return np.concatenate([found.decode().rows for found in group if isinstance(found, RecordSet)])
    size = template.least
    bodies = [found.cut() if isinstance(found, Run) else found.body[: found.records * size] for found in group]
    return np.frombuffer(b"".join(bodies), template.dtype)


def gathered(group: list[DataSet]) -> Gathered:
    """The records of a group that `joined` made, without a copy of the long runs."""
    runs = [found for found in group if isinstance(found, Run) and found.long]
    parts = [run.view() for run in runs]
    if len(runs) < len(group):
        parts.append(rows_of(group[len(runs) :]))
    return Gathered(parts)
