"""Snapshots as files: what is read is what was written, and what is not so is refused."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teagent.adapters.snapshot_file import SavedSnapshot, load, pack, unpack
from teagent.engine.choose.digest import snapshot_digest
from teagent.engine.choose.what_if import what_if
from teagent.engine.predict.as_graph import AsGraph
from teagent.engine.predict.ingress import empty
from teagent.engine.predict.ingress_state import to_state
from teagent.engine.predict.synthetic import Shape, internet
from teagent.errors import TeagentError, Unreadable
from teagent.model.snapshot import Snapshot
from teagent.model.what_if import parse_wish
from tests.golden.case import CASES, snapshot_of
from tests.golden.case import load as load_case

PATHS = sorted(CASES.glob("*.yaml"))
GRAPH = internet(np.random.default_rng(1), Shape(ases=60, tier1=4, transit=12))


def snapshot(name: str = "two-transit") -> Snapshot:
    return snapshot_of(load_case(CASES / f"{name}.yaml"))


def rewritten(content: bytes, **members: bytes | None) -> bytes:
    """The archive with other members; None leaves one out. `_` stands for `.`, as in `snapshot_json`."""
    changed = {name.replace("_", "."): value for name, value in members.items()}
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(result, "w") as new:
        for name in [*old.namelist(), *(set(changed) - set(old.namelist()))]:
            value = changed.get(name, old.read(name) if name in old.namelist() else b"")
            if value is not None:
                new.writestr(name, value)
    return result.getvalue()


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_what_is_read_has_the_digest_of_what_was_written(path: Path) -> None:
    given = snapshot_of(load_case(path))
    read = unpack(pack(SavedSnapshot(snapshot=given, as_graph=None)), name="file").snapshot
    assert snapshot_digest(read) == read.digest == given.digest


def test_a_what_if_on_what_was_read_is_the_same() -> None:
    given = snapshot()
    read = unpack(pack(SavedSnapshot(snapshot=given, as_graph=None)), name="file").snapshot
    wishes = [parse_wish("prepend 11.0.0.0/24 transit-a 1"), parse_wish("prepend 11.0.0.0/24 transit-b 0")]
    assert what_if(read, wishes) == what_if(given, wishes)


def test_the_graph_comes_along() -> None:
    read = unpack(pack(SavedSnapshot(snapshot=snapshot(), as_graph=GRAPH)), name="file").as_graph
    assert isinstance(read, AsGraph)
    assert [pair.tolist() for pair in read.transit_pairs()] == [pair.tolist() for pair in GRAPH.transit_pairs()]


def test_a_changed_fact_is_noticed() -> None:
    content = pack(SavedSnapshot(snapshot=snapshot(), as_graph=None))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        document = json.loads(archive.read("snapshot.json"))
    document["snapshot"]["frozen"] = True
    with pytest.raises(TeagentError, match=r"^file is damaged: its content is not that of digest"):
        unpack(rewritten(content, snapshot_json=json.dumps(document).encode()), name="file")


def test_another_format_is_said() -> None:
    content = rewritten(pack(SavedSnapshot(snapshot=snapshot(), as_graph=None)), snapshot_json=b'{"format": 7}')
    with pytest.raises(TeagentError, match="a snapshot of format 7, this teagent reads format 1"):
        unpack(content, name="file")


@pytest.mark.parametrize(
    "members", [{"snapshot_json": b"{"}, {"snapshot_json": b"\xff"}, {"snapshot_json": None}, {"matrix": b"x"}]
)
def test_what_is_damaged_is_refused_by_name(members: dict[str, bytes | None]) -> None:
    content = rewritten(pack(SavedSnapshot(snapshot=snapshot(), as_graph=None)), **members)
    with pytest.raises(TeagentError, match=r"^file is "):
        unpack(content, name="file")


def test_a_damaged_graph_is_refused() -> None:
    saved = pack(SavedSnapshot(snapshot=snapshot(), as_graph=GRAPH))
    with pytest.raises(TeagentError, match="no AS graph"):
        unpack(rewritten(saved, **{"as-graph_npz": b"PK nonsense"}), name="file")


@pytest.mark.parametrize("cut", [0, 10, 0.5, -1])
def test_any_beginning_of_a_file_is_refused(cut: float) -> None:
    content = pack(SavedSnapshot(snapshot=snapshot(), as_graph=None))
    end = int(cut * len(content)) if isinstance(cut, float) else cut
    with pytest.raises(TeagentError, match="is no snapshot that can be read"):
        unpack(content[:end], name="file")


def test_what_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="gone cannot be read: no such file"):
        load(tmp_path / "gone")


def test_a_snapshot_without_a_matrix_is_one_too() -> None:
    given = snapshot("no-matrix")
    assert unpack(pack(SavedSnapshot(snapshot=given, as_graph=None)), name="file").snapshot.matrix == given.matrix
    other = replace(given, frozen=True)
    assert snapshot_digest(other) != given.digest


def test_what_was_learned_comes_along_and_damage_to_it_is_refused() -> None:
    model = to_state(empty(("transit-a", "transit-b")))
    content = pack(SavedSnapshot(snapshot=snapshot(), ingress=model))
    read = unpack(content, name="file").ingress
    assert read is not None
    assert {name: str(array.tolist()) for name, array in read.items()} == {
        name: str(array.tolist()) for name, array in model.items()
    }
    with pytest.raises(TeagentError, match="what was learned is damaged"):
        unpack(rewritten(content, ingress_npz=b"PK nonsense"), name="file")
