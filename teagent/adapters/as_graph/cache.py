"""Parsed AS graphs on disk. Whatever is wrong with the cache, the file itself is still there."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.as_graph import Adjacency, AsGraph

FORMAT = 1
KEPT = 4
"""Files in the cache; what was used longest ago goes first."""

_RELATIONS = ("providers", "customers", "peers")


def read(directory: Path, digest: str) -> AsGraph | None:
    """None where there is no such graph, or one that is damaged or of another version."""
    path = _path(directory, digest)
    try:
        # Opened here: of an archive that is cut off, numpy would leave the file open.
        with path.open("rb") as file:
            graph = load(file)
    except (OSError, ValueError):
        return None
    with suppress(OSError):
        path.touch()
    return graph


def load(file: IO[bytes]) -> AsGraph:
    """What `dump` wrote. Raises ValueError for what is no graph, OSError."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return _graph({name: arrays[name] for name in arrays.files})
    # A damaged archive shows itself in many ways (of zipfile, of numpy, as a missing member).
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, MemoryError) as error:
        raise ValueError(f"no AS graph: {error}") from error


def dump(graph: AsGraph, file: IO[bytes]) -> None:
    arrays: dict[str, Any] = {"asn": graph.asn, "siblings": np.array([graph.siblings])}
    for name in _RELATIONS:
        adjacency: Adjacency = getattr(graph, name)
        arrays |= {f"{name}_start": adjacency.start, f"{name}_target": adjacency.target}
    np.savez(file, **arrays)


def write(directory: Path, digest: str, graph: AsGraph) -> None:
    """Whole or not at all. A directory that cannot be written to is left alone."""
    with suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=directory, prefix=".as-graph-", suffix=".npz")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                dump(graph, file)
            temporary.replace(_path(directory, digest))
        finally:
            temporary.unlink(missing_ok=True)
        _forget_old(directory)


def _path(directory: Path, digest: str) -> Path:
    return directory / f"as-graph-{FORMAT}-{digest[:32]}.npz"


def _forget_old(directory: Path) -> None:
    kept = sorted(directory.glob("as-graph-*.npz"), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in kept[KEPT:]:
        path.unlink(missing_ok=True)


def _graph(arrays: Mapping[str, npt.NDArray[Any]]) -> AsGraph:
    """Raises ValueError or KeyError for arrays that are no graph."""
    asn, siblings = arrays["asn"], arrays["siblings"]
    if asn.dtype != np.int64 or asn.ndim != 1 or (np.diff(asn) <= 0).any() or siblings.shape != (1,):
        raise ValueError("no list of ASes")
    relations = {name: _adjacency(arrays, name, len(asn)) for name in _RELATIONS}
    return AsGraph(asn=asn, siblings=int(siblings[0]), **relations)


def _adjacency(arrays: Mapping[str, npt.NDArray[Any]], name: str, nodes: int) -> Adjacency:
    start, target = arrays[f"{name}_start"], arrays[f"{name}_target"]
    if start.dtype != np.int32 or target.dtype != np.int32 or start.shape != (nodes + 1,) or target.ndim != 1:
        raise ValueError("no adjacency")
    if start[0] != 0 or start[-1] != len(target) or (np.diff(start) < 0).any():
        raise ValueError("no adjacency")
    if len(target) and not 0 <= target.min() <= target.max() < nodes:
        raise ValueError("neighbors that are not there")
    return Adjacency(start=start, target=target)
