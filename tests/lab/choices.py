"""Over which of our links the networks of a small Internet reach us, as their own routers say."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from labs.internet import Internet
from labs.runner import Lab

# by network name, the link that its best route ends on
Chosen = Mapping[str, str]


def chosen(lab: Lab, internet: Internet, prefix: str) -> Chosen:
    """Without those that have no route. Where our prepends are forgotten, the path ends with the transit."""
    links = {internet.networks[link.transit].asn: link.name for link in internet.links}
    found = {}
    for network in internet.senders():
        done = lab.node(network.name).run(["birdc", "show", "route", "primary", "all", prefix], check=False)
        path = re.search(r"BGP\.as_path: (.*)", done.stdout)
        if path:
            transit = [int(asn) for asn in path[1].split() if int(asn) != internet.asn][-1]
            found[network.name] = links[transit]
    return found


def settled(lab: Lab, internet: Internet, prefix: str) -> Chosen:
    """What is seen twice in a row, by everybody; an Internet of this size has converged within a second."""
    seen = chosen(lab, internet, prefix)
    for _ in range(30):
        time.sleep(1)
        before, seen = seen, chosen(lab, internet, prefix)
        if seen == before and len(seen) == len(internet.senders()):
            return seen
    raise AssertionError("the routes do not come to rest")
