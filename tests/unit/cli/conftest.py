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
def run(socket_path: Path) -> Run:
    """Runs a command line as a shell would split it, the socket being known from the environment."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(teagent, list(arguments), env={"TEAGENT_SOCKET": str(socket_path)})

    return invoke
