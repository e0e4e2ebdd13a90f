"""What only this machine can tell of a configuration: whether its secrets, directories, groups and routes are here.

Nothing is sent, started or changed: a UDP socket that is connected has looked up a route and no more.
"""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from teagent.config.document import Keys, read
from teagent.config.effective import AsGraphConfig, Config, OriginsConfig, SnmpV2c
from teagent.config.finding import Finding
from teagent.config.secrets import Secret, resolve, resolve_md5_password
from teagent.errors import ConfigError, Problem


def try_out(config: Config, environment: Mapping[str, str]) -> list[Problem]:
    """Problems in the order of the file; `environment` is where secrets are looked up.

    Raises ConfigError when the file is gone since it was loaded.
    """
    document = read(config.path)
    findings = [
        *_secrets(config, environment),
        *_directories(config),
        *_files(config),
        *_groups(config),
        *_local_addresses(config),
        *_routes(config),
    ]
    problems = [document.problem(finding.path, finding.message) for finding in findings]
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def _secrets(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    for name, router in config.routers.items():
        at: Keys = ("routers", name, "snmp")
        snmp = router.snmp
        if isinstance(snmp, SnmpV2c):
            secrets: dict[Keys, Secret | None] = {(*at, "community"): snmp.community}
        else:
            secrets = {(*at, "auth", "key"): snmp.auth_key, (*at, "priv", "key"): snmp.priv_key}
        for path, secret in secrets.items():
            yield from _secret(path, secret, environment)
        path = ("routers", name, "bgp", "md5_password")
        look_up = partial(resolve_md5_password, vendor=router.vendor.value)
        yield from _secret(path, router.md5_password, environment, look_up=look_up)
    if config.flows.clickhouse is not None:
        yield from _secret(("flows", "clickhouse", "password"), config.flows.clickhouse.password, environment)


def _secret(
    path: Keys,
    secret: Secret | None,
    environment: Mapping[str, str],
    *,
    look_up: Callable[[str, Mapping[str, str]], Secret] = resolve,
) -> Iterator[Finding]:
    try:
        if secret is not None:
            look_up(secret.reference, environment)
    except ConfigError as error:
        yield from (Finding(path, problem.message) for problem in error.problems)


def _directories(config: Config) -> Iterator[Finding]:
    files: dict[Keys, Path] = {
        ("store", "path"): config.store.path,
        ("bgp", "relay"): config.bgp.relay,
        ("bgp", "allow_list"): config.bgp.allow_list,
        ("bgp", "freeze_file"): config.bgp.freeze_file,
        ("bgp", "journal"): config.bgp.journal,
        ("control", "socket"): config.control.socket,
    }
    for path, file in files.items():
        if not file.parent.is_dir():
            yield Finding(path, f"the directory {file.parent} does not exist")
        elif path == ("store", "path") and not os.access(file.parent, os.W_OK | os.X_OK):
            yield Finding(path, f"the directory {file.parent} cannot be written to by this user")


def _files(config: Config) -> Iterator[Finding]:
    files: dict[Keys, OriginsConfig | AsGraphConfig | None] = {
        ("flows", "origins", "path"): config.flows.origins,
        ("as_graph", "path"): config.as_graph,
    }
    for path, file in files.items():
        if file is not None and file.path is not None and not os.access(file.path, os.R_OK):
            yield Finding(path, f"{file.path} is not there, or cannot be read by this user")


def _groups(config: Config) -> Iterator[Finding]:
    groups = {
        "administrators": config.control.administrators,
        "approvers": config.control.approvers,
        "viewers": config.control.viewers,
    }
    for key, names in groups.items():
        for index, name in enumerate(names):
            try:
                grp.getgrnam(name)
            except KeyError:
                yield Finding(("control", key, index), f"this machine has no group {name}")


def _local_addresses(config: Config) -> Iterator[Finding]:
    addresses: dict[Keys, str] = {("bgp", "local_address"): str(config.bgp.local_address)}
    for index, row in enumerate(config.flows.listen):
        addresses["flows", "listen", index, "address"] = row.address.host
    if config.metrics.listen is not None:
        addresses["metrics", "listen"] = config.metrics.listen.host
    for path, address in addresses.items():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                yield Finding(path, f"{address} is not an address of this machine: {reason}")


def _routes(config: Config) -> Iterator[Finding]:
    for name, router in config.routers.items():
        at: Keys = ("routers", name)
        for path, host, port in (
            ((*at, "address"), router.address, router.snmp.port),
            ((*at, "bgp", "neighbor"), str(router.neighbor), 179),
        ):
            message = _no_route(host, port)
            if message:
                yield Finding(path, message)
            if host == str(router.neighbor):
                break


def _no_route(host: str, port: int) -> str | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        return f"{host} cannot be resolved: {(error.strerror or str(error)).lower()}"
    with socket.socket(family, kind, protocol) as probe:
        try:
            probe.connect(address)
        except OSError as error:
            return f"there is no route to {host}: {(error.strerror or str(error)).lower()}"
    return None
