"""What an image's own start-up would do, in terms of Debian's daemons, and which package brings a program."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass

from labs.runner.topology import NodeSpec

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PACKAGES = {
    "bird": "bird2",
    "bmpd": "pmacct",
    "hping3": "hping3",
    "ip": "iproute2",
    "iperf3": "iperf3",
    "iptables": "iptables",
    "nfcapd": "nfdump",
    "pmacctd": "pmacct",
    "ping": "iputils-ping",
    "snmpd": "snmpd",
    "snmpset": "snmp",
    "socat": "socat",
    "softflowd": "softflowd",
    "tc": "iproute2",
    "tcpdump": "tcpdump",
    "vtysh": "frr",
    "/usr/lib/frr/frrinit.sh": "frr",
}

# what every lab needs on the machine itself
TOOLS = {"unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux", "mount": "mount", "ip": "iproute2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """`word` is looked for in the image's last path component, before its tag."""

    word: str
    command: tuple[str, ...]


DAEMONS = (
    Daemon(word="frr", command=("/usr/lib/frr/frrinit.sh", "start")),
    Daemon(word="bird", command=("bird", "-c", "/etc/bird/bird.conf")),
)


def daemon(node: NodeSpec) -> Daemon | None:
    """What the node's image starts: FRR, BIRD, or nothing for an image that is neither or whose command is replaced."""
    name = node.image.split("@")[0].rsplit("/", 1)[-1].split(":")[0].lower()
    return None if node.command else next((d for d in DAEMONS if d.word in name), None)


def missing(node: NodeSpec) -> list[tuple[str, str | None]]:
    """(program, package) of each program that the node would run and the machine does not have."""
    started = daemon(node)
    programs = [started.command[0]] if started else []
    programs += [command[0] for command in (node.command, *node.exec) if command]
    provided = {bind.target for bind in node.binds}
    # a program under a bind (a script of the lab) is not there yet, and need not be
    wanted = [
        program
        for program in dict.fromkeys(programs)
        if not any(program == target or program.startswith(f"{target}/") for target in provided)
    ]
    return [(program, PACKAGES.get(program)) for program in wanted if shutil.which(program, path=PATH) is None]


def missing_tools() -> list[tuple[str, str]]:
    return [(program, package) for program, package in TOOLS.items() if shutil.which(program, path=PATH) is None]


def install_hint(output: str) -> str | None:
    """What to install where a script's output says that one of the programs that labs use was not found."""
    absent = re.findall(r"(\S+): (?:command )?not found", output)
    packages = sorted({PACKAGES[program] for program in absent if program in PACKAGES})
    return f"apt-get install -y --no-install-recommends {' '.join(packages)}" if packages else None
