"""What the kernel under the tests can do; what it cannot is skipped by name."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from teagent.adapters.tcp import TCP_MD5SIG, md5_signature


def _signs() -> bool:
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, md5_signature(ip_address("127.0.0.1"), b"k"))
        except OSError:
            return False
    return True


needs_tcp_md5 = pytest.mark.skipif(not _signs(), reason="this kernel has no TCP MD5 signatures")
