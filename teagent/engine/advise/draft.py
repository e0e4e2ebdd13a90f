"""An intent in words becomes at most a draft of a policy, which a person reads and puts where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from teagent.engine.choose.scope import matches_prefix
from teagent.model.bgp import Prefix
from teagent.model.network import Network
from teagent.model.policy import Policy, PrefixMatch


def keeping(prefix: Prefix, policies: Sequence[Policy], network: Network) -> Policy | None:
    """The first enabled policy that may move the prefix, without that prefix; None where there is none, or where it
    would match nothing any more. The draft takes the place of that policy's file.
    """
    for policy in policies:
        matched = [own for own in network.prefixes if own.engineer and matches_prefix(policy, own)]
        if not policy.enabled or prefix not in [own.prefix for own in matched]:
            continue
        rest = frozenset(str(own.prefix) for own in matched if own.prefix != prefix)
        return replace(policy, prefixes=PrefixMatch(prefixes=rest)) if rest else None
    return None
