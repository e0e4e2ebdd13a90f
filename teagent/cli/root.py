"""The group `teagent` and what stands directly under it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, NoReturn

import click

from teagent import __version__
from teagent.cli.grammar import LazyGroup
from teagent.cli.settings import Settings
from teagent.errors import TeagentError, WrongUsage

COMMANDS = {
    "run": ("teagent.cli.daemon:run", "Start the daemon (systemd calls this)."),
    "status": ("teagent.cli.daemon:status", "One screen: sessions, links, pollers, exporters, live proposals."),
    "config": ("teagent.cli.reload:config", "Check the configuration, show what is in force, reload it."),
    "link": ("teagent.cli.traffic:link", "Utilisation, 95th percentile, commit."),
    "prefix": ("teagent.cli.traffic:prefix", "Where a prefix is announced, with what, by whom."),
    "router": ("teagent.cli.traffic:router", "Polls of the routers; probe one before it is configured."),
    "exporter": ("teagent.cli.traffic:exporter", "Health of the flow exporters."),
    "flow": ("teagent.cli.flow:flow", "Captured flow exports, decoded without a daemon."),
    "matrix": ("teagent.cli.traffic:matrix", "Who sends what by which link."),
    "policy": ("teagent.cli.policy:policy", "Policies, and why they did or did not fire."),
    "plan": ("teagent.cli.policy:plan", "Compute now and print; nothing is announced."),
    "simulate": ("teagent.cli.simulate:simulate", "What if: the dry run of a change that you have in mind."),
    "snapshot": ("teagent.cli.simulate:snapshot", "All inputs of a decision as a file, to simulate on elsewhere."),
    "proposal": ("teagent.cli.proposal:proposal", "Show, approve, reject, confirm, revert proposals."),
    "graph": ("teagent.cli.graph:graph", "The Internet's AS graph, and how announcements spread over it."),
    "ingress": ("teagent.cli.prediction:ingress", "What is believed of senders, and why."),
    "experiment": ("teagent.cli.experiment:experiment", "What announcements would teach most."),
    "scorecard": ("teagent.cli.prediction:scorecard", "How right predictions were."),
    "explain": ("teagent.cli.daemon:explain", "For a complaint: what is wrong with a prefix's traffic."),
    "ask": ("teagent.cli.advisor:ask", "Ask in words; a local language model picks the look-up."),
    "advisor": ("teagent.cli.advisor:advisor", "The local language model: does it answer, is it any good."),
    "freeze": ("teagent.cli.daemon:freeze", "Kill switch: nothing is approved or applied."),
    "thaw": ("teagent.cli.daemon:thaw", "Undo a freeze."),
    "log": ("teagent.cli.log:log", "History: who, what, when, why; exported, verified."),
    "check": ("teagent.cli.daemon:check", "For monitoring: one line; 0 ok, 1 warning, 2 critical."),
    "doctor": ("teagent.cli.doctor:doctor", "Whether all is so that overrides do what they say, with remedies."),
    "allow-list": ("teagent.cli.allow_list:allow_list", "What the relay lets through: show, check, write it."),
    "router-config": ("teagent.cli.router_config:router_config", "What a border router needs to obey signals."),
    "exabgp-config": ("teagent.cli.router_config:exabgp_config", "Write ExaBGP's configuration, with the relay."),
}


AS_JSON = "teagent.as_json"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What writing an answer fails with; files that a command opens have errors of their own."""


class Teagent(LazyGroup):
    """Turns our errors into their line, their hint and their exit code; click's too, where documents are asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Before anything is parsed: what cannot be parsed is to be said in the form that was asked for.
        ctx.meta[AS_JSON] = "--json" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            self._misused(ctx, error)
        except OSError as error:  # of --help and --version
            self._unwritten(ctx, error)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            self._misused(ctx, error)
        except TeagentError as error:
            self._failed(ctx.ensure_object(Settings), ctx, error)
        except OSError as error:
            self._unwritten(ctx, error)

    def _misused(self, ctx: click.Context, error: click.UsageError) -> NoReturn:
        if not ctx.meta[AS_JSON] or isinstance(error, click.exceptions.NoArgsIsHelpError):
            raise error
        command = ctx.command_path if error.ctx is None else error.ctx.command_path
        self._failed(Settings(as_json=True), ctx, WrongUsage(error.format_message(), hint=f"{command} --help"))

    def _unwritten(self, ctx: click.Context, error: OSError) -> NoReturn:
        if error.errno not in NO_ROOM:
            raise error
        reason = (error.strerror or str(error)).lower()
        self._failed(ctx.ensure_object(Settings), ctx, TeagentError(f"the answer cannot be written: {reason}"))

    @staticmethod
    def _failed(settings: Settings, ctx: click.Context, error: TeagentError) -> NoReturn:
        from teagent.cli.client import exit_code_of
        from teagent.cli.output import report

        report(settings, error)
        ctx.exit(exit_code_of(error))


@click.command(cls=Teagent, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    envvar="TEAGENT_SOCKET",
    show_envvar=True,
    help="The daemon's control socket, else as the configuration says, else /run/teagent/teagent.sock.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
@click.option("-o", "output", type=click.Choice(["wide"]), default=None, help="More columns, at the right end.")
@click.version_option(__version__, prog_name="teagent")
@click.pass_context
def teagent(ctx: click.Context, *, socket: Path | None, as_json: bool, quiet: bool, output: str | None) -> None:
    """Moves inbound traffic between transit links, predictably and only with your approval.

    These options may also stand behind the command.
    """
    ctx.obj = Settings(socket=socket, as_json=as_json, quiet=quiet, output=output or "")
