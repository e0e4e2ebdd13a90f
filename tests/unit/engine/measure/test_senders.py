"""Who sends by a link."""

from __future__ import annotations

import pytest

from teagent.engine.measure.senders import sender_shares
from teagent.model.bgp import Asn
from tests.unit.engine.measure.test_matrix import batch, build, builder, inbound

__all__ = ["builder"]


def test_shares_are_of_what_comes_in_by_that_link_alone(builder):
    flows = [
        inbound(octets=600, packets=0, src_asn=64496),
        inbound(octets=300, packets=0, src_asn=64500),
        inbound(octets=100, packets=0, src="192.0.3.1"),
        inbound(octets=500, packets=0, src_asn=64496, in_if=2),
    ]
    builder.add(batch(flows))
    matrix = build(builder)
    assert sender_shares(matrix, "transit-a", Asn(64496)) == pytest.approx((0.9, 0.6))
    assert sender_shares(matrix, "transit-b", Asn(64496)) == (1.0, 1.0)
    assert sender_shares(matrix, "transit-b", Asn(64999)) == (1.0, 0.0)


def test_a_link_that_nothing_comes_in_by_or_that_the_matrix_does_not_have_has_none(builder):
    builder.add(batch([inbound()]))
    matrix = build(builder)
    assert sender_shares(matrix, "transit-b", Asn(64496)) is None
    assert sender_shares(matrix, "transit-c", Asn(64496)) is None
