"""Files that a command is given: one that cannot be read has failed, whichever command it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.cli.conftest import Run

READERS = (
    ("flow", "decode", "FILE"),
    ("graph", "info", "--as-rel", "FILE"),
    ("simulate", "home 198.51.100.0/24", "--snapshot", "FILE"),
    ("log", "verify", "FILE"),
)


def reading(run: Run, command: tuple[str, ...], file: Path) -> Result:
    return run(*(str(file) if word == "FILE" else word for word in command))


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_file_that_is_not_there_is_a_failure_that_names_it(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = reading(run, command, tmp_path / "gone")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {tmp_path}/gone cannot be read: no such file or directory\n")


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_directory_is_no_file(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    result = reading(run, command, tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {tmp_path} cannot be read: is a directory\n")


@pytest.mark.parametrize("command", READERS[1:], ids=" ".join)
def test_a_file_of_another_kind_is_a_failure_that_names_it(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    """`flow decode` has a list of what it could not decode, and why."""
    other = tmp_path / "other"
    other.write_bytes(b"\xff\xfe\0\0something else\n")
    result = reading(run, command, other)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {other}")
