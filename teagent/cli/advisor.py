"""`teagent advisor` and `teagent ask`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from teagent.cli import render_advice, render_evaluation
from teagent.cli.client import Client
from teagent.cli.grammar import common_options
from teagent.cli.output import answer, note
from teagent.cli.settings import Settings
from teagent.errors import AdvisorError

if TYPE_CHECKING:
    from teagent.adapters.advisor.ollama import OllamaAdvisor

ASK_SECONDS = 1200.0
"""Three answers of a small computer; the daemon's own deadline is advisor.timeout for each."""
MODEL = click.option("--model", help="This one, instead of advisor.model in the configuration.")
URL = click.option("--url", help="Ollama there, instead of advisor.url in the configuration.")
CONFIG = click.option("--config", "file", type=click.Path(path_type=Path), help="The configuration to take them from.")


@click.group()
def advisor() -> None:
    """The language model that explains proposals: does it answer, and is it any good?"""


@advisor.command("status")
@common_options
@click.pass_obj
def status(settings: Settings) -> None:
    """What the daemon's model is, whether it answers, and what it cost today."""
    answer(settings, Client(settings.socket_path()).call("advisor.status"), render_advice.state)


@advisor.command("test")
@MODEL
@URL
@CONFIG
@common_options
@click.pass_obj
def test(settings: Settings, model: str | None, url: str | None, file: Path | None) -> None:
    """One brief of a made-up proposal, asked of the model from here and checked; needs no daemon."""
    from teagent.service.try_model import try_model

    answer(settings, asyncio.run(try_model(_model(model, url, file))), render_evaluation.tried)


@advisor.command("eval")
@MODEL
@URL
@CONFIG
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of the situations.")
@common_options
@click.pass_obj
def evaluate(settings: Settings, model: str | None, url: str | None, file: Path | None, seed: int) -> None:
    """68 situations with known answers, asked of the model from here: a table. Takes minutes; needs no daemon."""
    from teagent.engine.advise.situations import situations
    from teagent.service import evaluate as evaluation

    asked, given = _model(model, url, file), situations(seed)

    def tell(done: int) -> None:
        if done % 8 == 0:
            note(settings, f"{done} of {len(given)} situations")

    tallies = asyncio.run(evaluation.evaluate(asked, given, tell))
    answer(settings, evaluation.evaluation_document(asked.model, seed, tallies), render_evaluation.evaluation)


@click.command("ask")
@click.argument("words", metavar="QUESTION...", nargs=-1, required=True)
@common_options
@click.pass_obj
def ask(settings: Settings, words: tuple[str, ...]) -> None:
    """Ask in words: the language model picks one of the look-ups that only read, and words its result.

    Without a model, or where it is unsure, the look-ups are listed to choose from. Nothing is ever changed.
    """
    from teagent.cli import render_ask

    client = Client(settings.socket_path(), timeout_seconds=ASK_SECONDS)
    answer(settings, client.call("ask", question=" ".join(words)), render_ask.asked)


def _model(model: str | None, url: str | None, file: Path | None) -> OllamaAdvisor:
    """As the configuration has it, with what was said on the command line. Raises AdvisorError, ConfigError."""
    from teagent.adapters.advisor.ollama import DEFAULT_URL, OllamaAdvisor, OllamaSettings
    from teagent.config.load import find, load
    from teagent.config.secrets import process_environment

    if model is not None and file is None:
        return OllamaAdvisor(OllamaSettings(url=url or DEFAULT_URL, model=model))
    wanted = load(find(file, process_environment()), environment=None).advisor
    named = model or wanted.model
    if named is None:
        raise AdvisorError("no model is named", reason="missing", hint="--model NAME, or advisor.model")
    return OllamaAdvisor(
        OllamaSettings(
            url=url or wanted.url,
            model=named,
            context=wanted.context,
            timeout_seconds=wanted.timeout_seconds,
            keep_alive_seconds=wanted.keep_alive_seconds,
            think=wanted.think,
            thinking_tokens=wanted.thinking_tokens,
        )
    )
