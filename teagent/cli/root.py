"""The group `teagent` and what stands directly under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from teagent import __version__
from teagent.cli.grammar import LazyGroup
from teagent.cli.settings import Settings
from teagent.errors import TeagentError

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


class Teagent(LazyGroup):
    """Turns our errors into their line, their hint and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TeagentError as error:
            from teagent.cli.client import exit_code_of
            from teagent.cli.output import report

            report(ctx.ensure_object(Settings), error)
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
