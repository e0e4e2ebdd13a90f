"""A TCP connection: from which address, signed with a key (RFC 2385), and reading from one that may be silent."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
from typing import Final

from teagent.model.bgp import Address

READ_OCTETS = 1 << 16
TCP_MD5SIG: Final = 14
"""Of linux/tcp.h; Python's socket module has no name for it."""


async def next_octets(reader: asyncio.StreamReader, *, within_seconds: float) -> bytes | None:
    """What came next, empty at the end; None where nothing comes in time. Raises OSError."""
    try:
        async with asyncio.timeout(within_seconds):
            return await reader.read(READ_OCTETS)
    except TimeoutError:
        return None


async def connect(
    peer: Address, port: int, *, local: Address, md5_key: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Both addresses are of one family. Where there is a key, all is signed. Raises OSError, in words for operators."""
    connection = socket.socket(socket.AF_INET if peer.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        connection.settimeout(0)
        if md5_key:
            _sign(connection, peer, md5_key)
        try:
            connection.bind((str(local), 0))
        except OSError as error:
            raise OSError(error.errno, f"{local} cannot be spoken from: {error.strerror}") from error
        await asyncio.get_running_loop().sock_connect(connection, (str(peer), port))
        return await asyncio.open_connection(sock=connection)
    except BaseException:
        connection.close()
        raise


def _sign(connection: socket.socket, peer: Address, key: bytes) -> None:
    """Before the connection is made: its first segment is signed already."""
    if sys.platform != "linux":
        raise OSError(errno.ENOPROTOOPT, f"no TCP MD5 signatures on {sys.platform}: they are made by Linux alone here")
    try:
        connection.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, md5_signature(peer, key))
    except OSError as error:
        why = "this kernel has no TCP MD5 signatures" if error.errno == errno.ENOPROTOOPT else error.strerror
        raise OSError(error.errno, f"the session cannot be signed: {why}") from error


def md5_signature(peer: Address, key: bytes) -> bytes:
    """Linux's struct tcp_md5sig: whom it is for (struct sockaddr_storage; the port does not count), and a key of 1 to
    80 octets. All but the addresses is in the order of this machine.
    """
    if peer.version == 4:
        whom = struct.pack("=HH4s120x", socket.AF_INET, 0, peer.packed)
    else:
        whom = struct.pack("=HHI16sI100x", socket.AF_INET6, 0, 0, peer.packed, 0)
    flags = prefix_length = interface = 0
    return whom + struct.pack("=BBHi80s", flags, prefix_length, len(key), interface, key)
