from __future__ import annotations

import numpy as np
import pytest

from teagent.wire.flow.gathered import AT_ONCE_OCTETS, Gathered

RECORD = np.dtype([("f0", ">u4"), ("f1", ">u8"), ("f2", "u1", (3,)), ("f3", ">u8", (2,)), ("f4", ">u2")])
HEADER = 20


def datagrams(count: int, records: int, rng: np.random.Generator) -> np.ndarray:
    """A view of the records in datagrams, of shape (datagrams, records in each)."""
    step = HEADER + records * RECORD.itemsize
    octets = rng.bytes(count * step)
    return np.ndarray((count, records), RECORD, octets, HEADER, (step, RECORD.itemsize))


@pytest.fixture
def parts() -> list[np.ndarray]:
    """Some that are gathered at once, some that take several turns, and records that stand by themselves."""
    rng = np.random.default_rng(3)
    many = 2 * AT_ONCE_OCTETS // (40 * RECORD.itemsize) + 3
    return [datagrams(many, 40, rng), datagrams(2, 7, rng), np.frombuffer(rng.bytes(5 * RECORD.itemsize), RECORD)]


def test_fields_fetched_together_hold_what_the_records_say_in_the_machines_order(parts):
    rows = Gathered(parts)
    rows.fetch([*RECORD.names])
    for name in RECORD.names:
        expected = np.concatenate([part[name].reshape(part.size, *RECORD[name].shape) for part in parts])
        assert rows[name].dtype.isnative
        assert np.array_equal(rows[name], expected)


def test_a_field_that_was_not_fetched_is_gathered_when_it_is_asked_for(parts):
    together, alone = Gathered(parts), Gathered(parts)
    together.fetch(["f1", "f3"])
    assert len(alone) == sum(part.size for part in parts)
    assert np.array_equal(alone["f3"], together["f3"])
    assert np.array_equal(together["f4"], alone["f4"])
