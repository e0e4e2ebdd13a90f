"""`teagent policy` and `teagent plan`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from teagent.cli import render_plan
from teagent.cli.client import Client
from teagent.cli.grammar import ObjectGroup, common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings
from teagent.errors import NotFound

EXIT_CHANGES = 10


@click.group(cls=ObjectGroup, invoke_without_command=True, subcommand_metavar="[NAME] [show | explain | check]")
@common_options
@click.pass_context
def policy(ctx: click.Context) -> None:
    """Policies: what each wants, and whether it fires."""
    if ctx.invoked_subcommand is None:
        settings = ctx.ensure_object(Settings)
        document = Client(settings.socket_path()).call("policy.list")
        answer(settings, document, partial(render_plan.policies, wide=settings.wide))


@policy.command("show")
@click.argument("name")
@common_options
@click.pass_obj
def policy_show(settings: Settings, name: str) -> None:
    """One policy."""
    document = Client(settings.socket_path()).call("policy.list")
    found = next((row for row in document["policies"] if row["name"] == name), None)
    if found is None:
        raise NotFound("policy", name, known=[row["name"] for row in document["policies"]])
    answer(settings, found, render_plan.policy)


@policy.command("explain")
@click.argument("name")
@common_options
@click.pass_obj
def policy_explain(settings: Settings, name: str) -> None:
    """Why did it, or did it not, fire just now."""
    document = Client(settings.socket_path()).call("policy.explain", policy=name)
    answer(settings, document, render_plan.explanation)


@policy.command("check")
@click.argument("name", required=False)
@click.option("--config", "file", type=click.Path(path_type=Path), help="The configuration that the policies are of.")
@common_options
@click.pass_obj
def policy_check(settings: Settings, name: str | None, file: Path | None) -> None:
    """Validate the policy files against the configuration; needs no daemon."""
    from teagent.config.load import find, load
    from teagent.config.secrets import process_environment

    loaded = load(find(file, process_environment()), environment=None)
    files = {policy: str(path) for policy, path in loaded.policy_files.items() if name in (None, policy)}
    if name is not None and not files:
        raise NotFound("policy", name, known=list(loaded.policy_files))
    rows = [{"name": policy, "file": path, "ok": True} for policy, path in files.items()]
    answer(
        settings, {"policies": rows}, lambda _: "\n".join(f"{row['file']}: ok, policy {row['name']}" for row in rows)
    )


@click.command()
@click.option("--policy", metavar="NAME", help="Only this policy.")
@click.option("--propose", is_flag=True, help="Ask for approval of what is found.")
@click.option("--exit-code", is_flag=True, help="Exit 10 when changes are found, 0 when there is nothing to do.")
@common_options
@click.pass_context
def plan(ctx: click.Context, policy: str | None, *, propose: bool, exit_code: bool) -> None:
    """Compute now what the policies would do and print it; nothing is announced."""
    settings = ctx.ensure_object(Settings)
    document = Client(settings.socket_path()).call("plan.compute", policy=policy, propose=propose)
    answer(settings, document, render_plan.plans)
    if exit_code and document["proposed_changes"]:
        ctx.exit(EXIT_CHANGES)
