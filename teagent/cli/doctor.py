"""`teagent doctor`: the daemon's findings, and what routers' configurations prove."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from teagent.cli import render_status
from teagent.cli.client import Client
from teagent.cli.grammar import common_options
from teagent.cli.output import answer
from teagent.cli.router_config import CONFIG, border_router, border_router_named
from teagent.cli.settings import Settings
from teagent.config.effective import Config
from teagent.config.load import find, load
from teagent.config.secrets import process_environment
from teagent.errors import TeagentError, Unreadable
from teagent.model.bgp import Prefix
from teagent.model.diagnosis import Diagnosis, Verdict
from teagent.model.units import parse_time
from teagent.service.documents.health import diagnoses_document
from teagent.wire.router_config.checkup import checkup

TEXT_MAX_BYTES = 16_000_000


@click.command()
@CONFIG
@click.option(
    "--router-config",
    "texts",
    multiple=True,
    metavar="[ROUTER=]FILE",
    help="What a border router's `show running-config` says: followed route by route. May be given for several.",
)
@common_options
@click.pass_context
def doctor(ctx: click.Context, config: Path | None, texts: tuple[str, ...]) -> None:
    """Whether all is so that overrides do what they say: proven, assumed or wrong, with a remedy. Exits 1 if wrong."""
    settings = ctx.ensure_object(Settings)
    by_text: list[Diagnosis] = []
    if texts:
        loaded = load(find(config, process_environment()), environment=None)
        for given in texts:
            by_text += _by_text(loaded, given)
    document = merged(Client(settings.socket_path()).call("doctor"), by_text)
    answer(settings, document, render_status.doctor)
    ctx.exit(1 if document["wrong"] else 0)


def merged(document: Any, by_text: list[Diagnosis]) -> Any:
    """What a text proves or disproves stands in the place of what the daemon had to assume, and the other way round."""
    live = [_diagnosis(row) for row in document["diagnoses"]]
    told = {_key(each) for each in live if each.verdict is not Verdict.ASSUMED}
    read = {_key(each) for each in by_text if each.verdict is not Verdict.ASSUMED}
    kept = [each for each in live if each.verdict is not Verdict.ASSUMED or _key(each) not in read]
    kept += [each for each in by_text if each.verdict is not Verdict.ASSUMED or _key(each) not in told]
    return diagnoses_document(kept, at=parse_time(document["at"]))


def _key(diagnosis: Diagnosis) -> tuple[str, str, str]:
    return diagnosis.check, diagnosis.router, diagnosis.subject


def _diagnosis(row: Any) -> Diagnosis:
    return Diagnosis(
        verdict=Verdict(row["verdict"]),
        check=row["check"],
        router=row["router"] or "",
        subject=row["subject"],
        message=row["message"],
        remedy=row["remedy"] or "",
    )


def _by_text(config: Config, given: str) -> list[Diagnosis]:
    name, equals, file = given.partition("=")
    router = border_router_named(config, name if equals else None)
    text = _read(Path(file if equals else given))
    homes: dict[tuple[Prefix, str], int] = {
        (own.prefix, link.name): own.home[link.name]
        for own in config.network.prefixes
        for link in config.network.links.values()
        if link.router == router.name and link.name in own.home
    }
    found = checkup(border_router(config, router), router.vendor.value, text, homes)
    return [replace(each, message=f"by its text: {each.message}") for each in found]


def _read(path: Path) -> str:
    """Raises TeagentError."""
    try:
        with path.open("rb") as file:
            raw = file.read(TEXT_MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(path, error) from error
    if len(raw) > TEXT_MAX_BYTES:
        raise TeagentError(f"{path} is longer than {TEXT_MAX_BYTES} bytes: it is no router's configuration")
    return raw.decode("utf-8", "replace")
