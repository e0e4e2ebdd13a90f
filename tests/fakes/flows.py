"""Flow batches for tests, from rows that a reader can follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import numpy as np

from teagent.model.traffic import FlowBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    src: str
    dst: str
    octets: int = 1000
    packets: int = 1
    in_if: int = 1
    out_if: int = 9
    src_asn: int = 0
    rate: float = 1.0
    physical: int | None = None


def batch(flows: Sequence[Flow], *, exporter: str = "192.0.2.1", layer2: bool = False) -> FlowBatch:
    """All flows must be of one family."""
    family = ip_address(flows[0].src).version
    n = len(flows)

    def column(values: Sequence[float], dtype: str) -> np.ndarray:
        return np.array(values, dtype=dtype)

    return FlowBatch(
        exporter=exporter,
        layer2=layer2,
        family=family,
        in_if=column([f.in_if for f in flows], "u4"),
        out_if=column([f.out_if for f in flows], "u4"),
        src=_addresses([f.src for f in flows], family),
        dst=_addresses([f.dst for f in flows], family),
        protocol=np.full(n, 17, dtype="u1"),
        src_port=np.full(n, 443, dtype="u2"),
        dst_port=np.full(n, 50000, dtype="u2"),
        src_asn=column([f.src_asn for f in flows], "u4"),
        dst_asn=np.zeros(n, dtype="u4"),
        octets=column([f.octets for f in flows], "u8"),
        packets=column([f.packets for f in flows], "u8"),
        sampling_rate=column([f.rate for f in flows], "f8"),
        start=np.full(n, np.nan),
        end=np.full(n, np.nan),
        in_physical_if=None if flows[0].physical is None else column([f.physical or 0 for f in flows], "u4"),
    )


def _addresses(texts: Sequence[str], family: int) -> np.ndarray:
    numbers = [int(ip_address(t)) for t in texts]
    if family == 4:
        return np.array(numbers, dtype="u4")
    return np.array([(n >> 64, n & (2**64 - 1)) for n in numbers], dtype="u8").reshape(-1, 2)
