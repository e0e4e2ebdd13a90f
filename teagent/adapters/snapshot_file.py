"""Snapshots as files: all inputs of a decision, to be replayed on another machine or a year later.

A zip archive of FORMAT, whose members are

    snapshot.json    {"format", "snapshot"}: the snapshot but its matrix, as the store writes values of the model
    matrix           the traffic matrix, as the store packs one; absent where there is none
    as-graph.npz     the AS graph that predictions rested on; absent where there was none
    ingress.npz      what was learned of senders, as the store keeps it; absent where nothing was

The snapshot's own digest is kept in it, and computed again when it is read.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from teagent.adapters.as_graph import cache
from teagent.adapters.store import learned
from teagent.adapters.store.measurements import pack_matrix, unpack_matrix
from teagent.adapters.store.serialise import dump, from_json, load_object, to_json
from teagent.engine.choose.digest import snapshot_digest
from teagent.engine.predict.as_graph import AsGraph
from teagent.errors import StoreCorrupt, TeagentError, Unreadable
from teagent.model.link import NoData
from teagent.model.snapshot import Snapshot
from teagent.model.traffic import Column

FORMAT = 1
HINT = "teagent snapshot save FILE writes one"

_MOST_OCTETS = 2**30
"""Unpacked, of one member: a small file does not take the machine with it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SavedSnapshot:
    snapshot: Snapshot
    as_graph: AsGraph | None = None
    ingress: Mapping[str, Column] | None = None


def pack(saved: SavedSnapshot) -> bytes:
    matrix = saved.snapshot.matrix
    rest = saved.snapshot
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        if not isinstance(matrix, NoData):
            archive.writestr("matrix", pack_matrix(matrix))
            rest = replace(rest, matrix=NoData(since=matrix.at, reason="kept apart"))
        archive.writestr("snapshot.json", dump({"format": FORMAT, "snapshot": to_json(Snapshot, rest)}))
        if saved.as_graph is not None:
            with archive.open("as-graph.npz", "w") as member:
                cache.dump(saved.as_graph, member)
        if saved.ingress is not None:
            archive.writestr("ingress.npz", learned.pack(saved.ingress))
    return content.getvalue()


def unpack(content: bytes, *, name: str) -> SavedSnapshot:
    """Raises TeagentError, saying what is wrong with the file of that name."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename: _member(archive, info) for info in archive.infolist()}
        document = load_object(members["snapshot.json"].decode())
        if document.get("format") != FORMAT:
            raise TeagentError(
                f"{name} is a snapshot of format {document.get('format')!r}, this teagent reads format {FORMAT}",
                hint="take the version of teagent that wrote it",
            )
        snapshot: Snapshot = from_json(Snapshot, document["snapshot"])
        if "matrix" in members:
            snapshot = replace(snapshot, matrix=unpack_matrix(members["matrix"]))
        graph = cache.load(io.BytesIO(members["as-graph.npz"])) if "as-graph.npz" in members else None
        ingress = _ingress(members["ingress.npz"]) if "ingress.npz" in members else None
    # A damaged archive shows itself in many ways: of zipfile, of zlib, as a missing member, as values that do not fit.
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise TeagentError(f"{name} is no snapshot that can be read: {error}", hint=HINT) from error
    except StoreCorrupt as error:
        raise TeagentError(f"{name} is damaged: {error.message}", hint=HINT) from error
    if snapshot_digest(snapshot) != snapshot.digest:
        raise TeagentError(f"{name} is damaged: its content is not that of digest {snapshot.digest[:12]}", hint=HINT)
    return SavedSnapshot(snapshot=snapshot, as_graph=graph, ingress=ingress)


def load(path: Path) -> SavedSnapshot:
    """Raises TeagentError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(path, error, hint=HINT) from error
    return unpack(content, name=str(path))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as member:
        content = member.read(_MOST_OCTETS + 1)
    if len(content) > _MOST_OCTETS:
        raise ValueError(f"{info.filename} unpacks to more than {_MOST_OCTETS} octets")
    return content


def _ingress(content: bytes) -> Mapping[str, Column]:
    arrays = learned.unpack(content)
    if arrays is None:
        raise ValueError("what was learned is damaged")
    return arrays
