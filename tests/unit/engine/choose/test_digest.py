from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from teagent.engine.choose.digest import (
    canonical_json,
    inputs_digest,
    plan_digest,
    snapshot_digest,
    with_digest,
)
from teagent.model.announcement import Announce, Announcement, AnnouncementSet, Withdraw
from teagent.model.bgp import parse_prefix
from teagent.model.traffic import Demand, Source, TrafficMatrix, build_matrix
from tests.golden.case import CASES, load, policies_of, snapshot_of

PREFIX = parse_prefix("11.0.0.0/24")
CASE = load(CASES / "two-transit.yaml")


def announcement(link: str, prepend: int) -> Announcement:
    return Announcement(prefix=PREFIX, link=link, prepend=prepend)


def test_alternatives_with_equal_fields_differ() -> None:
    one = announcement("a", 0)
    assert canonical_json(Announce(after=one)) != canonical_json(Withdraw(before=one))


def test_what_is_no_value_of_the_model_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no canonical form"):
        canonical_json(object())


def test_sets_have_one_form() -> None:
    assert canonical_json(frozenset({"b", "a"})) == canonical_json(frozenset({"a", "b"})) == '["a","b"]'


def test_a_plan_digest_depends_on_policy_and_announcements() -> None:
    before, after = AnnouncementSet([announcement("a", 0)]), AnnouncementSet([announcement("a", 1)])
    digest = plan_digest("p", (), before, after)
    assert len(digest) == 64
    assert digest != plan_digest("q", (), before, after)
    assert digest != plan_digest("p", (), before, AnnouncementSet([announcement("a", 2)]))


def test_the_inputs_digest_sees_policy_config_home_and_live_vector_of_its_prefixes_only() -> None:
    snapshot, policy = snapshot_of(CASE), policies_of(CASE)[0]

    def digest(**change: Any) -> str:
        given = {"network": snapshot.network, "policy": policy, "live": snapshot.live, "config_digest": "c"} | change
        return inputs_digest(prefixes=[PREFIX], **given)

    base = digest()
    assert digest() == base
    assert digest(config_digest="d") != base
    assert digest(policy=replace(policy, approval=replace(policy.approval, tolerance=0.2))) != base
    assert digest(live=snapshot.live.with_vector(PREFIX, {"transit-a": 1, "transit-b": 0})) != base
    other = parse_prefix("10.0.0.0/24")
    assert digest(live=snapshot.live.with_vector(other, {"transit-a": 1, "transit-b": 0})) == base


def test_a_snapshot_digest_changes_with_every_input_but_itself() -> None:
    snapshot = snapshot_of(CASE)
    assert with_digest(replace(snapshot, digest="else")).digest == snapshot.digest
    changes: list[dict[str, Any]] = [
        {"frozen": True},
        {"distrust": ("x",)},
        {"live": AnnouncementSet()},
        {"taken_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"latest": {}},
        {"history": {}},
        {"counter_doubts": {"transit-a": ("x",)}},
    ]
    digests = {snapshot_digest(replace(snapshot, **change)) for change in changes}
    assert len(digests | {snapshot.digest}) == len(changes) + 1


def test_a_matrix_counts_by_its_content_not_by_the_order_of_its_columns() -> None:
    snapshot = snapshot_of(CASE)
    matrix = snapshot.matrix
    assert isinstance(matrix, TrafficMatrix)
    backwards = replace(
        matrix,
        links=matrix.links[::-1],
        link_index=len(matrix.links) - 1 - matrix.link_index,
        sources=matrix.sources[::-1],
        source_index=(len(matrix.sources) - 1 - matrix.source_index)[:],
    )
    rows = slice(None, None, -1)
    backwards = replace(
        backwards,
        link_index=backwards.link_index[rows],
        prefix_index=backwards.prefix_index[rows],
        source_index=backwards.source_index[rows],
        bps=backwards.bps[rows],
    )
    assert snapshot_digest(replace(snapshot, matrix=backwards)) == snapshot.digest
    more = replace(matrix, bps=matrix.bps + 1)
    assert snapshot_digest(replace(snapshot, matrix=more)) != snapshot.digest


def test_an_empty_matrix_has_a_digest() -> None:
    snapshot = snapshot_of(CASE)
    empty = build_matrix([], at=snapshot.taken_at, seconds=300)
    one = build_matrix(
        [Demand(source=Source(asn=1), prefix=PREFIX, link="transit-a", bps=1.0)], at=snapshot.taken_at, seconds=300
    )
    assert snapshot_digest(replace(snapshot, matrix=empty)) != snapshot_digest(replace(snapshot, matrix=one))


def test_the_order_of_rows_is_no_part_of_a_matrix_though_some_come_sorted() -> None:
    def digest(*rows: int) -> str:
        snapshot = snapshot_of(CASE)
        matrix = snapshot.matrix
        assert isinstance(matrix, TrafficMatrix)
        order = list(rows)
        columns = ("link_index", "prefix_index", "source_index", "bps")
        shuffled = {name: getattr(matrix, name)[order] for name in columns}
        return snapshot_digest(replace(snapshot, matrix=replace(matrix, **shuffled)))

    rows = range(len(snapshot_of(CASE).matrix))  # type: ignore[arg-type]  # the case has a matrix
    assert len(rows) > 2
    assert digest(*rows) == digest(*reversed(rows))
    assert digest(*rows, 0, 0) == digest(0, *rows, 0) != digest(*rows, 0)
