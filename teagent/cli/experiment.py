"""`teagent experiment plan`."""

from __future__ import annotations

import click

from teagent.cli import render_prediction
from teagent.cli.client import Client
from teagent.cli.grammar import common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings


@click.group()
def experiment() -> None:
    """Experiments: announcements on prefixes with little traffic, from which predictions learn most."""


@experiment.command("plan")
@click.option("--propose", is_flag=True, help="Ask for approval of the next step of the best, or of the one named.")
@click.option("--prefix", metavar="PREFIX", help="With --propose: on this prefix.")
@click.option("--first", metavar="LINK", help="With --propose: the link that all are led to first.")
@click.option("--second", metavar="LINK", help="With --propose: the link that then competes with it.")
@common_options
@click.pass_obj
def plan(settings: Settings, *, propose: bool, prefix: str | None, first: str | None, second: str | None) -> None:
    """List pairs of links, in both orders, by what their competition would teach; nothing is announced."""
    if not propose and (prefix or first or second):
        raise click.UsageError("--prefix, --first and --second say what to propose: add --propose")
    document = Client(settings.socket_path()).call(
        "experiment.plan", propose=propose, prefix=prefix, first=first, second=second
    )
    answer(settings, document, render_prediction.experiments)
