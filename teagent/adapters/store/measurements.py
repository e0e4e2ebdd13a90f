"""Utilisation, its roll-ups, and matrices: SQL of one transaction each."""

# ruff: noqa: S608  # what is put into the statements are names of our own tables and columns, never values

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network

import numpy as np

from teagent.adapters.store.rollup import (
    FIVE_MINUTES_US,
    HOUR_US,
    Bucket,
    Buckets,
    averages,
    fill,
    microseconds,
    time_at,
)
from teagent.engine.measure.windows import combined
from teagent.errors import StoreCorrupt
from teagent.model.link import Utilisation
from teagent.model.traffic import Column, MatrixSpan, Source, TrafficMatrix

ROLLUPS = {"utilisation_5m": FIVE_MINUTES_US, "utilisation_hourly": HOUR_US}
MATRIX_TABLES = {
    MatrixSpan.SHORT: "matrix_short",
    MatrixSpan.WINDOW: "matrix",
    MatrixSpan.HOUR: "matrix_hourly",
}
HOURLY_ROWS = 2000
"""What is kept apart of an hour: the largest demands; with four hundred days of it the file stays small."""
COLUMNS = ("link_index", "prefix_index", "source_index", "bps")


def add_utilisation(connection: sqlite3.Connection, rows: Sequence[Utilisation]) -> None:
    """A second reading of the same link and time takes the place of the first."""
    connection.executemany(
        "INSERT INTO utilisation (link, at_us, in_bps, out_bps, seconds) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET in_bps = excluded.in_bps, out_bps = excluded.out_bps, seconds = excluded.seconds",
        [(row.link, microseconds(row.at), row.in_bps, row.out_bps, row.seconds) for row in rows],
    )


def utilisation(
    connection: sqlite3.Connection, *, since: datetime, until: datetime, link: str | None
) -> list[Utilisation]:
    """Readings with since < at <= until; hours instead of what has been rolled up."""
    span = (microseconds(since), microseconds(until))
    of_link, arguments = ("AND link = ?", (*span, link)) if link is not None else ("", span)
    rows = list(_raw(connection, f"at_us > ? AND at_us <= ? {of_link}", arguments))
    rows += averages(_rolled_up(connection, "utilisation_hourly", f"at_us > ? AND at_us <= ? {of_link}", arguments))
    return sorted(rows, key=lambda row: (row.at, row.link))


def five_minute_buckets(
    connection: sqlite3.Connection, *, link: str, since: datetime, until: datetime
) -> list[Utilisation]:
    """Buckets that end in since < end <= until, out of what is rolled up and what is not yet."""
    since_us, until_us = microseconds(since), microseconds(until)
    buckets = _rolled_up(
        connection, "utilisation_5m", "at_us > ? AND at_us <= ? AND link = ?", (since_us, until_us, link)
    )
    # The first bucket begins up to its width before `since`; a reading may begin in a bucket and end after it.
    touching = "link = ? AND at_us > ? AND at_us - seconds * 1000000 < ?"
    fill(buckets, _raw(connection, touching, (link, since_us - FIVE_MINUTES_US, until_us)), FIVE_MINUTES_US)
    return averages({key: bucket for key, bucket in buckets.items() if since_us < key[1] <= until_us})


def prune_utilisation(connection: sqlite3.Connection, *, raw_until: datetime, rollup_until: datetime) -> dict[str, int]:
    """Rolls up and deletes raw readings up to `raw_until`, deletes roll-ups up to `rollup_until`."""
    # On the hour, so that hours are whole: what is left of a reading over the border is all on the raw side.
    raw_until_us = microseconds(raw_until) // HOUR_US * HOUR_US
    links = [
        row[0] for row in connection.execute("SELECT DISTINCT link FROM utilisation WHERE at_us <= ?", (raw_until_us,))
    ]
    deleted = {}
    for link in links:
        old = list(_raw(connection, "link = ? AND at_us <= ?", (link, raw_until_us)))
        for table, width_us in ROLLUPS.items():
            buckets: Buckets = {}
            fill(buckets, old, width_us)
            connection.executemany(
                f"INSERT INTO {table} (link, at_us, seconds, in_bits, out_bits) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds, "
                "in_bits = in_bits + excluded.in_bits, out_bits = out_bits + excluded.out_bits",
                [(name, end, b.seconds, b.in_bits, b.out_bits) for (name, end), b in buckets.items()],
            )
    deleted["utilisation"] = connection.execute("DELETE FROM utilisation WHERE at_us <= ?", (raw_until_us,)).rowcount
    for table in ROLLUPS:
        deleted[table] = connection.execute(
            f"DELETE FROM {table} WHERE at_us <= ?", (microseconds(rollup_until),)
        ).rowcount
    return deleted


def _raw(connection: sqlite3.Connection, where: str, arguments: Sequence[object]) -> Iterator[Utilisation]:
    for link, at_us, in_bps, out_bps, seconds in connection.execute(
        f"SELECT link, at_us, in_bps, out_bps, seconds FROM utilisation WHERE {where}", arguments
    ):
        yield Utilisation(link=link, at=time_at(at_us), in_bps=in_bps, out_bps=out_bps, seconds=seconds)


def _rolled_up(connection: sqlite3.Connection, table: str, where: str, arguments: Sequence[object]) -> Buckets:
    rows = connection.execute(f"SELECT link, at_us, seconds, in_bits, out_bits FROM {table} WHERE {where}", arguments)
    return {(link, end): Bucket(seconds, in_bits, out_bits) for link, end, seconds, in_bits, out_bits in rows}


# --- matrices -------------------------------------------------------------------------------------------------------


def add_matrix(connection: sqlite3.Connection, span: MatrixSpan, at_us: int, content: bytes) -> None:
    connection.execute(f"INSERT OR REPLACE INTO {MATRIX_TABLES[span]} (at_us, content) VALUES (?, ?)", (at_us, content))


def latest_matrix(connection: sqlite3.Connection, span: MatrixSpan) -> TrafficMatrix | None:
    row = connection.execute(f"SELECT content FROM {MATRIX_TABLES[span]} ORDER BY at_us DESC LIMIT 1").fetchone()
    return unpack_matrix(row[0]) if row else None


def matrices(
    connection: sqlite3.Connection, *, span: MatrixSpan, since: datetime, until: datetime
) -> list[TrafficMatrix]:
    return _matrices(connection, span, microseconds(since), microseconds(until))


def _matrices(connection: sqlite3.Connection, span: MatrixSpan, since_us: int, until_us: int) -> list[TrafficMatrix]:
    rows = connection.execute(
        f"SELECT content FROM {MATRIX_TABLES[span]} WHERE at_us > ? AND at_us <= ? ORDER BY at_us",
        (since_us, until_us),
    )
    return [unpack_matrix(content) for (content,) in rows]


def prune_matrices(
    connection: sqlite3.Connection, *, now: datetime, until: dict[MatrixSpan, datetime]
) -> dict[str, int]:
    """Rolls up the hours that have ended, and deletes those of each span up to its time."""
    _roll_up_matrices(connection, microseconds(now))
    return {
        table: connection.execute(f"DELETE FROM {table} WHERE at_us <= ?", (microseconds(until[span]),)).rowcount
        for span, table in MATRIX_TABLES.items()
    }


def _roll_up_matrices(connection: sqlite3.Connection, now_us: int) -> None:
    """A window counts for the hour in which it ends, so that an hour may begin a little before the clock's."""
    (done_us,) = connection.execute(
        "SELECT coalesce(max(at_us), 0) FROM matrix_hourly WHERE at_us <= ?", (now_us,)
    ).fetchone()
    while True:
        (first_us,) = connection.execute("SELECT min(at_us) FROM matrix WHERE at_us > ?", (done_us,)).fetchone()
        if first_us is None:
            return
        end_us = -(-first_us // HOUR_US) * HOUR_US
        if end_us > now_us:
            return
        found = combined(_matrices(connection, MatrixSpan.WINDOW, end_us - HOUR_US, end_us), max_rows=HOURLY_ROWS)
        add_matrix(connection, MatrixSpan.HOUR, end_us, pack_matrix(replace(found, at=time_at(end_us))))
        done_us = end_us


def pack_matrix(matrix: TrafficMatrix) -> bytes:
    """A matrix as one compressed blob: a line of JSON for the names and the columns' types, then the columns.

    One blob a window, not one row a demand: a matrix is written and read whole, and takes half the room that rows
    with their index would (100,000 demands: 1.2 MB against 2.6 MB). zlib's checksum covers all of it.
    """
    columns: dict[str, Column] = {name: getattr(matrix, name) for name in COLUMNS}
    names = {
        "at_us": microseconds(matrix.at),
        "seconds": matrix.seconds,
        "links": matrix.links,
        "prefixes": [str(prefix) for prefix in matrix.prefixes],
        "sources": [[source.asn, source.prefix] for source in matrix.sources],
        "coverage": matrix.coverage,
        "unattributed_bps": matrix.unattributed_bps,
        "columns": [[name, column.dtype.str, len(column)] for name, column in columns.items()],
    }
    head = json.dumps(names, separators=(",", ":")).encode()
    return zlib.compress(b"\n".join((head, b"".join(column.tobytes() for column in columns.values()))))


def unpack_matrix(content: bytes) -> TrafficMatrix:
    """Raises StoreCorrupt."""
    try:
        head, _, body = zlib.decompress(content).partition(b"\n")
        names = json.loads(head)
        columns, offset = {}, 0
        for name, dtype, length in names["columns"]:
            column = np.frombuffer(body, dtype=np.dtype(dtype), count=length, offset=offset).copy()
            columns[name], offset = column, offset + column.nbytes
        return TrafficMatrix(
            at=time_at(names["at_us"]),
            seconds=names["seconds"],
            links=tuple(names["links"]),
            prefixes=tuple(ip_network(text) for text in names["prefixes"]),
            sources=tuple(Source(asn=asn, prefix=prefix) for asn, prefix in names["sources"]),
            coverage=names["coverage"],
            unattributed_bps=names["unattributed_bps"],
            **columns,
        )
    except (KeyError, ValueError, TypeError, zlib.error) as error:
        raise StoreCorrupt(
            f"the store holds a matrix that cannot be read: {error}", hint="restore a backup, or wait for the next one"
        ) from error
