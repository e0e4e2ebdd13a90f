"""From rows, as they are written, to values, as they are used. Nothing is checked here any more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from teagent.config import effective as e
from teagent.config.check import bmp_of, exporters_of, home_of, identifier_of, neighbor_of, short_window_of
from teagent.config.clickhouse import columns_of, interfaces_of, table_of
from teagent.config.flow_schema import ClickHouse, FlowTrust
from teagent.config.policy_schema import (
    AnnouncedLinksGuardRow,
    GuardRow,
    NoDataGuardRow,
    PolicyFile,
    UtilisationGuardRow,
)
from teagent.config.router_schema import RouterRow, SnmpV2cRow, SnmpV3Row
from teagent.config.schema import ConfigFile, LinkRow
from teagent.config.secrets import Secret
from teagent.model.link import Link, LinkKind, Percentile
from teagent.model.network import Network, OwnPrefix
from teagent.model.policy import (
    AnnouncedLinksGuard,
    Approval,
    Confirm,
    Damping,
    Guard,
    Limits,
    LinkMatch,
    Metric,
    NoDataGuard,
    Objective,
    Policy,
    PrefixMatch,
    PrependLever,
    Trigger,
    Unproven,
    UtilisationGuard,
)


def build_network(file: ConfigFile) -> Network:
    return Network(
        asn=file.local.asn,
        links={name: _link(name, row) for name, row in file.links.items()},
        prefixes=tuple(
            OwnPrefix(
                prefix=row.prefix,
                home=home_of(row, file.links),
                tags=frozenset(row.tags),
                engineer=row.engineer,
                max_prepend=row.max_prepend,
            )
            for row in file.prefixes
        ),
    )


def _link(name: str, row: LinkRow) -> Link:
    return Link(
        name=name,
        id=row.id,
        kind=LinkKind(row.kind),
        router=row.router,
        interface=row.interface,
        neighbor=row.neighbor,
        peer_asn=row.peer_asn,
        capacity_bps=row.capacity,
        commit_bps=row.commit,
        price_per_mbps=row.price_per_mbps,
        percentile=Percentile(row.percentile),
        home_prepend=row.home.prepend,
    )


def build_config(
    file: ConfigFile,
    *,
    path: Path,
    network: Network,
    policies: tuple[Policy, ...],
    policy_files: Mapping[str, Path],
    secrets: Mapping[str, Secret],
    digest: str = "",
) -> e.Config:
    """`secrets` by reference. The file has passed `check`."""
    return e.Config(
        path=path,
        router_id=file.local.router_id,
        network=network,
        routers={name: _router(name, row, secrets) for name, row in file.routers.items()},
        export_maps={name: row.export_map for name, row in file.links.items() if row.export_map is not None},
        currency=file.currency,
        poll=e.PollConfig(
            interval_seconds=file.poll.interval,
            timeout_seconds=file.poll.timeout,
            retries=file.poll.retries,
            stale_after_seconds=file.poll.stale_after,
        ),
        flows=_flows(file, path, secrets),
        store=e.StoreConfig(
            path=_resolved(path, file.store.path),
            keep_short_seconds=file.store.keep.short,
            keep_raw_seconds=file.store.keep.raw,
            keep_hourly_seconds=file.store.keep.hourly,
        ),
        bgp=_bgp(file, path),
        bmp=None if file.bmp is None else e.BmpConfig(listen=file.bmp.listen, resync_seconds=file.bmp.resync),
        decide=e.DecideConfig(
            interval_seconds=file.decide.interval,
            experiments=None
            if file.decide.experiments is None
            else e.ExperimentsConfig(
                prefixes=tuple(file.decide.experiments.prefixes),
                window=file.decide.experiments.window,
                policy=file.decide.experiments.policy,
            ),
        ),
        policies_dir=_resolved(path, file.policies),
        policies=policies,
        policy_files=policy_files,
        as_graph=None
        if file.as_graph is None
        else e.AsGraphConfig(path=_resolved(path, file.as_graph.path), reload_seconds=file.as_graph.reload),
        control=e.ControlConfig(
            socket=_resolved(path, file.control.socket),
            administrators=tuple(file.control.administrators),
            approvers=tuple(file.control.approvers),
            viewers=tuple(file.control.viewers),
        ),
        metrics=e.MetricsConfig(listen=file.metrics.listen),
        log=e.LogConfig(level=e.LogLevel(file.log.level), format=e.LogFormat(file.log.format)),
        advisor=e.AdvisorConfig(
            enabled=file.advisor.enabled,
            url=file.advisor.url,
            model=file.advisor.model,
            context=file.advisor.context,
            timeout_seconds=file.advisor.timeout,
            keep_alive_seconds=file.advisor.keep_alive,
            think=file.advisor.think,
            thinking_tokens=file.advisor.thinking_tokens,
            suggest=file.advisor.suggest,
        ),
        digest=digest,
    )


def _resolved(config: Path, text: str) -> Path:
    """Relative to the directory of the configuration file, as includes are everywhere; absolute from here on."""
    return config.parent.absolute() / text


def _flows(file: ConfigFile, path: Path, secrets: Mapping[str, Secret]) -> e.FlowsConfig:
    origins = file.flows.origins
    return e.FlowsConfig(
        listen=tuple(
            e.FlowListen(protocol=e.FlowProtocol(row.protocol), address=row.address) for row in file.flows.listen
        ),
        clickhouse=None
        if file.flows.clickhouse is None
        else _clickhouse(file.flows.clickhouse, path, secrets, routers=tuple(file.routers)),
        window_seconds=file.flows.window,
        short_window_seconds=short_window_of(file.flows),
        origins=None
        if origins is None
        else e.OriginsConfig(
            path=None if origins.path is None else _resolved(path, origins.path),
            bmp=origins.bmp,
            reload_seconds=origins.reload,
        ),
        source_as=e.SourceAs(file.flows.source_as),
        trust=build_trust(file.flows.trust),
        source_prefix_ipv4=file.flows.source_prefix.ipv4,
        source_prefix_ipv6=file.flows.source_prefix.ipv6,
        max_sources=file.flows.max_sources,
    )


def _clickhouse(
    row: ClickHouse, path: Path, secrets: Mapping[str, Secret], *, routers: tuple[str, ...]
) -> e.ClickHouseConfig:
    return e.ClickHouseConfig(
        host=row.host,
        port=row.port or (8443 if row.tls else 8123),
        tls=row.tls,
        verify=row.verify,
        ca_cert=None if row.ca_cert is None else _resolved(path, row.ca_cert),
        user=row.user,
        password=None if row.password is None else secrets[row.password],
        database=row.database,
        table=table_of(row) or "",
        schema=e.FlowTable(row.schema_),
        columns=columns_of(row),
        interfaces=interfaces_of(row),
        routers=routers if row.routers is None else tuple(row.routers),
        lag_seconds=row.lag,
        interval_seconds=row.interval,
        timeout_seconds=row.timeout,
    )


def build_trust(trust: FlowTrust) -> e.FlowTrustConfig:
    return e.FlowTrustConfig(
        silent_seconds=trust.silent,
        active_timeout_seconds=trust.active_timeout,
        clock_skew_seconds=trust.clock_skew,
        template_seconds=trust.template,
        lost=trust.lost,
        undecoded=trust.undecoded,
        future=trust.future,
        coverage_low=trust.coverage.low,
        coverage_high=trust.coverage.high,
    )


def _bgp(file: ConfigFile, path: Path) -> e.BgpConfig:
    return e.BgpConfig(
        relay=_resolved(path, file.bgp.relay),
        allow_list=_resolved(path, file.bgp.allow_list),
        allow_list_owner=file.bgp.allow_list_owner,
        freeze_file=_resolved(path, file.bgp.freeze_file),
        journal=_resolved(path, file.bgp.journal),
        local_address=file.bgp.local_address,
        next_hop_ipv4=file.bgp.next_hop.ipv4,
        next_hop_ipv6=file.bgp.next_hop.ipv6,
        max_prepend=file.bgp.max_prepend,
        budget=e.BudgetConfig(
            max_overrides=file.bgp.budget.max_overrides,
            changes_per_minute=file.bgp.budget.changes_per_minute,
            burst=file.bgp.budget.burst,
        ),
        dry_run=file.bgp.dry_run,
    )


def _router(name: str, row: RouterRow, secrets: Mapping[str, Secret]) -> e.RouterConfig:
    neighbor = neighbor_of(row)
    if neighbor is None:
        raise ValueError(f"router {name} has no neighbor address")
    return e.RouterConfig(
        name=name,
        address=row.address,
        vendor=e.Vendor(row.vendor),
        snmp=_snmp(row.snmp, secrets),
        neighbor=neighbor,
        exporter_addresses=exporters_of(row),
        bmp_addresses=bmp_of(row),
        sampling_rate=row.flows.sampling,
        active_timeout_seconds=row.flows.active_timeout,
        witness_session=_witness_session(row),
        md5_password=None if row.bgp.md5_password is None else secrets[row.bgp.md5_password],
    )


def _witness_session(row: RouterRow) -> e.WitnessSessionConfig | None:
    identifier = identifier_of(row)
    if row.witness_session is None or identifier is None:
        return None
    return e.WitnessSessionConfig(local_address=row.witness_session.local_address, router_id=identifier)


def _snmp(row: SnmpV2cRow | SnmpV3Row, secrets: Mapping[str, Secret]) -> e.Snmp:
    if isinstance(row, SnmpV2cRow):
        return e.SnmpV2c(community=secrets[row.community], port=row.port)
    return e.SnmpV3(
        user=row.user,
        auth_protocol=e.AuthProtocol(row.auth.protocol) if row.auth else None,
        auth_key=secrets[row.auth.key] if row.auth else None,
        priv_protocol=e.PrivProtocol(row.priv.protocol) if row.priv else None,
        priv_key=secrets[row.priv.key] if row.priv else None,
        port=row.port,
    )


def secret_places(file: ConfigFile) -> dict[tuple[str | int, ...], str]:
    """Where a secret is referred to, and by what."""
    places: dict[tuple[str | int, ...], str] = {}
    for name, router in file.routers.items():
        if router.bgp.md5_password is not None:
            places["routers", name, "bgp", "md5_password"] = router.bgp.md5_password
        at = ("routers", name, "snmp")
        if isinstance(router.snmp, SnmpV2cRow):
            places[*at, "community"] = router.snmp.community
            continue
        if router.snmp.auth:
            places[*at, "auth", "key"] = router.snmp.auth.key
        if router.snmp.priv:
            places[*at, "priv", "key"] = router.snmp.priv.key
    if file.flows.clickhouse is not None and file.flows.clickhouse.password is not None:
        places["flows", "clickhouse", "password"] = file.flows.clickhouse.password
    return places


def build_policy(file: PolicyFile) -> Policy:
    return Policy(
        name=file.policy,
        description=file.description,
        links=LinkMatch(
            kinds=frozenset(LinkKind(kind) for kind in file.match.links.kind or ()),
            names=frozenset(file.match.links.names or ()),
        ),
        prefixes=PrefixMatch(
            tags=frozenset(file.match.prefixes.tags or ()),
            prefixes=frozenset(str(prefix) for prefix in file.match.prefixes.prefixes or ()),
        ),
        when=Trigger(
            metric=Metric(file.when.metric),
            above=file.when.above,
            for_seconds=file.when.for_,
            clear_below=file.when.clear_below,
        ),
        objective=Objective(file.objective),
        levers=tuple(PrependLever(max=row.max) for row in file.allow),
        limits=Limits(
            changes_per_plan=file.limits.changes_per_plan,
            prefixes_per_plan=file.limits.prefixes_per_plan,
            shift_per_plan_bps=file.limits.shift_per_plan,
            cooldown_seconds=file.limits.cooldown,
            moves_per_day=file.limits.moves_per_day,
            all_moves_per_day=file.limits.all_moves_per_day,
            damping=Damping(
                half_life_seconds=file.limits.damping.half_life,
                suppress_above=file.limits.damping.suppress_above,
                reuse_below=file.limits.damping.reuse_below,
                at_most_seconds=file.limits.damping.at_most,
            ),
            headroom=file.limits.headroom,
            min_links_per_prefix=file.limits.min_links_per_prefix,
        ),
        approval=Approval(
            required=file.approval.required,
            approvers=file.approval.approvers,
            expires_after_seconds=file.approval.expires_after,
            tolerance=file.approval.tolerance,
        ),
        confirm=Confirm(
            window_seconds=file.confirm.window,
            settle_seconds=file.confirm.settle,
            unproven=Unproven(file.confirm.unproven),
            revert_if=tuple(_guard(row) for row in file.confirm.revert_if),
        ),
        enabled=file.enabled,
    )


def _guard(row: GuardRow) -> Guard:
    match row:
        case UtilisationGuardRow():
            return UtilisationGuard(above=row.above)
        case AnnouncedLinksGuardRow():
            return AnnouncedLinksGuard(below=row.below)
        case NoDataGuardRow():
            return NoDataGuard(for_seconds=row.for_)
