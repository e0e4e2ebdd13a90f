"""stdout is the answer, stderr is everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from teagent.cli.client import exit_code_of
from teagent.cli.settings import Settings
from teagent.cli.text import clean
from teagent.errors import ConfigError, GuardRefused, TeagentError
from teagent.wire.control import error_document


def answer(settings: Settings, document: Any, render: Callable[[Any], str]) -> None:
    """The document as it is with --json, as text otherwise."""
    click.echo(json.dumps(document, indent=2) if settings.as_json else render(document))


def note(settings: Settings, text: str) -> None:
    if not settings.quiet:
        click.echo(text, err=True)


def report(settings: Settings, error: TeagentError) -> None:
    """The fact, and what to do next. With --json the same facts as a document, on stderr as well."""
    if settings.as_json:
        document = error_document(error) | {"exit_code": exit_code_of(error)}
        click.echo(json.dumps({"error": document}, indent=2), err=True)
        return
    first, *rest = error.message.splitlines() or [""]
    # Problems of files begin with their place, which editors jump to; a guard's refusal is no mistake of anybody's.
    head = "" if error.kind in {ConfigError.__name__, "PolicyError"} else "error: "
    if error.kind == GuardRefused.__name__:
        head = "refused: "
    click.echo("\n".join([head + clean(first), *(clean(line, keep_indent=True) for line in rest)]), err=True)
    if error.hint:
        click.echo(f"hint:  {clean(error.hint)}", err=True)
