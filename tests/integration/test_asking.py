"""On a terminal the command line asks; the answer decides. A real process on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.desk import Desk, serving

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def socket_path(desk: Desk) -> Iterator[Path]:
    with serving(desk) as path:
        yield path


def on_a_terminal(socket_path: Path, *arguments: str, reply: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; stdin is a terminal on which `reply` is typed."""
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "teagent.cli", *arguments],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TEAGENT_SOCKET": str(socket_path), "PYTHONPATH": str(ROOT)},
        )
        os.write(master, reply.encode())
        stdout, stderr = process.communicate(timeout=30)
        return process.returncode, stdout, stderr
    finally:
        os.close(slave)
        os.close(master)


def test_yes_approves_what_was_shown(desk: Desk, socket_path: Path) -> None:
    code, stdout, stderr = on_a_terminal(socket_path, "proposal", "approve", "p-7f3c", reply="y\n")
    assert code == 0
    assert "approve plan 9a21c0: 2 changes on transit-a, transit-b, reverts by itself in 20m" in stderr
    assert stdout.startswith("p-7f3c is confirming.")
    assert [command for command, _ in desk.asked] == ["proposal.show", "proposal.approve"]


@pytest.mark.parametrize("reply", ["n\n", "\n", "\x04"])
def test_anything_else_changes_nothing(desk: Desk, socket_path: Path, reply: str) -> None:
    code, stdout, _ = on_a_terminal(socket_path, "proposal", "approve", "p-7f3c", reply=reply)
    assert (code, stdout) == (1, "")
    assert [command for command, _ in desk.asked] == ["proposal.show"]


def test_the_answer_is_the_only_thing_on_stdout(desk: Desk, socket_path: Path) -> None:
    desk.frozen = {"since": "2026-01-12T19:00:00Z", "by": "bob", "reason": ""}
    code, stdout, stderr = on_a_terminal(socket_path, "thaw", reply="y\n")
    assert (code, stdout) == (0, "not frozen: proposals may be approved\n")
    assert "thaw: proposals may be approved and applied again?" in stderr


def test_the_command_line_starts_without_the_heavy_libraries(socket_path: Path) -> None:
    listed = "import sys; from teagent.cli.root import teagent; teagent(['link'], standalone_mode=False); "
    listed += (
        "print(sorted(m for m in ('numpy', 'scipy', 'rich', 'pydantic', 'pysnmp', 'structlog') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", listed],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
        env={**os.environ, "TEAGENT_SOCKET": str(socket_path)},
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
