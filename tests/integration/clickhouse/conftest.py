"""A ClickHouse on loopback, and tables shaped as Akvorado's and goflow2's."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clickhouse.tables import PASSWORD, USER, ClickHouse

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    for module in ("chdb", "clickhouse_connect"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    directory = tmp_path_factory.mktemp("clickhouse")
    command = [sys.executable, "-m", "tests.integration.clickhouse.server", str(directory / "data"), USER, PASSWORD]
    with (
        (directory / "stderr").open("wb") as errors,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
    ):
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, (directory / "stderr").read_text()
        try:
            yield ClickHouse(int(port))
        finally:
            server.kill()
