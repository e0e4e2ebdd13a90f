"""Reading from a TCP connection that may be silent."""

from __future__ import annotations

import asyncio

READ_OCTETS = 1 << 16


async def next_octets(reader: asyncio.StreamReader, *, within_seconds: float) -> bytes | None:
    """What came next, empty at the end; None where nothing comes in time. Raises OSError."""
    try:
        async with asyncio.timeout(within_seconds):
            return await reader.read(READ_OCTETS)
    except TimeoutError:
        return None
