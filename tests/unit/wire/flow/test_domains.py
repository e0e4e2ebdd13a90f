"""Observation domains of one exporter: what they have to do with each other."""

from __future__ import annotations

import math

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.netflow import (
    flow_set,
    ipfix,
    netflow9,
    options_template9,
    options_template10,
    record,
    template,
)
from tests.unit.wire.flow.test_decoder import SAMPLED, sampled_data, sampled_rates


class IosXe:
    """The samplers are told in one domain, and the flows that name them come in another."""

    def __init__(self, decoder: FlowDecoder, version: int) -> None:
        self._decoder = decoder
        self._version = version

    def tell(self, sampler: int, rate: int, *, domain: int) -> None:
        if self._version == 9:
            fields = ((1, 4), (48, 1), (50, 4))
            told = flow_set(1, options_template9(400, fields[:1], fields[1:]))
            told += flow_set(400, record(fields, 0, sampler, rate))
            message = netflow9(told, source=domain)
        else:
            fields = ((302, 4), (305, 4), (306, 4))
            told = flow_set(3, options_template10(400, fields[:1], fields[1:]))
            told += flow_set(400, record(fields, sampler, 1, rate - 1))
            message = ipfix(told, domain=domain)
        self._decoder.decode([message], at=0)

    def rate(self, *, domain: int = 256) -> float:
        """That of a record of sampler 1."""
        templates, flows = flow_set(0 if self._version == 9 else 2, template(300, SAMPLED)), sampled_data(1)
        if self._version == 9:
            return sampled_rates(self._decoder, netflow9(templates, flows, source=domain))[0]
        return sampled_rates(self._decoder, ipfix(templates, flows, domain=domain))[0]


@pytest.fixture(params=[9, 10])
def router(request, decoder: FlowDecoder) -> IosXe:
    return IosXe(decoder, request.param)


def test_a_sampler_is_found_in_a_domain_that_sends_options_alone(router: IosXe) -> None:
    router.tell(2, 50, domain=6)
    assert math.isnan(router.rate())
    router.tell(1, 1000, domain=6)
    assert router.rate() == 1000.0


def test_the_own_domain_goes_before_others(router: IosXe) -> None:
    router.tell(1, 1000, domain=6)
    router.tell(1, 20, domain=256)
    assert router.rate() == 20.0


def test_domains_that_contradict_each_other_say_nothing(router: IosXe) -> None:
    router.tell(1, 1000, domain=6)
    router.tell(1, 50, domain=7)
    assert math.isnan(router.rate())


def test_what_a_domain_tells_that_sends_flows_is_for_these(router: IosXe) -> None:
    router.tell(1, 50, domain=7)
    assert router.rate(domain=7) == 50.0
    assert math.isnan(router.rate())
    router.tell(1, 1000, domain=6)
    assert router.rate() == 1000.0
