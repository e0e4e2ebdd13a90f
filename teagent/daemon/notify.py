"""Tells systemd how the daemon fares: sd_notify(3), one datagram a message, nothing at all outside of systemd."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

from teagent.config.secrets import process_environment

SEND_TIMEOUT_SECONDS = 1.0
"""For what is said once. What is said again and again does not wait: the event loop would wait with it."""


class Notify:
    """Implements teagent.ports.Notifier. A message that can't be delivered is counted and never raised: the daemon
    is of use without its supervisor, and systemd's watchdog notices by itself.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._address = (process_environment() if environment is None else environment).get("NOTIFY_SOCKET", "")
        self._status = ""
        self.failures = 0

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def reloading(self) -> None:
        # Type=notify-reload wants the moment, so that it can tell this reload's READY=1 from an earlier one.
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1", wait_seconds=0)

    def status(self, text: str) -> None:
        """Sent when it differs from the last one."""
        # A newline would begin another assignment.
        text = " ".join(text.split())
        if text != self._status and self._send(f"STATUS={text}", wait_seconds=0):
            self._status = text

    def _send(self, message: str, *, wait_seconds: float = SEND_TIMEOUT_SECONDS) -> bool:
        if not self._address:
            return False
        # An abstract socket is written with @ and begins with a null byte.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(wait_seconds)
                sender.sendto(message.encode("utf-8", "replace"), address)
        except OSError:
            self.failures += 1
            return False
        return True
