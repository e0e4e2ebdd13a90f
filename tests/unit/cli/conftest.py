"""The command line against a real control server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teagent.cli.root import teagent
from tests.fakes.desk import Desk, serving

Run = Callable[..., Result]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def socket_path(desk: Desk) -> Iterator[Path]:
    with serving(desk) as path:
        yield path


@pytest.fixture
def freeze_file(tmp_path: Path) -> Path:
    return tmp_path / "freeze"


@pytest.fixture
def run(socket_path: Path, freeze_file: Path) -> Run:
    """Runs a command line as a shell would split it, socket and freeze file being known from the environment."""
    config = freeze_file.with_name("config.yaml")
    config.write_text(f"version: 1\nbgp: {{freeze_file: {freeze_file}}}\n", encoding="utf-8")
    environment = {"TEAGENT_SOCKET": str(socket_path), "TEAGENT_CONFIG": str(config)}

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(teagent, list(arguments), env=environment)

    return invoke
