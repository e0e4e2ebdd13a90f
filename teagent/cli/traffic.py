"""`teagent link`, `prefix`, `router`, `exporter`, `matrix`."""

from __future__ import annotations

from functools import partial

import click

from teagent.cli import render_exporters, render_traffic
from teagent.cli.client import Client
from teagent.cli.grammar import ObjectGroup, common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings
from teagent.errors import NotFound
from teagent.model.bgp import parse_asn
from teagent.model.units import parse_duration_seconds

MAX_SINCE_SECONDS = 400 * 86400


def duration(text: str) -> float:
    """`24h` -> seconds."""
    try:
        seconds = parse_duration_seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not 0 < seconds <= MAX_SINCE_SECONDS:
        raise click.BadParameter(f"'{text}' is not between 1ms and 400d")
    return seconds


def asn(text: str) -> int:
    """`AS64500`, or asdot -> 64500."""
    try:
        return parse_asn(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


SINCE = click.option(
    "--since", "since_seconds", type=duration, metavar="DURATION", help="How far back the history goes, as in 24h."
)


@click.group(cls=ObjectGroup, invoke_without_command=True, subcommand_metavar="[NAME] [show]")
@SINCE
@common_options
@click.pass_context
def link(ctx: click.Context, since_seconds: float | None) -> None:
    """Links: utilisation, 95th percentile, commit. With NAME one link and its history."""
    if ctx.invoked_subcommand is None:
        settings = ctx.ensure_object(Settings)
        document = Client(settings.socket_path()).call("link.list", since_seconds=since_seconds)
        answer(settings, document, partial(render_traffic.links, wide=settings.wide))


@link.command("show")
@click.argument("name")
@SINCE
@common_options
@click.pass_context
def link_show(ctx: click.Context, name: str, since_seconds: float | None) -> None:
    """One link with its history."""
    settings = ctx.ensure_object(Settings)
    if since_seconds is None and ctx.parent is not None:
        since_seconds = ctx.parent.params.get("since_seconds")
    document = Client(settings.socket_path()).call("link.show", name=name, since_seconds=since_seconds)
    answer(settings, document, render_traffic.link)


@click.group(cls=ObjectGroup, invoke_without_command=True, subcommand_metavar="[PREFIX] [show]")
@common_options
@click.pass_context
def prefix(ctx: click.Context) -> None:
    """Our prefixes: where they are announced, with what, by whom (home or a proposal)."""
    if ctx.invoked_subcommand is None:
        settings = ctx.ensure_object(Settings)
        document = Client(settings.socket_path()).call("prefix.list")
        answer(settings, document, partial(render_traffic.prefixes, wide=settings.wide))


@prefix.command("show")
@click.argument("prefix")
@common_options
@click.pass_obj
def prefix_show(settings: Settings, prefix: str) -> None:
    """One prefix: what each neighbor hears, and who sends to it."""
    document = Client(settings.socket_path()).call("prefix.show", prefix=prefix)
    answer(settings, document, render_traffic.prefix)


@click.group(
    cls=ObjectGroup,
    invoke_without_command=True,
    subcommand_metavar="[NAME] [show] | probe ADDRESS",
    lazy={"probe": ("teagent.cli.probe:probe", "What a router offers over SNMP, before it is configured.")},
)
@common_options
@click.pass_context
def router(ctx: click.Context) -> None:
    """Routers: how polling them goes."""
    if ctx.invoked_subcommand is None:
        settings = ctx.ensure_object(Settings)
        document = Client(settings.socket_path()).call("router.list")
        answer(settings, document, partial(render_traffic.routers, wide=settings.wide))


@router.command("show")
@click.argument("name")
@common_options
@click.pass_obj
def router_show(settings: Settings, name: str) -> None:
    """One router."""
    document = Client(settings.socket_path()).call("router.list")
    rows = [row for row in document["routers"] if row["name"] == name]
    if not rows:
        raise NotFound("router", name, known=[row["name"] for row in document["routers"]])
    answer(settings, {"at": document["at"], "routers": rows}, partial(render_traffic.routers, wide=True))


@click.command()
@common_options
@click.pass_obj
def exporter(settings: Settings) -> None:
    """Flow exporters: what they sent, what was lost, what could not be decoded."""
    document = Client(settings.socket_path()).call("exporter.list")
    answer(settings, document, partial(render_exporters.exporters, wide=settings.wide))


@click.command()
@click.option("--link", metavar="NAME", help="Only this link.")
@click.option("--prefix", metavar="PREFIX", help="Only this prefix of ours.")
@click.option("--source-as", type=asn, metavar="ASN", help="Only this sender, as in 64500 or AS64500.")
@click.option(
    "--window", "window_seconds", type=duration, metavar="DURATION", help="The window to show, as in 1m: of the two."
)
@click.option(
    "--since", "since_seconds", type=duration, metavar="DURATION", help="The mean over so long, not one window."
)
@click.option(
    "--top",
    type=click.IntRange(1, 10_000),
    metavar="N",
    default=20,
    show_default=True,
    help="How many of the largest.",
)
@common_options
@click.pass_obj
def matrix(
    settings: Settings,
    link: str | None,
    prefix: str | None,
    source_as: int | None,
    window_seconds: float | None,
    since_seconds: float | None,
    top: int,
) -> None:
    """Who sends what by which link: flows, scaled to the interface counters."""
    document = Client(settings.socket_path()).call(
        "matrix.show",
        link=link,
        prefix=prefix,
        source_as=source_as,
        window_seconds=window_seconds,
        since_seconds=since_seconds,
        top=top,
    )
    answer(settings, document, render_exporters.matrix)
