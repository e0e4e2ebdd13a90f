"""`teagent simulate` and `teagent snapshot`, with the daemon and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from teagent.errors import Refused
from tests.fakes.desk import Desk
from tests.unit.cli.conftest import Run

WISH = "prepend 198.51.100.0/24 transit-a 2"


def test_what_was_asked_for_is_what_the_daemon_is_asked(run: Run, desk: Desk) -> None:
    result = run("simulate", WISH, "home 198.51.100.0/24")
    assert (result.exit_code, result.stderr) == (0, "")
    assert desk.asked == [("simulate.compute", {"changes": [WISH, "home 198.51.100.0/24"]})]


def test_the_answer_has_loads_senders_and_that_nothing_was_announced(run: Run) -> None:
    shown = run("simulate", WISH).stdout
    for part in ("LINK ", "~ 198.51.100.0/24  transit-a  prepend", "worst case: ", "to edge1: ", "assumption: "):
        assert part in shown
    assert shown.endswith("nothing has been announced, and nothing proposed\n")


def test_what_changes_nothing_says_so(run: Run) -> None:
    assert "nothing would change" in run("simulate", "home 198.51.100.0/24").stdout


def test_json_is_the_document(run: Run) -> None:
    found = json.loads(run("simulate", WISH, "--json").stdout)
    assert found["wishes"] == [WISH]
    assert {"links", "movers", "uncertain", "cannot_move"} <= set(found["dry_run"])


@pytest.mark.parametrize("text", ["withdraw 198.51.100.0/24", "prepend 198.51.100.0/24 transit-a 6", "home x"])
def test_what_is_no_change_is_wrong_usage_and_asks_nobody(run: Run, desk: Desk, text: str) -> None:
    result = run("simulate", text)
    assert result.exit_code == 2
    assert "Invalid value for 'CHANGE...'" in result.stderr
    assert not desk.asked


def test_without_a_change_it_is_wrong_usage(run: Run) -> None:
    assert run("simulate").exit_code == 2


def test_a_saved_snapshot_gives_the_same_answer_without_a_daemon(run: Run, desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "now.snapshot"
    saved = run("snapshot", "save", str(file))
    assert (saved.exit_code, str(file) in saved.stdout) == (0, True)
    assert file.stat().st_mode & 0o077 == 0
    with_daemon = run("simulate", WISH, "--json")
    desk.errors["simulate.compute"] = Refused("no daemon is asked")
    assert run("simulate", WISH, "--snapshot", str(file), "--json").stdout == with_daemon.stdout


def test_where_it_cannot_be_written_is_said_and_nothing_left(run: Run, tmp_path: Path) -> None:
    result = run("snapshot", "save", str(tmp_path / "gone" / "file"))
    assert (result.exit_code, "cannot be written: no such file" in result.stderr) == (1, True)
    (tmp_path / "here" / "directory").mkdir(parents=True)
    assert run("snapshot", "save", str(tmp_path / "here" / "directory")).exit_code == 1
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["directory"]


def test_what_is_no_snapshot_is_said_with_its_name(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "other"
    file.write_text("something else")
    result = run("simulate", WISH, "--snapshot", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {file} is no snapshot that can be read")
    assert "teagent snapshot save FILE" in result.stderr


def test_what_is_to_be_proposed_is_asked_for_with_its_policy(run: Run, desk: Desk) -> None:
    shown = run("simulate", WISH, "--propose", "transit-balance").stdout
    assert desk.asked == [("simulate.compute", {"changes": [WISH], "propose": "transit-balance"})]
    assert shown.endswith("nothing has been announced. p-7f3c waits for approval: teagent proposal p-7f3c approve\n")


def test_a_saved_state_cannot_be_proposed_on(run: Run, tmp_path: Path) -> None:
    result = run("simulate", WISH, "--propose", "transit-balance", "--snapshot", str(tmp_path / "file"))
    assert (result.exit_code, "--propose needs the daemon" in result.stderr) == (2, True)
