"""`teagent router-config` and `teagent exabgp-config`: what the operator installs beside the daemon.

Both read the configuration only, and ask no daemon. The one secret that is looked up is the key of the sessions, for
exabgp-config.
"""

from __future__ import annotations

import pwd
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from teagent.adapters.exabgp.configuration import ExabgpSession, render_exabgp_conf, render_exabgp_env
from teagent.adapters.exabgp.place import replace_file
from teagent.config.derived import bmp_station, engineered, families, speaking_routers
from teagent.config.effective import Config, RouterConfig
from teagent.config.load import find, load
from teagent.config.secrets import process_environment, resolve_md5_password
from teagent.errors import ConfigError, NotFound, Refused, TeagentError
from teagent.wire.router_config import BorderLink, BorderRouter
from teagent.wire.router_config import router_config as render

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), default=None, help="The configuration file; $TEAGENT_CONFIG."
)


def border_router(config: Config, router: RouterConfig) -> BorderRouter:
    """Raises Refused for what no border router can be told."""
    try:
        return BorderRouter(
            name=router.name,
            asn=config.network.asn,
            speaker=config.bgp.local_address,
            links=tuple(
                BorderLink(
                    name=link.name,
                    link_id=link.id,
                    neighbor=link.neighbor,
                    export_map=config.export_maps.get(link.name),
                )
                for link in config.network.links.values()
                if link.router == router.name
            ),
            prefixes=tuple(own.prefix for own in engineered(config)),
            next_hop_ipv4=config.bgp.next_hop_ipv4,
            next_hop_ipv6=config.bgp.next_hop_ipv6,
            bmp=bmp_station(config) if router.bmp_addresses else None,
            witness=None if router.witness_session is None else router.witness_session.local_address,
            signed=router.md5_password is not None,
        )
    except ValueError as error:
        raise Refused(str(error)) from error


def border_router_named(config: Config, name: str | None) -> RouterConfig:
    """The only one where no name is given. Raises Refused or NotFound."""
    routers = {router.name: router for router in speaking_routers(config)}
    if name is None and len(routers) == 1:
        return next(iter(routers.values()))
    if name is None:
        raise Refused(f"there are {len(routers)} border routers", hint=f"--router {' | '.join(sorted(routers))}")
    if name not in routers:
        raise NotFound("border router", name, known=list(routers))
    return routers[name]


@click.command("router-config")
@CONFIG
@click.option("--router", "name", default=None, help="Which border router; may be left out where there is one.")
@click.option("--vendor", default=None, help="frr or bird; the router's own `vendor` when left out.")
def router_config(config: Path | None, name: str | None, vendor: str | None) -> None:
    """Print what a border router needs for mode `signal`; nothing is sent to it."""
    loaded = load(find(config, process_environment()), environment=None)
    router = border_router_named(loaded, name)
    try:
        text = render(border_router(loaded, router), vendor or router.vendor.value)
    except ValueError as error:
        raise Refused(str(error), hint="--vendor frr or --vendor bird") from error
    click.echo(text, nl=False)


@click.command("exabgp-config")
@CONFIG
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="The directory.")
@click.option("--user", default="teagent-exabgp", show_default=True, help="Who ExaBGP and the relay run as.")
def exabgp_config(config: Path | None, output: Path, user: str) -> None:
    """Write exabgp.conf and exabgp.env: one session for each border router, and the relay as API process.

    Where sessions are signed (routers.NAME.bgp.md5_password), their keys are in exabgp.conf: it is then for its
    owner and the group of --user alone.
    """
    environment = process_environment()
    loaded = load(find(config, environment), environment=None)
    bgp = loaded.bgp
    relay = [str(Path(sys.executable).parent / "teagent-relay")]
    relay += ["--allow", str(bgp.allow_list), "--journal", str(bgp.journal), "--socket", str(bgp.relay)]
    relay += ["--freeze-file", str(bgp.freeze_file)]
    relay += [] if bgp.allow_list_owner == "root" else ["--allow-owner", bgp.allow_list_owner]
    try:
        texts = {
            "exabgp.conf": render_exabgp_conf(
                local_asn=loaded.network.asn,
                router_id=loaded.router_id,
                sessions=[
                    ExabgpSession(
                        router=router.name,
                        neighbor=router.neighbor,
                        local_address=bgp.local_address,
                        families=families(loaded),
                        md5_key=_md5_key(loaded, router, environment),
                    )
                    for router in speaking_routers(loaded)
                ],
                relay_command=relay,
            ),
            "exabgp.env": render_exabgp_env(user=user),
        }
        output.mkdir(parents=True, exist_ok=True)
        secret = any(router.md5_password is not None for router in speaking_routers(loaded))
        for file, text in texts.items():
            said = _write(output / file, text, user if secret and file == "exabgp.conf" else None)
            click.echo(f"wrote {output / file}{said}")
    except ValueError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise TeagentError(f"{output} cannot be written: {(error.strerror or str(error)).lower()}") from error


def _md5_key(config: Config, router: RouterConfig, environment: Mapping[str, str]) -> bytes:
    """Empty where the session is not signed. Raises ConfigError for a secret that is not there, or is no key."""
    if router.md5_password is None:
        return b""
    try:
        reference, vendor = router.md5_password.reference, router.vendor.value
        return resolve_md5_password(reference, environment, vendor=vendor).reveal().encode("ascii")
    except ConfigError as error:
        key = f"routers.{router.name}.bgp.md5_password"
        raise ConfigError(
            [replace(problem, file=str(config.path), key=key) for problem in error.problems],
            hint="outside the unit, credential:NAME is looked for with CREDENTIALS_DIRECTORY=/etc/teagent/credentials",
        ) from error


def _write(path: Path, text: str, reader: str | None) -> str:
    """`reader` is the user whom a secret file is for; None where all may read it. Returns who may. Raises OSError."""
    if reader is None:
        replace_file(path, text, mode=0o644)
        return ""
    try:
        replace_file(path, text, mode=0o640, group=pwd.getpwnam(reader).pw_gid)
    except (KeyError, PermissionError):
        replace_file(path, text, mode=0o600)
        return f", with keys in it: for its owner alone, since it could not be given to the group of {reader}"
    return f", with keys in it: for its owner and the group of {reader} alone"
