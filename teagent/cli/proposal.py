"""`teagent proposal [ID] [verb]`."""

from __future__ import annotations

from functools import partial

import click

from teagent.cli import render_proposal
from teagent.cli.ask import YES, ask
from teagent.cli.client import Client
from teagent.cli.grammar import ObjectGroup, common_options
from teagent.cli.output import answer, note
from teagent.cli.settings import Settings

ID = click.argument("id_", metavar="ID")
VERBS = "[ID] [show | approve | reject | confirm | revert | resolve]"


@click.group(cls=ObjectGroup, invoke_without_command=True, subcommand_metavar=VERBS)
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@common_options
@click.pass_context
def proposal(ctx: click.Context, *, everything: bool) -> None:
    """Proposals: plans that ask to be applied. Any unambiguous beginning of an ID will do."""
    if ctx.invoked_subcommand is None:
        settings = ctx.ensure_object(Settings)
        document = Client(settings.socket_path()).call("proposal.list", all=everything)
        answer(settings, document, partial(render_proposal.proposals, wide=settings.wide))


@proposal.command("show")
@ID
@common_options
@click.pass_obj
def show(settings: Settings, id_: str) -> None:
    """The changes, the dry run, the exact announcements, the history, the next command."""
    document = Client(settings.socket_path()).call("proposal.show", id=id_)
    answer(settings, document, render_proposal.proposal)


@proposal.command("approve")
@ID
@click.option("--digest", help="Approve only if the plan has this digest, or one that begins so.")
@YES
@common_options
@click.pass_obj
def approve(settings: Settings, id_: str, digest: str | None, *, yes: bool) -> None:
    """Show the dry run, ask, and announce exactly what was shown."""
    client = Client(settings.socket_path())
    shown = client.call("proposal.show", id=id_)
    # A state that can't be approved is the daemon's to refuse, with its reason, before anybody is asked.
    if "approve" in shown["can"]:
        note(settings, render_proposal.proposal(shown) + "\n")
        ask(render_proposal.question(shown), yes=yes)
    binding = digest or shown["digest"]
    note(settings, f"approving {shown['id']}, plan {binding}")
    document = client.call("proposal.approve", id=shown["id"], digest=binding)
    answer(settings, document, _line)


@proposal.command("reject")
@ID
@click.option("--reason", default="", help="Why; kept in the history.")
@common_options
@click.pass_obj
def reject(settings: Settings, id_: str, reason: str) -> None:
    """Say no. Nothing has been announced."""
    document = Client(settings.socket_path()).call("proposal.reject", id=id_, reason=reason)
    answer(settings, document, _line)


@proposal.command("confirm")
@ID
@common_options
@click.pass_obj
def confirm(settings: Settings, id_: str) -> None:
    """Keep the change: it no longer reverts by itself."""
    document = Client(settings.socket_path()).call("proposal.confirm", id=id_)
    answer(settings, document, _line)


@proposal.command("revert")
@ID
@click.option("--reason", default="", help="Why; kept in the history.")
@YES
@common_options
@click.pass_obj
def revert(settings: Settings, id_: str, reason: str, *, yes: bool) -> None:
    """Take the change back; a freeze does not stop this."""
    client = Client(settings.socket_path())
    shown = client.call("proposal.show", id=id_)
    if "revert" in shown["can"]:
        inside = shown["state"] in {"applying", "confirming"}
        ask(f"revert {shown['id']}: {'back to what was before' if inside else 'its prefixes go home'}?", yes=yes)
    answer(settings, client.call("proposal.revert", id=shown["id"], reason=reason), _line)


@proposal.command("resolve")
@ID
@click.option("--reason", required=True, help="What was found on the routers, and done.")
@YES
@common_options
@click.pass_obj
def resolve(settings: Settings, id_: str, reason: str, *, yes: bool) -> None:
    """A stuck change was seen to by hand: nothing of it is on the routers any more."""
    client = Client(settings.socket_path())
    shown = client.call("proposal.show", id=id_)
    if "resolve" in shown["can"]:
        ask(f"resolve {shown['id']}: did you look at the routers, and is nothing of it left there?", yes=yes)
    answer(settings, client.call("proposal.resolve", id=shown["id"], reason=reason), _line)


def _line(document: render_proposal.Document) -> str:
    return f"{document['id']} is {document['state']}. {render_proposal.standing(document)}"
