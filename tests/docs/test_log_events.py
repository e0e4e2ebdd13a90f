"""docs/reference/log-events.md has a row for every line that the daemon and the relay can log, and for nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT, DOCS

PAGE = DOCS / "reference" / "log-events.md"
LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
Event = tuple[str, str, str]  # text, level, logger


def rows(*, of_relay: bool) -> list[list[str]]:
    daemon, relay = PAGE.read_text(encoding="utf-8").split("\n## The relay\n")
    lines = (relay if of_relay else daemon).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert all(len(row) == (3 if of_relay else 5) for row in cells)
    return cells


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (CHECKOUT / "teagent" / package).rglob("*.py"))


def logged(path: Path) -> Iterator[Event]:
    """Every `log.LEVEL(EVENT, ...)` of the module. An event that a function is given is looked up at its callers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    logger = _logger(tree)
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
        for call in [node for node in ast.walk(function) if isinstance(node, ast.Call)]:
            if not _is_log(call):
                continue
            assert logger is not None, f"{path} logs by a logger that is not called log"
            assert isinstance(call.func, ast.Attribute)
            event = call.args[0]
            if isinstance(event, ast.Constant):
                yield str(event.value), call.func.attr, logger
                continue
            assert isinstance(event, ast.Name), f"{path}:{call.lineno}: an event is a constant, or an argument"
            texts = list(_given(tree, function, event.id))
            assert texts, f"{path}:{call.lineno}: nobody in the module says which event this is"
            for text in texts:
                yield text, call.func.attr, logger


def _is_log(call: ast.Call) -> bool:
    where = call.func
    return (
        isinstance(where, ast.Attribute)
        and where.attr in LEVELS
        and isinstance(where.value, ast.Name)
        and where.value.id in {"log", "logger", "_log"}
    )


def _logger(tree: ast.Module) -> str | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args:
            name = node.value.args[0]
            if ast.unparse(node.value.func) == "structlog.get_logger" and isinstance(name, ast.Constant):
                return str(name.value)
    return None


def _given(tree: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef, argument: str) -> Iterator[str]:
    names = [each.arg for each in function.args.args if each.arg != "self"]
    position = names.index(argument)
    for call in [node for node in ast.walk(tree) if isinstance(node, ast.Call)]:
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if called == function.name and isinstance(call.args[position], ast.Constant):
            yield str(call.args[position].value)


def relay_lines() -> Iterator[str]:
    """What every `log(...)` of the relay begins with, up to its keys."""
    for path in sources("relay"):
        for call in [
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
        ]:
            if ast.unparse(call.func) in {"log", "self._log"} and call.args:
                yield from _beginnings(call.args[0])


def _beginnings(text: ast.expr) -> Iterator[str]:
    match text:
        case ast.Constant(value=str(value)):
            yield re.split(r"  ", value)[0].strip()
        case ast.JoinedStr(values=[ast.Constant(value=str(value)), *_]):
            yield re.split(r"  ", value)[0].strip()
        case ast.IfExp(body=body, orelse=orelse):
            yield from _beginnings(body)
            yield from _beginnings(orelse)
        case ast.Call():
            return  # a traceback
        case _:
            pytest.fail(f"a line of the relay that this test cannot read: {ast.unparse(text)}")


def test_every_event_of_the_daemon_has_its_row_with_level_and_logger() -> None:
    said = {event for path in sources("service", "daemon") for event in logged(path)}
    written = {(row[0].strip("`"), row[1], row[2].strip("`")) for row in rows(of_relay=False)}
    assert said - written == set(), "events without a row"
    assert written - said == set(), "rows without an event"


def test_nothing_else_of_the_program_logs_by_itself() -> None:
    for path in sources("adapters", "config", "cli", "engine", "model", "wire"):
        assert list(logged(path)) == []


def test_every_event_of_the_relay_has_its_row() -> None:
    written = {event for row in rows(of_relay=True) for event in re.findall(r"`([^`]+)`", row[0])}
    assert set(relay_lines()) == written


def test_every_row_says_what_it_means_or_speaks_for_itself() -> None:
    for row in rows(of_relay=False):
        if row[1] in {"warning", "error"} and row[0] not in {"`frozen`", "`thawed`", "`jobs were cancelled`"}:
            assert row[4], f"{row[0]} does not say what to do"


def test_an_event_that_a_function_is_given_is_found_at_its_callers(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'log = structlog.get_logger("here")\n'
        "def say(event, error): log.error(event, error=error)\n"
        'def a(): say("it broke", 1)\n'
        'def b(): log.info("all is well")\n'
    )
    assert set(logged(module)) == {("it broke", "error", "here"), ("all is well", "info", "here")}
