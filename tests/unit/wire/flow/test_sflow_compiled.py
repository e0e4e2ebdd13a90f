"""Real captures of sFlow, read by the compiled pass and by numpy."""

from __future__ import annotations

from pathlib import Path

import pytest

from teagent.wire.flow.sflow import FEW
from tests.fakes.pcap import datagrams

pytest.importorskip("numba", reason="the extra teagent[compiled] is not installed")

from tests.property.test_sflow_compiled import Watched, alike, compiled  # only where numba is

__all__ = ["compiled"]
COMMITTED = Path(__file__).resolve().parents[3] / "data" / "flows"
NAMES = (
    *(f"akvorado/data-{name}" for name in ("discard-interface", "encap-vxlan", "icmpv4", "icmpv6", "qinq")),
    *(f"akvorado/data-sflow-{name}" for name in ("expanded-sample", "ipv4-data", "raw-ipv4")),
)


def read(watched: Watched, path: Path) -> None:
    """Datagrams of the capture again and again, until there are enough to be read together."""
    found = [datagram.payload for datagram in datagrams(path) if datagram.payload.startswith(b"\0\0\0\5")]
    alike(watched, [found * (FEW // len(found) + 1)])
    assert watched.ends


def test_the_committed_capture_of_open_vswitch_is_read_alike(compiled):
    read(Watched(compiled), COMMITTED / "openvswitch.pcap")


@pytest.mark.parametrize("name", NAMES)
def test_captures_of_vendors_are_read_alike(compiled, data_dir, name):
    read(Watched(compiled), data_dir / "flows" / f"{name}.pcap")


def test_every_other_capture_with_sflow_is_read_alike(compiled, data_dir):
    watched = Watched(compiled)
    for path in sorted((data_dir / "flows").rglob("*.pcap")):
        if path.read_bytes().count(b"\0\0\0\5\0\0\0\1") and any(
            datagram.payload.startswith(b"\0\0\0\5") for datagram in datagrams(path)
        ):
            read(watched, path)
    assert len(watched.ends) > len(NAMES)
