"""Configurations of every kind, and the quantities, names and texts that they are of."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from hypothesis import strategies as st

from teagent.config import effective as e
from teagent.config.clickhouse import COLUMNS
from teagent.config.secrets import Secret
from teagent.config.show import digest_of
from teagent.model.bgp import Asn
from teagent.model.link import Link, LinkKind, Percentile
from teagent.model.maintenance import DailyWindow
from teagent.model.network import Network, OwnPrefix
from teagent.model.policy import (
    AnnouncedLinksGuard,
    Approval,
    Confirm,
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

rates = st.one_of(
    st.builds(lambda n, f: float(n * f), st.integers(1, 999), st.sampled_from([10**3, 10**6, 10**9])),
    st.floats(1e3, 1e15, allow_nan=False),
)
shares = st.one_of(
    st.integers(0, 100).map(lambda n: n / 100),
    st.decimals(0, 100, places=4, allow_nan=False).map(lambda d: float(d) / 100),
)
names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,11}\Z")
# Text that looks like something else to one YAML or another is what goes wrong in a round trip.
awkward = st.sampled_from(
    ["no", "on", "1", "01", "0x1", "1.10", "1e3", "10:30", "null", "true", "1_0", "=", "2026-01-12"]
)
words = st.one_of(awkward.filter(lambda w: w[0].isalnum() and ":" not in w), names)
lines = st.one_of(
    awkward, st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30)
).filter(lambda t: t == t.strip() and t.isprintable())
ipv4 = st.integers(0x0A000001, 0x0AFFFFFE).map(IPv4Address)
secrets = st.from_regex(
    r"\A(env:[A-Z_][A-Z0-9_]{0,8}|file:/[a-z/:# ]{0,10}[a-z]|credential:[a-z0-9_.-]{1,9})\Z"
).filter(lambda text: not text.startswith("credential:.") and not text.startswith("credential:-"))
ports = st.integers(1, 65535)


@st.composite
def snmps(draw: st.DrawFn) -> e.Snmp:
    if draw(st.booleans()):
        return e.SnmpV2c(community=Secret(reference=draw(secrets)), port=draw(ports))
    auth, priv = draw(st.sampled_from([(False, False), (True, False), (True, True)]))
    return e.SnmpV3(
        user=draw(lines),
        auth_protocol=draw(st.sampled_from(e.AuthProtocol)) if auth else None,
        auth_key=Secret(reference=draw(secrets)) if auth else None,
        priv_protocol=draw(st.sampled_from(e.PrivProtocol)) if priv else None,
        priv_key=Secret(reference=draw(secrets)) if priv else None,
        port=draw(ports),
    )


@st.composite
def networks(draw: st.DrawFn, routers: list[str]) -> Network:
    link_names = draw(st.lists(words, min_size=2, max_size=4, unique=True))
    ids = draw(st.lists(st.integers(1, 429496728), min_size=4, max_size=4, unique=True))
    links = {
        name: Link(
            name=name,
            id=ids[number],
            kind=draw(st.sampled_from(LinkKind)),
            router=draw(st.sampled_from(routers)),
            interface=f"{number}{draw(lines)}",
            neighbor=IPv6Address(f"2001:db8:f::{number + 1}"),
            peer_asn=Asn(draw(st.integers(1, 64000).filter(lambda n: n != 23456))),
            capacity_bps=(capacity := draw(rates)),
            commit_bps=draw(st.one_of(st.none(), st.just(capacity))),
            price_per_mbps=0.2 if number == 0 else draw(st.one_of(st.none(), st.floats(0, 1e6, allow_nan=False))),
            percentile=draw(st.sampled_from(Percentile)),
            home_prepend=draw(st.integers(0, 3)),
        )
        for number, name in enumerate(link_names)
    }
    prefixes = draw(
        st.lists(
            st.one_of(
                st.integers(0, 2**16 - 1).map(lambda n: IPv4Network((0x0A000000 + (n << 8), 24))),
                st.integers(0, 2**16 - 1).map(lambda n: IPv6Network(((0x20010DB8 << 96) + (n << 80), 48))),
            ),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    own = []
    for prefix in prefixes:
        carrying = draw(st.lists(st.sampled_from(link_names), min_size=1, unique=True))
        home = {name: draw(st.integers(0, 3)) for name in link_names if name in carrying}
        own.append(
            OwnPrefix(
                prefix=prefix,
                home=home,
                tags=draw(st.frozensets(words, max_size=3)),
                engineer=len(home) > 1 and draw(st.booleans()),
                max_prepend=draw(st.one_of(st.none(), st.just(3))),
            )
        )
    return Network(asn=Asn(64500), links=links, prefixes=tuple(own))


guards: st.SearchStrategy[Guard] = st.one_of(
    st.builds(UtilisationGuard, above=st.integers(96, 100).map(lambda n: n / 100)),
    st.builds(AnnouncedLinksGuard, below=st.just(1)),
    st.builds(NoDataGuard, for_seconds=st.integers(30, 86400).map(float)),
)


@st.composite
def policies(draw: st.DrawFn, network: Network, name: str) -> Policy:
    own = draw(st.sampled_from([own for own in network.prefixes if own.engineer]))
    link = draw(st.sampled_from(sorted(own.home)))
    by_tag = bool(own.tags) and draw(st.booleans())
    return Policy(
        name=name,
        description=draw(st.one_of(st.just(""), lines)),
        links=LinkMatch(
            names=frozenset({link}),
            kinds=frozenset({network.links[link].kind}) if draw(st.booleans()) else frozenset(),
        ),
        prefixes=PrefixMatch(
            tags=frozenset(sorted(own.tags)[:1]) if by_tag else frozenset(),
            prefixes=frozenset() if by_tag else frozenset({str(own.prefix)}),
        ),
        # A trigger one part in ten thousand wide is relieved by any link that is left.
        when=Trigger(
            metric=Metric.IN_UTILISATION,
            above=0.95,
            for_seconds=draw(st.integers(300, 86400).map(float)),
            clear_below=0.9499,
        ),
        objective=draw(st.sampled_from(Objective)),
        levers=(PrependLever(max=draw(st.integers(1, 3))),),
        limits=Limits(
            changes_per_plan=draw(st.integers(1, 100)),
            prefixes_per_plan=draw(st.integers(1, 50)),
            shift_per_plan_bps=draw(st.one_of(st.none(), rates)),
            cooldown_seconds=draw(st.integers(1, 86400).map(float)),
            headroom=draw(st.integers(0, 95).map(lambda n: n / 100)),
            min_links_per_prefix=1,
        ),
        approval=Approval(
            required=draw(st.booleans()),
            expires_after_seconds=draw(st.integers(10, 86400).map(float)),
            tolerance=draw(shares),
        ),
        confirm=Confirm(
            window_seconds=1200.5,
            settle_seconds=draw(st.integers(1, 1200).map(float)),
            unproven=draw(st.sampled_from(Unproven)),
            revert_if=tuple(draw(st.lists(guards, max_size=3))),
        ),
        enabled=False,  # enabled ones would have to keep apart
    )


@st.composite
def clickhouses(draw: st.DrawFn, routers: list[str]) -> e.ClickHouseConfig:
    """For one of the routers; the datagrams of the others are listened to."""
    schema = draw(st.sampled_from([e.FlowTable.AKVORADO, e.FlowTable.GOFLOW2]))
    renamed = {"src_addr": draw(st.sampled_from(["SrcAddr", "no", "a.b"]))}
    return e.ClickHouseConfig(
        host="192.0.2.240",
        port=draw(st.integers(1, 65535)),
        tls=True,
        verify=draw(st.booleans()),
        ca_cert=draw(st.none() | st.just(Path("/a b.pem"))),
        user=draw(st.sampled_from(["teagent", "no"])),
        password=draw(st.none() | st.just(Secret(reference="env:PASSWORD"))),
        database="flows",
        table=draw(st.sampled_from(["flows", "null", "f.g"])),
        schema=schema,
        columns={**COLUMNS[schema], **renamed},
        interfaces=draw(st.sampled_from(e.InterfaceKey)),
        routers=tuple(routers),
        lag_seconds=draw(st.integers(1, 15).map(float)),
        interval_seconds=draw(st.integers(1, 15).map(float)),
        timeout_seconds=draw(st.integers(1, 300).map(float)),
    )


@st.composite
def bmps(draw: st.DrawFn) -> e.BmpConfig:
    return e.BmpConfig(
        listen=e.Listen(host=draw(st.sampled_from(["::", "192.0.2.250"])), port=draw(ports)),
        resync_seconds=draw(st.none() | st.integers(20, 86400).map(float)),
    )


def witness_sessions() -> st.SearchStrategy[e.WitnessSessionConfig | None]:
    session = e.WitnessSessionConfig(local_address=IPv4Address("192.0.2.251"), router_id=IPv4Address("192.0.2.251"))
    return st.sampled_from([None, session, dataclasses.replace(session, router_id=IPv4Address("192.0.2.252"))])


@st.composite
def origin_configs(draw: st.DrawFn, *, bmp: bool) -> e.OriginsConfig:
    """Of a file, of BMP where there is any, or of both."""
    told = bmp and draw(st.booleans())
    path = draw(st.none() | st.just(Path("/b view.gz"))) if told else Path("/b view.gz")
    return e.OriginsConfig(path=path, bmp=told, reload_seconds=3600.0)


@st.composite
def configs(draw: st.DrawFn) -> e.Config:
    router_names = draw(st.lists(words, min_size=1, max_size=3, unique=True))
    addresses = draw(st.lists(ipv4, min_size=6, max_size=6, unique=True))
    network = draw(networks(router_names).map(_relievable))
    engineered = [own for own in network.prefixes if own.engineer]
    bmp = draw(st.none() | bmps())
    origins = draw(st.none() | origin_configs(bmp=bmp is not None))
    config = e.Config(
        path=Path(),
        router_id=IPv4Address("192.0.2.250"),
        network=network,
        routers={
            name: e.RouterConfig(
                name=name,
                address=draw(st.sampled_from([str(addresses[2 * n]), f"r{n}.example.net"])),
                vendor=draw(st.sampled_from(e.Vendor)),
                snmp=draw(snmps()),
                neighbor=addresses[2 * n],
                exporter_addresses=(addresses[2 * n], addresses[2 * n + 1])[: draw(st.integers(1, 2))],
                bmp_addresses=(addresses[2 * n], addresses[2 * n + 1])[: draw(st.integers(0, 2))],
                sampling_rate=draw(st.one_of(st.none(), st.integers(1, 10**6))),
                active_timeout_seconds=draw(st.one_of(st.none(), st.floats(1, 3600, allow_nan=False))),
                witness_session=draw(witness_sessions())
                if any(link.router == name for link in network.links.values())
                else None,
            )
            for n, name in enumerate(router_names)
        },
        export_maps={name: draw(lines) for name in network.links if draw(st.booleans())},
        currency=draw(st.one_of(st.none(), st.sampled_from(["EUR", "USD"]))),
        poll=e.PollConfig(
            interval_seconds=30.0, timeout_seconds=draw(st.floats(0.1, 5)), retries=5, stale_after_seconds=90.0
        ),
        flows=e.FlowsConfig(
            listen=(e.FlowListen(protocol=e.FlowProtocol.NETFLOW, address=e.Listen(host="::1", port=draw(ports))),),
            clickhouse=draw(st.none() | clickhouses(router_names[:1])) if len(router_names) > 1 else None,
            window_seconds=300.0,
            short_window_seconds=draw(st.sampled_from([30.0, 60.0, 150.0, 300.0])),
            origins=origins,
            trust=e.FlowTrustConfig(
                silent_seconds=180.0,
                active_timeout_seconds=draw(st.integers(1, 86400).map(float)),
                clock_skew_seconds=120.0,
                template_seconds=3 * 3600.0,
                lost=draw(st.integers(1, 100)) / 100,
                undecoded=0.05,
                future=0.05,
                coverage_low=0.5,
                coverage_high=draw(st.integers(100, 1000)) / 100,
            ),
            source_as=e.SourceAs.RECORD if origins is None else draw(st.sampled_from(e.SourceAs)),
            source_prefix_ipv4=draw(st.integers(24, 32)),
            source_prefix_ipv6=draw(st.integers(48, 64)),
            max_sources=draw(st.integers(10, 10**6)),
        ),
        store=e.StoreConfig(
            path=Path("/a b/#x"), keep_short_seconds=3600.0, keep_raw_seconds=86400.0, keep_hourly_seconds=86401.0
        ),
        bgp=e.BgpConfig(
            relay=Path("/run/relay.sock"),
            allow_list=Path("/run/allow.json"),
            allow_list_owner=draw(st.sampled_from(["root", "netadmin"])),
            freeze_file=Path("/etc/freeze"),
            journal=Path("/run/journal.json"),
            local_address=IPv4Address("192.0.2.250"),
            next_hop_ipv4=IPv4Address("192.0.2.254"),
            next_hop_ipv6=IPv6Address("2001:db8::254"),
            max_prepend=draw(st.integers(3, 5)),
            budget=e.BudgetConfig(
                max_overrides=draw(st.integers(1, 100_000)),
                changes_per_minute=draw(st.integers(1, 6000)),
                burst=draw(st.integers(1, 100_000)),
            ),
            dry_run=draw(st.booleans()),
        ),
        bmp=bmp,
        decide=e.DecideConfig(
            interval_seconds=draw(st.integers(1, 3600).map(float)),
            experiments=e.ExperimentsConfig(
                prefixes=tuple(own.prefix for own in network.prefixes if own.engineer),
                window=DailyWindow(begin=draw(st.integers(0, 719)), end=draw(st.integers(720, 1439))),
                policy="p0",
            )
            if engineered and draw(st.booleans())
            else None,
        ),
        policies_dir=Path(),
        policies=tuple(draw(policies(network, f"p{n}")) for n in range(2)) if engineered else (),
        policy_files={},
        as_graph=draw(st.none() | st.just(e.AsGraphConfig(path=Path("/as rel.txt"), reload_seconds=90.0))),
        control=e.ControlConfig(
            socket=Path("/run/t.sock"), administrators=("admin",), approvers=("netops", "no"), viewers=()
        ),
        metrics=e.MetricsConfig(listen=draw(st.one_of(st.none(), st.just(e.Listen(host="127.0.0.1", port=9617))))),
        advisor=e.AdvisorConfig(
            enabled=draw(st.booleans()),
            url=draw(st.sampled_from(["http://127.0.0.1:11434", "https://[2001:db8::1]:443", "http://box"])),
            model="qwen2.5:1.5b",
            context=draw(st.integers(2048, 131_072)),
            timeout_seconds=draw(st.integers(1, 3600)),
            keep_alive_seconds=draw(st.integers(1, 86400)),
            think=draw(st.booleans()),
            thinking_tokens=draw(st.integers(64, 1024)),
            suggest=draw(st.booleans()),
        ),
        log=e.LogConfig(level=draw(st.sampled_from(e.LogLevel)), format=draw(st.sampled_from(e.LogFormat))),
        digest="",
    )
    return dataclasses.replace(config, digest=digest_of(config))


def _relievable(network: Network) -> Network:
    """With links of one size, so that no policy asks for more than the others can take."""
    links = {name: dataclasses.replace(link, capacity_bps=1e15) for name, link in network.links.items()}
    return dataclasses.replace(network, links=links)
