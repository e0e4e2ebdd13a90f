"""The effective configuration as files again: every key, every default; secrets as the references they are.

What is written loads to the same values: quantities are written exactly, not rounded as tables round them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from teagent.config.document import resolve
from teagent.config.effective import (
    AdvisorConfig,
    AsGraphConfig,
    BmpConfig,
    ClickHouseConfig,
    Config,
    ExperimentsConfig,
    FlowTrustConfig,
    OriginsConfig,
    RouterConfig,
    SnmpV2c,
    WitnessSessionConfig,
)
from teagent.config.quantities import decimal_text, duration_text, rate_text, share_text
from teagent.config.readers import WITHHOLD
from teagent.model.link import Link
from teagent.model.network import Network, OwnPrefix
from teagent.model.policy import AnnouncedLinksGuard, Guard, NoDataGuard, Policy, UtilisationGuard

# Text that every YAML reader takes for text, of whichever version.
PLAIN = re.compile(r"^[A-Za-z/][A-Za-z0-9_./%-]*$|^[0-9][0-9.]*[A-Za-z%][A-Za-z0-9%]*$|^[0-9]+(\.[0-9]+){3}(/[0-9]+)?$")


def digest_of(config: Config) -> str:
    """Hex SHA-256 of what decides: the same however it is spelled, `60s` or `1m`, given or by default."""
    document = {key: part for key, part in document_of(config).items() if key != "advisor"}
    shown = {"config": document, "policies": [policy_document(p) for p in config.policies]}
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def to_yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the document has none to begin with
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        plain = PLAIN.match(text) is not None and resolve(text) == text
    except ValueError:
        plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _represent_number(dumper: yaml.SafeDumper, number: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", decimal_text(number))


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(float, _represent_number)


def document_of(config: Config) -> dict[str, Any]:
    """`config.yaml` as data."""
    network = config.network
    document: dict[str, Any] = {
        "version": 1,
        "local": {"asn": int(network.asn), "router_id": str(config.router_id)},
    }
    if config.currency is not None:
        document["currency"] = config.currency
    return document | {
        "prefixes": [_prefix(own, network) for own in network.prefixes],
        "routers": {name: _router(router) for name, router in config.routers.items()},
        "links": {name: _link(link, config.export_maps.get(name)) for name, link in network.links.items()},
        "poll": {
            "interval": duration_text(config.poll.interval_seconds),
            "timeout": duration_text(config.poll.timeout_seconds),
            "retries": config.poll.retries,
            "stale_after": duration_text(config.poll.stale_after_seconds),
        },
        "flows": {
            "listen": [{"protocol": str(x.protocol), "address": str(x.address)} for x in config.flows.listen],
            **_given(clickhouse=config.flows.clickhouse, write=_clickhouse),
            "window": duration_text(config.flows.window_seconds),
            "short_window": duration_text(config.flows.short_window_seconds),
            **_given(origins=config.flows.origins, write=_origins),
            "source_as": str(config.flows.source_as),
            "trust": _flow_trust(config.flows.trust),
            "source_prefix": {"ipv4": config.flows.source_prefix_ipv4, "ipv6": config.flows.source_prefix_ipv6},
            "max_sources": config.flows.max_sources,
        },
        "store": {
            "path": str(config.store.path),
            "keep": {
                "short": duration_text(config.store.keep_short_seconds),
                "raw": duration_text(config.store.keep_raw_seconds),
                "hourly": duration_text(config.store.keep_hourly_seconds),
            },
        },
        "bgp": _bgp(config),
        **_given(bmp=config.bmp, write=_bmp),
        "decide": {
            "interval": duration_text(config.decide.interval_seconds),
            **_given(experiments=config.decide.experiments, write=_experiments),
        },
        "policies": str(config.policies_dir),
        **_given(as_graph=config.as_graph, write=_as_graph),
        "control": {
            "socket": str(config.control.socket),
            "administrators": list(config.control.administrators),
            "approvers": list(config.control.approvers),
            "viewers": list(config.control.viewers),
        },
        "metrics": _given(listen=config.metrics.listen, write=str),
        "log": {"level": str(config.log.level), "format": str(config.log.format)},
        "advisor": _advisor(config.advisor),
    }


def _advisor(advisor: AdvisorConfig) -> dict[str, Any]:
    return (
        {"enabled": advisor.enabled, "url": advisor.url}
        | _given(model=advisor.model, write=str)
        | {
            "context": advisor.context,
            "timeout": duration_text(advisor.timeout_seconds),
            "keep_alive": duration_text(advisor.keep_alive_seconds),
            "think": advisor.think,
            "thinking_tokens": advisor.thinking_tokens,
            "suggest": advisor.suggest,
        }
    )


def _clickhouse(clickhouse: ClickHouseConfig) -> dict[str, Any]:
    return (
        {
            "host": clickhouse.host,
            "port": clickhouse.port,
            "tls": clickhouse.tls,
            "verify": clickhouse.verify,
            "user": clickhouse.user,
        }
        | _given(ca_cert=clickhouse.ca_cert, write=str)
        | _given(password=clickhouse.password, write=lambda secret: secret.reference)
        | {
            "database": clickhouse.database,
            "table": clickhouse.table,
            "schema": str(clickhouse.schema),
            "columns": dict(clickhouse.columns),
            "interfaces": str(clickhouse.interfaces),
            "routers": list(clickhouse.routers),
            "lag": duration_text(clickhouse.lag_seconds),
            "interval": duration_text(clickhouse.interval_seconds),
            "timeout": duration_text(clickhouse.timeout_seconds),
        }
    )


def _as_graph(graph: AsGraphConfig) -> dict[str, Any]:
    return {"path": str(graph.path), "reload": duration_text(graph.reload_seconds)}


def _origins(origins: OriginsConfig) -> dict[str, Any]:
    return _given(path=origins.path, write=str) | {
        "bmp": origins.bmp,
        "reload": duration_text(origins.reload_seconds),
    }


def _experiments(experiments: ExperimentsConfig) -> dict[str, Any]:
    return {
        "prefixes": [str(prefix) for prefix in experiments.prefixes],
        "window": str(experiments.window),
        "policy": experiments.policy,
    }


def _flow_trust(trust: FlowTrustConfig) -> dict[str, Any]:
    return {
        "silent": duration_text(trust.silent_seconds),
        "active_timeout": duration_text(trust.active_timeout_seconds),
        "clock_skew": duration_text(trust.clock_skew_seconds),
        "template": duration_text(trust.template_seconds),
        "lost": share_text(trust.lost),
        "undecoded": share_text(trust.undecoded),
        "future": share_text(trust.future),
        "coverage": {"low": share_text(trust.coverage_low), "high": share_text(trust.coverage_high)},
    }


def _bmp(bmp: BmpConfig) -> dict[str, Any]:
    return {"listen": str(bmp.listen)} | _given(resync=bmp.resync_seconds, write=duration_text)


def _given(*, write: Callable[[Any], Any], **values: Any) -> dict[str, Any]:
    """Only what is there: a key without a value is a key left out."""
    return {key: write(value) for key, value in values.items() if value is not None}


def _prefix(own: OwnPrefix, network: Network) -> dict[str, Any]:
    home: dict[str, int | str] = {}
    for name, link in network.links.items():
        here: int | str = own.home.get(name, WITHHOLD)
        if here != link.home_prepend:
            home[name] = here
    return {
        "prefix": str(own.prefix),
        "tags": sorted(own.tags),
        "engineer": own.engineer,
        "home": home,
    } | _given(max_prepend=own.max_prepend, write=int)


def _router(router: RouterConfig) -> dict[str, Any]:
    return {
        "address": router.address,
        "vendor": str(router.vendor),
        "snmp": _snmp(router),
        "bgp": {"neighbor": str(router.neighbor)}
        | _given(md5_password=router.md5_password, write=lambda secret: secret.reference),
        "flows": {"exporter_addresses": [str(address) for address in router.exporter_addresses]}
        | _given(sampling=router.sampling_rate, write=int)
        | _given(active_timeout=router.active_timeout_seconds, write=duration_text),
        "bmp": {"enabled": True, "addresses": [str(address) for address in router.bmp_addresses]}
        if router.bmp_addresses
        else {"enabled": False},
    } | _given(witness_session=router.witness_session, write=_witness_session)


def _witness_session(session: WitnessSessionConfig) -> dict[str, Any]:
    return {"local_address": str(session.local_address), "router_id": str(session.router_id)}


def _snmp(router: RouterConfig) -> dict[str, Any]:
    snmp = router.snmp
    if isinstance(snmp, SnmpV2c):
        return {"version": "2c", "community": snmp.community.reference, "port": snmp.port}
    document: dict[str, Any] = {"version": 3, "user": snmp.user}
    if snmp.auth_protocol and snmp.auth_key:
        document["auth"] = {"protocol": str(snmp.auth_protocol), "key": snmp.auth_key.reference}
    if snmp.priv_protocol and snmp.priv_key:
        document["priv"] = {"protocol": str(snmp.priv_protocol), "key": snmp.priv_key.reference}
    return document | {"port": snmp.port}


def _link(link: Link, export_map: str | None) -> dict[str, Any]:
    return (
        {
            "id": link.id,
            "kind": str(link.kind),
            "router": link.router,
            "interface": link.interface,
            "neighbor": str(link.neighbor),
            "peer_asn": int(link.peer_asn),
            "capacity": rate_text(link.capacity_bps),
        }
        | _given(commit=link.commit_bps, write=rate_text)
        | _given(price_per_mbps=link.price_per_mbps, write=float)
        | {"percentile": str(link.percentile), "home": {"prepend": link.home_prepend}}
        | _given(export_map=export_map, write=str)
    )


def _bgp(config: Config) -> dict[str, Any]:
    bgp = config.bgp
    return {
        "mode": "signal",
        "signals": "large",
        "local_address": str(bgp.local_address),
        "next_hop": _given(ipv4=bgp.next_hop_ipv4, ipv6=bgp.next_hop_ipv6, write=str),
        "relay": str(bgp.relay),
        "allow_list": str(bgp.allow_list),
        "allow_list_owner": bgp.allow_list_owner,
        "freeze_file": str(bgp.freeze_file),
        "journal": str(bgp.journal),
        "max_prepend": bgp.max_prepend,
        "budget": {
            "max_overrides": bgp.budget.max_overrides,
            "changes_per_minute": bgp.budget.changes_per_minute,
            "burst": bgp.budget.burst,
        },
        "dry_run": bgp.dry_run,
    }


def policy_document(policy: Policy) -> dict[str, Any]:
    """A policy file as data."""
    return {
        "version": 1,
        "policy": policy.name,
        **_given(description=policy.description or None, write=str),
        "enabled": policy.enabled,
        "match": {
            "links": _given(kind=_some(policy.links.kinds), names=_some(policy.links.names), write=list),
            "prefixes": _given(tags=_some(policy.prefixes.tags), prefixes=_some(policy.prefixes.prefixes), write=list),
        },
        "when": {
            "metric": str(policy.when.metric),
            "above": share_text(policy.when.above),
            "for": duration_text(policy.when.for_seconds),
            "clear_below": share_text(policy.when.clear_below),
        },
        "objective": str(policy.objective),
        "allow": [{"lever": "prepend", "max": lever.max} for lever in policy.levers],
        "limits": {
            "changes_per_plan": policy.limits.changes_per_plan,
            "prefixes_per_plan": policy.limits.prefixes_per_plan,
        }
        | _given(shift_per_plan=policy.limits.shift_per_plan_bps, write=rate_text)
        | {
            "cooldown": duration_text(policy.limits.cooldown_seconds),
            "moves_per_day": policy.limits.moves_per_day,
            "all_moves_per_day": policy.limits.all_moves_per_day,
            "damping": {
                "half_life": duration_text(policy.limits.damping.half_life_seconds),
                "suppress_above": policy.limits.damping.suppress_above,
                "reuse_below": policy.limits.damping.reuse_below,
                "at_most": duration_text(policy.limits.damping.at_most_seconds),
            },
            "headroom": share_text(policy.limits.headroom),
            "min_links_per_prefix": policy.limits.min_links_per_prefix,
        },
        "approval": {
            "required": policy.approval.required,
            "approvers": policy.approval.approvers,
            "expires_after": duration_text(policy.approval.expires_after_seconds),
            "tolerance": share_text(policy.approval.tolerance),
        },
        "confirm": {
            "window": duration_text(policy.confirm.window_seconds),
            "settle": duration_text(policy.confirm.settle_seconds),
            "unproven": str(policy.confirm.unproven),
            "revert_if": [_guard(guard) for guard in policy.confirm.revert_if],
        },
    }


def _some(words: frozenset[Any]) -> list[str] | None:
    return sorted(str(word) for word in words) or None


def _guard(guard: Guard) -> dict[str, Any]:
    match guard:
        case UtilisationGuard():
            return {"guard": "in_utilisation", "above": share_text(guard.above)}
        case AnnouncedLinksGuard():
            return {"guard": "announced_links", "below": guard.below}
        case NoDataGuard():
            return {"guard": "no_data", "for": duration_text(guard.for_seconds)}
