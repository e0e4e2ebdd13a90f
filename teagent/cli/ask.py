"""Questions: on a terminal they are asked, elsewhere --yes has to be said."""

from __future__ import annotations

import sys

import click

YES = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def ask(question: str, *, yes: bool) -> None:
    """Returns when the answer is yes. Exits 1 on no, 2 where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"nobody can be asked '{question}', stdin is no terminal: add --yes")
    if not click.confirm(question, err=True):
        click.echo("nothing was changed", err=True)
        raise click.exceptions.Exit(1)
