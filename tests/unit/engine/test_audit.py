"""The chain of history: a row that was changed, or is missing, shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from teagent.engine.audit import CHAIN_START, chain_digest, verify_chain
from teagent.model.audit import ChainRow


def chain(*reasons: str) -> list[ChainRow]:
    rows: list[ChainRow] = []
    for position, reason in enumerate(reasons, 1):
        previous = rows[-1].digest if rows else CHAIN_START
        row = {"reason": reason, "seq": position}
        rows.append(ChainRow(position=position, row=row, previous_digest=previous, digest=chain_digest(previous, row)))
    return rows


def test_a_digest_depends_on_the_row_before_and_every_value_but_not_on_the_order_of_keys() -> None:
    digest = chain_digest(CHAIN_START, {"a": 1, "b": None})
    assert digest == chain_digest(CHAIN_START, {"b": None, "a": 1})
    # Fixed for good: stored chains are checked by later versions.
    assert chain_digest(CHAIN_START, {"a": 1}) == "f21735afd2cd6af4fc5804b0045cebfd545aef8396d29d030c39cb8880b45b7f"
    assert len({digest, chain_digest("1" * 64, {"a": 1, "b": None}), chain_digest(CHAIN_START, {"a": 1, "b": ""})}) == 3


def test_an_untouched_chain_is_whole() -> None:
    rows = chain("one", "two", "three")
    report = verify_chain("event", rows)
    assert (report.rows, report.broken_at, report.head) == (3, None, rows[-1].digest)


def test_an_empty_chain_is_whole() -> None:
    assert verify_chain("event", []).head == CHAIN_START


def test_a_changed_row_is_found() -> None:
    rows = chain("one", "two", "three")
    rows[1] = replace(rows[1], row={"reason": "2", "seq": 2})
    report = verify_chain("event", rows)
    assert (report.rows, report.broken_at, report.message) == (1, 2, "row 2 was changed after it was written")


def test_a_changed_row_with_a_digest_to_fit_breaks_the_row_after_it() -> None:
    rows = chain("one", "two", "three")
    forged = {"reason": "2", "seq": 2}
    rows[1] = replace(rows[1], row=forged, digest=chain_digest(rows[0].digest, forged))
    report = verify_chain("event", rows)
    assert (report.broken_at, report.message) == (3, "row 3 does not follow the row before it")


@pytest.mark.parametrize("gone", [0, 1])
def test_a_missing_row_is_found(gone: int) -> None:
    rows = chain("one", "two", "three")
    del rows[gone]
    report = verify_chain("event", rows)
    assert (report.broken_at, report.message) == (gone + 1, f"row {gone + 1} is missing")
