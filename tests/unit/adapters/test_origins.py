"""Files of origins: what they are shows in their octets, and what cannot be read is said."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest

from teagent.adapters.origins import OriginFile
from teagent.engine.measure.origin import OriginTable
from teagent.errors import TeagentError
from teagent.model.origin import OriginRoutes
from tests.unit.wire.test_mrt import SEQUENCE, path, peers, record, rib

MRT = (
    peers(64510)
    + rib("0.0.0.0/0", path((SEQUENCE, [64500, 64999])))
    + rib("10.0.0.0/8", path((SEQUENCE, [64500, 64501])))
    + rib("10.2.0.0/16", path((SEQUENCE, [64500, 64502])))
    + rib("2001:db8::/32", path((SEQUENCE, [64500, 64503])))
    + rib("2001:db8::1/128", path((SEQUENCE, [64500, 64504])))
    + rib("192.0.2.0/24", b"")
)
TEXT = b"# origins\n10.0.0.0/8 64501\n10.2.0.0,10.2.255.255,AS64502\n2001:db8::\t32\t64503\n"


def asn(routes: OriginRoutes, address: str) -> int:
    parsed = ip_address(address)
    number = int(parsed) if parsed.version == 4 else int(parsed) >> 64
    kind = "u4" if parsed.version == 4 else "u8"
    return int(OriginTable(routes).match(parsed.version, np.array([number], dtype=kind))[0])


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize("content", [MRT, TEXT])
def test_table_and_text_are_read_as_they_are_and_compressed(
    tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "origins"
    file.write_bytes(pack(content))
    routes = OriginFile(file).read()
    known = {"10.1.0.1": 64501, "10.2.0.1": 64502, "2001:db8::1": 64503, "192.0.2.1": 0, "2001:db9::1": 0}
    assert {address: asn(routes, address) for address in known} == known


def test_what_says_nothing_of_an_origin_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "bview"
    file.write_bytes(MRT)
    assert OriginFile(file).read().skipped == {"default_route": 1, "longer_than_64": 1, "no_origin": 1}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (MRT[:-3], "is no routing table that can be read: the file ends within an mrt record"),
        (gzip.compress(MRT, mtime=0)[:-12], "cannot be read: compressed file ended before the end-of-stream marker"),
        (gzip.compress(MRT, mtime=0)[:10] + b"\xff" * 40, "cannot be read: error -3"),
        (record(16, 4, b"an update"), "has no routes with an origin"),
        (b"", "has no routes with an origin"),
        (b"10.0.0.0/8 64501\nnonsense\n", ":2: 'nonsense' has no AS number (1 such lines, 1 good ones)"),
        (bytes(range(256)), "is no routing table that can be read"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "origins"
    file.write_bytes(content)
    with pytest.raises(TeagentError) as raised:
        OriginFile(file).read()
    assert why in raised.value.message
    assert str(file) in raised.value.message


def test_one_bad_line_of_many_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "origins"
    file.write_bytes(b"10.0.0.0/8 64501\n" * 200 + b"nonsense\n")
    assert OriginFile(file).read().skipped == {"bad_line": 1}


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    file = OriginFile(tmp_path / "none")
    for call in (file.version, file.read):
        with pytest.raises(TeagentError, match="none cannot be read: no such file"):
            call()


def test_a_version_changes_with_the_file_and_not_with_a_look(tmp_path: Path) -> None:
    file = tmp_path / "origins"
    file.write_bytes(TEXT)
    found = OriginFile(file)
    before = found.version()
    found.read()
    assert found.version() == before
    (tmp_path / "new").write_bytes(TEXT)
    (tmp_path / "new").rename(file)
    assert found.version() != before


@pytest.mark.parametrize("content", [MRT, TEXT])
def test_a_read_that_is_under_way_ends_when_it_is_stopped(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "origins"
    file.write_bytes(content)
    found = OriginFile(file)
    found.stop()
    with pytest.raises(TeagentError, match="the daemon stops"):
        found.read()


def test_a_real_table_with_additional_paths(data_dir: Path) -> None:
    routes = OriginFile(data_dir / "mrt" / "bview.ipv4_unicast_add_path.gz").read()
    assert (len(routes.ipv4), len(routes.ipv6), routes.skipped) == (31, 0, {})
    known = {"10.0.1.1": 65002, "10.0.2.1": 65003, "10.0.14.1": 65015, "10.0.0.1": 0}
    assert {address: asn(routes, address) for address in known} == known


@pytest.mark.parametrize(
    "name",
    ["bird_bgp", "openbgpd_bgp", "quagga_bgp", "updates.20160811.1600.gz"],
)
def test_real_files_of_updates_are_told_from_tables(data_dir: Path, name: str) -> None:
    with pytest.raises(TeagentError, match="has no routes with an origin"):
        OriginFile(data_dir / "mrt" / name).read()
