"""The effective configuration: pure values, defaults filled in, cross-checked. What the composition root builds from.

Units are in the names. Paths are absolute, resolved against the directory of the configuration file; `Config.path`
alone is as it was given. One spelling per notion: a field is called as its YAML key, plus the unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TypeAlias

from teagent.config.secrets import Secret
from teagent.model.bgp import Address, Prefix
from teagent.model.maintenance import DailyWindow
from teagent.model.network import Network
from teagent.model.policy import Policy


class Vendor(StrEnum):
    """For which routers `teagent router-config` has a generator; `other` is configured by hand."""

    FRR = "frr"
    BIRD = "bird"
    OPENBGPD = "openbgpd"
    OTHER = "other"


class AuthProtocol(StrEnum):
    """USM authentication: RFC 3414 (md5, sha1) and RFC 7860 (sha224 to sha512)."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class PrivProtocol(StrEnum):
    """USM privacy: RFC 3414 (des), RFC 3826 (aes128); aes192 and aes256 are vendors' drafts."""

    DES = "des"
    AES128 = "aes128"
    AES192 = "aes192"
    AES256 = "aes256"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnmpV2c:
    community: Secret
    port: int = 161


@dataclass(frozen=True, slots=True, kw_only=True)
class SnmpV3:
    """`auth_key` is there exactly when `auth_protocol` is; likewise `priv_key`, which also needs auth."""

    user: str
    auth_protocol: AuthProtocol | None = None
    auth_key: Secret | None = None
    priv_protocol: PrivProtocol | None = None
    priv_key: Secret | None = None
    port: int = 161


Snmp: TypeAlias = SnmpV2c | SnmpV3


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSessionConfig:
    """Our end of a second iBGP session with a router; the other is the router's `neighbor`."""

    local_address: Address
    router_id: IPv4Address


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig:
    """A router that is polled, exports flows and hears our overrides.

    `address` is an IP address or a host name. `neighbor` is what ExaBGP speaks to. `sampling_rate` overrides what
    the exporter says (1 of N packets); None believes it. `active_timeout_seconds` None believes the records.
    `bmp_addresses` are those that it connects from; none where it has no BMP.
    `md5_password` signs our sessions with it.
    """

    name: str
    address: str
    vendor: Vendor
    snmp: Snmp
    neighbor: Address
    exporter_addresses: tuple[Address, ...]
    bmp_addresses: tuple[Address, ...]
    sampling_rate: int | None = None
    active_timeout_seconds: float | None = None
    witness_session: WitnessSessionConfig | None = None
    md5_password: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PollConfig:
    interval_seconds: float
    timeout_seconds: float
    retries: int
    stale_after_seconds: float


class FlowProtocol(StrEnum):
    NETFLOW = "netflow"  # v5, v9 and IPFIX
    SFLOW = "sflow"  # v5


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """A socket address; `host` is an IP address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowListen:
    protocol: FlowProtocol
    address: Listen


class FlowTable(StrEnum):
    """Whose columns a table of flows has."""

    AKVORADO = "akvorado"
    GOFLOW2 = "goflow2"
    CUSTOM = "custom"


class SourceAs(StrEnum):
    """Who tells the AS of a sender: the flow record and, where it has none, the origins; or those alone."""

    RECORD = "record"
    ORIGINS = "origins"


class InterfaceKey(StrEnum):
    NAME = "name"
    INDEX = "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickHouseConfig:
    """`columns` is what each is called, by what it is. `routers` are those whose flows come from here."""

    host: str
    port: int
    tls: bool
    verify: bool
    ca_cert: Path | None
    user: str
    password: Secret | None
    database: str
    table: str
    schema: FlowTable
    columns: Mapping[str, str]
    interfaces: InterfaceKey
    routers: tuple[str, ...]
    lag_seconds: float
    interval_seconds: float
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginsConfig:
    """Of a file, of BMP, or of both: BMP wins."""

    path: Path | None
    bmp: bool
    reload_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AsGraphConfig:
    path: Path
    reload_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentsConfig:
    """`policy` is the name of the one whose limits hold."""

    prefixes: tuple[Prefix, ...]
    window: DailyWindow
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowTrustConfig:
    """What is still believed; `lost`, `undecoded`, `future` and the coverage limits are shares."""

    silent_seconds: float
    active_timeout_seconds: float
    clock_skew_seconds: float
    template_seconds: float
    lost: float
    undecoded: float
    future: float
    coverage_low: float
    coverage_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsConfig:
    """`window_seconds` is a multiple of `short_window_seconds`, or the same. `source_prefix_ipv4` and `_ipv6`: lengths
    to which senders are gathered where their AS is not known.
    """

    listen: tuple[FlowListen, ...]
    clickhouse: ClickHouseConfig | None
    window_seconds: float
    short_window_seconds: float
    origins: OriginsConfig | None
    source_as: SourceAs
    trust: FlowTrustConfig
    source_prefix_ipv4: int
    source_prefix_ipv6: int
    max_sources: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    path: Path
    keep_short_seconds: float
    keep_raw_seconds: float
    keep_hourly_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """What the relay lets through at most."""

    max_overrides: int
    changes_per_minute: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpConfig:
    """How overrides reach the routers: mode `signal`, large communities, through the relay's socket `relay`.

    A next hop is None when no engineered prefix is of its family. `local_address` is where ExaBGP speaks from.
    """

    relay: Path
    allow_list: Path
    allow_list_owner: str
    freeze_file: Path
    journal: Path
    local_address: Address
    next_hop_ipv4: IPv4Address | None
    next_hop_ipv6: IPv6Address | None
    max_prepend: int
    budget: BudgetConfig
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BmpConfig:
    """`resync_seconds` None: routers are never made to tell their tables anew."""

    listen: Listen
    resync_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideConfig:
    interval_seconds: float
    experiments: ExperimentsConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlConfig:
    """Unix groups. No viewers: whoever can open the socket may read. No administrators: the approvers are it."""

    socket: Path
    administrators: tuple[str, ...]
    approvers: tuple[str, ...]
    viewers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """`listen` None: no metrics are served."""

    listen: Listen | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorConfig:
    """`model` is given where `enabled`."""

    enabled: bool
    url: str
    model: str | None
    context: int
    timeout_seconds: float
    keep_alive_seconds: float
    think: bool
    thinking_tokens: int
    suggest: bool


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    LOGFMT = "logfmt"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    level: LogLevel
    format: LogFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything the daemon is built from. `digest` is the hex SHA-256 of all of it but the secrets' values and the
    advisor, on which nothing that is decided depends.

    `export_maps` holds, by link, the name of the operator's own export route-map where one is configured.
    `policies` are in the order of their file names; `policy_files` names the file of each, by policy.
    """

    path: Path
    router_id: IPv4Address
    network: Network
    routers: Mapping[str, RouterConfig]
    export_maps: Mapping[str, str]
    currency: str | None
    poll: PollConfig
    flows: FlowsConfig
    store: StoreConfig
    bgp: BgpConfig
    bmp: BmpConfig | None
    decide: DecideConfig
    policies_dir: Path
    policies: tuple[Policy, ...]
    policy_files: Mapping[str, Path]
    as_graph: AsGraphConfig | None
    control: ControlConfig
    metrics: MetricsConfig
    log: LogConfig
    advisor: AdvisorConfig
    digest: str
