"""`teagent flow decode`: what is in captured flow exports, without a daemon."""

from __future__ import annotations

import math
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import click

from teagent.cli.grammar import LazyGroup, common_options
from teagent.cli.output import note
from teagent.cli.settings import Settings
from teagent.cli.text import plural
from teagent.errors import TeagentError, Unreadable, WireError

if TYPE_CHECKING:
    # numpy comes with the decoder, and only the decoding needs it.
    from teagent.wire.flow.offline import Document, OfflineReader

PIECE_OCTETS: Final = 1 << 18
LARGEST_RAW: Final = 1 << 24  # a file of payloads is read at once
PROGRESS_FROM_OCTETS: Final = 1 << 23
STDIN: Final = "-"
MOST_PORTS: Final = 5


Advance: TypeAlias = Callable[[int], None]
"""Told how many octets more have been read."""


class Sink(Protocol):
    """Where records go as they come: teagent.cli.render_flow has them."""

    def record(self, document: Document) -> None: ...

    def end(self, undecoded: Sequence[dict[str, Any]], files: Sequence[dict[str, Any]]) -> None: ...


@dataclass(slots=True)
class Tally:
    """What came of one file. `passed_over` are its datagrams to ports that were not asked for, by port."""

    file: str
    datagrams: int = 0
    records: int = 0
    passed_over: Counter[int] = field(default_factory=Counter)


@click.group(cls=LazyGroup)
def flow() -> None:
    """Flow exports: what routers send."""


@flow.command("decode")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--port",
    "ports",
    type=click.IntRange(1, 65535),
    multiple=True,
    metavar="PORT",
    help="Only datagrams to this port of a capture; may be repeated.",
)
@common_options
@click.pass_obj
def decode(settings: Settings, files: tuple[str, ...], ports: tuple[int, ...]) -> None:
    """Decode captured NetFlow, IPFIX and sFlow: every record, and what could not be decoded and why.

    A FILE is a pcap or pcapng capture, or the payload of one datagram as it is; - is stdin. Files are read in the order
    given, and templates of one hold for the next. With --json every field is there, under its name in IANA's registry.
    """
    from teagent.cli.render_flow import JsonSink, TextSink
    from teagent.wire.flow.offline import OfflineReader

    if files.count(STDIN) > 1:
        raise click.UsageError("- is stdin, and can be read once only")
    # Looked at before the first is decoded, but opened one by one: there may be more than a process may have open.
    octets = sum(_octets(name) for name in files)
    sink: Sink = JsonSink(click.echo) if settings.as_json else TextSink(click.echo)
    reader = OfflineReader()
    tallies: list[Tally] = []
    with _progress(settings, octets) as advance:
        for name in files:
            tally = Tally(name)
            tallies.append(tally)
            with _open(name) as source:
                for document in _documents(reader, source, tally, frozenset(ports), advance):
                    tally.records += 1
                    sink.record({"file": name, **document})
    reader.finish()
    undecoded = [
        {"exporter": exporter or None, "reason": reason, "message": text, "count": count}
        for (exporter, reason, text), count in sorted(reader.undecoded.items())
    ]
    rows = [{"file": t.file, "datagrams": t.datagrams, "records": t.records} for t in tallies]
    sink.end(undecoded, rows)
    note(settings, _summary(tallies, sum(reader.undecoded.values())))


def _summary(tallies: Sequence[Tally], failed: int) -> str:
    datagrams, records = sum(t.datagrams for t in tallies), sum(t.records for t in tallies)
    text = f"{plural(datagrams, 'datagram')}, {plural(records, 'record')}"
    if failed:
        text += f", something was not decoded {plural(failed, 'time')}"
    others = sum((t.passed_over for t in tallies), Counter())
    if others and not datagrams:
        ports = ", ".join(f"{port} ({count})" for port, count in others.most_common(MOST_PORTS))
        text += f"; datagrams to other ports: {ports}{', ...' if len(others) > MOST_PORTS else ''}"
    return text


def _open(name: str) -> IO[bytes]:
    """Raises Unreadable."""
    if name == STDIN:
        return _stdin()
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise Unreadable(name, error) from error


def _stdin() -> IO[bytes]:
    """Raises Unreadable where whoever began this has closed it."""
    if sys.stdin is None:
        raise Unreadable("stdin", OSError("it is closed"))
    return sys.stdin.buffer


def _octets(name: str) -> int:
    """The size of a file, 0 of a pipe. Raises Unreadable as `_open` would."""
    if name == STDIN:
        _stdin()
        return 0
    try:
        status = Path(name).stat()
    except OSError as error:
        raise Unreadable(name, error) from error
    if not stat.S_ISFIFO(status.st_mode):  # whoever writes into a pipe would see it closed
        _open(name).close()
    return status.st_size


def _progress(settings: Settings, octets: int) -> AbstractContextManager[Advance]:
    """A bar on a terminal's stderr while stdout goes elsewhere, for files that take a while."""

    def nothing(_octets: int) -> None:
        pass

    if settings.quiet or octets < PROGRESS_FROM_OCTETS or not sys.stderr.isatty() or sys.stdout.isatty():
        return nullcontext(nothing)
    from teagent.cli.progress import bar

    return bar(octets, "decoding")


def _documents(
    reader: OfflineReader, source: IO[bytes], tally: Tally, ports: frozenset[int], advance: Advance
) -> Iterator[Document]:
    from teagent.wire import capture
    from teagent.wire.flow.decoder import begins_as_flows
    from teagent.wire.flow.records import Undecoded

    pieces = _pieces(source, tally.file, advance)
    first = next(pieces, b"")
    unpack = next((unpack for begin, unpack in capture.COMPRESSED.items() if first.startswith(begin)), None)
    if unpack is not None:
        hint = f"{unpack} FILE | teagent flow decode -"
        raise TeagentError(f"{tally.file} is compressed", hint=hint, file=tally.file)
    if capture.is_capture(first):
        yield from _captured(reader, first, pieces, tally, ports)
        return
    payload = first
    for piece in pieces:
        payload += piece
        if len(payload) > LARGEST_RAW:
            raise TeagentError(f"{tally.file} is neither a capture nor the payload of datagrams", file=tally.file)
    if not begins_as_flows(payload):
        found = "is neither a capture nor begins as NetFlow v5, v9, IPFIX or sFlow do" if payload else "is empty"
        reader.fail("", Undecoded.BAD_VERSION if payload else Undecoded.TRUNCATED, f"{tally.file} {found}")
        return
    tally.datagrams += 1
    yield from reader.read(payload, exporter="", port=0, at=math.nan)


def _captured(
    reader: OfflineReader, first: bytes, rest: Iterator[bytes], tally: Tally, ports: frozenset[int]
) -> Iterator[Document]:
    from itertools import chain

    from teagent.wire.capture import frames
    from teagent.wire.capture_udp import Skipped, UdpReader

    udp = UdpReader()
    try:
        for datagram in udp.datagrams(frames(chain((first,), rest))):
            if ports and datagram.port not in ports:
                tally.passed_over[datagram.port] += 1
                continue
            tally.datagrams += 1
            if datagram.missing:
                reader.fail(datagram.source, Skipped.CUT, f"{datagram.missing} octets were not captured")
            yield from reader.read(
                datagram.payload, exporter=datagram.source, port=datagram.source_port, at=datagram.at
            )
    except WireError as error:
        reader.fail("", "broken_capture", f"{tally.file}: {error.message}")
    for reason, count in udp.skipped.items():
        if reason is not Skipped.LINK_TYPE:
            reader.fail("", reason, f"frames of {tally.file}", count)
    for link_type, count in udp.link_types.items():
        reader.fail("", Skipped.LINK_TYPE, f"frames of {tally.file}, link type {link_type}", count)


def _pieces(source: IO[bytes], name: str, advance: Advance) -> Iterator[bytes]:
    while True:
        try:
            piece = source.read(PIECE_OCTETS)
        except OSError as error:
            raise Unreadable(name, error) from error
        if not piece:
            return
        advance(len(piece))
        yield piece
