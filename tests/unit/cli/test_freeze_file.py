"""The kill switch with the daemon dead: the file that the relay honours, put and removed by the same two commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teagent.cli.root import teagent
from tests.fakes.desk import Desk
from tests.unit.cli.conftest import Run


def without_daemon(freeze_file: Path, *words: str, place: Path | None = None) -> Result:
    """`place` is what the configuration says, where that is not the file itself."""
    config = freeze_file.with_name("config.yaml")
    config.write_text(f"version: 1\nbgp: {{freeze_file: {place or freeze_file}}}\n", encoding="utf-8")
    environment = {"TEAGENT_SOCKET": "/nowhere/teagent.sock", "TEAGENT_CONFIG": str(config)}
    return CliRunner().invoke(teagent, list(words), env=environment)


def test_with_the_daemon_dead_a_freeze_is_a_file_and_a_thaw_its_removal(freeze_file: Path) -> None:
    frozen = without_daemon(freeze_file, "freeze", "--reason", "it is on fire")
    assert frozen.exit_code == 0
    assert f"by the freeze file {freeze_file}: it is on fire" in frozen.stdout
    assert freeze_file.exists()
    assert without_daemon(freeze_file, "freeze").exit_code == 0
    assert without_daemon(freeze_file, "thaw", "--yes").stdout == "not frozen: proposals may be approved\n"
    assert not freeze_file.exists()
    assert without_daemon(freeze_file, "thaw", "--yes").exit_code == 4


def test_a_freeze_file_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "absent").mkdir()
    result = without_daemon(tmp_path / "absent" / "freeze", "freeze", place=tmp_path / "absent" / "gone" / "freeze")
    assert result.exit_code == 5
    assert f"hint:  as root: touch {tmp_path}/absent/gone/freeze" in result.stderr


def test_what_a_symbolic_link_points_at_is_left_alone(freeze_file: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept", encoding="utf-8")
    freeze_file.symlink_to(precious)
    assert without_daemon(freeze_file, "freeze").exit_code == 0
    assert without_daemon(freeze_file, "thaw", "--yes").exit_code == 0
    assert precious.read_text(encoding="utf-8") == "kept"


def test_a_thaw_removes_the_file_and_undoes_what_was_asked_for_as_well(run: Run, desk: Desk, freeze_file: Path) -> None:
    run("freeze")
    freeze_file.touch()
    assert run("thaw", "--yes").exit_code == 0
    assert not freeze_file.exists()
    assert desk.frozen is None


@pytest.mark.parametrize("words", [("status",), ("freeze",)])
def test_with_a_daemon_nothing_is_written(run: Run, freeze_file: Path, words: tuple[str, ...]) -> None:
    run(*words)
    assert not freeze_file.exists()
