"""The grammar `teagent <object> [name] [verb]` on click, and commands that are imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from teagent.cli.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


def common_options(function: F) -> F:
    """--socket, --json, --quiet and -o wide, which may stand behind any command."""
    options = (
        click.option(
            "--socket",
            type=click.Path(path_type=Path),
            expose_value=False,
            callback=_take("socket"),
            help="The daemon's control socket.",
        ),
        click.option(
            "--json", "as_json", is_flag=True, expose_value=False, callback=_take("as_json"), help="One JSON document."
        ),
        click.option(
            "--quiet", "-q", is_flag=True, expose_value=False, callback=_take("quiet"), help="No notes on stderr."
        ),
        click.option(
            "-o",
            "output",
            type=click.Choice(["wide"]),
            expose_value=False,
            callback=_take("output"),
            help="More columns, at the right end.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _take(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def take(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        # What was said anywhere on the line holds; what was left out here takes nothing back.
        if value:
            setattr(ctx.ensure_object(Settings), name, value)

    return take


class LazyGroup(click.Group):
    """`lazy` maps a command's name to (module:attribute, short help): `--help` imports none of them."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *(name for name in super().list_commands(ctx) if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.lazy[cmd_name][0]} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [
            (name, self.lazy[name][1] if name in self.lazy else self.commands[name].get_short_help_str(80))
            for name in self.list_commands(ctx)
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


class ObjectGroup(LazyGroup):
    """`teagent proposal p-7f3c approve` and `teagent proposal approve p-7f3c` alike; a bare name is shown."""

    default_verb = "show"

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        verbs = self.list_commands(ctx)
        name, *rest = args
        if name in verbs:
            return super().resolve_command(ctx, args)
        if rest and rest[0] in verbs:
            return super().resolve_command(ctx, [rest[0], name, *rest[1:]])
        if rest and not rest[0].startswith("-"):
            ctx.fail(f"there is no verb '{rest[0]}', known are {', '.join(verbs)}")
        return super().resolve_command(ctx, [self.default_verb, *args])
