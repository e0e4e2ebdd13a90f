"""What pages show can be typed: every `teagent ...` is a command with those options, every YAML example loads."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from teagent.cli.root import teagent
from teagent.config.document import read
from teagent.config.load import load
from teagent.config.policy_schema import PolicyFile
from teagent.config.schema import ConfigFile
from tests.docs.pages import CHECKOUT, blocks, name, pages

PLACEHOLDERS = {"N": "5", "DURATION": "24h"}
# words that stand before a command, with what belongs to them
LEADING = {"until": 1, "while": 1, "if": 1, "do": 1, "then": 1, "else": 1, "!": 1, "background": 2}


def parse(words: list[str], *, whole: bool) -> str:
    """The command's path, from click's own parsing of the line; nothing is run.

    Raises click's UsageError for what would be refused; what is only missing is let pass unless `whole`.
    """
    command: click.Command = teagent
    context = command.make_context("teagent", [*words])
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            break
        found, sub, rest = command.resolve_command(context, rest)
        assert found is not None
        assert sub is not None
        try:
            context = sub.make_context(found, rest, parent=context)
        except (click.MissingParameter, click.exceptions.NoArgsIsHelpError):
            if whole:
                raise
            return f"{context.command_path} {found}"
        command = sub
    return context.command_path


def said(line: str) -> Iterator[list[str]]:
    """The words of each teagent command in a line of shell, without `teagent`."""
    words: list[str] = []
    for token in [*_tokens(line), ";"]:
        if not set(token) <= set(";|&()<>"):
            words.append(token)
            continue
        if token[0] in "<>" and words and words[-1] in {"1", "2"}:
            words.pop()
        while words and words[0] in LEADING:
            words = words[LEADING[words[0]] :]
        if words and words[0] in {"teagent", "/opt/teagent/bin/teagent"}:
            yield words[1:]
        # what follows is the file of a redirection
        words = ["redirected"] if token[0] in "<>" else []


def _tokens(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True  # or it would split at a dollar and a colon as well
    return list(lexer)


def typed(page: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, words) of each command in the page's blocks of shell."""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language not in {"sh", "console", ""}:
            continue
        text = block.text.replace("\\\n", " ")
        for offset, line in enumerate(text.splitlines(), 1):
            command = line if block.language == "sh" else line[2:] if line.startswith("$ ") else ""
            if block.language == "" and line.startswith("teagent ") and len(text.splitlines()) == 1:
                command = line
            for words in said(command):
                yield block.line + offset, words


def mentioned(page: Path) -> Iterator[list[str]]:
    """The commands in backticks; `a|b` are two, NAME and its like stand for anything."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(text):
        text = text.replace(block.text, "") if block.text else text
    for span in re.findall(r"`(teagent [^`]+)`", text):
        words = [word for word in shlex.split(span.replace("\\|", "|"))[1:] if word not in {"...", "…"}]
        if words and "|" in words[-1]:
            yield from ([*words[:-1], last] for last in words[-1].split("|"))
        elif words and not {"[OPTIONS]", "<object>"} & {*words}:
            yield [PLACEHOLDERS.get(word, word) for word in words]


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_command_that_a_page_has_typed_is_one(page: Path) -> None:
    for line, words in typed(page):
        try:
            parse(words, whole=True)
        except click.UsageError as error:
            pytest.fail(f"{name(page)}:{line}: teagent {' '.join(words)}: {error.format_message()}")


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_command_that_a_page_speaks_of_is_one(page: Path) -> None:
    for words in mentioned(page):
        try:
            parse(words, whole=False)
        except click.UsageError as error:
            pytest.fail(f"{name(page)}: `teagent {' '.join(words)}`: {error.format_message()}")


@pytest.mark.parametrize(
    "line",
    [
        "teagent proposals",
        "teagent proposal p-1 aprove",
        "teagent link --sinc 1h",
        "teagent matrix --top none",
        "teagent explain",
    ],
)
def test_a_command_that_is_none_is_found(line: str) -> None:
    (words,) = said(line)
    with pytest.raises(click.UsageError):
        parse(words, whole=True)


def test_words_that_only_speak_of_teagent_are_no_command() -> None:
    assert list(said("systemctl restart teagent")) == []
    assert list(said("pip install /path/to/teagent")) == []
    assert list(said("echo $? > teagent")) == []


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("until teagent proposal | grep -q pending; do sleep 2; done", "teagent proposal"),
        ("teagent proposal p-1 approve --yes || echo $?", "teagent proposal approve"),
        ("p=$(teagent policy x explain --json)", "teagent policy explain"),
        ("background daemon teagent run --config x.yaml", "teagent run"),
        ("teagent freeze --reason 'no; not | now'", "teagent freeze"),
        ("until teagent status 2>&1 | grep -q up; do sleep 1; done", "teagent status"),
    ],
)
def test_commands_are_found_in_a_line_of_shell(line: str, path: str) -> None:
    (words,) = said(line)
    assert parse(words, whole=True) == path


# --- YAML -------------------------------------------------------------------------------------------------------------


def yaml_blocks() -> list[Any]:
    return [
        pytest.param(block.text, id=f"{name(page)}:{block.line}")
        for page in pages()
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.language in {"yaml", "yml"}
    ]


def merged(base: Any, over: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {key: merged(base.get(key), over[key]) if key in over else base[key] for key in {**base, **over}}
    return over


@pytest.mark.parametrize("text", yaml_blocks())
def test_an_example_loads_as_a_part_of_the_file_that_is_shipped(text: str, tmp_path: Path) -> None:
    shutil.copytree(CHECKOUT / "policies", tmp_path / "policies")
    example = tmp_path / "example.yaml"
    example.write_text(text, encoding="utf-8")
    part = read(example).data
    example.unlink()
    assert isinstance(part, dict)
    config = tmp_path / "config.yaml"
    shutil.copy(CHECKOUT / "config.example.yaml", config)
    if set(part) <= set(ConfigFile.model_fields):
        file = config
    else:
        assert set(part) <= set(PolicyFile.model_fields), "neither a part of config.yaml nor of a policy"
        file = tmp_path / "policies" / "10-transit-balance.yaml"
    # JSON is YAML, without a question of quotes
    file.write_text(json.dumps(merged(read(file).data, part)), encoding="utf-8")
    load(config, environment=None)
