"""The reference pages of the command line and of the errors, made from click and from the error tree.

python -m teagent.cli.reference cli > docs/reference/cli.md
python -m teagent.cli.reference errors > docs/reference/errors.md
python -m teagent.cli.reference exit-codes > docs/reference/exit-codes.md
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from teagent import errors
from teagent.cli.root import teagent
from teagent.errors import TeagentError

COMMON = ("socket", "as_json", "quiet", "output", "help")

CLI_HEADER = """\
# Command line

Made from the program by `python -m teagent.cli.reference cli`; do not edit.

`teagent <object> [name] [verb]`: a bare object lists, a name alone is shown, and `teagent proposal p-7f3c approve` is
`teagent proposal approve p-7f3c`. stdout is the answer, stderr is everything else. Tables have no borders, are never
cut and are the same in a pipe; rates are scaled (`9.31G`), times relative. `--json` prints the exact document that
[json.md](json.md) describes. Exit codes: [exit-codes.md](exit-codes.md).

These options stand before or behind any command that asks the daemon:

| Option | Means |
| --- | --- |
| `--socket PATH` | the daemon's control socket; else `$TEAGENT_SOCKET`, else as the configuration says, else `/run/teagent/teagent.sock` |
| `--json` | one JSON document on stdout, exact values in base units; errors are a document on stderr |
| `-q`, `--quiet` | no notes on stderr |
| `-o wide` | more columns, at the right end |
"""  # noqa: E501  a row of a table is one line

EXIT_HEADER = """\
# Exit codes

Made from the program by `python -m teagent.cli.reference exit-codes`; do not edit.

| Code | Means | Errors |
| --- | --- | --- |
"""

EXIT_MEANS = {
    0: "done; for `teagent plan --exit-code`: nothing to change",
    1: "failed; so does what was named as a file, to read or to write, and is none, or none of that kind",
    2: "wrong usage, or a question that nobody could be asked: add `--yes`",
    3: "a problem in the configuration or in a policy",
    4: "the daemon cannot be reached",
    5: "understood and refused: guard, state, rights, frozen. Nothing has changed",
    6: "the plan is stale: its inputs moved after it was shown. Nothing has been applied",
    10: "`teagent plan --exit-code` only: changes are proposed",
}

EXIT_FOOTER = """
`teagent check` has codes of its own, those of monitoring plugins: 0 ok, 1 warning, 2 critical. A daemon that cannot be
reached is critical. `teagent run` ends with 0 after SIGTERM or SIGINT.
"""

ERRORS_HEADER = """\
# Errors

Made from the program by `python -m teagent.cli.reference errors`; do not edit.

An error says what happened, to what, the value and the limit in one line, and what to do next in a `hint:`. With
`--json` the same facts come as `{"error": {"kind", "exit_code", "message", "hint", "fields"}}`; kinds keep their names
within a major version.

| Kind | Exit | Means | What to do |
| --- | --- | --- | --- |
"""

EXPLAINED: Mapping[str, tuple[str, str]] = {
    "TeagentError": ("failed, and no kind of its own says how", "read the message; the daemon's log has more"),
    "Unreadable": (
        "a file is not there, is none, is not for this user to read, or is damaged",
        "the message names it and says why; a configuration's is a `ConfigError`",
    ),
    "WrongUsage": ("a command line that cannot be obeyed", "the command with `--help`"),
    "ConfigError": ("the configuration has problems, all of them listed as file:line:column", "`teagent config check`"),
    "PolicyError": ("only policy files have problems", "`teagent policy check`"),
    "DaemonUnreachable": (
        "no socket, nobody listening, no right to open it, no answer in time, or another protocol version",
        "`systemctl status teagent`; check `--socket`, `$TEAGENT_SOCKET` and your groups",
    ),
    "Refused": ("understood, and not done", "read the reason; nothing has changed"),
    "NotFound": ("there is no such link, prefix, policy, proposal or command", "the message lists what there is"),
    "IllegalTransition": (
        "the proposal is in a state in which that is not possible",
        "`teagent proposal ID show` says what is",
    ),
    "Expired": (
        "the approval came after the proposal's time",
        "`teagent plan --policy NAME --propose` makes a new one",
    ),
    "GuardRefused": ("checks failed, all of them listed", "wait, or change the policy's limits"),
    "NotAuthorised": (
        "the user is in none of the groups that may do this",
        "`control.viewers`, `approvers` and `administrators` in the configuration list the groups",
    ),
    "Frozen": ("somebody pulled the kill switch", "ask who did; then `teagent thaw`"),
    "StalePlan": (
        "what the plan was made from has moved since it was shown",
        "look at the new figures, then `teagent plan --policy NAME --propose`",
    ),
    "TelemetryError": ("a router could not be read; its links have no data", "`teagent router probe ADDRESS`"),
    "SnmpTimeout": ("the router did not answer in time", "check the way there, the community and the router's ACL"),
    "SnmpAuthFailed": (
        "the router refused user, key or community",
        "check the secret that the configuration refers to",
    ),
    "SnmpNoSuchObject": (
        "the interface of a link, or its counters, are not there",
        "`teagent router probe ADDRESS` lists what is",
    ),
    "SnmpUnreachable": ("the host refuses, or there is no route to it", "check address and port"),
    "WireError": ("bytes that are not what they claim to be", "`teagent exporter` counts them by reason and exporter"),
    "Truncated": ("a datagram ends too early", "look at the exporter's MTU"),
    "BadVersion": (
        "a version that is not spoken here",
        "for flows: NetFlow v5, v9, IPFIX or sFlow v5; else: upgrade both ends",
    ),
    "BadLength": ("a length that cannot be", "look at the exporter"),
    "UnknownTemplate": ("records whose template has not come yet", "wait; shorten the exporter's template time-out"),
    "LimitExceeded": ("more than is taken from one sender", "look at who sends it"),
    "SpeakerError": ("the way to the routers is not as it should be", "`teagent status`"),
    "SpeakerDown": (
        "the relay, its ExaBGP or the session to a router is down",
        "`systemctl status exabgp-teagent`; home is announced meanwhile",
    ),
    "NotAcknowledged": (
        "no answer in time: it may still go out, so it is being taken back",
        "`teagent proposal ID show`, then look at the router",
    ),
    "SpeakerRejected": ("the relay or ExaBGP said no; nothing was sent", "the reply names the rule of the allow-list"),
    "StoreError": ("the store could not be read or written; nothing is announced without it", "look at the disk"),
    "SchemaTooNew": ("the store was written by a newer teagent", "run that one, or restore the backup"),
    "StoreCorrupt": ("the store is damaged", "restore the backup; the relay's journal still holds what is announced"),
    "DiskFull": ("there is no room for the store", "make room; polling goes on, decisions do not"),
    "AdvisorError": (
        "the language model failed; the proposal stands without advice",
        "`teagent advisor status`; nothing else depends on it",
    ),
}


def kinds(root: type[TeagentError] = TeagentError) -> Iterator[type[TeagentError]]:
    """The tree of errors.py, each parent before its children; what other modules derive is not part of it."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


def errors_page() -> str:
    rows = [
        f"| `{kind.__name__}` | {kind.exit_code} | {EXPLAINED[kind.__name__][0]} | {EXPLAINED[kind.__name__][1]} |\n"
        for kind in kinds()
    ]
    return ERRORS_HEADER + "".join(rows)


def exit_codes_page() -> str:
    by_code: dict[int, list[str]] = {code: [] for code in EXIT_MEANS}
    for kind in kinds():
        by_code[kind.exit_code].append(f"`{kind.__name__}`")
    rows = [f"| {code} | {EXIT_MEANS[code]} | {', '.join(names)} |\n" for code, names in sorted(by_code.items())]
    return EXIT_HEADER + "".join(rows) + EXIT_FOOTER


def cli_page() -> str:
    context = click.Context(teagent, info_name="teagent")
    return CLI_HEADER + "".join(_section(command, ctx) for command, ctx in _walk(teagent, context))


def _walk(group: click.Group, parent: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        if command is None or command.hidden:
            continue
        ctx = click.Context(command, info_name=name, parent=parent)
        yield command, ctx
        if isinstance(command, click.Group):
            yield from _walk(command, ctx)


def _section(command: click.Command, ctx: click.Context) -> str:
    usage = " ".join(command.collect_usage_pieces(ctx))
    about = "\n\n".join(" ".join(paragraph.split()) for paragraph in (command.help or "").split("\f")[0].split("\n\n"))
    text = f"\n## `{ctx.command_path}`\n\n    {ctx.command_path} {usage}\n\n{about}\n"
    rows = [row for parameter in command.params for row in _option(parameter, ctx)]
    if rows:
        text += "\n| Option | Means |\n| --- | --- |\n" + "".join(rows)
    return text


def _option(parameter: click.Parameter, ctx: click.Context) -> list[str]:
    if not isinstance(parameter, click.Option) or parameter.hidden:
        return []
    if parameter.name in COMMON and not parameter.expose_value:
        return []
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    if not parameter.is_flag:
        names = names[:-1] + f" {parameter.make_metavar(ctx)}`"
    said = parameter.help or ""
    if parameter.required:
        said += " Required."
    if parameter.show_default and parameter.default is not None:
        said += f" Default: {parameter.default}."
    return [f"| {names} | {said.strip().replace('|', chr(92) + '|')} |\n"]


PAGES: Mapping[str, Callable[[], str]] = {"cli": cli_page, "errors": errors_page, "exit-codes": exit_codes_page}


def main(arguments: list[str]) -> Any:
    if len(arguments) != 1 or arguments[0] not in PAGES:
        return f"usage: python -m teagent.cli.reference {' | '.join(PAGES)}"
    sys.stdout.write(PAGES[arguments[0]]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
