"""Flows that one router exports twice, where they come in and where they go out again: counted once.

The rule of attribution already counts a flow at one router only, the one whose link it came in by. But a router that
meters both ingress and egress exports it twice, each time with the link as its input interface. IPFIX tells the two
apart (element 61, flowDirection), though not reliably: some meter egress alone, and softflowd writes a direction that
is none. So the interface counters decide. Where the records that are no egress records account for the link by
themselves, and with the egress records there is too much, the latter are duplicates and are left out from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from teagent.engine.measure.attribution import NOWHERE
from teagent.model.link import NoData
from teagent.model.traffic import Column, FlowBatch

EGRESS: Final = 1  # flowDirection (61)
ENOUGH: Final = 0.75  # of what the interface counts, without egress records
TOO_MUCH: Final = 1.25  # with them


class EgressSieve:
    """Per link: the octets of its egress records, and whether they are left out. Links are numbers of `links`."""

    def __init__(self, links: Sequence[str]) -> None:
        self._links = tuple(links)
        self._octets: npt.NDArray[np.float64] = np.zeros(len(self._links))
        self._left_out: npt.NDArray[np.bool_] = np.zeros(len(self._links), dtype=bool)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Links of which only ingress records count."""
        return tuple(name for name, out in zip(self._links, self._left_out, strict=True) if out)

    def moved(self, links: Sequence[str]) -> EgressSieve:
        """With what is known of the links that stay."""
        new = EgressSieve(links)
        number = {name: i for i, name in enumerate(self._links)}
        for i, name in enumerate(new._links):
            if name in number:
                new._octets[i] = self._octets[number[name]]
                new._left_out[i] = self._left_out[number[name]]
        return new

    def sift(self, batch: FlowBatch, link: Column, overhead_octets: float) -> Column:
        """`link`, the link of each record, with NOWHERE for the duplicates. `batch` has a direction."""
        egress = np.flatnonzero(batch.direction == EGRESS)
        if not len(egress):  # as of most exporters
            return link
        # A record of an egress meter names the interface that it left by, which is another one.
        other_if = batch.in_if.take(egress) != batch.out_if.take(egress)
        egress = egress.compress(other_if & (link.take(egress) != NOWHERE))
        if not len(egress):
            return link
        links = link.take(egress)
        octets = batch.packets.take(egress) * overhead_octets + batch.octets.take(egress)
        octets *= np.nan_to_num(batch.sampling_rate.take(egress), nan=1.0)
        self._octets += np.bincount(links, weights=octets, minlength=len(self._links))
        duplicates = egress.compress(self._left_out.take(links))
        if len(duplicates):
            link = link.copy()
            link[duplicates] = NOWHERE
        return link

    def judge(self, counted: Mapping[str, float], interface_octets: Mapping[str, float | NoData]) -> None:
        """A window ends: `counted` holds the flow octets that were counted on each link, before scaling. Links whose
        interface was not read stay as they are.
        """
        for i, name in enumerate(self._links):
            interface = interface_octets.get(name)
            if interface is None or isinstance(interface, NoData) or interface <= 0:
                continue
            egress = float(self._octets[i])
            others = counted.get(name, 0.0) - (0.0 if self._left_out[i] else egress)
            self._left_out[i] = others >= ENOUGH * interface and others + egress > TOO_MUCH * interface
        self._octets[:] = 0.0
