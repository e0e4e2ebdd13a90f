"""`teagent ingress` and `teagent scorecard`."""

from __future__ import annotations

from functools import partial

import click

from teagent.cli import render_prediction
from teagent.cli.client import Client
from teagent.cli.grammar import common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings
from teagent.cli.traffic import asn, duration


@click.command()
@click.argument("sender", metavar="[ASN]", type=asn, required=False)
@click.option("--prefix", metavar="PREFIX", help="Towards this prefix of ours, as it is announced now; else the first.")
@click.option("--top", type=click.IntRange(1, 200), default=20, show_default=True, help="How many senders.")
@common_options
@click.pass_obj
def ingress(settings: Settings, sender: int | None, *, prefix: str | None, top: int) -> None:
    """What is believed of senders: over which link each comes in, how sure that is, and why.

    With ASN (64500 or AS64500) one sender and all reasons, else the heaviest.
    """
    document = Client(settings.socket_path()).call("ingress.show", asn=sender, prefix=prefix, top=top)
    render = render_prediction.ingress if sender is None else render_prediction.sender
    answer(settings, document, render)


@click.command()
@click.option(
    "--since",
    "since_seconds",
    type=duration,
    metavar="DURATION",
    default="30d",
    show_default=True,
    help="How far back, as in 7d.",
)
@common_options
@click.pass_obj
def scorecard(settings: Settings, since_seconds: float) -> None:
    """How right predictions were: of changes, of changes that others made, and of no change."""
    document = Client(settings.socket_path()).call("scorecard.list", since_seconds=since_seconds)
    answer(settings, document, partial(render_prediction.scorecards, wide=settings.wide))
