"""The thread that reads the sockets and decodes what they have.

One thread does both, in turns. A thread for each would have to wait for the other one's step, for the interpreter's
lock and for its time on the core, while the kernel's buffer fills; so it is known how long nobody reads. Reading comes
first: between two steps of decoding all sockets are emptied, as long as there is room.

Each wake-up and each call has a price whatever it brings, so the kernel gathers datagrams for a while: longer when few
come, and never so long that a burst would fill its buffer.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from teagent.adapters.flow.receiver import CHUNK, Buffer, Chunk, Receiver

STOP_WITHIN_SECONDS: Final = 0.2
AT_ONCE: Final = 2048
"""Datagrams that are decoded before the sockets are looked at again."""
READ_AT_ONCE: Final = 4096
"""Datagrams that are read of a socket before the next one's turn."""
FIRST_PATIENCE_SECONDS: Final = 0.005
LEAST_PATIENCE_SECONDS: Final = 0.001
MOST_PATIENCE_SECONDS: Final = 0.05
FILL: Final = 1 / 8
"""Of the kernel's buffer, to which it may fill meanwhile at the rate of just now."""
BURST_OCTETS_PER_SECOND: Final = 100e6
"""A burst out of nothing, as the kernel counts it, that must not overflow the buffer: 40,000 datagrams a second."""


class IntakeThread:
    """`decode` is called with what arrived, in the order in which it came, and only by this thread. No more than
    `size` datagrams, and the READ_AT_ONCE of each socket, wait for it: the rest waits in the kernel, which counts what
    it has no room for.

    Where `in_place` says that to decode a chunk takes little more than to copy it, it is offered to `decode_in_place`,
    which says whether it has taken it.
    """

    def __init__(
        self,
        receivers: Sequence[Receiver],
        *,
        size: int,
        decode: Callable[[Sequence[Chunk]], None],
        in_place: Callable[[Chunk], bool] = lambda _: False,
        decode_in_place: Callable[[Chunk], bool] = lambda _: False,
    ) -> None:
        self._receivers = deque(receivers)
        self._size = size
        self._decode = decode
        self._in_place = in_place
        self._decode_in_place = decode_in_place
        self._chunks: deque[Chunk] = deque()
        self._held = 0
        self._patience = FIRST_PATIENCE_SECONDS
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        """The receivers have been started."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="flow intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What has been read is decoded."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        readable = select.poll()
        for receiver in self._receivers:
            readable.register(receiver.fileno(), select.POLLIN)
        while not self._stopping.is_set():
            if not self._chunks:
                if not readable.poll(STOP_WITHIN_SECONDS * 1000):
                    continue
                self._gather()
            self._read()
            self._step()
        while self._chunks:
            self._step()

    def _gather(self) -> None:
        self._stopping.wait(self._patience)
        found = [receiver.buffer for receiver in self._receivers]
        self._patience = min(next_patience(self._patience, buffer) for buffer in found)

    def _read(self) -> None:
        self._receivers.rotate()  # where there is not room for all, each comes first in turn
        for receiver in self._receivers:
            for _ in range(0, READ_AT_ONCE, CHUNK):
                if self._held >= self._size:
                    return
                count, chunk = receiver.read()
                if chunk.arrivals and not (self._in_place(chunk) and self._decoded(chunk)):
                    self._chunks.append(chunk.kept())
                    self._held += chunk.datagrams
                if count < CHUNK:
                    break

    def _decoded(self, chunk: Chunk) -> bool:
        """Whether it has been, in place. What waits comes first: as long as something does, all has to, which takes
        longer.
        """
        if self._chunks:
            self._step()
        return not self._chunks and self._decode_in_place(chunk)

    def _step(self) -> None:
        chunks: list[Chunk] = []
        count = 0
        while self._chunks and count < AT_ONCE:
            chunks.append(self._chunks.popleft())
            count += chunks[-1].datagrams
        self._held -= count
        if chunks:
            self._decode(chunks)


def next_patience(patience: float, buffer: Buffer) -> float:
    """Seconds to wait the next time, when after `patience` seconds the kernel's buffer is as told."""
    most = min(MOST_PATIENCE_SECONDS, buffer.size / BURST_OCTETS_PER_SECOND)
    wanted = patience * min(2.0, FILL * buffer.size / max(1, buffer.filled))
    return max(LEAST_PATIENCE_SECONDS, min(wanted, most))
