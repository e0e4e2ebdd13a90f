"""`teagent router probe`: what a router offers over SNMP, before anything is configured."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from teagent.cli.grammar import common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings
from teagent.cli.text import Column, clean, plural, size, table
from teagent.config.secrets import check_reference, process_environment, resolve
from teagent.model.link import Interface
from teagent.model.units import format_duration

if TYPE_CHECKING:
    # pysnmp takes its time to load, and only the asking needs it.
    from teagent.adapters.snmp.probe import Probe, ProbedInterface
    from teagent.adapters.snmp.target import SnmpTarget

DEFAULT_PORT = 161
COLUMNS = (
    Column("INDEX", right=True),
    Column("NAME"),
    Column("ALIAS"),
    Column("SPEED", right=True),
    Column("STATE"),
    Column("COUNTERS", right=True),
    Column("DISCONTINUITY"),
    Column("DESCR", wide=True),
)


@click.command("probe")
@click.argument("address", metavar="ADDRESS[:PORT]")
@click.option("--community", metavar="REFERENCE", help="v2c community: env:NAME, file:/PATH or credential:NAME.")
@click.option("--user", metavar="NAME", help="v3 user.")
@click.option("--auth", metavar="PROTOCOL:REFERENCE", help="v3 authentication, for example sha256:env:EDGE1_AUTH.")
@click.option("--priv", metavar="PROTOCOL:REFERENCE", help="v3 privacy, for example aes128:env:EDGE1_PRIV.")
@click.option("--timeout", "timeout_seconds", type=float, default=2.0, show_default=True, help="Seconds an attempt.")
@click.option("--retries", type=int, default=1, show_default=True, help="Attempts after the first.")
@common_options
@click.pass_context
def probe(
    ctx: click.Context,
    address: str,
    *,
    community: str | None,
    user: str | None,
    auth: str | None,
    priv: str | None,
    timeout_seconds: float,
    retries: int,
) -> None:
    """Show what a router offers: its interfaces, their counters, and what is odd about them.

    Secrets are referred to, never written: env:NAME, file:/PATH or credential:NAME. An IPv6 address with a port goes
    in brackets.
    """
    settings = ctx.ensure_object(Settings)
    target = _target(
        address,
        community=community,
        user=user,
        auth=auth,
        priv=priv,
        timeout_seconds=timeout_seconds,
        retries=retries,
    )
    found = _ask(target)
    answer(settings, document(found), lambda _: text(found, wide=settings.wide))


def _ask(target: SnmpTarget) -> Probe:
    from teagent.adapters.clock import SystemClock
    from teagent.adapters.snmp.probe import probe as ask

    return asyncio.run(ask(target, clock=SystemClock()))


def _target(
    address: str,
    *,
    community: str | None,
    user: str | None,
    auth: str | None,
    priv: str | None,
    timeout_seconds: float,
    retries: int,
) -> SnmpTarget:
    """Raises click.UsageError for what does not fit together, ConfigError for a secret that is not there."""
    from teagent.adapters.snmp.target import SnmpTarget

    if (community is None) == (user is None):
        raise click.UsageError("give --community for SNMP 2c or --user for SNMP 3, one of them")
    host, port = split_address(address)
    auth_protocol, auth_key = _key("--auth", auth)
    priv_protocol, priv_key = _key("--priv", priv)
    try:
        return SnmpTarget(
            address=host,
            port=port,
            version="2c" if user is None else "3",
            community=None if community is None else _secret("--community", community),
            user=user,
            auth_protocol=auth_protocol,
            auth_key=auth_key,
            priv_protocol=priv_protocol,
            priv_key=priv_key,
            timeout_seconds=timeout_seconds,
            retries=retries,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def split_address(address: str) -> tuple[str, int]:
    """`192.0.2.1`, `192.0.2.1:1161`, `2001:db8::1`, `[2001:db8::1]:1161` or a name. Raises click.UsageError."""
    host, port = address, ""
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise click.UsageError(f"'{address}' is not an address, for example [2001:db8::1]:161")
        port = rest[1:]
        if rest == ":":
            raise click.UsageError(f"'{address}' has a colon and no port after it")
    elif address.count(":") == 1:
        host, _, port = address.partition(":")
        if not port:
            raise click.UsageError(f"'{address}' has a colon and no port after it")
    if not host or any(character.isspace() for character in host):
        raise click.UsageError(f"'{address}' is not an address, for example 192.0.2.1 or [2001:db8::1]:161")
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise click.UsageError(f"'{port}' is not a port, ports are 1 to 65535")
    return host, int(port) if port else DEFAULT_PORT


def _key(option: str, value: str | None) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    protocol, colon, reference = value.partition(":")
    if not colon or reference.partition(":")[1] == "":
        # What was written may be the key itself, so it is not repeated.
        raise click.UsageError(f"{option} takes PROTOCOL:REFERENCE, for example sha256:env:NAME")
    return protocol.lower(), _secret(option, reference)


def _secret(option: str, reference: str) -> str:
    try:
        check_reference(reference)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from error
    return resolve(reference, process_environment()).reveal()


def document(found: Probe) -> dict[str, object]:
    """The JSON document, as docs/reference/json.md has it."""
    return {
        "address": found.address,
        "sys_name": found.sys_name,
        "sys_descr": found.sys_descr,
        "sys_uptime_seconds": found.sys_uptime_seconds,
        "interfaces": [_interface_document(row) for row in found.interfaces],
        "oddities": [{"kind": o.kind, "if_index": o.if_index, "message": o.message} for o in found.oddities],
        "pdus": found.pdus,
    }


def _interface_document(row: ProbedInterface) -> dict[str, object]:
    from teagent.service.documents.traffic import member_document

    interface, counters = row.interface, row.counters
    speed = interface.if_high_speed_bps
    return {
        "if_index": interface.if_index,
        "if_name": interface.if_name,
        "if_descr": interface.if_descr,
        "if_alias": interface.if_alias,
        "if_high_speed_bps": None if speed is None else round(speed),
        "if_oper_status": interface.if_oper_status,
        "counters": None if counters is None else counters.bits,
        "in_octets": None if counters is None else counters.in_octets,
        "out_octets": None if counters is None else counters.out_octets,
        "discontinuity": row.discontinuity,
        "members": [member_document(member) for member in interface.members],
    }


def text(found: Probe, *, wide: bool = False) -> str:
    """For people: who it is, the interfaces, what carries the bundles among them, the oddities."""
    up = "uptime unknown" if found.sys_uptime_seconds is None else f"up {format_duration(found.sys_uptime_seconds)}"
    head = [f"{clean(found.sys_name) or 'no name'}  {found.address}  {up}"]
    if found.sys_descr:
        head.append(clean(found.sys_descr))
    parts = ["\n".join(head)]
    if found.interfaces:
        parts.append(table(COLUMNS, [_cells(row) for row in found.interfaces], wide=wide))
    if bundles := [row.interface for row in found.interfaces if row.interface.members]:
        parts.append("\n".join(["bundles", *(f"  {_bundle(interface)}" for interface in bundles)]))
    if found.sentences:
        parts.append("\n".join(["oddities", *(f"  {clean(sentence)}" for sentence in found.sentences)]))
    parts.append(f"{plural(len(found.interfaces), 'interface')}, read in {plural(found.pdus, 'PDU')}")
    return "\n\n".join(parts)


def _bundle(interface: Interface) -> str:
    each = (
        f"{member.if_name} {member.state} {size(member.if_high_speed_bps) or 'speed unknown'}"
        for member in interface.members
    )
    return clean(f"{interface.if_name or interface.if_descr}: {', '.join(each)}")


def _cells(row: ProbedInterface) -> tuple[object, ...]:
    interface = row.interface
    return (
        interface.if_index,
        interface.if_name or interface.if_descr,
        interface.if_alias,
        size(interface.if_high_speed_bps),
        interface.if_oper_status,
        "none" if row.counters is None else row.counters.bits,
        "yes" if row.discontinuity else "no",
        interface.if_descr,
    )
