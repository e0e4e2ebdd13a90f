"""`teagent allow-list`: what the relay lets through, which only the operator installs.

Reads the configuration only: no secret is looked up and no daemon is asked.
"""

from __future__ import annotations

from pathlib import Path

import click

from teagent.adapters.exabgp.allow_list import render, says, write_allow_list
from teagent.cli.router_config import CONFIG
from teagent.config.derived import allow_list as wanted
from teagent.config.effective import Config
from teagent.config.load import find, load
from teagent.config.secrets import process_environment
from teagent.errors import Refused
from teagent.relay.custody import ROOT, owner_named, why_place_untrusted, why_untrusted


def _load(config: Path | None) -> Config:
    return load(find(config, process_environment()), environment=None)


def _owners(config: Config) -> frozenset[int]:
    """Raises Refused."""
    try:
        return frozenset({ROOT, owner_named(config.bgp.allow_list_owner)})
    except LookupError:
        raise Refused(
            f"this machine has no user {config.bgp.allow_list_owner}", hint="bgp.allow_list_owner names it"
        ) from None


@click.group("allow-list")
def allow_list() -> None:
    """The list that the relay checks every announcement against. Only its owner writes it: nobody else widens it."""


@allow_list.command("show")
@CONFIG
def show(config: Path | None) -> None:
    """Print the list that the configuration asks for; nothing is written."""
    click.echo(render(wanted(_load(config))), nl=False)


@allow_list.command("check")
@CONFIG
def check(config: Path | None) -> None:
    """Whether the installed list is the configuration's, and one that the relay uses. Exits 5 where it is not."""
    loaded = _load(config)
    path = loaded.bgp.allow_list
    if not says(path, wanted(loaded)):
        raise Refused(f"{path} is not what {loaded.path.name} says", hint="as its owner: teagent allow-list write")
    with path.open("rb") as file:
        why = why_untrusted(file.fileno(), path, _owners(loaded))
    if why is not None:
        raise Refused(f"the relay does not use {path}: {why}", hint=f"chown {loaded.bgp.allow_list_owner} {path}")
    click.echo(f"{path} is what {loaded.path.name} says")


@allow_list.command("write")
@CONFIG
def write(config: Path | None) -> None:
    """Install the list that the configuration asks for; the relay reads it again by itself."""
    loaded = _load(config)
    path = loaded.bgp.allow_list
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        why = why_place_untrusted(path, _owners(loaded))
        if why is not None:
            raise Refused(f"the relay would not use {path}: {why}", hint="bgp.allow_list names the place")
        written = write_allow_list(path, wanted(loaded))
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}",
            hint=f"{loaded.bgp.allow_list_owner} writes it",
        ) from error
    click.echo(f"wrote {path}" if written else f"{path} says so already")
