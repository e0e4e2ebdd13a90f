"""`teagent log export` and `verify`: an auditor needs neither the daemon's word nor the database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from teagent.engine.audit import CHAIN_START, chain_digest
from teagent.model.audit import ChainRow
from teagent.service import documents
from tests.fakes.desk import Desk
from tests.unit.cli.conftest import Run


def rows(chain: str, *messages: str) -> list[documents.Document]:
    made: list[documents.Document] = []
    previous = CHAIN_START
    for position, message in enumerate(messages, 1):
        row = {"message": message, "actor": "kim"}
        digest = chain_digest(previous, row)
        chained = ChainRow(position=position, row=row, previous_digest=previous, digest=digest)
        made.append(documents.chain_row_document(chain, chained))
        previous = digest
    return made


@pytest.fixture
def history(desk: Desk) -> list[documents.Document]:
    desk.exported = [*rows("proposal_event", "approved", "confirmed"), *rows("event", "frozen", "thawed", "frozen")]
    return desk.exported


@pytest.mark.usefixtures("history")
def test_a_whole_history_is_verified_and_its_heads_are_printed(run: Run, history: list[documents.Document]) -> None:
    result = run("log", "verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"proposal_event: 2 rows, head {history[1]['digest']}",
        f"event: 3 rows, head {history[4]['digest']}",
    ]


def test_an_export_is_verified_without_the_daemon(run: Run, history: list[documents.Document], tmp_path: Path) -> None:
    exported = run("log", "export").stdout
    assert [json.loads(line) for line in exported.splitlines()] == history
    file = tmp_path / "log.jsonl"
    file.write_text(exported, encoding="utf-8")
    result = run("--socket", "/nowhere", "log", "verify", str(file), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"] is True


def test_an_edited_row_is_found_and_named(run: Run, history: list[documents.Document]) -> None:
    history[3]["row"] = {"message": "nothing", "actor": "kim"}  # type: ignore[index]  # what a forger does
    result = run("log", "verify")
    assert result.exit_code == 1
    assert "event: broken at row 2: row 2 was changed after it was written" in result.stdout


def test_rows_cut_off_at_the_end_are_found_by_a_head_noted_before(run: Run, desk: Desk) -> None:
    desk.exported = rows("event", "frozen", "thawed")
    head = str(desk.exported[-1]["digest"])
    assert run("log", "verify", "--head", head).exit_code == 0
    desk.exported = desk.exported[:1]
    assert run("log", "verify").exit_code == 0
    result = run("log", "verify", "--head", head)
    assert result.exit_code == 1
    assert f"head {head} is not there: rows were cut off" in result.stdout


def test_a_head_behind_the_break_does_not_count(run: Run, history: list[documents.Document]) -> None:
    history[2]["row"] = {}  # type: ignore[index]  # what a forger does
    result = run("log", "verify", "--json", "--head", str(history[4]["digest"]))
    assert json.loads(result.stdout)["missing_heads"] == [history[4]["digest"]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"not json\n", "1: not a JSON document"),
        (b'{"chain": "event"}\n', "1: not a row of an export"),
        (b"[]\n", "1: not a row of an export"),
        (b"\xff\xfe\n", "1: not a JSON document"),
        pytest.param(b"[" * 100_000, "1: not a JSON document", id="nested too deep"),
    ],
)
def test_a_file_that_is_no_export_is_named_with_its_line(run: Run, tmp_path: Path, text: bytes, problem: str) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(text)
    result = run("log", "verify", str(file))
    assert result.exit_code == 1
    assert f"{file}:{problem}" in result.stderr


def test_a_chain_that_comes_twice_or_is_unknown_is_none(run: Run, desk: Desk) -> None:
    for exported in ([*rows("event", "a"), *rows("proposal_event", "b"), *rows("event", "c")], rows("other", "a")):
        desk.exported = exported
        assert run("log", "verify").exit_code == 1


def test_an_empty_history_is_whole(run: Run) -> None:
    result = run("log", "verify")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"proposal_event: 0 rows, head {CHAIN_START}")
