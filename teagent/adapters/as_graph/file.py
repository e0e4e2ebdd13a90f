"""A file of AS relationships to an `AsGraph`."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import zlib
from pathlib import Path

import numpy as np

from teagent.adapters.as_graph import cache
from teagent.engine.predict.as_graph import AsGraph
from teagent.errors import Unreadable, WireError
from teagent.wire.as_rel import parse

SIZE_MAX = 2**30
"""Unpacked; the whole Internet is 13 MB. A small file that unpacks without end does not take the machine with it."""

FILE_HINT = (
    "AS relationships are published by CAIDA, for example 20241001.as-rel2.txt.bz2; plain, bzip2 and gzip are read"
)
KEY_HINT = f"as_graph.path in the configuration; {FILE_HINT}"


class AsGraphFile:
    """Implements ports.FileSource, through a cache of its own."""

    def __init__(self, path: Path, *, cache_dir: Path) -> None:
        self.path = path
        self._cache_dir = cache_dir

    def version(self) -> object:
        """Equal as long as the file is the same. Raises Unreadable where it is not there."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise Unreadable(self.path, error, hint=KEY_HINT) from error
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def read(self) -> AsGraph:
        """Raises as `load` does."""
        return load(self.path, cache_dir=self._cache_dir, hint=KEY_HINT)


def load(path: Path, *, cache_dir: Path | None = None, hint: str = FILE_HINT) -> AsGraph:
    """The graph of a file in CAIDA's serial-1 or serial-2, packed or not, whatever its name says.

    With `cache_dir` what was parsed is kept there under the digest of the file's content, and read back the next time;
    a cache that cannot be read or written changes nothing but the time it takes. Siblings are taken as peers.

    Raises Unreadable for a file that cannot be read, WireError (with the line) for one that is not in the format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(path, error, hint=hint) from error
    digest = hashlib.sha256(content).hexdigest()
    if cache_dir is not None and (known := cache.read(cache_dir, digest)) is not None:
        return known
    graph = _graph(path, content, hint)
    if cache_dir is not None:
        cache.write(cache_dir, digest, graph)
    return graph


def _graph(path: Path, content: bytes, hint: str) -> AsGraph:
    try:
        found = parse(_unpacked(content))
    except WireError as error:
        facts = {name: value for name, value in error.fields.items() if name != "offset"}
        raise WireError(f"{path}: {error.message}", offset=error.offset, hint=hint, **facts) from error
    if not len(found.provider) and not len(found.peer_a):
        raise WireError(f"{path}: no relation between ASes in {found.lines} line{'s' * (found.lines != 1)}", hint=hint)
    return AsGraph.of(
        transit=(found.provider, found.customer),
        peering=(
            np.concatenate([found.peer_a, found.sibling_a]),
            np.concatenate([found.peer_b, found.sibling_b]),
        ),
        siblings=len(found.sibling_a),
    )


def _unpacked(content: bytes) -> bytes:
    source: io.BufferedIOBase
    if content.startswith(b"BZh"):
        source = bz2.BZ2File(io.BytesIO(content))
    elif content.startswith(b"\x1f\x8b"):
        source = gzip.GzipFile(fileobj=io.BytesIO(content))
    else:
        source = io.BytesIO(content)
    try:
        with source:
            data = source.read(SIZE_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise WireError(f"cannot be unpacked: {str(error).lower()}") from error
    if len(data) > SIZE_MAX:
        raise WireError(f"unpacks to more than {SIZE_MAX} octets", limit=SIZE_MAX)
    return data
