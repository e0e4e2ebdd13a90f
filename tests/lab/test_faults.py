"""Short forms of `make faults`: the same code, a small part of the counts."""

from __future__ import annotations

import shutil
from contextlib import closing
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from teagent.relay import journal
from teagent.relay.journal import Journal
from tests.faults import generated_requests, power_cut
from tests.faults.__main__ import FAULTS, load
from tests.faults.figure import Figure, Options, quantile

SHORT = {"requests": 0.002, "floods": 0.004, "power_cut": 0.1, "clients": 0.1}
ON_ROUTERS = {"wire": 0.1, "rejects": 0.1, "kills": 0.03}


def missed(name: str, scale: float) -> list[Figure]:
    """Of what does not depend on how busy this machine is."""
    return [figure for figure in load(name)(Options(seed=7, scale=scale)) if not (figure.met or figure.timed)]


def test_every_fault_is_tried_here_or_takes_minutes_of_traffic() -> None:
    assert {*SHORT, *ON_ROUTERS, "guard"} == set(FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_a_promise_holds_in_short(name: str) -> None:
    if name == "floods" and shutil.which("bird") is None:
        pytest.skip("bird is not installed")
    assert missed(name, SHORT[name]) == []


@pytest.mark.lab
@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("name", ON_ROUTERS)
def test_a_promise_holds_in_short_on_real_routers(name: str) -> None:
    assert missed(name, ON_ROUTERS[name]) == []


def of_the_journal(what: str) -> Figure:
    """The journal is tried before the store, which takes longer."""
    with closing(power_cut.run(Options(scale=0.05))) as figures:
        return next(figure for figure in figures if figure.what == what)


def test_a_journal_that_is_told_too_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial itself can fail: with what is put on the wire kept in memory alone, records are missing."""

    def put(self: Journal, entry) -> None:
        self.entries[entry.override.prefix] = entry

    monkeypatch.setattr(Journal, "put", put)
    assert not of_the_journal("overrides on the wire without a record in it").met


@pytest.mark.slow
def test_a_rewritten_journal_whose_directory_may_not_know_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sync, calls = journal._sync_directory, []

    def once(directory: Path) -> None:
        calls.append(directory)
        if len(calls) == 1:
            sync(directory)

    monkeypatch.setattr(journal, "_sync_directory", once)
    assert not of_the_journal("overrides on the wire without a record in it").met
    assert len(calls) > 1


def update(
    prefix: str, *, hop: str = "192.0.2.254", path: bytes = b"", tags: tuple[tuple[int, int, int], ...]
) -> bytes:
    network = ip_network(prefix)
    octets = (network.prefixlen + 7) // 8
    nlri = bytes([network.prefixlen]) + network.network_address.packed[:octets]
    large = b"".join(b"".join(part.to_bytes(4) for part in tag) for tag in tags)
    attributes = b"\x40\x01\x01\x00" + b"\x40\x02" + bytes([len(path)]) + path
    attributes += b"\x40\x03\x04" + ip_address(hop).packed + b"\xc0\x20" + bytes([len(large)]) + large
    body = b"\x00\x00" + len(attributes).to_bytes(2) + attributes + nlri
    return b"\xff" * 16 + (19 + len(body)).to_bytes(2) + b"\x02" + body


GOOD = ((64500, 1, 12), (64500, 1, 20))


def test_what_is_allowed_is_not_outside() -> None:
    assert generated_requests.judge(update("198.51.100.0/24", tags=GOOD)) is None


@pytest.mark.parametrize(
    "message",
    [
        update("198.51.100.0/25", tags=GOOD),
        update("8.8.8.0/24", tags=GOOD),
        update("198.51.100.0/24", hop="192.0.2.1", tags=GOOD),
        update("198.51.100.0/24", path=b"\x02\x01\x00\x00\x34\x17", tags=GOOD),
        update("198.51.100.0/24", tags=((64500, 1, 14), (64500, 1, 20))),
        update("198.51.100.0/24", tags=((64501, 1, 12), (64500, 1, 20))),
        update("198.51.100.0/24", tags=((64500, 3, 12), (64500, 1, 20))),
        update("198.51.100.0/24", tags=GOOD[:1]),
        update("198.51.100.0/24", tags=((64500, 2, 1), (64500, 2, 2))),
        update("203.0.113.0/24", tags=((64500, 1, 22),)),
    ],
)
def test_the_listening_router_finds_what_is_outside(message: bytes) -> None:
    assert generated_requests.judge(message) is not None


def test_a_quantile_is_a_value_that_was_there() -> None:
    assert [quantile([3.0, 1.0, 2.0, 4.0], share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 2.0, 4.0, 4.0]
