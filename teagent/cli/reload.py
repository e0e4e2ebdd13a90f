"""`teagent config reload`, beside the commands that need no daemon."""

from __future__ import annotations

import click

from teagent.cli.client import Client
from teagent.cli.config import config
from teagent.cli.grammar import common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings


@click.command()
@common_options
@click.pass_obj
def reload(settings: Settings) -> None:
    """Tell the daemon to read its configuration again; with problems the old one stays in force, and exit 3."""
    document = Client(settings.socket_path()).call("config.reload")
    answer(settings, document, lambda found: f"reloading {found['reloading']}")


config.add_command(reload)

__all__ = ["config"]
