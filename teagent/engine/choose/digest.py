"""Digests: the same facts give the same SHA-256, in whatever order they came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from operator import le
from typing import Any

import numpy as np
import numpy.typing as npt

from teagent.model.announcement import AnnouncementSet, Change
from teagent.model.bgp import Prefix, prefix_key
from teagent.model.network import Network
from teagent.model.policy import Policy
from teagent.model.snapshot import Snapshot
from teagent.model.traffic import TrafficMatrix


def canonical_json(value: object) -> str:
    """Values of the model as JSON with sorted keys and no spaces. Sets are sorted; tuples keep their order.

    Raises TypeError for what is no value of the model.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def plan_digest(policy: str, changes: Iterable[Change], before: AnnouncementSet, after: AnnouncementSet) -> str:
    """Of what a plan would do: independent of the order of the changes."""
    return sha256(
        {"policy": policy, "changes": sorted(canonical_json(c) for c in changes), "before": before, "after": after}
    )


def inputs_digest(
    network: Network, policy: Policy, live: AnnouncementSet, prefixes: Iterable[Prefix], config_digest: str = ""
) -> str:
    """Of what a plan starts from besides measurements: config, policy, and the live vectors of its prefixes."""
    ordered = sorted(set(prefixes), key=prefix_key)
    return sha256(
        {
            "asn": network.asn,
            "links": network.links,
            "prefixes": [network.own(prefix) for prefix in ordered],
            "policy": policy,
            "live": {str(prefix): live.vector(prefix) for prefix in ordered},
            "config": config_digest,
        }
    )


def snapshot_digest(snapshot: Snapshot) -> str:
    """Of everything in the snapshot but its `digest`. The order of prefixes, demands and mappings does not matter."""
    matrix = snapshot.matrix
    return sha256(
        {
            "taken_at": snapshot.taken_at,
            "network": replace(
                snapshot.network, prefixes=tuple(sorted(snapshot.network.prefixes, key=lambda o: prefix_key(o.prefix)))
            ),
            "live": snapshot.live,
            "latest": snapshot.latest,
            "history": snapshot.history,
            "matrix": _matrix_digest(matrix) if isinstance(matrix, TrafficMatrix) else matrix,
            "busy": {str(prefix): busy for prefix, busy in snapshot.busy.items()},
            "frozen": snapshot.frozen,
            "distrust": sorted(snapshot.distrust),
            "flow_doubts": snapshot.flow_doubts,
            "counter_doubts": snapshot.counter_doubts,
            "coverage_limits": snapshot.coverage_limits,
            "widening": snapshot.widening,
        }
    )


def with_digest(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, digest=snapshot_digest(snapshot))


def _matrix_digest(matrix: TrafficMatrix) -> str:
    """Rows in the order of their names; the columns go in as bytes, since there may be millions."""
    total = hashlib.sha256()
    links = _ranks(matrix.links, matrix.links, matrix.link_index)
    prefixes = _ranks(matrix.prefixes, [prefix_key(p) for p in matrix.prefixes], matrix.prefix_index)
    sources = _ranks(matrix.sources, [(s.asn, s.prefix) for s in matrix.sources], matrix.source_index)
    for names, _ in (links, prefixes, sources):
        total.update(json.dumps(names, separators=(",", ":"), ensure_ascii=True).encode("ascii"))
    bps = np.asarray(matrix.bps, dtype=np.float64)
    order = _order((links[1], prefixes[1], sources[1]), bps, (len(prefixes[0]), len(sources[0])))
    for column in (links[1], prefixes[1], sources[1], bps):
        ordered = column if order is None else column[order]
        total.update(np.ascontiguousarray(ordered).astype(column.dtype.newbyteorder("<"), copy=False).data)
    rest = {
        "at": matrix.at,
        "seconds": matrix.seconds,
        "coverage": matrix.coverage,
        "unattributed_bps": matrix.unattributed_bps,
    }
    total.update(canonical_json(rest).encode("ascii"))
    return total.hexdigest()


def _order(
    ranks: tuple[npt.NDArray[np.int64], ...], bps: npt.NDArray[np.float64], widths: tuple[int, int]
) -> npt.NDArray[np.int64] | None:
    """By link, prefix, source, and then load. None: they are in that order already, as a matrix mostly is."""
    link, prefix, source = ranks
    key = (link * widths[0] + prefix) * widths[1] + source
    if (key[1:] > key[:-1]).all():
        return None
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) > 0).all():
        return order
    return np.lexsort((bps, key))


def _ranks(
    names: Sequence[object], keys: Sequence[Any], index: npt.NDArray[Any]
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The names in their own order, and for each row the place of its name in it."""
    if all(map(le, keys, keys[1:])):
        return list(map(str, names)), index.astype(np.int64)
    order = sorted(range(len(names)), key=keys.__getitem__)
    rank = np.zeros(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return [str(names[i]) for i in order], rank[index]


@lru_cache(maxsize=256)
def _compared(kind: Any) -> tuple[str, ...]:
    """The fields of a dataclass that are compared."""
    return tuple(f.name for f in fields(kind) if f.compare)


def _plain(value: object) -> object:
    kind: Any = type(value)
    if kind is str or kind is int or kind is bool or value is None:  # as most are
        return value
    match value:
        case Enum():
            return _plain(value.value)
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return repr(float(value))
        case datetime():
            return value.astimezone(UTC).isoformat()
        case IPv4Network() | IPv6Network() | IPv4Address() | IPv6Address():
            return str(value)
        case AnnouncementSet():
            each = ((str(prefix), value.vector(prefix)) for prefix in value.prefixes())
            return [[name, link, prepend] for name, vector in each for link, prepend in vector.items()]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case frozenset() | set():
            return sorted((_plain(item) for item in value), key=str)
        case tuple() | list():
            return [_plain(item) for item in value]
        case _ if is_dataclass(value):
            # The name tells apart alternatives that have the same fields.
            # What is not compared is derived from the rest.
            return {"": kind.__name__, **{name: _plain(getattr(value, name)) for name in _compared(kind)}}
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")
