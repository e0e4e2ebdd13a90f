"""The shape of `flows` in the configuration file; schema.py has the rest."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from teagent.config.effective import (
    FlowProtocol,
    FlowTable,
    InterfaceKey,
    SourceAs,
)
from teagent.config.fields import (
    FilePath,
    FlowAddress,
    Host,
    RouterName,
    Row,
    SecretReference,
    Truth,
    duration,
    identifier,
    line,
    one_of,
    share,
    whole,
    written,
)


class FlowListenRow(Row):
    """A UDP socket for flow datagrams."""

    protocol: Annotated[str, one_of(*FlowProtocol, what="flow protocol")] = Field(
        description="`netflow` is NetFlow v5, v9 and IPFIX, `sflow` is sFlow v5. It says what is meant to come: every"
        " socket takes all of them, told apart by the datagram."
    )
    address: FlowAddress = Field(description="Address and port to listen on.")


class SourcePrefix(Row):
    """To which covering prefixes senders are gathered."""

    ipv4: Annotated[int, whole(8, 32, what="a prefix length", example=24)] = Field(default=24, description="For IPv4.")
    ipv6: Annotated[int, whole(16, 64, what="a prefix length", example=48)] = Field(default=48, description="For IPv6.")


class Origins(Row):
    """Which AS originates which addresses, for senders whose AS the exporter does not name: a file, BMP, or both."""

    path: FilePath | None = Field(
        default=None,
        description="An MRT routing table (TABLE_DUMP, TABLE_DUMP_V2), or a text of `prefix asn`, `first last asn` or"
        " `address length asn`; plain, gzip or bzip2.",
        examples=["/var/lib/teagent/bview.gz"],
    )
    bmp: Truth = Field(
        default=False,
        description="Whether the routes that the routers report by `bmp` say so too; they win over the file. Once a"
        " minute, also for the file.",
    )
    reload: Annotated[float, duration(60, 30 * 86400, example="1h")] = Field(
        default=written("1h"),
        description="How often it is looked whether the file has changed. The old table holds until the new one is"
        " read, and on if that cannot be read.",
    )


class Coverage(Row):
    """Flow octets as a share of interface octets."""

    low: Annotated[float, share(example="50%")] = Field(default=written("50%"), description="At least.")
    high: Annotated[float, share(1, 10, example="150%")] = Field(default=written("150%"), description="At most.")


class FlowTrust(Row):
    """What is still believed of flows. Past it nothing is decided that rests on the links in question."""

    silent: Annotated[float, duration(5, 86400, example="3m")] = Field(
        default=written("3m"), description="How long an exporter may send nothing."
    )
    active_timeout: Annotated[float, duration(1, 86400, example="90s")] = Field(
        default=written("90s"),
        description="How much time a record may sum up: the exporters' active timeout of a minute, with some room.",
    )
    clock_skew: Annotated[float, duration(1, 86400, example="2m")] = Field(
        default=written("2m"), description="How far an exporter's clock may be from ours."
    )
    template: Annotated[float, duration(60, 30 * 86400, example="3h")] = Field(
        default=written("3h"), description="How old an exporter's last template may be."
    )
    lost: Annotated[float, share(example="5%")] = Field(
        default=written("5%"), description="The share of flows that may be lost on the way."
    )
    undecoded: Annotated[float, share(example="5%")] = Field(
        default=written("5%"), description="The share of what came that may be undecoded."
    )
    future: Annotated[float, share(example="5%")] = Field(
        default=written("5%"), description="The share of records that may end in the future."
    )
    coverage: Coverage = Field(
        default_factory=Coverage, description="What share of a link's interface counters its flows have to make up."
    )


ColumnName: TypeAlias = Annotated[str, identifier("the name of a column", "SrcAddr")]


class ClickHouseColumns(Row):
    """What the columns are called. What is not given is called as `schema` has it; with `schema: custom` what is
    not given is not there, and only `out_if`, `src_as`, `sampling_rate`, `etype` and `direction` may be missing.
    """

    time: ColumnName | None = Field(
        default=None, description="When the collector received the flow: DateTime, DateTime64, or UInt32 in seconds."
    )
    exporter: ColumnName | None = Field(default=None, description="The address that the flow was exported from.")
    in_if: ColumnName | None = Field(default=None, description="The input interface, as `interfaces` says.")
    out_if: ColumnName | None = Field(default=None, description="The output interface, likewise.")
    src_addr: ColumnName | None = Field(default=None, description="Source: IPv6, IPv4, FixedString(16) or String.")
    dst_addr: ColumnName | None = Field(default=None, description="Destination, likewise.")
    src_as: ColumnName | None = Field(default=None, description="The source's AS number, 0 where it is not known.")
    bytes: ColumnName | None = Field(default=None, description="Octets of IP packets, before `sampling_rate`.")
    packets: ColumnName | None = Field(default=None, description="Packets, before `sampling_rate`.")
    sampling_rate: ColumnName | None = Field(
        default=None, description="One of how many packets was seen; 0 where it is not known."
    )
    etype: ColumnName | None = Field(
        default=None, description="The EtherType, which tells the families apart where addresses are FixedString(16)."
    )
    direction: ColumnName | None = Field(
        default=None,
        description="`egress`, or 1, where the packets were metered on their way out, as FlowDirection of Akvorado."
        " No schema has it of itself.",
    )


class ClickHouse(Row):
    """A ClickHouse table of flows. Needs `pip install 'teagent[clickhouse]'`."""

    host: Host = Field(description="Where its HTTP interface is.")
    port: Annotated[int, whole(1, 65535, what="a port", example=8123)] | None = Field(
        default=None, description="Its port. Without it: 8123, with `tls` 8443."
    )
    tls: Truth = Field(default=False, description="HTTPS.")
    verify: Truth = Field(default=True, description="Whether the server's certificate is checked.")
    ca_cert: FilePath | None = Field(
        default=None, description="A PEM file of the authorities to trust. Without it: those of the system."
    )
    user: Annotated[str, line("a user name", "teagent", most=64)] = Field(
        default="default", description="A user that may read the table and nothing else, with `readonly = 2`."
    )
    password: SecretReference | None = Field(default=None, description="By reference.")
    database: Annotated[str, identifier("the name of a database", "default")] = Field(
        default="default", description="Of the table."
    )
    table: Annotated[str, identifier("the name of a table", "flows")] | None = Field(
        default=None,
        description="The table of single flows. Without it: `flows` of Akvorado, `flows_raw` of goflow2. "
        "`custom` needs it.",
    )
    schema_: Annotated[str, one_of(*FlowTable, what="schema")] = Field(
        default="akvorado",
        alias="schema",
        description="Whose columns the table has, where `columns` does not say otherwise.",
    )
    columns: ClickHouseColumns = Field(default_factory=ClickHouseColumns, description="What its columns are called.")
    interfaces: Annotated[str, one_of(*InterfaceKey, what="way to name interfaces")] | None = Field(
        default=None,
        description="Whether interfaces are there by `name` (ifName or ifDescr) or by `index` (ifIndex). Without it: "
        "`name` for Akvorado, else `index`.",
    )
    routers: list[RouterName] | None = Field(
        default=None,
        description="Whose flows are read from here. Without it: all routers'. With `listen` it is required, and "
        "the datagrams of these routers do not count.",
    )
    lag: Annotated[float, duration(1, 600, example="30s")] = Field(
        default=written("30s"), description="How late rows may arrive; later ones are counted as lost."
    )
    interval: Annotated[float, duration(1, 600, example="10s")] = Field(
        default=written("10s"), description="Between two queries."
    )
    timeout: Annotated[float, duration(1, 300, example="10s")] = Field(
        default=written("10s"), description="How long one query may take."
    )


class Flows(Row):
    """How flow records become a traffic matrix."""

    listen: list[FlowListenRow] = Field(
        default=[],
        description="Where datagrams are received. Required, unless there is `clickhouse`.",
        examples=['[{protocol: netflow, address: "192.0.2.250:2055"}]'],
    )
    clickhouse: ClickHouse | None = Field(
        default=None,
        description="Flows that another collector writes into ClickHouse are read from there.",
        examples=["{host: 192.0.2.240, user: teagent, schema: akvorado}"],
    )
    window: Annotated[float, duration(5, 3600, example="5m")] = Field(
        default=written("5m"),
        description="How much traffic the matrix that decisions rest on sums up. Not shorter than the routers' active"
        " timeout.",
    )
    short_window: Annotated[float, duration(5, 3600, example="1m")] | None = Field(
        default=None,
        description="The same, for a closer look; `window` is a multiple of it. Without it: 1m where `window` is a"
        " multiple of that, else `window`.",
    )
    origins: Origins | None = Field(
        default=None,
        description="Tells the AS of senders that the exporter does not name. Without it: nobody does.",
        examples=["{path: bview.gz}"],
    )
    source_as: Annotated[str, one_of(*SourceAs, what="way to tell the AS of a sender")] = Field(
        default="record",
        description="Who tells the AS of a sender: the flow `record`, and `origins` where it has none; or `origins` "
        "alone, for exporters that write the AS of the neighbor (peer-as) instead of the origin's.",
    )
    trust: FlowTrust = Field(default_factory=FlowTrust, description="When flows are not to be trusted.")
    source_prefix: SourcePrefix = Field(
        default_factory=SourcePrefix, description="Senders whose AS is not known are told apart by these prefixes."
    )
    max_sources: Annotated[int, whole(10, 1_000_000, what="a number of sources", example=20000)] = Field(
        default=20000, description="The heaviest senders that a matrix keeps apart; all others are one row, `rest`."
    )
