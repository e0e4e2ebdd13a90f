"""The SQL that reads flows, and what comes back. Names are checked and quoted here, values go as parameters.

A row of the answer stands for all flows of a span that the traffic matrix cannot tell apart: of one exporter, by one
link, to one of our prefixes, from one source AS (or one covering prefix where the AS is not known), at one sampling
rate. Its two addresses are those of one of the flows, so that whatever attributes single records attributes the row
as it would have attributed each of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import numpy as np

from teagent.errors import TelemetryError
from teagent.model.bgp import NOBODYS_ASNS, Prefix

IDENTIFIER: Final = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]*$")
UNSIGNED: Final = ("UInt8", "UInt16", "UInt32", "UInt64")
INTEGERS: Final = (*UNSIGNED, "Int8", "Int16", "Int32", "Int64")
IPV4_BITS: Final = 96  # in front of an IPv4 address that is written as an IPv6 one

ROW: Final = np.dtype(
    [
        ("exporter", "<u2"),  # index into the exporters, from 1
        ("port", "<u2"),  # index into the ports, from 1; 0 where it is none of them
        ("family", "u1"),
        ("same_if", "u1"),
        ("egress", "u1"),
        ("src", ">u8", 2),
        ("dst", ">u8", 2),
        ("src_asn", "<u4"),
        ("sampling_rate", "<u8"),
        ("octets", "<u8"),
        ("packets", "<u8"),
        ("rows", "<u8"),
        ("newest", "<u4"),
    ]
)
"""A row of the answer, as ClickHouse's RowBinary lays it out."""

COUNT_ROW: Final = np.dtype([("exporter", "<u2"), ("rows", "<u8")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the table calls what we need. An optional one that is None is not there: nothing is known of it."""

    time: str
    exporter: str
    in_if: str
    src_addr: str
    dst_addr: str
    bytes: str
    packets: str
    out_if: str | None = None
    src_as: str | None = None
    sampling_rate: str | None = None
    etype: str | None = None  # tells the families apart where addresses are FixedString(16)
    direction: str | None = None

    def given(self) -> dict[str, str]:
        """What it is -> what it is called."""
        return {name: column for name in self.__slots__ if (column := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """What is told apart. `ports` are (exporter address, interface as text)."""

    exporters: Sequence[str]
    ports: Sequence[tuple[str, str]]
    prefixes: Sequence[Prefix]
    source_prefix_ipv4: int
    source_prefix_ipv6: int


def quoted(identifier: str) -> str:
    """Raises ValueError for what is no plain name."""
    if not IDENTIFIER.match(identifier):
        raise ValueError(f"{identifier!r} is no name of letters, digits, _ and .")
    return f"`{identifier}`"


def mapped(address: str) -> str:
    """IPv4 addresses the way ClickHouse has them in an IPv6 column."""
    found = ip_address(address)
    return f"::ffff:{found}" if found.version == 4 else str(found)


class Statements:
    """The queries against one table, whose columns have the `types` that the server says they have.

    Raises TelemetryError where a column is missing or of a type that cannot be read.
    """

    def __init__(self, *, database: str, table: str, columns: Columns, types: Mapping[str, str]) -> None:
        self._from = f"{quoted(database)}.{quoted(table)}"
        self._place = f"{database}.{table}"
        self._columns = columns
        self._types = dict(types)
        missing = sorted(column for column in columns.given().values() if column not in types)
        if missing:
            raise TelemetryError(
                f"the ClickHouse table {self._place} has no column {', '.join(missing)}",
                hint="flows.clickhouse.columns says what they are called; goflow2's example has no in_if and out_if",
                table=self._place,
                columns=missing,
            )
        self._in_if = self._text(columns.in_if)
        self._out_if = None if columns.out_if is None else self._text(columns.out_if)
        self._numbers()

    def _numbers(self) -> None:
        for what in ("bytes", "packets", "src_as", "sampling_rate", "etype"):
            column = getattr(self._columns, what)
            if column is not None:
                self._expect(what, column, INTEGERS)

    def flows(self, grouping: Grouping) -> tuple[str, dict[str, object]]:
        """The statement and its parameters but `since` and `until` (unix seconds)."""
        c = self._columns
        parameters: dict[str, object] = self._named(grouping.exporters)
        parameters["ports"] = [(mapped(exporter), port) for exporter, port in grouping.ports]
        own_dst, own_src = (self._own_length(name, grouping.prefixes, parameters) for name in ("dst", "src"))
        lengths = f"if(family = 4, {IPV4_BITS + grouping.source_prefix_ipv4}, {grouping.source_prefix_ipv6})"
        same_if = "0" if self._out_if is None else f"{self._in_if} = {self._out_if}"
        # What came by no link is one row: nothing of it is told apart further.
        statement = f"""
SELECT exporter, port, family, same_if, egress, any(src), any(dst), src_asn, rate,
    toUInt64(sum(octets)), toUInt64(sum(packets)), count(), toUInt32(max(at))
FROM (
    SELECT
        {self._exporter} AS exporter_address,
        toUInt16(indexOf({{exporters:Array(IPv6)}}, exporter_address)) AS exporter,
        toUInt16(indexOf({{ports:Array(Tuple(IPv6, String))}}, (exporter_address, {self._in_if}))) AS port,
        {self._address(c.src_addr)} AS src,
        {self._address(c.dst_addr)} AS dst,
        toUInt8(if(IPv6CIDRToRange(dst, {IPV4_BITS}).1 = toIPv6('::ffff:0.0.0.0'), 4, 6)) AS family,
        toUInt8({same_if}) AS same_if,
        toUInt8(port > 0 AND {self._egress()}) AS egress,
        toUInt32({self._or_zero(c.src_as)}) AS src_asn_told,
        if(src_asn_told IN {NOBODYS_ASNS}, 0, src_asn_told) AS src_asn_given,
        toUInt64({self._or_zero(c.sampling_rate)}) AS rate,
        toUInt64({quoted(c.bytes)}) AS octets,
        toUInt64({quoted(c.packets)}) AS packets,
        {self._time} AS at,
        toUInt8({own_dst}) AS dst_length,
        toUInt8({own_src}) AS src_length,
        port = 0 OR src_length > 0 AS nobody,
        if(nobody, 0, src_asn_given) AS src_asn,
        IPv6CIDRToRange(src, toUInt8(if(nobody OR src_asn_given > 0, 0, {lengths}))).1 AS src_group,
        IPv6CIDRToRange(dst, toUInt8(if(port = 0, 0, dst_length))).1 AS dst_group
    FROM {self._from}
    WHERE {self._span} AND exporter_address IN {{exporters:Array(IPv6)}}
)
GROUP BY exporter, port, family, same_if, egress, src_asn, rate, src_group, dst_group,
    if(port = 0, 0, dst_length), if(port = 0, 0, src_length > 0)
FORMAT RowBinary"""  # noqa: S608  names are checked, values are parameters
        return statement, parameters

    def count(self, exporters: Sequence[str]) -> tuple[str, dict[str, object]]:
        """How many rows of a span there are by now, by exporter."""
        statement = f"""
SELECT toUInt16(indexOf({{exporters:Array(IPv6)}}, {self._exporter})) AS exporter, count()
FROM {self._from} WHERE {self._span} AND exporter > 0 GROUP BY exporter FORMAT RowBinary"""  # noqa: S608  as above
        return statement, self._named(exporters)

    @staticmethod
    def _named(exporters: Sequence[str]) -> dict[str, object]:
        return {"exporters": [mapped(exporter) for exporter in exporters]}

    @property
    def _exporter(self) -> str:
        return self._address(self._columns.exporter, with_etype=False)

    @property
    def _span(self) -> str:
        time = quoted(self._columns.time)
        if self._plain("time", self._columns.time).startswith("DateTime"):
            return f"{time} >= toDateTime({{since:UInt32}}) AND {time} < toDateTime({{until:UInt32}})"
        return f"{time} >= {{since:UInt32}} AND {time} < {{until:UInt32}}"

    @property
    def _time(self) -> str:
        time = quoted(self._columns.time)
        kind = self._plain("time", self._columns.time)
        if kind.startswith("DateTime"):
            return f"toUnixTimestamp({time})"
        if kind == "UInt32":
            return time
        raise self._wrong("time", self._columns.time, "DateTime, DateTime64 or UInt32 (unix seconds)")

    def _address(self, column: str, *, with_etype: bool = True) -> str:
        """As IPv6."""
        name = quoted(column)
        kind = self._plain("address", column)
        match kind:
            case "IPv6":
                return f"CAST({name} AS IPv6)"
            case "IPv4":
                return f"toIPv6(CAST({name} AS IPv4))"
            case "String":
                return f"toIPv6OrDefault(toString({name}))"
            case "FixedString(16)":
                short = f"substring({name}, 5) = unhex('{'00' * 12}')"
                if with_etype and self._columns.etype is not None:
                    short = f"{quoted(self._columns.etype)} = {0x0800}"
                long_form = f"concat(unhex('{'00' * 10}FFFF'), substring({name}, 1, 4))"
                return f"if({short}, CAST(toFixedString({long_form}, 16) AS IPv6), CAST({name} AS IPv6))"
            case _:
                raise self._wrong("an address", column, "IPv6, IPv4, FixedString(16) or String")

    def _text(self, column: str) -> str:
        self._expect("an interface", column, (*INTEGERS, "String"))
        return f"toString({quoted(column)})"

    def _egress(self) -> str:
        """Whether the record was metered where the packets left."""
        column = self._columns.direction
        if column is None:
            return "0"
        if self._plain("direction", column).startswith(("Enum", "String")):
            return f"toString({quoted(column)}) = 'egress'"
        self._expect("a direction", column, INTEGERS)
        return f"{quoted(column)} = 1"

    @staticmethod
    def _or_zero(column: str | None) -> str:
        return "0" if column is None else quoted(column)

    @staticmethod
    def _own_length(address: str, prefixes: Sequence[Prefix], parameters: dict[str, object]) -> str:
        """The length of the longest of our prefixes that covers `address`, as one of IPv6; 0 where none does.

        One look into a set for each length that there is, the longest first.
        """
        by_length: dict[int, list[str]] = {}
        for prefix in prefixes:
            length = prefix.prefixlen + (IPV4_BITS if prefix.version == 4 else 0)
            by_length.setdefault(length, []).append(mapped(str(prefix.network_address)))
        cases = []
        for length in sorted(by_length, reverse=True):
            parameters[f"own{length}"] = sorted(by_length[length])
            cases.append(f"IPv6CIDRToRange({address}, {length}).1 IN {{own{length}:Array(IPv6)}}, {length}")
        return f"multiIf({', '.join(cases)}, 0)" if cases else "0"

    def _plain(self, what: str, column: str) -> str:
        """The type without LowCardinality, time zone and precision."""
        kind = self._types[column]
        if kind.startswith("LowCardinality("):
            kind = kind[len("LowCardinality(") : -1]
        if kind.startswith("Nullable("):
            raise self._wrong(what, column, "one that is not Nullable")
        return kind.split("(", 1)[0] if kind.startswith("DateTime") else kind

    def _expect(self, what: str, column: str, kinds: Sequence[str]) -> None:
        if self._plain(what, column) not in kinds:
            raise self._wrong(what, column, f"{kinds[0]}, or another of {', '.join(kinds[1:])}")

    def _wrong(self, what: str, column: str, wanted: str) -> TelemetryError:
        return TelemetryError(
            f"the column {column} of the ClickHouse table {self._place} is {self._types[column]}: "
            f"as {what} it has to be {wanted}",
            hint="flows.clickhouse.columns may name another, flows.clickhouse.table a view that converts it",
            table=self._place,
            column=column,
            type=self._types[column],
        )
