"""What is handed to Linux so that a connection is signed, and what is said where it cannot be."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from ipaddress import ip_address

import pytest

from teagent.adapters.tcp import TCP_MD5SIG, connect, md5_signature
from tests.fakes.kernel import needs_tcp_md5

LOOPBACK = ip_address("127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "family", "at", "packed"),
    [
        ("192.0.2.1", socket.AF_INET, 4, bytes([192, 0, 2, 1])),
        ("2001:db8::1", socket.AF_INET6, 8, bytes.fromhex("20010db8" + "00" * 11 + "01")),
    ],
)
def test_the_structure_is_that_of_linux(peer: str, family: int, at: int, packed: bytes) -> None:
    """struct tcp_md5sig of linux/tcp.h, after the offsets that a C compiler gives its fields."""
    made = md5_signature(ip_address(peer), b"s3cret")
    assert len(made) == 216
    assert int.from_bytes(made[0:2], sys.byteorder) == family
    assert made[2:4] == bytes(2)
    assert made[at : at + len(packed)] == packed
    assert not any(made[at + len(packed) : 130])
    assert int.from_bytes(made[130:132], sys.byteorder) == 6
    assert made[132:136] == bytes(4)
    assert made[136:] == b"s3cret" + bytes(74)


def test_a_key_of_80_octets_fits() -> None:
    assert md5_signature(LOOPBACK, b"k" * 80)[136:] == b"k" * 80


class Refusing(socket.socket):
    def setsockopt(self, *_: object) -> None:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")


def refusal(*, local: str = "127.0.0.1", md5_key: bytes = b"") -> str:
    with pytest.raises(OSError) as caught:
        asyncio.run(connect(LOOPBACK, 1, local=ip_address(local), md5_key=md5_key))
    return str(caught.value.strerror)


def test_a_kernel_without_signatures_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", Refusing)
    assert refusal(md5_key=b"s3cret") == "the session cannot be signed: this kernel has no TCP MD5 signatures"


def test_another_system_than_linux_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert refusal(md5_key=b"s3cret") == "no TCP MD5 signatures on freebsd14: they are made by Linux alone here"


def test_an_address_that_is_not_of_this_machine_is_named() -> None:
    assert refusal(local="192.0.2.1") == "192.0.2.1 cannot be spoken from: Cannot assign requested address"


@needs_tcp_md5
@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
@pytest.mark.parametrize(("key", "answered"), [(b"s3cret", True), (b"another", False), (b"", False)])
def test_the_kernel_lets_through_what_is_signed_with_the_same_key_alone(
    address: str, family: socket.AddressFamily, key: bytes, answered: bool
) -> None:
    here = ip_address(address)

    async def answers(port: int) -> bool:
        try:
            async with asyncio.timeout(0.2):
                _, writer = await connect(here, port, local=here, md5_key=key)
        except TimeoutError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    with socket.socket(family) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, md5_signature(here, b"s3cret"))
        listener.bind((address, 0))
        listener.listen()
        assert asyncio.run(answers(listener.getsockname()[1])) is answered
