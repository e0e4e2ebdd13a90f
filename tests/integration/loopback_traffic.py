"""Traffic over loopback, and the NetFlow that a router would tell of it."""

from __future__ import annotations

import socket
import threading

from tests.fakes.netflow import flow_set, netflow9, record, template
from tests.integration.running import (
    Site,
    send,
)

FIELDS = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4))
HEAVY = 0xC6336407  # 198.51.100.7
OTHER = 0xCB007107  # 203.0.113.7


def loopback_index() -> int:
    return socket.if_nametoindex("lo")


class Traffic:
    """Octets over loopback, so that its counters run, and the NetFlow that a router would tell of them."""

    def __init__(self, where: Site) -> None:
        self._where = where
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.bind(("127.0.0.1", 0))

    def _run(self) -> None:
        sequence = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self._stop.wait(0.2):
                for _ in range(20):
                    out.sendto(bytes(1000), self._sink.getsockname())
                index = loopback_index()
                body = record(FIELDS, 0x0A000001, HEAVY, index, 14_000, 14)
                body += record(FIELDS, 0x0A000101, OTHER, index, 6_000, 6)
                sets = (flow_set(0, template(300, FIELDS)), flow_set(300, body))
                send(self._where.flows_port, [netflow9(*sets, sequence=sequence)])
                sequence += 1

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sink.close()
