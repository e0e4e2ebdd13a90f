"""Routing tables that BIRD writes, read as tables of origins."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from teagent.adapters.origins import OriginFile
from teagent.engine.measure.origin import OriginTable
from teagent.errors import TeagentError
from tests.integration.running import until

pytestmark = pytest.mark.skipif(shutil.which("bird") is None, reason="bird is not installed")

CONFIGURATION = """
router id 192.0.2.250;
protocol device {}
protocol static four {
  ipv4 { import filter {
    bgp_path = +empty+;
    if net = 10.2.0.0/16 then bgp_path.prepend(64502); else bgp_path.prepend(4200000001);
    bgp_path.prepend(64500);
    accept;
  }; };
  route 10.0.0.0/8 blackhole;
  route 10.2.0.0/16 blackhole;
}
protocol static six {
  ipv6 { import filter { bgp_path = +empty+; bgp_path.prepend(64503); accept; }; };
  route 2001:db8::/32 blackhole;
}
protocol mrt { table "master*"; filename "%N.mrt"; period 1; }
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory in which BIRD has written a table of each family."""
    directory = tmp_path_factory.mktemp("bird")
    (directory / "bird.conf").write_text(CONFIGURATION)
    bird = subprocess.Popen(
        ["bird", "-f", "-c", "bird.conf", "-s", "bird.ctl", "-P", "bird.pid"],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until("tables of both families", lambda: all(_whole(directory / f"master{n}.mrt") for n in (4, 6)))
        yield directory
    finally:
        bird.terminate()
        bird.wait(timeout=10)


def _whole(path: Path) -> bool:
    try:
        return bool(OriginFile(path).read())
    except TeagentError:
        return False


def test_bird_s_tables_of_both_families_name_the_origins(tables: Path) -> None:
    four = OriginTable(OriginFile(tables / "master4.mrt").read())
    addresses = np.array([0x0A010101, 0x0A020101, 0x0B000001], dtype="u4")
    assert four.match(4, addresses).tolist() == [4_200_000_001, 64502, 0]
    six = OriginTable(OriginFile(tables / "master6.mrt").read())
    assert six.match(6, np.array([0x20010DB8 << 32, 0x20010DB9 << 32], dtype="u8")).tolist() == [64503, 0]
