"""From the configuration's values to the adapters' own."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from teagent.adapters.advisor.ollama import OllamaAdvisor, OllamaSettings
from teagent.adapters.bmp.listener import BmpWitness
from teagent.adapters.bmp.origins import BmpOrigins
from teagent.adapters.clickhouse.reader import Reader, Server
from teagent.adapters.clickhouse.source import ClickHouseSource
from teagent.adapters.clickhouse.statement import Columns
from teagent.adapters.exabgp.allow_list import says, write_allow_list
from teagent.adapters.flow.listener import Binding, FlowListener
from teagent.adapters.flow.several import SeveralSources
from teagent.adapters.ibgp.session import SessionEnds
from teagent.adapters.ibgp.witness import SessionWitness
from teagent.adapters.origins import OriginFile
from teagent.adapters.snmp.target import SnmpTarget
from teagent.config.derived import allow_list, engineered, from_clickhouse, sampling_rates
from teagent.config.effective import (
    Config,
    FlowListen,
    FlowTrustConfig,
    InterfaceKey,
    PollConfig,
    RouterConfig,
    SnmpV2c,
    SourceAs,
)
from teagent.engine.measure.exporter_trust import ExporterBounds
from teagent.errors import Refused, TeagentError
from teagent.ports import Clock, FlowSource
from teagent.service.observe import Observer
from teagent.service.proposals import ProposalBook

if TYPE_CHECKING:
    from teagent.service.as_graphs import AsGraphs


def snmp_target(router: RouterConfig, poll: PollConfig) -> SnmpTarget:
    """Raises ValueError where the configuration was loaded without its secrets."""
    snmp = router.snmp
    if isinstance(snmp, SnmpV2c):
        return SnmpTarget(
            address=router.address,
            port=snmp.port,
            version="2c",
            community=snmp.community.reveal(),
            timeout_seconds=poll.timeout_seconds,
            retries=poll.retries,
        )
    return SnmpTarget(
        address=router.address,
        port=snmp.port,
        version="3",
        user=snmp.user,
        auth_protocol=None if snmp.auth_protocol is None else snmp.auth_protocol.value,
        auth_key=None if snmp.auth_key is None else snmp.auth_key.reveal(),
        priv_protocol=None if snmp.priv_protocol is None else snmp.priv_protocol.value,
        priv_key=None if snmp.priv_key is None else snmp.priv_key.reveal(),
        timeout_seconds=poll.timeout_seconds,
        retries=poll.retries,
    )


def exporter_bounds(trust: FlowTrustConfig) -> ExporterBounds:
    return ExporterBounds(
        silent_seconds=trust.silent_seconds,
        active_timeout_seconds=trust.active_timeout_seconds,
        clock_skew_seconds=trust.clock_skew_seconds,
        template_seconds=trust.template_seconds,
        lost=trust.lost,
        undecoded=trust.undecoded,
        future=trust.future,
    )


def binding(listen: FlowListen) -> Binding:
    return Binding(host=listen.address.host, port=listen.address.port)


def clickhouse_source(config: Config, *, observer: Observer, clock: Clock) -> ClickHouseSource | None:
    """None where no flows are read from ClickHouse. Raises ValueError where its secret was not loaded."""
    wanted = config.flows.clickhouse
    if wanted is None:
        return None
    server = Server(
        host=wanted.host,
        port=wanted.port,
        user=wanted.user,
        password="" if wanted.password is None else wanted.password.reveal(),
        database=wanted.database,
        table=wanted.table,
        tls=wanted.tls,
        verify=wanted.verify,
        ca_cert=None if wanted.ca_cert is None else str(wanted.ca_cert),
        timeout_seconds=wanted.timeout_seconds,
    )
    by_record = config.flows.source_as is SourceAs.RECORD
    told = {name: column for name, column in wanted.columns.items() if by_record or name != "src_as"}
    return ClickHouseSource(
        Reader(server, Columns(**told)),
        exporters=from_clickhouse(config),
        interfaces=lambda: named_interfaces(config, observer),
        prefixes=[own.prefix for own in config.network.prefixes],
        clock=clock,
        lag_seconds=wanted.lag_seconds,
        interval_seconds=wanted.interval_seconds,
        sampling_rates=sampling_rates(config),
        source_prefix_ipv4=config.flows.source_prefix_ipv4,
        source_prefix_ipv6=config.flows.source_prefix_ipv6,
    )


def named_interfaces(config: Config, observer: Observer) -> dict[tuple[str, str], int]:
    """(router, what the table calls the interface) -> ifIndex, for the links' interfaces that polling has found."""
    by_name = config.flows.clickhouse is not None and config.flows.clickhouse.interfaces is InterfaceKey.NAME
    found: dict[tuple[str, str], int] = {}
    for link in config.network.links.values():
        interface = observer.interface(link.name)
        if interface is None:
            continue
        names = (interface.if_name, interface.if_descr) if by_name else (str(interface.if_index),)
        found |= {(link.router, name): interface.if_index for name in names if name}
    return found


def flow_source(listener: FlowListener | None, clickhouse: ClickHouseSource | None) -> FlowSource:
    """Of both, where there are both; the configuration has one at least."""
    sources = [source for source in (listener, clickhouse) if source is not None]
    return sources[0] if len(sources) == 1 else SeveralSources(*sources)


def refuse_allow_list(config: Config) -> None:
    """Raises TeagentError where the relay's allow-list is another than the configuration's and not ours to write.

    Only its owner writes it, or a daemon that was taken over could widen it.
    """
    bgp = config.bgp
    if not says(bgp.allow_list, allow_list(config)) and os.geteuid() != _uid(bgp.allow_list_owner):
        raise TeagentError(
            f"the allow-list {bgp.allow_list} is not what {config.path.name} says, "
            f"and only {bgp.allow_list_owner} may write it",
            hint=f"as {bgp.allow_list_owner}: teagent allow-list write --config {config.path}",
        )


def refuse_to_abandon(config: Config, book: ProposalBook) -> None:
    """Raises Refused where the configuration would leave on the wire what nobody looks after: by bgp.dry_run, or for
    want of a prefix or a link that it speaks of.
    """
    ours = {own.prefix for own in engineered(config)}
    for held in book.on_wire():
        prefixes = held.plan.prefixes()
        links = {link for prefix in prefixes for link in held.plan.after.vector(prefix)}
        gone = [f"engineered prefix {prefix}" for prefix in prefixes if prefix not in ours]
        gone += [f"link {link}" for link in sorted(links - config.network.links.keys())]
        if config.bgp.dry_run:
            message, undo, again = "bgp.dry_run is true", "set it to false", "set it to true"
        elif gone:
            message, undo, again = f"no {', no '.join(gone)}", "put back what is missing", "take it out"
        else:
            continue
        raise Refused(
            f"{message} while {held.id} is {held.state.value}: what it announces would be nobody's",
            hint=f"{undo}, teagent proposal {held.id} revert, and then {again}",
            proposal=held.id,
            state=held.state.value,
        )


def advisor(config: Config) -> OllamaAdvisor | None:
    """None where it is not enabled."""
    wanted = config.advisor
    if not wanted.enabled or wanted.model is None:
        return None
    return OllamaAdvisor(
        OllamaSettings(
            url=wanted.url,
            model=wanted.model,
            context=wanted.context,
            timeout_seconds=wanted.timeout_seconds,
            keep_alive_seconds=wanted.keep_alive_seconds,
            think=wanted.think,
            thinking_tokens=wanted.thinking_tokens,
        )
    )


def as_graphs(config: Config, *, clock: Clock, before: AsGraphs | None) -> AsGraphs | None:
    """None where none is configured; `before` where that reads the same file."""
    wanted = config.as_graph
    if wanted is None:
        return None
    if before is not None and before.path == str(wanted.path):
        return before
    # Only where it is wanted: the graph's libraries take 20 MiB.
    from teagent.adapters.as_graph import AsGraphFile
    from teagent.service.as_graphs import AsGraphs

    cache = config.store.path.parent / "as-graph"
    return AsGraphs(source=AsGraphFile(wanted.path, cache_dir=cache), clock=clock)


def origin_source(config: Config) -> OriginFile | BmpOrigins | None:
    """None where nobody says which AS originates what."""
    wanted = config.flows.origins
    if wanted is None:
        return None
    file = None if wanted.path is None else OriginFile(wanted.path)
    return BmpOrigins(file) if wanted.bmp or file is None else file


def session_witness(config: Config, *, clock: Clock) -> SessionWitness | None:
    """None where no router has a witness session. Raises ValueError where a secret of theirs was not loaded."""
    sessions = [
        SessionEnds(
            router=router.name,
            neighbor=router.neighbor,
            local_address=router.witness_session.local_address,
            identifier=router.witness_session.router_id,
            md5_key=b"" if router.md5_password is None else router.md5_password.reveal().encode("ascii"),
        )
        for router in config.routers.values()
        if router.witness_session is not None
    ]
    if not sessions:
        return None
    own = [each.prefix for each in engineered(config)]
    return SessionWitness(sessions, asn=int(config.network.asn), prefixes=own, clock=clock)


def bmp_witness(config: Config, *, clock: Clock, origins: OriginFile | BmpOrigins | None = None) -> BmpWitness | None:
    """None where no BMP is configured. `origins` may want what the routers tell."""
    if config.bmp is None:
        return None
    return BmpWitness(
        host=config.bmp.listen.host,
        port=config.bmp.listen.port,
        routers={address: name for name, router in config.routers.items() for address in router.bmp_addresses},
        prefixes=[own.prefix for own in config.network.prefixes],
        speaker=config.bgp.local_address,
        clock=clock,
        resync_seconds=config.bmp.resync_seconds,
        on_update=origins.take if isinstance(origins, BmpOrigins) else None,
    )


def allow(config: Config) -> bool:
    """Sees to it that the relay's allow-list is the configuration's; true when it was written. Raises TeagentError."""
    refuse_allow_list(config)
    path = config.bgp.allow_list
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_allow_list(path, allow_list(config))
    except OSError as error:
        raise TeagentError(
            f"the allow-list cannot be written to {path}: {(error.strerror or str(error)).lower()}",
            hint="bgp.allow_list in the configuration",
        ) from error


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise TeagentError(
            f"this machine has no user {user}", hint="bgp.allow_list_owner in the configuration names it"
        ) from error
