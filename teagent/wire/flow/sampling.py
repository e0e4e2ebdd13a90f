"""Sampling rates that an exporter tells in options records.

A rate belongs to a sampler (samplerId 48, selectorId 302), to an interface, or to the observation domain as a whole.
A record takes the rate of the sampler that it names; otherwise the one of its input interface; otherwise the domain's
own; otherwise, if all samplers of the domain agree, theirs. Anything else is unknown, NaN: it is said, not guessed.

IOS-XE tells its samplers in a domain that sends nothing but options. A sampler that a record's own domain has not told
is therefore looked for in the exporter's domains of that sort, and found where they agree about it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from teagent.model.traffic import Column
from teagent.wire.flow import elements
from teagent.wire.flow.columns import constant, unsigned, unsigned_of
from teagent.wire.flow.gathered import Fields
from teagent.wire.flow.template import Rows, Template

LARGEST_RATE: Final = 2.0**32  # a rate above is none: it would stand for more than there is in the world


class SamplingRates:
    """What one observation domain has told so far, of `most` samplers and interfaces; those that were told of longest
    ago give way.
    """

    def __init__(self, most: int, elsewhere: Callable[[], Mapping[int, float]] = dict) -> None:
        self._most = most
        self._elsewhere = elsewhere
        self._of_sampler: dict[int, float] = {}
        self._of_interface: dict[int, float] = {}
        self._of_domain: float | None = None
        self._common = math.nan
        self._told: tuple[Template, bytes] | None = None  # the last records that told any
        self._alike = False  # whatever sampler or interface a record names, its rate is the common one

    @property
    def of_sampler(self) -> Mapping[int, float]:
        return self._of_sampler

    @property
    def _known(self) -> int:
        return len(self._of_sampler) + len(self._of_interface)

    @classmethod
    def of_header(cls, rate: float) -> SamplingRates:
        """Told for all records, as NetFlow v5 does."""
        rates = cls(0)
        rates._of_domain = rates._common = rate
        return rates

    @property
    def common(self) -> float:
        """The rate of a record that names no sampler, NaN where that is not known."""
        return self._common

    def learn(self, template: Template, rows: Rows) -> bool:
        """Takes the rates out of options records; False where these tell none."""
        if self.told(template, rows):
            return True
        rates = rates_in(template, rows)
        if rates is None:
            return False
        keys, table = unsigned_of(template, rows, elements.SAMPLER_ID), self._of_sampler
        if keys is None:
            keys, table = self._interfaces(template, rows), self._of_interface
        for i, rate in enumerate(rates.tolist()):
            if math.isnan(rate):
                continue
            if keys is None:
                self._of_domain = rate
            else:
                self._keep(table, int(keys[i]), rate)
        self._told = (template, rows.tobytes())
        self._settle()
        return True

    def told(self, template: Template, rows: Rows) -> bool:
        """Whether these options records are the last ones that told any, once more."""
        return self._told == (template, rows.tobytes())

    def _keep(self, table: dict[int, float], key: int, rate: float) -> None:
        table.pop(key, None)
        if self._known >= self._most:
            oldest = table or self._of_sampler or self._of_interface
            del oldest[next(iter(oldest))]
        table[key] = rate

    @staticmethod
    def _interfaces(template: Template, rows: Fields) -> Column | None:
        for i, f in enumerate(template.fields):
            ipfix = f.scope and f.element in elements.INTERFACE_SCOPES and not f.v9_scope and not f.enterprise
            if (ipfix or (f.v9_scope and f.element == elements.V9_SCOPE_INTERFACE)) and 0 < f.length <= 8:
                return unsigned(template, rows, i)
        return None

    def _settle(self) -> None:
        distinct = set(self._of_sampler.values())
        if self._of_domain is not None:
            self._common = self._of_domain
        else:
            self._common = next(iter(distinct)) if len(distinct) == 1 else math.nan
        self._alike = distinct == {self._common} and not self._of_interface

    def column(self, fields: SamplingFields, rows: Fields, in_if: Column) -> Column:
        """The rate of each data record."""
        samplers: Mapping[int, float] = {}
        if fields.sampler is not None and not self._alike:
            samplers = self._of_sampler or self._elsewhere()
        if not fields.stated and not samplers and not self._of_interface:
            return constant(len(rows), self._common)
        rates = constant(len(rows), self._common)
        if self._of_interface:
            rates = _looked_up(self._of_interface, in_if, rates)
        if samplers and fields.sampler is not None:
            rates = _looked_up(samplers, unsigned(fields.template, rows, fields.sampler), rates)
        named = rates_in(fields.template, rows) if fields.stated else None
        return rates if named is None else np.where(np.isnan(named), rates, named)


class SamplingFields:
    """What the data records of a template say of sampling; looked up once a template."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.sampler = template.find(elements.SAMPLER_ID)
        self.stated = template.find(_STATING) is not None


_STATING = (
    elements.SAMPLING_POPULATION,
    elements.SAMPLING_PACKET_SPACE,
    elements.SAMPLING_PROBABILITY,
    elements.SAMPLING_INTERVAL,
    elements.SAMPLER_RANDOM_INTERVAL,
)


def rates_in(template: Template, rows: Fields) -> Column | None:
    """Sampling rates that the records state themselves, NaN where one states none; None where the template has no
    element for it. 305 (packets sampled) says nothing without 306 (packets skipped).
    """

    def numbers(element: int) -> Column | None:
        column = unsigned_of(template, rows, (element,))
        return None if column is None else column.astype(np.float64)

    stated: list[Column] = []
    size, population = numbers(elements.SAMPLING_SIZE), numbers(elements.SAMPLING_POPULATION)
    if size is not None and population is not None:
        stated.append(_ratio(population, size))
    interval, space = numbers(elements.SAMPLING_PACKET_INTERVAL), numbers(elements.SAMPLING_PACKET_SPACE)
    if interval is not None and space is not None:
        stated.append(_ratio(interval + space, interval))
    probability = template.find((elements.SAMPLING_PROBABILITY,))
    if probability is not None and template.fields[probability].length in {4, 8}:
        length = template.fields[probability].length
        with np.errstate(invalid="ignore"):  # what is no number stays none
            raw = np.ascontiguousarray(rows[f"f{probability}"])
            share = raw.view(f"{raw.dtype.byteorder}f{length}").astype(np.float64)
        stated.append(_ratio(np.where(share <= 1, 1.0, 0.0), share))
    for element in (elements.SAMPLING_INTERVAL, elements.SAMPLER_RANDOM_INTERVAL):
        rate = numbers(element)
        if rate is not None:
            stated.append(_ratio(rate, np.ones(len(rate))))
    if not stated:
        return None
    rates = stated[0]
    for other in stated[1:]:
        rates = np.where(np.isnan(rates), other, rates)
    return rates


def _ratio(above: Column, below: Column) -> Column:
    with np.errstate(over="ignore", invalid="ignore"):
        rate: Column = above / np.where(below > 0, below, np.nan)
        return np.where((rate > 0) & (rate <= LARGEST_RATE), rate, np.nan)


def _looked_up(table: Mapping[int, float], keys: Column, otherwise: Column) -> Column:
    native = keys.view(keys.dtype.newbyteorder("="))  # alike they are in any order of their octets
    if len(keys) and bool((native == native[0]).all()):  # mostly all records of a router name one sampler
        rate = table.get(int(keys[0]))
        return otherwise if rate is None else constant(len(keys), rate)
    known = np.array(sorted(table), dtype=np.uint64)
    rates = np.array([table[int(key)] for key in known])
    keys = keys.astype(np.uint64)
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[at] == keys, rates[at], otherwise)
