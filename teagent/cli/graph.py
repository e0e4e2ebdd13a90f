"""`teagent graph`: the Internet's AS graph and how announcements spread over it; needs no daemon.

numpy, scipy and networkx are imported when a command runs: every `teagent` may import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from teagent.cli import render_graph
from teagent.cli.grammar import common_options
from teagent.cli.output import answer, note
from teagent.cli.settings import Settings
from teagent.model.bgp import Asn, parse_asn

F = TypeVar("F", bound=Callable[..., Any])

PREPEND_SHOWN_MAX = 100
"""More than anybody announces; what we announce ourselves has a limit of its own."""


def as_number(text: str) -> Asn:
    """`64500`, `AS64500` or asdot."""
    try:
        return parse_asn(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def prepend(text: str) -> tuple[str, int]:
    """`AS64501=2` or `transit-a=2`."""
    key, _, count = text.rpartition("=")
    if not key or not count.isdecimal() or int(count) > PREPEND_SHOWN_MAX:
        raise click.BadParameter(
            f"'{text}' is not NEIGHBOR=N with N from 0 to {PREPEND_SHOWN_MAX}, for example AS64501=2"
        )
    return key, int(count)


AS_REL = click.option(
    "--as-rel",
    "as_rel",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE",
    envvar="TEAGENT_AS_REL",
    show_envvar=True,
    help="AS relationships in CAIDA's serial-1 or serial-2; plain, bz2 or gzip. Else as_graph of the configuration.",
)
CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE",
    default=None,
    help="Take origin, links and their own prepends from this configuration instead of the file's view of us.",
)
ORIGIN = click.option(
    "--origin", type=as_number, metavar="ASN", default=None, help="Who announces; not needed with --config."
)


def announcement_options(function: F) -> F:
    options = (
        ORIGIN,
        CONFIG,
        click.option(
            "--prepend",
            "prepends",
            type=prepend,
            metavar="NEIGHBOR=N",
            multiple=True,
            help="Copies beyond the first towards this neighbor (AS64501=2) or link (transit-a=2). May be repeated.",
        ),
        click.option(
            "--withhold",
            "withheld",
            metavar="NEIGHBOR",
            multiple=True,
            help="Do not announce to this neighbor or on this link. May be repeated.",
        ),
        click.option(
            "--ignores-prepends",
            "ignoring",
            type=as_number,
            metavar="ASN",
            multiple=True,
            help="A neighbor that is known not to look at prepends. May be repeated.",
        ),
        click.option(
            "--prefers-us",
            "preferring",
            type=as_number,
            metavar="ASN",
            multiple=True,
            help="A neighbor that takes our session before any other path. May be repeated.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def graph() -> None:
    """The AS graph: what it holds, who stands above whom, and how an announcement spreads over it.

    What it can and can't say: docs/explanation/as-graph-limits.md.
    """


@graph.command()
@AS_REL
@common_options
@click.pass_context
def info(ctx: click.Context, as_rel: Path | None) -> None:
    """Count ASes and relations; report groups of ASes that are each other's providers."""
    from teagent.cli import graph_answers

    answer(ctx.ensure_object(Settings), graph_answers.info(as_rel), render_graph.info)


@graph.command()
@click.argument("asn", type=as_number)
@AS_REL
@click.option(
    "--with", "other", type=as_number, metavar="ASN", default=None, help="Also: which upstreams it shares with this AS."
)
@click.option(
    "--origin", type=as_number, metavar="ASN", default=None, help="Also: who no longer reaches this AS if ASN fails."
)
@common_options
@click.pass_context
def cone(ctx: click.Context, asn: Asn, *, as_rel: Path | None, other: Asn | None, origin: Asn | None) -> None:
    """Show an AS's neighbors, its customer cone and its upstreams."""
    from teagent.cli import graph_answers

    settings = ctx.ensure_object(Settings)
    answer(settings, graph_answers.cone(as_rel, asn, other=other, origin=origin), render_graph.cone)


@graph.command()
@click.argument("asn", type=as_number)
@AS_REL
@announcement_options
@common_options
@click.pass_context
def path(ctx: click.Context, /, asn: Asn, **given: Any) -> None:
    """Show the path from an AS to the origin, and by which links it may come in."""
    from teagent.cli import graph_answers

    settings = ctx.ensure_object(Settings)
    question = graph_answers.question(**given)
    _note_strangers(settings, question.strangers)
    answer(settings, graph_answers.path(question, asn), render_graph.path)


@graph.command()
@AS_REL
@announcement_options
@common_options
@click.pass_context
def propagate(ctx: click.Context, /, **given: Any) -> None:
    """Let an announcement spread: for every AS the class and length of its route and its equally good ingress links.

    The text has a summary for each link; --json has every AS.
    """
    from teagent.cli import graph_answers

    settings = ctx.ensure_object(Settings)
    question = graph_answers.question(**given)
    _note_strangers(settings, question.strangers)
    document = graph_answers.propagate(question, progress=not settings.quiet, every_as=settings.as_json)
    answer(settings, document, partial(render_graph.propagate, wide=settings.wide))


def _note_strangers(settings: Settings, links: Sequence[str]) -> None:
    for name in links:
        note(settings, f"AS graph: it does not know the neighbor of {name}")


@graph.command()
@click.option("--ases", type=click.IntRange(20, 200_000), default=1000, show_default=True, help="How many ASes.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed, the same graph.")
def generate(ases: int, seed: int) -> None:
    """Print an Internet-like graph that nobody has, as serial-1: for trying things without data."""
    from teagent.cli import graph_answers

    click.echo(graph_answers.generate(ases, seed), nl=False)
