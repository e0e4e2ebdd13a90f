"""What fuzzing found worth keeping still does no harm (tests/fuzz/README.md)."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.fuzz.targets import TARGETS, joined, run, split

CORPUS = Path(__file__).resolve().parents[2] / "data" / "fuzz" / "flow.zip"


@pytest.fixture(scope="module")
def inputs() -> list[bytes]:
    with ZipFile(CORPUS) as archive:
        return [archive.read(name) for name in archive.namelist()]


def test_every_target_has_inputs(inputs):
    reached = {octets[0] % len(TARGETS) for octets in inputs if octets}
    assert reached == set(range(len(TARGETS)))
    assert len(inputs) > 100


@pytest.mark.parametrize("target", range(len(TARGETS)), ids=lambda number: TARGETS[number].__name__)
def test_every_input_gives_records_or_counts_within_bounds(inputs, target):
    for octets in inputs:
        if octets and octets[0] % len(TARGETS) == target:
            run(octets)


def test_datagrams_are_split_as_they_were_joined():
    datagrams = [b"", b"one", bytes(300)]
    assert list(split(joined(datagrams))) == datagrams
