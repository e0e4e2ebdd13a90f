"""Shared fixtures: where the real data lies, and a clock that moves only when told."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from tests.fakes.clock import FakeClock

# How long one example takes says more of the machine than of the code.
settings.register_profile("teagent", deadline=None)
settings.load_profile("teagent")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The shared data beside the checkout; tests that need it are skipped, by name, where it is absent."""
    path = Path(os.environ.get("TEAGENT_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}: set TEAGENT_DATA")
    return path


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 1, 12, 19, 40, 0, tzinfo=UTC))
