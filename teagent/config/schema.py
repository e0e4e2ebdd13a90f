"""The shape of the configuration file. Nothing outside teagent.config sees these classes.

The descriptions are the text of docs/reference/config.md, the examples those of error messages.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field

from teagent.config.effective import (
    AuthProtocol,
    FlowProtocol,
    FlowTable,
    InterfaceKey,
    LogFormat,
    LogLevel,
    PrivProtocol,
    Vendor,
)
from teagent.config.fields import (
    AsNumber,
    Currency,
    FilePath,
    FlowAddress,
    Group,
    HomeAnnouncement,
    Host,
    IpAddress,
    Ipv4,
    Ipv6,
    LinkName,
    ListenAddress,
    PolicyName,
    PrefixText,
    PrependCount,
    Price,
    Rate,
    Reads,
    RouterName,
    SecretReference,
    Tag,
    Truth,
    User,
    duration,
    identifier,
    line,
    one_of,
    share,
    text,
    whole,
    written,
)
from teagent.config.readers import read_advisor, read_daily_window, read_version_1
from teagent.model.link import LinkKind, Percentile
from teagent.model.maintenance import DailyWindow


class Row(BaseModel):
    """Defaults are written as an operator would, and read by the same readers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class Local(Row):
    """Who we are."""

    asn: AsNumber = Field(description="Our AS number. asdot (`1.10`) is read; asplain is shown.")
    router_id: Ipv4 = Field(description="The BGP identifier that ExaBGP uses; an address of ours that no router has.")


class PrefixRow(Row):
    """A prefix that we originate."""

    prefix: PrefixText = Field(description="The prefix as the routers announce it. Quote IPv6.")
    tags: list[Tag] = Field(default=[], description="Words of your own by which policies pick prefixes.")
    engineer: Truth = Field(
        default=False, description="Only prefixes with `engineer: true` are ever changed, whatever a policy matches."
    )
    home: dict[LinkName, HomeAnnouncement] = Field(
        default={},
        description="What the routers announce by themselves where it differs from the link's `home`: by link, the "
        "number of prepends, or `withhold` where the link does not announce this prefix.",
    )
    max_prepend: PrependCount | None = Field(
        default=None, description="At most this many prepends for this prefix; without it `bgp.max_prepend` holds."
    )


SnmpPort: TypeAlias = Annotated[int, whole(1, 65535, what="a port", example=161)]


class SnmpV2cRow(Row):
    """SNMP v2c: a community in clear text. For management networks that nobody else can reach."""

    version: Literal["2c"] = Field(description="`2c`")
    community: SecretReference = Field(description="The read community, by reference.")
    port: SnmpPort = Field(default=161, description="The agent's UDP port.")


class SnmpAuth(Row):
    """How SNMPv3 messages are signed."""

    protocol: Annotated[str, one_of(*AuthProtocol, what="authentication protocol")] = Field(
        description="RFC 3414 and RFC 7860. `sha256` or more where the router has it."
    )
    key: SecretReference = Field(description="The pass phrase, by reference.")


class SnmpPriv(Row):
    """How SNMPv3 messages are encrypted."""

    protocol: Annotated[str, one_of(*PrivProtocol, what="privacy protocol")] = Field(
        description="`aes128` (RFC 3826) works everywhere; `des` is broken."
    )
    key: SecretReference = Field(description="The pass phrase, by reference.")


class SnmpV3Row(Row):
    """SNMP v3 with the user-based security model."""

    version: Literal[3, "3"] = Field(description="`3`")
    user: Annotated[str, line("a user name", "teagent", most=32)] = Field(description="The USM user.")
    auth: SnmpAuth | None = Field(default=None, description="Without it messages are neither signed nor encrypted.")
    priv: SnmpPriv | None = Field(default=None, description="Needs `auth`.")
    port: SnmpPort = Field(default=161, description="The agent's UDP port.")


SnmpRow: TypeAlias = Annotated[SnmpV2cRow | SnmpV3Row, Discriminator("version")]


class RouterBgp(Row):
    """The router's end of the session with ExaBGP."""

    neighbor: IpAddress | None = Field(
        default=None, description="The address that ExaBGP speaks to. Without it: the router's `address`."
    )


class RouterFlows(Row):
    """What the router exports."""

    exporter_addresses: list[IpAddress] = Field(
        default=[],
        description="The source addresses of the router's datagrams; others are counted and dropped. Without it: the "
        "router's `address`.",
    )
    sampling: Annotated[int, whole(1, 1_000_000, what="a sampling rate", example=1000)] | None = Field(
        default=None,
        description="One of how many packets is seen (1: all). Without it the exporter's own word is taken; set it "
        "for exporters that do not say, or that say it wrong.",
    )
    active_timeout: Annotated[float, duration(1, 3600, example="60s")] | None = Field(
        default=None,
        description="After how long the router exports a flow that goes on. Without it the records' times are taken.",
    )


class RouterBmp(Row):
    """The router's BMP connection to us."""

    enabled: Truth = Field(
        default=True, description="Whether it has BMP. Only looked at where `bmp` is configured at all."
    )
    addresses: list[IpAddress] = Field(
        default=[],
        description="The addresses that it connects from; others are refused. Without it: the router's `address` and "
        "`bgp.neighbor`.",
    )


class RouterRow(Row):
    """A router that is polled, that exports flows, and that hears our overrides."""

    address: Host = Field(description="Where SNMP is asked. With a host name, `bgp.neighbor` must be given too.")
    vendor: Annotated[str, one_of(*Vendor, what="vendor")] = Field(
        default="frr", description="For which configuration language `teagent router-config` writes."
    )
    snmp: SnmpRow = Field(description="How the router is polled.", examples=["{version: 2c, community: env:NAME}"])
    bgp: RouterBgp = Field(default_factory=RouterBgp, description="The session with ExaBGP.")
    flows: RouterFlows = Field(default_factory=RouterFlows, description="The flow export.")
    bmp: RouterBmp = Field(default_factory=RouterBmp, description="The proof that it holds what it was told.")


class LinkHome(Row):
    """What the routers announce by themselves on a link."""

    prepend: PrependCount = Field(default=0, description="Copies of our AS beyond the first.")


class LinkRow(Row):
    """A place where traffic enters the network."""

    id: Annotated[int, whole(1, 429496728, what="a link id")] = Field(
        description="LINK_ID of the signal communities (`ASN:1:LINK_ID*10+count`). Never reuse one while routers still "
        "have its route-maps."
    )
    kind: Annotated[str, one_of(*LinkKind, what="kind of link")] = Field(description="What the link is to us.")
    router: RouterName = Field(description="The router it ends on, as named under `routers`.", examples=["edge1"])
    interface: Annotated[str, line("an interface", "xe-0/0/0", most=255)] = Field(
        description="Its interface there: ifName, ifDescr, ifAlias, or `ifIndex:N` where indexes never move."
    )
    neighbor: IpAddress = Field(description="The far end of the BGP session.")
    peer_asn: AsNumber = Field(description="The far end's AS number.")
    capacity: Rate = Field(description="What the link can carry; shares of it are what policies speak of.")
    commit: Rate | None = Field(default=None, description="What is paid for in any case, on the 95th percentile.")
    price_per_mbps: Price | None = Field(
        default=None, description="Price of one Mbps a month above the commit, in `currency`. Without it: free."
    )
    percentile: Annotated[str, one_of(*Percentile, what="percentile")] = Field(
        default="max_of_in_out", description="Which direction is billed."
    )
    home: LinkHome = Field(
        default_factory=LinkHome,
        description="What the routers announce on this link by themselves; a prefix's own `home` wins over it.",
    )
    export_map: Annotated[str, line("the name of a route-map", "TRANSIT-A-OUT", most=64)] | None = Field(
        default=None,
        description="The route-map (or filter) that you have on this session already; `router-config` then hooks into "
        "it instead of making its own.",
    )


class Poll(Row):
    """How routers are polled."""

    interval: Annotated[float, duration(1, 600)] = Field(
        default=written("30s"), description="Between two polls of a router."
    )
    timeout: Annotated[float, duration(0.1, 60, example="2s")] = Field(
        default=written("2s"), description="How long an answer may take."
    )
    retries: Annotated[int, whole(0, 5, what="a number of retries", example=1)] = Field(
        default=1, description="How often a question is repeated before the router counts as silent."
    )
    stale_after: Annotated[float, duration(2, 3600, example="90s")] = Field(
        default=written("90s"), description="Older readings count as no data, never as zero."
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
    trust: FlowTrust = Field(default_factory=FlowTrust, description="When flows are not to be trusted.")
    source_prefix: SourcePrefix = Field(
        default_factory=SourcePrefix, description="Senders whose AS is not known are told apart by these prefixes."
    )
    max_sources: Annotated[int, whole(10, 1_000_000, what="a number of sources", example=20000)] = Field(
        default=20000, description="The heaviest senders that a matrix keeps apart; all others are one row, `rest`."
    )


class AsGraphFile(Row):
    """Who sells transit to whom on the Internet: what predictions take from it are the equally good ways to us."""

    path: FilePath = Field(
        description="AS relationships in CAIDA's serial-1 or serial-2; plain, bzip2 or gzip. Our own links and their"
        " neighbors count as configured here, whatever the file says of us.",
        examples=["/var/lib/teagent/as-rel.txt"],
    )
    reload: Annotated[float, duration(60, 30 * 86400, example="1h")] = Field(
        default=written("1h"),
        description="How often it is looked whether the file has changed. The old graph holds until the new one is"
        " read, and on if that cannot be read.",
    )


class Keep(Row):
    """How long measurements are kept."""

    short: Annotated[float, duration(60, 30 * 86400, example="1d")] = Field(
        default=written("1d"), description="Matrices of `flows.short_window`."
    )
    raw: Annotated[float, duration(3600, 366 * 86400, example="7d")] = Field(
        default=written("7d"), description="Every reading. Triggers look back on these."
    )
    hourly: Annotated[float, duration(3600, 3660 * 86400, example="400d")] = Field(
        default=written("400d"), description="Sums by the hour."
    )


class StoreRow(Row):
    """Where teagent remembers."""

    path: FilePath = Field(default="/var/lib/teagent/teagent.db", description="The SQLite file; made when absent.")
    keep: Keep = Field(default_factory=Keep, description="Retention.")


class NextHop(Row):
    """The next hop that overrides carry; forwarding never uses it."""

    ipv4: Ipv4 | None = Field(default=None, description="For IPv4 prefixes.", examples=["192.0.2.254"])
    ipv6: Ipv6 | None = Field(default=None, description="For IPv6 prefixes.", examples=["2001:db8::254"])


class Bgp(Row):
    """How overrides reach the routers."""

    mode: Annotated[str, one_of("signal", what="mode", later=("direct",))] = Field(
        default="signal",
        description="`signal`: ExaBGP tells the border routers by communities what to prepend; they do it.",
    )
    signals: Annotated[str, one_of("large", what="form of signals", later=("standard",))] = Field(
        default="large", description="`large`: large communities (RFC 8092), `ASN:1:LINK_ID*10+count`."
    )
    local_address: IpAddress = Field(
        description="The address that ExaBGP speaks from; the routers' `neighbor` statement names it.",
        examples=["192.0.2.250"],
    )
    next_hop: NextHop = Field(
        default_factory=NextHop,
        description="Needed for each family that has an engineered prefix: an address of ours with a blackhole host "
        "route on each border router, and never one that a router itself has.",
    )
    relay: FilePath = Field(default="/run/teagent-exabgp/relay.sock", description="The relay's Unix socket.")
    allow_list: FilePath = Field(
        default="/etc/teagent/allow.json",
        description="What the relay lets through; written by `teagent allow-list write`, read by the relay.",
    )
    allow_list_owner: User = Field(
        default="root",
        description="Who writes the allow-list. The relay uses none that another user, root aside, could have written.",
    )
    freeze_file: FilePath = Field(
        default="/etc/teagent/freeze",
        description="While a file of this name is there nothing new is announced, daemon or not; reverts go on.",
    )
    journal: FilePath = Field(
        default="/var/lib/teagent-exabgp/relay-journal.json",
        description="The relay's memory of what it holds, so that a restart of ExaBGP loses nothing.",
    )
    max_prepend: PrependCount = Field(
        default=3, description="No prefix ever gets more prepends than this on any link. 5 is a limit of the program."
    )
    dry_run: Truth = Field(
        default=True,
        description="Compute, propose and show, and announce nothing. Set it to false to go live.",
    )


class Bmp(Row):
    """The witness: routers tell by BMP (RFC 7854) what they hold."""

    listen: ListenAddress = Field(
        description="Where routers connect to. The port has no default, 1790 is usual.",
        examples=["192.0.2.250:1790"],
    )
    resync: Annotated[float, duration(20, 86400, example="5m")] | None = Field(
        default=None,
        description="After how long a router is made to tell its table anew. FRR 8.4 tells of its own routes, home, "
        "only at the beginning of a connection. It costs a transfer of the table each time. Without it: never.",
    )


class Experiments(Row):
    """Opt-in: announcements on prefixes with little traffic from which predictions would learn most."""

    prefixes: list[PrefixText] = Field(
        min_length=1,
        description="Engineered prefixes of `prefixes` with little traffic, and none that matters.",
        examples=["[192.0.2.0/24]"],
    )
    window: Annotated[DailyWindow, text(read_daily_window, "a time of day", "02:00-04:30")] = Field(
        description="When proposals of experiments may be approved: a time of day, in UTC.", examples=["02:00-04:30"]
    )
    policy: PolicyName = Field(
        description="Whose limits, approval and confirm window hold for them.", examples=["transit-balance"]
    )


class Decide(Row):
    """How often policies are looked at."""

    interval: Annotated[float, duration(1, 3600)] = Field(default=written("30s"), description="Between two looks.")
    experiments: Experiments | None = Field(
        default=None,
        description="Announcements to learn from. Without it: none are ever proposed.",
        examples=['{prefixes: [198.51.100.0/24], window: "02:00-04:30", policy: transit-balance}'],
    )


class Control(Row):
    """Who may talk to the daemon."""

    socket: FilePath = Field(default="/run/teagent/teagent.sock", description="The Unix socket of the command line.")
    administrators: list[Group] = Field(
        default=[],
        description="Groups that may also thaw, resolve and reload. Empty: the approvers may.",
        examples=["[netadmin]"],
    )
    approvers: list[Group] = Field(
        default=[],
        description="Groups that may approve, reject, confirm, revert, freeze. Empty: administrators alone, and root.",
        examples=["[netops]"],
    )
    viewers: list[Group] = Field(
        default=[], description="Groups that may read. Empty: everyone who can open the socket."
    )


class Metrics(Row):
    """Prometheus metrics."""

    listen: ListenAddress | None = Field(default=None, description="Where to serve them. Without it they are not.")


class Log(Row):
    """The daemon's log, on standard error."""

    level: Annotated[str, one_of(*LogLevel, what="level")] = Field(default="info", description="The least that shows.")
    format: Annotated[str, one_of(*LogFormat, what="format")] = Field(
        default="logfmt", description="`logfmt` for people and journald, `json` for pipelines."
    )


class Advisor(Row):
    """The local language model that explains proposals. Not part of this release."""

    enabled: Annotated[bool, Reads(read_advisor, {"const": False, "title": "false", "examples": [False]})] = Field(
        default=False, description="Only `false` is possible in this release."
    )


class ConfigFile(Row):
    """`config.yaml`."""

    version: Annotated[int, Reads(read_version_1, {"const": 1, "title": "1", "examples": [1]})] = Field(
        description="The version of this file's shape."
    )
    local: Local = Field(description="Who we are.", examples=["{asn: 64500, router_id: 192.0.2.250}"])
    currency: Currency | None = Field(default=None, description="The currency of all prices, for display.")
    prefixes: list[PrefixRow] = Field(
        min_length=1,
        description="The prefixes that we originate.",
        examples=["[{prefix: 198.51.100.0/24, engineer: true}]"],
    )
    routers: dict[RouterName, RouterRow] = Field(
        min_length=1,
        description="Our border routers, by name.",
        examples=["{edge1: {address: 192.0.2.1, snmp: {version: 2c, community: env:NAME}}}"],
    )
    links: dict[LinkName, LinkRow] = Field(
        min_length=1, description="The places where traffic enters, by name.", examples=["{transit-a: {id: 1, ...}}"]
    )
    poll: Poll = Field(default_factory=Poll, description="SNMP polling.")
    flows: Flows = Field(
        description="Flow intake.", examples=['{listen: [{protocol: netflow, address: "192.0.2.250:2055"}]}']
    )
    store: StoreRow = Field(default_factory=StoreRow, description="The database.")
    bgp: Bgp = Field(description="Announcing.", examples=["{local_address: 192.0.2.250}"])
    bmp: Bmp | None = Field(
        default=None,
        description="Proof that routers hold what they were told. Without it every change is unproven.",
        examples=['{listen: "192.0.2.250:1790"}'],
    )
    decide: Decide = Field(default_factory=Decide, description="Deciding.")
    policies: FilePath = Field(
        default="policies", description="The directory of policies: every `*.yaml` in it, in the order of their names."
    )
    as_graph: AsGraphFile | None = Field(
        default=None,
        description="The graph of all ASes, for predictions. Without it: they rest on traffic alone.",
        examples=["{path: /var/lib/teagent/as-rel.txt}"],
    )
    control: Control = Field(default_factory=Control, description="The command line's way in.")
    metrics: Metrics = Field(default_factory=Metrics, description="Prometheus metrics.")
    log: Log = Field(default_factory=Log, description="Logging.")
    advisor: Advisor = Field(default_factory=Advisor, description="Reserved.")
