"""`teagent log`: what happened, exported whole, and proven not to have been edited since."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from teagent.cli import render_status
from teagent.cli.client import Client
from teagent.cli.grammar import common_options
from teagent.cli.output import answer
from teagent.cli.settings import Settings
from teagent.cli.text import plural
from teagent.engine.audit import verify_chain
from teagent.errors import TeagentError, Unreadable
from teagent.model.audit import ChainReport, ChainRow
from teagent.ports import CHAINS

BROKEN_EXIT = 1


@click.group(invoke_without_command=True)
@click.option("--proposal", metavar="ID", help="Only what concerns this proposal.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), metavar="N", default=50, show_default=True, help="How many, newest."
)
@click.option("--follow", "-f", is_flag=True, help="Go on as things happen, until interrupted.")
@common_options
@click.pass_context
def log(ctx: click.Context, proposal: str | None, limit: int, *, follow: bool) -> None:
    """History: who, what, when, why. With --follow and --json, one document a line."""
    if ctx.invoked_subcommand is not None:
        return
    settings = ctx.ensure_object(Settings)
    client = Client(settings.socket_path())
    if not follow:
        answer(settings, client.call("log.list", limit=limit, proposal=proposal), render_status.events)
        return
    try:
        for event in client.stream("log.follow", proposal=proposal):
            click.echo(json.dumps(event) if settings.as_json else render_status.event(event))
    except KeyboardInterrupt:
        # The way in which following ends.
        return


@log.command("export")
@common_options
@click.pass_obj
def export(settings: Settings) -> None:
    """Print both histories whole, one JSON document a row, with the digests that chain them."""
    for document in Client(settings.socket_path()).stream("log.export"):
        click.echo(json.dumps(document))


@log.command("verify")
@click.argument("file", required=False, type=click.Path(path_type=Path, readable=False))
@click.option("--head", "heads", metavar="DIGEST", multiple=True, help="A head noted earlier, which must be there.")
@common_options
@click.pass_context
def verify(ctx: click.Context, file: Path | None, heads: tuple[str, ...]) -> None:
    """Follow the chains of the daemon, or of an export in FILE, here. Exits 1 where a row was changed or is missing.

    The end of a chain can be cut off without a trace in it: note the heads elsewhere, and name them the next time.
    """
    settings = ctx.ensure_object(Settings)
    found = _of_file(file) if file else Client(settings.socket_path()).stream("log.export")
    wanted = set(heads)
    reports = list(_verify(found, wanted))
    document = {
        "chains": [_document(report) for report in reports],
        "missing_heads": sorted(wanted),
        "ok": not wanted and all(report.broken_at is None for report in reports),
    }
    answer(settings, document, _text)
    if not document["ok"]:
        ctx.exit(BROKEN_EXIT)


def _verify(found: Iterable[Mapping[str, Any]], wanted: set[str]) -> Iterator[ChainReport]:
    """A report for each chain; heads that are met on the way are taken out of `wanted`."""
    seen: set[str] = set()
    for chain, rows in groupby(found, key=lambda document: str(document["chain"])):
        if chain in seen or chain not in CHAINS:
            raise TeagentError(
                f"{chain} is no chain of an export, or comes twice", hint="teagent log export writes one"
            )
        seen.add(chain)
        yield verify_chain(chain, _rows(rows, wanted))
    for chain in CHAINS:
        if chain not in seen:
            yield verify_chain(chain, ())


def _rows(documents: Iterable[Mapping[str, Any]], wanted: set[str]) -> Iterator[ChainRow]:
    for document in documents:
        row = ChainRow(
            position=document["position"],
            row=document["row"],
            previous_digest=document["previous_digest"],
            digest=document["digest"],
        )
        yield row
        # Only a row that the chain was followed through is reached again here.
        wanted.discard(row.digest)


def _of_file(path: Path) -> Iterator[Mapping[str, Any]]:
    keys = {"chain": str, "position": int, "row": dict, "previous_digest": str, "digest": str}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield _row_of(line, f"{path}:{number}", keys)
    except OSError as error:
        raise Unreadable(path, error) from error


def _row_of(line: bytes, place: str, keys: Mapping[str, type]) -> Mapping[str, Any]:
    """Raises TeagentError."""
    try:
        document = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TeagentError(f"{place}: not a JSON document: {error}") from error
    if not isinstance(document, dict) or any(not isinstance(document.get(key), kind) for key, kind in keys.items()):
        raise TeagentError(f"{place}: not a row of an export", hint="teagent log export writes one")
    return document


def _document(report: ChainReport) -> dict[str, Any]:
    return {
        "chain": report.chain,
        "rows": report.rows,
        "head": report.head,
        "broken_at": report.broken_at,
        "message": report.message,
    }


def _text(document: Mapping[str, Any]) -> str:
    lines = [
        f"{row['chain']}: {plural(row['rows'], 'row')}, head {row['head']}"
        if row["broken_at"] is None
        else f"{row['chain']}: broken at row {row['broken_at']}: {row['message']}"
        for row in document["chains"]
    ]
    lines += [
        f"head {head} is not there: rows were cut off, or it is another store's" for head in document["missing_heads"]
    ]
    return "\n".join(lines)
