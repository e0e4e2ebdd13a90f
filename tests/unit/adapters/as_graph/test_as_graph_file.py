"""AS graphs from files, and the cache of what was parsed."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from teagent.adapters.as_graph import cache, file, load
from teagent.engine.predict.as_graph import AsGraph
from teagent.errors import Unreadable, WireError

TEXT = b"# by hand\n64496|64497|-1|bgp\n64496|64498|-1|bgp\n64497|64498|0|mlp\n64497|64499|2\n"


def relations(graph: AsGraph) -> tuple[list[list[int]], list[list[int]], int]:
    transit, peering = graph.transit_pairs(), graph.peering_pairs()
    return [side.tolist() for side in transit], [side.tolist() for side in peering], graph.siblings


EXPECTED = ([[64496, 64496], [64497, 64498]], [[64497, 64497], [64498, 64499]], 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "as-rel.txt"
    path.write_bytes(TEXT)
    return path


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "deep"


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
def test_packed_and_plain_files_are_the_same_whatever_their_name(path: Path, pack: Callable[[bytes], bytes]) -> None:
    path.write_bytes(pack(TEXT))
    assert relations(load(path)) == EXPECTED


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be read: no such file"):
        load(tmp_path / "none")


def test_a_bad_line_names_file_and_line(path: Path) -> None:
    path.write_bytes(TEXT + b"hello\n")
    with pytest.raises(WireError) as caught:
        load(path)
    assert caught.value.message.startswith(f"{path}: line 6: 'hello'")
    assert caught.value.fields["line"] == 6


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_a_packed_file_that_was_cut_off_is_refused(path: Path, pack: Callable[[bytes], bytes]) -> None:
    path.write_bytes(pack(TEXT * 50)[:-12])
    with pytest.raises(WireError, match="cannot be unpacked"):
        load(path)


@pytest.mark.parametrize("damaged", [b"BZh9 this is no bzip2", b"\x1f\x8b\x08\x00 nor gzip"])
def test_a_file_that_only_begins_as_packed_is_refused(path: Path, damaged: bytes) -> None:
    path.write_bytes(damaged)
    with pytest.raises(WireError, match="cannot be unpacked"):
        load(path)


def test_a_file_that_unpacks_without_end_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "SIZE_MAX", 1000)
    path.write_bytes(bz2.compress(b"#" * 1001))
    with pytest.raises(WireError, match="more than 1000 octets"):
        load(path)


def test_a_file_without_relations_is_refused(path: Path) -> None:
    path.write_bytes(b"# nothing\n")
    with pytest.raises(WireError, match=r"no relation between ASes in 1 line$"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"BZh9 this is no bzip2", b"\xfd7zXZ\x00"])
def test_who_gave_something_else_is_told_what_is_read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(WireError) as caught:
        load(path)
    assert caught.value.hint is not None
    assert "plain, bzip2 and gzip are read" in caught.value.hint


def test_a_cached_graph_is_the_parsed_one(path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(path, cache_dir=cached)
    monkeypatch.setattr(file, "parse", None)
    second = load(path, cache_dir=cached)
    assert relations(first) == relations(second) == EXPECTED
    assert second.asn.tolist() == first.asn.tolist()


def test_the_cache_goes_by_content_not_by_name(path: Path, cached: Path) -> None:
    load(path, cache_dir=cached)
    path.write_bytes(b"1|2|0\n")
    assert relations(load(path, cache_dir=cached)) == ([[], []], [[1], [2]], 0)


def only_file(directory: Path) -> Path:
    (found,) = directory.iterdir()
    return found


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other bytes"])
def test_a_damaged_cache_is_ignored_and_written_again(path: Path, cached: Path, damage: str) -> None:
    load(path, cache_dir=cached)
    kept = only_file(cached)
    good = kept.read_bytes()
    middle = len(good) // 2
    kept.write_bytes(
        {
            "empty": b"",
            "cut": good[:middle],
            "flipped": bytes(255 - b if 60 < place < len(good) - 800 else b for place, b in enumerate(good)),
            "other bytes": b"not an archive at all",
        }[damage]
    )
    assert relations(load(path, cache_dir=cached)) == EXPECTED
    digest = kept.stem.rsplit("-", 1)[1]
    assert cache.read(cached, digest) is not None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("asn", np.array([1, 1, 2, 3])),
        ("asn", np.array([1.0, 2.0, 3.0, 4.0])),
        ("peers_target", np.array([0, 1, 2, 99], dtype=np.int32)),
        ("peers_start", np.array([0, 3, 2, 3, 4], dtype=np.int32)),
        ("peers_start", np.array([0, 4], dtype=np.int32)),
        ("customers_target", np.array([-1, 1], dtype=np.int32)),
        ("siblings", np.array([], dtype=np.int64)),
        ("peers_target", None),
    ],
)
def test_a_cache_that_holds_no_graph_is_ignored(path: Path, cached: Path, name: str, values: np.ndarray | None) -> None:
    load(path, cache_dir=cached)
    kept = only_file(cached)
    with np.load(kept) as archive:
        arrays = {key: archive[key] for key in archive.files if key != name}
    np.savez(kept, **(arrays if values is None else arrays | {name: values}))
    assert cache.read(cached, kept.stem.rsplit("-", 1)[1]) is None
    assert relations(load(path, cache_dir=cached)) == EXPECTED


def test_a_cache_that_cannot_be_written_changes_nothing(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert relations(load(path, cache_dir=tmp_path / "file" / "below")) == EXPECTED


def test_old_graphs_leave_the_cache(path: Path, cached: Path) -> None:
    for number in range(cache.KEPT + 2):
        path.write_bytes(f"1|{number + 2}|0\n".encode())
        load(path, cache_dir=cached)
        for age, kept in enumerate(sorted(cached.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)):
            os.utime(kept, (1000 - age, 1000 - age))
    assert len(list(cached.iterdir())) == cache.KEPT
    newest = load(path, cache_dir=cached)
    assert relations(newest) == ([[], []], [[1], [cache.KEPT + 3]], 0)
