"""The shape of `routers` in the configuration file; schema.py has the rest."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field

from teagent.config.effective import (
    AuthProtocol,
    PrivProtocol,
    Vendor,
)
from teagent.config.fields import (
    Host,
    IpAddress,
    Ipv4,
    Row,
    SecretReference,
    Truth,
    duration,
    line,
    one_of,
    whole,
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
    md5_password: SecretReference | None = Field(
        default=None,
        description="By reference: the key of TCP MD5 signatures (RFC 2385) on our sessions with it, ExaBGP's and "
        "`witness_session`; 1 to 80 printable ASCII characters, no space, for BIRD no double quote. Without it they "
        "are not signed. The router has the same, or the session just times out. TCP-AO (RFC 5925) is not supported.",
        examples=["env:EDGE1_BGP"],
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


class WitnessSession(Row):
    """A second iBGP session, from a second address of this machine: on it the router reflects its best route of each of
    our prefixes. We connect, and announce nothing.
    """

    local_address: IpAddress = Field(
        description="Where we speak from, an address of this machine. Not `bgp.local_address`: the router tells the "
        "two sessions apart by it.",
        examples=["192.0.2.251"],
    )
    router_id: Ipv4 | None = Field(
        default=None,
        description="The session's BGP identifier, which no other BGP speaker of ours has. Without it: "
        "`local_address`; needed where that is an IPv6 address.",
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
    witness_session: WitnessSession | None = Field(
        default=None,
        description="The proof that it prefers what it was told, where it has no BMP, or beside it.",
        examples=["{local_address: 192.0.2.251}"],
    )
