"""From a window to an observation: who, over which link, and what came before."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from teagent.engine.predict.evidence import Seen, evidence
from teagent.engine.predict.evidence_state import seen_of, seen_state
from teagent.model.bgp import parse_prefix
from teagent.model.traffic import Demand, Source, TrafficMatrix, build_matrix

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ONE, TWO, THREE = (parse_prefix(f"198.51.{k}.0/24") for k in (100, 101, 102))
LINKS = ("a", "b")
HOME = {"a": 0, "b": 2}


def matrix(*rows: tuple[Source, object, str, float]) -> TrafficMatrix:
    demands = [Demand(source=source, prefix=prefix, link=link, bps=bps) for source, prefix, link, bps in rows]  # type: ignore[arg-type]
    return build_matrix(demands, at=NOW, seconds=300)


def seen(found: TrafficMatrix, vectors, **options) -> list[Seen]:
    return list(evidence(found, vectors, links=LINKS, **options))


def test_prefixes_that_are_announced_alike_are_one_observation() -> None:
    found = matrix(
        (Source(asn=7), ONE, "a", 3.0),
        (Source(asn=7), TWO, "b", 1.0),
        (Source(asn=8), THREE, "b", 5.0),
        (Source(asn=9), TWO, "a", 2.0),
    )
    both, other = seen(found, {ONE: HOME, TWO: dict(HOME), THREE: {"a": 1, "b": 0}})
    assert both.prefixes == (ONE, TWO)
    assert both.observation.asn.tolist() == [7, 9]
    assert both.observation.share.tolist() == [[0.75, 0.25], [1.0, 0.0]]
    assert both.observation.bps.tolist() == [4.0, 2.0]
    assert (other.prefixes, other.observation.vector) == ((THREE,), {"a": 1, "b": 0})
    assert both.mains() == {7: "a", 9: "a"}


def test_a_prefix_on_a_doubted_link_is_left_out() -> None:
    found = matrix((Source(asn=7), ONE, "a", 3.0), (Source(asn=7), TWO, "a", 1.0))
    [only] = seen(found, {ONE: HOME, TWO: {"a": 0}}, doubted={"b"})
    assert only.prefixes == (TWO,)


def test_who_has_no_as_and_what_comes_where_nothing_is_announced_says_nothing() -> None:
    found = matrix(
        (Source(prefix="10.0.0.0/24"), ONE, "a", 3.0), (Source(), ONE, "a", 1.0), (Source(asn=7), ONE, "b", 1.0)
    )
    assert seen(found, {ONE: {"a": 0}}) == []
    assert seen(matrix(), {ONE: HOME}) == []


def test_where_a_sender_came_before_is_a_place_among_the_links() -> None:
    found = matrix((Source(asn=7), ONE, "a", 3.0), (Source(asn=8), ONE, "a", 3.0), (Source(asn=9), ONE, "a", 3.0))
    [one] = seen(found, {ONE: HOME}, before={ONE: {7: "b", 8: "gone"}})
    assert one.observation.before.tolist() == [1, -1, -1]


def test_an_observation_is_kept_and_read_as_it_was() -> None:
    before, previous = {ONE: {4_200_000_000: "b"}}, {ONE: {"a": 0, "b": 0}}
    found = matrix((Source(asn=4_200_000_000), ONE, "a", 3.0))
    [one] = seen(found, {ONE: HOME}, before=before, previous=previous)
    read = seen_of(seen_state(one))
    assert read is not None
    assert (read.prefixes, read.observation.at, read.observation.vector) == ((ONE,), NOW, HOME)
    assert read.observation.vector_before == previous[ONE]
    for name in ("asn", "share", "before", "bps"):
        assert getattr(read.observation, name).tolist() == getattr(one.observation, name).tolist()


@pytest.mark.parametrize("damage", ["version", "asn", "gone", "none"])
def test_what_is_no_observation_is_none(damage: str) -> None:
    state = seen_state(seen(matrix((Source(asn=7), ONE, "a", 3.0)), {ONE: HOME})[0])
    match damage:
        case "version":
            text = state["facts"].tobytes().replace(b'"version": 1', b'"version": 9')
            state["facts"] = np.frombuffer(text, dtype=np.uint8)
        case "asn":
            state["asn"] = np.array([1, 2], dtype=np.uint32)
        case "gone":
            del state["share"]
    assert seen_of(None if damage == "none" else state) is None
