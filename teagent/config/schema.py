"""The shape of the configuration file. Nothing outside teagent.config sees these classes.

The descriptions are the text of docs/reference/config.md, the examples those of error messages.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from teagent.config.effective import (
    LogFormat,
    LogLevel,
)
from teagent.config.fields import (
    AsNumber,
    Currency,
    FilePath,
    Group,
    HomeAnnouncement,
    IpAddress,
    Ipv4,
    Ipv6,
    LinkName,
    ListenAddress,
    Model,
    PolicyName,
    PrefixText,
    PrependCount,
    Price,
    Rate,
    Reads,
    RouterName,
    Row,
    Tag,
    Truth,
    Url,
    User,
    duration,
    line,
    one_of,
    text,
    whole,
    written,
)
from teagent.config.flow_schema import Flows
from teagent.config.readers import read_daily_window, read_version_1
from teagent.config.router_schema import RouterRow
from teagent.model.link import LinkKind, Percentile
from teagent.model.maintenance import DailyWindow


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


class Budget(Row):
    """What the relay lets through at most, whatever it is asked for; going home is never held up."""

    max_overrides: Annotated[int, whole(1, 100_000, what="a number of overrides", example=50)] = Field(
        default=50, description="How many prefixes may differ from home at once, all policies together."
    )
    changes_per_minute: Annotated[int, whole(1, 6000, what="a number of announcements", example=60)] = Field(
        default=60, description="Announcements a minute in the long run, all prefixes together."
    )
    burst: Annotated[int, whole(1, 100_000, what="a number of announcements", example=50)] = Field(
        default=50, description="Announcements that may come at once, before `changes_per_minute` holds."
    )


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
    budget: Budget = Field(default_factory=Budget, description="The relay's own limits, part of the allow-list.")
    dry_run: Truth = Field(
        default=True,
        description="Compute, propose and show, and announce nothing. Set it to false to go live.",
    )


class Bmp(Row):
    """Routers tell by BMP (RFC 7854) what they hold; those that cannot have a `witness_session`."""

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
    """A local language model, in an Ollama server, that explains proposals. It decides nothing."""

    enabled: Truth = Field(default=False, description="Whether it is asked at all. Takes a `model`.")
    url: Url = Field(default="http://127.0.0.1:11434", description="Where Ollama listens.")
    model: Model | None = Field(
        default=None,
        description="The model, as `ollama list` names it. Models that only run elsewhere (`-cloud`) are refused.",
    )
    context: Annotated[int, whole(2048, 131_072, what="a number of tokens", example=4096)] = Field(
        default=4096, description="Tokens that prompt and answer have to fit into. More takes more memory."
    )
    timeout: Annotated[float, duration(1, 3600, example="2m")] = Field(
        default=written("2m"), description="The most that one answer may take."
    )
    keep_alive: Annotated[float, duration(1, 86400, example="30m")] = Field(
        default=written("30m"), description="How long the server keeps the model in memory after an answer."
    )
    think: Truth = Field(
        default=False,
        description="Whether a model that can may think before it answers. What it thinks is for the log only.",
    )
    thinking_tokens: Annotated[int, whole(64, 32_768, what="a number of tokens", example=1024)] = Field(
        default=1024, description="The most that it may think, with `think`."
    )
    suggest: Truth = Field(
        default=True,
        description="Whether it is also asked for a setting of its own, which is simulated and shown with its score, "
        "and which of several plans it would take that the solver holds for equal.",
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
    advisor: Advisor = Field(default_factory=Advisor, description="The advisor.")
