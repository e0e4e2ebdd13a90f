"""`teagent simulate` and `teagent snapshot`."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path

import click

from teagent.cli import render_simulate
from teagent.cli.client import Client
from teagent.cli.grammar import common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings
from teagent.errors import TeagentError
from teagent.model.what_if import Wish, parse_wish


def wish(text: str) -> Wish:
    """`prepend 198.51.100.0/24 transit-a 2`, `home 198.51.100.0/24`."""
    try:
        return parse_wish(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("wishes", metavar="CHANGE...", type=wish, nargs=-1, required=True)
@click.option(
    "--snapshot",
    "file",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE",
    help="On a file of `teagent snapshot save` instead of the daemon's present state; needs no daemon.",
)
@click.option("--propose", metavar="POLICY", help="Ask for approval of it, under the rules of this policy.")
@common_options
@click.pass_obj
def simulate(settings: Settings, wishes: tuple[Wish, ...], *, file: Path | None, propose: str | None) -> None:
    """What if: the dry run of changes, each in quotes: 'prepend PREFIX LINK N' or 'home PREFIX'.

    Changes are made one after the other. Nothing is announced, and nothing proposed unless --propose asks for it.
    """
    if file is not None and propose is not None:
        raise click.UsageError("--propose needs the daemon: a snapshot's state is not the present one")
    if file is not None:
        from teagent.cli import simulate_offline

        document = simulate_offline.what_if_of(file, wishes)
    else:
        client = Client(settings.socket_path())
        document = client.call("simulate.compute", changes=[str(each) for each in wishes], propose=propose)
    answer(settings, document, render_simulate.simulation)


@click.group()
def snapshot() -> None:
    """Snapshots: all inputs of a decision as a file, on which `teagent simulate` works elsewhere, or later."""


@snapshot.command("save")
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@common_options
@click.pass_obj
def snapshot_save(settings: Settings, file: Path) -> None:
    """Write the daemon's present state to FILE: configuration of links and prefixes, readings, matrix, AS graph."""
    document = Client(settings.socket_path()).call("snapshot.take")
    content = base64.b64decode(document.pop("file"))
    _write(file, content)
    document |= {"path": str(file), "octets": len(content)}
    answer(settings, document, render_simulate.saved)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, for its owner only: it says who sends how much."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise TeagentError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error
