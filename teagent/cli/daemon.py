"""The daemon itself: run, status, check, freeze, thaw, explain."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

import click

from teagent.cli import freeze_file, render_explain, render_status
from teagent.cli.ask import YES, ask
from teagent.cli.client import Client
from teagent.cli.grammar import common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings
from teagent.errors import ConfigError, DaemonUnreachable

CHECK_EXIT = {"ok": 0, "warning": 1, "critical": 2}


@click.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="The configuration file, else $TEAGENT_CONFIG, ./config.yaml or /etc/teagent/config.yaml.",
)
@click.pass_context
def run(ctx: click.Context, file: Path | None) -> None:
    """Start the daemon in the foreground, until SIGTERM or SIGINT; SIGHUP reloads."""
    from teagent.config.load import find
    from teagent.config.secrets import process_environment

    try:
        path = find(file, process_environment())
        # By name: the command line and the daemon do not import each other, they meet on the socket and here.
        code = importlib.import_module("teagent.daemon.run").run(path)
    except ConfigError as error:
        click.echo(f"{error}. Nothing was started.", err=True)
        if error.hint:
            click.echo(f"hint:  {error.hint}", err=True)
        ctx.exit(error.exit_code)
    ctx.exit(code)


@click.command()
@common_options
@click.pass_obj
def status(settings: Settings) -> None:
    """One screen: sessions, links, pollers, exporters, policies, live proposals, frozen or not."""
    document = Client(settings.socket_path()).call("status")
    answer(settings, document, partial(render_status.status, wide=settings.wide))


@click.command()
@common_options
@click.pass_context
def check(ctx: click.Context) -> None:
    """For monitoring: one line. Exits 0 for ok, 1 for a warning, 2 for critical, a daemon that is down included."""
    settings = ctx.ensure_object(Settings)
    try:
        document = Client(settings.socket_path(), timeout_seconds=10.0).call("check")
    except DaemonUnreachable as error:
        problem = {"level": "critical", "subject": "daemon", "message": error.message}
        document = {"level": "critical", "problems": [problem]}
    answer(settings, document, render_status.check)
    ctx.exit(CHECK_EXIT.get(document["level"], CHECK_EXIT["critical"]))


@click.command()
@click.option("--reason", default="", help="Why; everybody who is refused will read it.")
@common_options
@click.pass_obj
def freeze(settings: Settings, reason: str) -> None:
    """Kill switch: nothing is approved or applied until thaw. What is announced stays; reverts still work.

    With the daemon down the relay is frozen by its freeze file, which takes the right to write it.
    """
    try:
        document = Client(settings.socket_path()).call("freeze", reason=reason)
    except DaemonUnreachable as error:
        document = freeze_file.put(settings.freeze_file(), error, reason=reason)
    answer(settings, document, render_status.freeze)


@click.command()
@YES
@common_options
@click.pass_obj
def thaw(settings: Settings, *, yes: bool) -> None:
    """Undo a freeze, the freeze file as well."""
    ask("thaw: proposals may be approved and applied again?", yes=yes)
    removed = freeze_file.remove(settings.freeze_file())
    client = Client(settings.socket_path())
    try:
        standing = client.call("status")["frozen"] if removed else None
        document = client.call("thaw") if not removed or (standing and standing["by"] != freeze_file.NAME) else {}
    except DaemonUnreachable:
        if not removed:
            raise
        document = {}
    answer(settings, document or {"frozen": None}, render_status.freeze)


@click.command()
@click.argument("prefix")
@common_options
@click.pass_obj
def explain(settings: Settings, prefix: str) -> None:
    """For a complaint about PREFIX: where it is announced, how its traffic comes, what is congested, what helps."""
    answer(settings, Client(settings.socket_path()).call("explain.show", prefix=prefix), render_explain.explain)
