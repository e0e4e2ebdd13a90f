"""Whatever the model can hold comes back from its text as it was."""

from __future__ import annotations

import dataclasses
from datetime import timedelta, timezone
from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teagent.adapters.store.measurements import pack_matrix, unpack_matrix
from teagent.adapters.store.serialise import from_json, from_text, to_json, to_text
from teagent.errors import StoreCorrupt
from teagent.model.announcement import Announce, Announcement, AnnouncementSet, Modify, Withdraw
from teagent.model.plan import (
    Allowed,
    Band,
    Considered,
    Decision,
    DryRun,
    LinkForecast,
    NeedsApproval,
    Plan,
    Reason,
    RefusedVerdict,
    Score,
    Shift,
    TriggerStatus,
)
from teagent.model.proposal import HistoryEntry, Proposal, ProposalEvent, ProposalState
from teagent.model.traffic import Demand, Source, build_matrix
from tests.fakes.proposals import example_proposal

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine is shared
text = st.text(max_size=12)
numbers = st.one_of(st.floats(allow_nan=False), st.integers(-(2**70), 2**70))
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
times = st.datetimes(timezones=zones).filter(lambda at: 2 < at.year < 9998)
prefixes = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda p: IPv4Network(p, strict=False)),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(lambda p: IPv6Network(p, strict=False)),
)


def tuples(items: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(items, max_size=3).map(tuple)


announcements = st.builds(Announcement, prefix=prefixes, link=text, prepend=st.integers(0, 5))
changes = st.one_of(
    st.builds(Announce, after=announcements),
    st.builds(Modify, before=announcements, after=announcements),
    st.builds(Withdraw, before=announcements),
)
sets = st.lists(announcements, max_size=6).map(AnnouncementSet)
plans = st.builds(Plan, policy=text, changes=tuples(changes), before=sets, after=sets, digest=text)
bands = st.builds(Band, low=numbers, expected=numbers, high=numbers)
sources = st.builds(Source, asn=st.integers(0, 2**32 - 1), prefix=text)
forecasts = st.builds(
    LinkForecast,
    link=text,
    capacity_bps=numbers,
    before_bps=numbers,
    after=bands,
    worst_bps=numbers,
    target_bps=numbers,
)
shifts = st.builds(Shift, source=sources, prefix=prefixes, from_link=text, to_link=text, band=bands)
dry_runs = st.builds(
    DryRun, links=tuples(forecasts), shifts=tuples(shifts), moved=bands, assumption=text, warnings=tuples(text)
)
values = st.one_of(st.none(), numbers, text)
reasons = st.builds(Reason, rule=text, ok=st.booleans(), message=text, value=values, limit=values)
verdicts = st.one_of(st.builds(kind, reasons=tuples(reasons)) for kind in (Allowed, NeedsApproval, RefusedVerdict))
history = st.builds(
    HistoryEntry,
    seq=st.integers(0, 99),
    event=st.one_of(st.none(), st.sampled_from(ProposalEvent)),
    from_state=st.one_of(st.none(), st.sampled_from(ProposalState)),
    to_state=st.sampled_from(ProposalState),
    actor=text,
    at=times,
    reason=text,
)
proposals = st.builds(
    Proposal,
    id=text,
    plan=plans,
    dry_run=dry_runs,
    verdict=verdicts,
    snapshot_digest=text,
    inputs_digest=text,
    state=st.sampled_from(ProposalState),
    created_at=times,
    expires_at=times,
    confirm_deadline=st.one_of(st.none(), times),
    history=tuples(history),
    restores=st.one_of(st.none(), text),
    revert_attempts=st.integers(0, 3),
)
scores = st.builds(
    Score,
    excess_bps=numbers,
    shortfall_risk_bps=numbers,
    cost_per_month=numbers,
    moved_bps=numbers,
    changes=st.integers(0, 9),
    prepends=st.integers(0, 9),
)
considered = st.builds(Considered, plan=plans, dry_run=dry_runs, score=scores, verdict=verdicts)
triggers = st.builds(
    TriggerStatus,
    link=text,
    firing=st.booleans(),
    above_since=st.one_of(st.none(), times),
    in_utilisation=st.one_of(st.none(), numbers),
    message=text,
)
decisions = st.builds(
    Decision,
    policy=text,
    at=times,
    snapshot_digest=text,
    triggers=tuples(triggers),
    chosen=st.one_of(st.none(), considered),
    considered=tuples(considered),
    candidates=st.integers(0, 10**9),
    reasons=tuples(reasons),
    message=text,
)


@unhurried
@given(proposals)
def test_a_proposal_comes_back_as_it_was(proposal: Proposal) -> None:
    assert from_text(Proposal, to_text(Proposal, proposal)) == proposal


@unhurried
@given(decisions)
def test_a_decision_comes_back_as_it_was(decision: Decision) -> None:
    assert from_text(Decision, to_text(Decision, decision)) == decision


@unhurried
@given(proposals)
def test_the_text_of_a_value_is_the_same_after_a_round_trip(proposal: Proposal) -> None:
    once = to_text(Proposal, proposal)
    assert to_text(Proposal, from_text(Proposal, once)) == once


@unhurried
@given(values)
def test_an_integer_stays_an_integer_and_a_float_a_float(value: float | str | None) -> None:
    reason = Reason(rule="r", ok=True, message="", value=value)
    assert type(from_text(Reason, to_text(Reason, reason)).value) is type(value)


def test_not_a_number_and_infinity_are_kept() -> None:
    band = from_text(Band, to_text(Band, Band(low=float("-inf"), expected=float("nan"), high=float("inf"))))
    assert (band.low, band.high, band.expected != band.expected) == (float("-inf"), float("inf"), True)


@unhurried
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), text),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    )
)
def test_any_json_is_a_proposal_or_a_corrupt_store(document: object) -> None:
    with pytest.raises(StoreCorrupt):
        from_json(Proposal, document)


@unhurried
@given(st.data())
def test_a_document_with_one_value_of_another_type_is_a_corrupt_store(data: st.DataObject) -> None:
    document = to_json(Proposal, example_proposal())
    where = document
    while True:
        keys = sorted(where) if isinstance(where, dict) else range(len(where))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(where[key], dict | list) or not where[key]:
            break
        where = where[key]
    where[key] = [{"unexpected": 1.5}]
    with pytest.raises(StoreCorrupt, match="the store holds a proposal that cannot be read"):
        from_json(Proposal, document)


def test_a_field_that_a_document_lacks_takes_its_default() -> None:
    document = to_json(Proposal, example_proposal())
    del document["revert_attempts"]
    assert from_json(Proposal, document) == example_proposal()


def test_a_field_that_the_model_does_not_know_is_not_dropped_in_silence() -> None:
    document = to_json(Proposal, example_proposal())
    document["plan"]["colour"] = "green"
    with pytest.raises(StoreCorrupt, match="Plan has no field colour"):
        from_json(Proposal, document)


def test_the_short_form_of_announcements_leaves_no_field_out() -> None:
    """{prefix: {link: prepend}}; who adds a field to Announcement must change that form."""
    assert [field.name for field in dataclasses.fields(Announcement)] == ["prefix", "link", "prepend"]


demands = st.builds(
    Demand,
    source=sources,
    prefix=prefixes,
    link=text,
    bps=st.floats(min_value=0, allow_nan=False, allow_infinity=False),
)


@unhurried
@given(
    st.lists(demands, max_size=20),
    times,
    st.floats(0, 1e6),
    st.dictionaries(text, st.one_of(st.none(), st.floats(0, 10)), max_size=3),
    st.dictionaries(text, st.floats(0, 1e12), max_size=3),
)
def test_a_matrix_comes_back_as_it_was(rows, at, seconds, coverage, unattributed) -> None:
    matrix = build_matrix(rows, at=at, seconds=seconds, coverage=coverage, unattributed_bps=unattributed)
    back = unpack_matrix(pack_matrix(matrix))
    assert list(back.demands()) == list(matrix.demands())
    for name in ("at", "seconds", "links", "prefixes", "sources", "coverage", "unattributed_bps"):
        assert getattr(back, name) == getattr(matrix, name)


@unhurried
@given(st.data())
def test_a_damaged_matrix_is_a_corrupt_store_or_none_the_worse(data: st.DataObject) -> None:
    matrix = build_matrix(
        [Demand(source=Source(asn=64496), prefix=IPv4Network("198.51.100.0/24"), link="transit-a", bps=1e9)],
        at=example_proposal().created_at,
        seconds=300,
    )
    content = bytearray(pack_matrix(matrix))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        back = unpack_matrix(bytes(content))
    except StoreCorrupt:
        return
    assert list(back.demands()) == list(matrix.demands())
