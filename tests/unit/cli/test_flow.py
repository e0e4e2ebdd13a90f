"""`teagent flow decode`: captures and payloads in, records out, without a daemon."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import resource
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from teagent.cli import flow as command
from teagent.cli.render_flow import COLUMNS, ROWS_AT_ONCE, TextSink
from teagent.cli.root import teagent
from tests.fakes.netflow import flow_set, netflow5, netflow9, options_template9, record, record5, template
from tests.fakes.sflow import counter_sample, datagram, ethernet, flow_sample, if_counters, ipv4, sampled_header, udp

FIELDS = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4))
TEMPLATE = netflow9(flow_set(0, template(300, FIELDS)))
DATA = netflow9(flow_set(300, record(FIELDS, 0xC0000201, 0xC6336407, 7, 1500, 2)), sequence=1)
SAMPLE = datagram(
    flow_sample(sampled_header(ethernet(ipv4("192.0.2.9", "198.51.100.9", udp(1, 2)))), in_if=(0, 5), out_if=(1, 0)),
    counter_sample(if_counters(3)),
)


def pcap(*sent: tuple[str, int, bytes]) -> bytes:
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for exporter, port, payload in sent:
        frame = ethernet(ipv4(exporter, "192.0.2.250", udp(50_000, port, payload)))
        octets += struct.pack("<IIII", 1_700_000_000, 0, len(frame), len(frame)) + frame
    return octets


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "flows.pcap"
    sent = (
        ("192.0.2.1", 2055, DATA),
        ("192.0.2.1", 2055, TEMPLATE),
        ("192.0.2.2", 6343, SAMPLE),
        ("192.0.2.3", 53, b"a query"),
    )
    path.write_bytes(pcap(*sent))
    return path


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(teagent, ["flow", "decode", *map(str, arguments)], input=stdin)


def document(*arguments: str | Path, stdin: bytes | None = None) -> dict:
    result = run("--json", *arguments, stdin=stdin)
    assert result.exit_code == 0
    found: dict = json.loads(result.stdout)
    return found


def test_a_capture_is_shown_as_a_table_with_what_was_not_decoded(capture):
    result = run(capture)
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert [" ".join(line.split()) for line in (head, *rows)] == [
        "EXPORTER PROTOCOL IN OUT SOURCE DESTINATION PROTO SPORT DPORT OCTETS PACKETS RATE SRC_AS",
        "192.0.2.1 netflow-v9 7 - 192.0.2.1 198.51.100.7 - - - 1500 2 - -",
        "192.0.2.2 sflow-v5 5 discarded 192.0.2.9 198.51.100.9 17 1 2 66 1 1000 -",
        "",
        "1 record of counters, see --json",
        "not decoded from 192.0.2.3, 1 time: bad_version: version 24864 is not NetFlow v5, v9, IPFIX or sFlow",
    ]
    assert [line.index("198.51.100.") for line in rows[:2]] == [head.index("DESTINATION")] * 2
    assert [line.rindex(end) + len(end) for line, end in zip(rows[:2], ("1500", "66"), strict=True)] == [
        head.index("OCTETS") + len("OCTETS")
    ] * 2
    assert result.stderr == "4 datagrams, 3 records, something was not decoded 1 time\n"
    assert run("-q", capture).stderr == ""


def test_the_json_is_one_document_with_one_record_a_line(capture):
    result = run("--json", "-q", capture)
    found = json.loads(result.stdout)
    lines = result.stdout.splitlines()
    assert [json.loads(line.rstrip(",")) for line in lines[1:4]] == found["records"]
    assert found["files"] == [{"file": str(capture), "datagrams": 4, "records": 3}]
    [trouble] = found["undecoded"]
    assert (trouble["exporter"], trouble["reason"], trouble["count"]) == ("192.0.2.3", "bad_version", 1)
    first = found["records"][0]
    assert first == {
        "file": str(capture),
        "at": "2023-11-14T22:13:20Z",
        "exporter": "192.0.2.1",
        "exporter_port": 50000,
        "protocol": "netflow-v9",
        "version": 9,
        "domain": 1,
        "template": 300,
        "kind": "flow",
        "exported_at": "2023-11-14T22:13:20Z",
        "input_interface": 7,
        "output_interface": None,
        "sampling_rate": None,
        "fields": {
            "sourceIPv4Address": "192.0.2.1",
            "destinationIPv4Address": "198.51.100.7",
            "ingressInterface": 7,
            "octetDeltaCount": 1500,
            "packetDeltaCount": 2,
        },
    }


def test_without_records_the_document_is_still_one(tmp_path):
    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap())
    expected = {"records": [], "undecoded": [], "files": [{"file": str(path), "datagrams": 0, "records": 0}]}
    assert document(path) == expected
    assert run("-q", path).stdout == ""


def test_only_datagrams_to_the_ports_that_are_asked_for_count(capture):
    assert [r["protocol"] for r in document("--port", "2055", capture)["records"]] == ["netflow-v9"]
    both = document("--port", "2055", "--port", "6343", capture)
    assert (len(both["records"]), both["undecoded"]) == (3, [])


def test_payloads_as_files_share_their_templates_in_the_order_given(tmp_path):
    first, second = tmp_path / "template.dat", tmp_path / "data.dat"
    first.write_bytes(TEMPLATE)
    second.write_bytes(DATA + DATA)
    found = document(first, second)
    assert [(r["file"], r["at"], r["exporter"]) for r in found["records"]] == [(str(second), None, "")]
    assert [row["records"] for row in found["files"]] == [0, 1]


def test_several_messages_in_a_payload_are_all_read(tmp_path):
    path = tmp_path / "netflow5.dat"
    path.write_bytes(netflow5(record5(src=1, dst=2)) * 3)
    assert len(document(path)["records"]) == 3


def test_a_capture_may_come_from_stdin(capture):
    assert len(document("-", stdin=capture.read_bytes())["records"]) == 3


def test_a_record_of_a_template_with_both_families_shows_the_addresses_that_are_set(tmp_path):
    fields = ((8, 4), (12, 4), (27, 16), (28, 16), (1, 4))
    rows = record(fields, 1, 2, bytes(16), bytes(16), 10) + record(
        fields, 0, 0, bytes(15) + b"\1", bytes(15) + b"\2", 10
    )
    path = tmp_path / "both"
    path.write_bytes(netflow9(flow_set(0, template(300, fields)), flow_set(300, rows)))
    shown = CliRunner().invoke(teagent, ["flow", "decode", str(path)]).stdout.splitlines()[1:3]
    assert [line.split()[4:6] for line in shown] == [["0.0.0.1", "0.0.0.2"], ["::1", "::2"]]


def test_options_are_counted_in_the_table_and_shown_in_the_json(tmp_path):
    path = tmp_path / "options.dat"
    options = options_template9(400, ((1, 4),), ((48, 1), (50, 4)))
    path.write_bytes(netflow9(flow_set(1, options), flow_set(400, record(((1, 4), (48, 1), (50, 4)), 0, 1, 512))))
    assert run("-q", path).stdout == "1 record of options, see --json\n"
    [told] = document(path)["records"]
    assert (told["kind"], told["fields"]["samplerRandomInterval"]) == ("options", 512)


def test_a_capture_that_breaks_off_gives_what_was_before_it(capture, tmp_path):
    path = tmp_path / "cut.pcap"
    path.write_bytes(capture.read_bytes()[:-3])
    found = document(path)
    assert len(found["records"]) == 3
    assert found["undecoded"] == [
        {"exporter": None, "reason": "broken_capture", "message": f"{path}: the file ends within a packet", "count": 1}
    ]


def test_what_the_capture_cut_or_was_no_udp_is_said(tmp_path):
    path = tmp_path / "mixed.pcap"
    octets = pcap(("192.0.2.1", 2055, netflow5(record5(src=1, dst=2))))
    frame = ethernet(bytes(46), kind=0x0806)
    octets += struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame
    whole = ethernet(ipv4("192.0.2.1", "192.0.2.250", udp(1, 2055, netflow5(record5(src=1, dst=2)))))
    octets += struct.pack("<IIII", 0, 0, 80, len(whole)) + whole[:80]
    path.write_bytes(octets)
    found = document(path)
    assert len(found["records"]) == 1
    assert {(row["reason"], row["message"]) for row in found["undecoded"]} == {
        ("bad_length", "netflow v5 header promises 1 records, 0 are there"),
        ("cut_by_capture", f"{len(whole) - 80} octets were not captured"),
        ("not_udp", f"frames of {path}"),
    }


def test_the_link_type_of_frames_that_are_not_read_is_said(tmp_path):
    path = tmp_path / "log.pcap"
    path.write_bytes(
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 239) + struct.pack("<IIII", 0, 0, 4, 4) + b"abcd"
    )
    [row] = document(path)["undecoded"]
    assert (row["reason"], row["message"]) == ("unknown_link_type", f"frames of {path}, link type 239")


def test_files_that_cannot_be_read_are_errors(tmp_path):
    missing = run(tmp_path / "missing.pcap")
    assert missing.exit_code == 1
    assert missing.stderr == f"error: {tmp_path}/missing.pcap cannot be read: no such file or directory\n"
    assert run(tmp_path).exit_code == 1


def test_one_file_that_cannot_be_read_leaves_no_half_answer(tmp_path):
    present = tmp_path / "netflow5"
    present.write_bytes(netflow5(record5(src=1, dst=2)))
    result = run("--json", present, tmp_path / "missing.pcap")
    assert (result.exit_code, result.stdout) == (1, "")


def test_more_files_are_read_than_a_process_may_have_open(tmp_path):
    present = tmp_path / "netflow5"
    present.write_bytes(netflow5(record5(src=1, dst=2)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = len(list(Path("/proc/self/fd").iterdir())) + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        result = run(*[present] * (most + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result.exit_code == 0
    assert f"{most + 1} datagrams" in result.stderr


def test_stdin_is_read_once_only():
    result = run("-", "-")
    assert result.exit_code == 2
    assert "- is stdin, and can be read once only" in result.stderr


def test_a_stdin_that_is_closed_is_said(monkeypatch):
    monkeypatch.setattr(command, "sys", SimpleNamespace(stdin=None))
    result = run("-")
    assert (result.exit_code, result.stderr) == (1, "error: stdin cannot be read: it is closed\n")


@pytest.mark.parametrize(
    ("begin", "unpack"),
    [
        (gzip.compress(b"", mtime=0), "zcat"),
        (bz2.compress(b""), "bzcat"),
        (lzma.compress(b""), "xzcat"),
        (bytes.fromhex("28b52ffd2000010000"), "zstdcat"),
    ],
)
def test_a_compressed_file_is_an_error_that_says_who_unpacks_it(tmp_path, begin, unpack):
    zipped = tmp_path / "flows.pcap.zipped"
    zipped.write_bytes(begin)
    refused = run(zipped)
    assert refused.exit_code == 1
    assert refused.stderr.splitlines() == [
        f"error: {zipped} is compressed",
        f"hint:  {unpack} FILE | teagent flow decode -",
    ]
    assert run().exit_code == 2


def test_a_large_file_that_is_no_capture_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "LARGEST_RAW", 1000)
    monkeypatch.setattr(command, "PIECE_OCTETS", 600)
    path = tmp_path / "random"
    path.write_bytes(bytes(1201))
    result = run(path)
    assert result.exit_code == 1
    assert result.stderr == f"error: {path} is neither a capture nor the payload of datagrams\n"


def test_a_long_table_is_written_as_it_comes_and_no_cell_is_cut():
    lines: list[str] = []
    sink = TextSink(lines.append)
    base = {"kind": "flow", "exporter": "192.0.2.1", "protocol": "ipfix", "input_interface": 1}
    base |= {"output_interface": 2, "sampling_rate": 1.0}
    for number in range(ROWS_AT_ONCE):
        sink.record(base | {"fields": {"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": number}})
    assert len(lines) == ROWS_AT_ONCE + 1
    sink.record(base | {"fields": {"sourceIPv6Address": "2001:db8:1111:2222:3333:4444:5555:6666"}})
    sink.end([], [])
    assert lines[0].split() == [header for header, _ in COLUMNS]
    assert "2001:db8:1111:2222:3333:4444:5555:6666" in lines[-1].split()
    assert lines[-1].split()[:5] == ["192.0.2.1", "ipfix", "1", "2", "2001:db8:1111:2222:3333:4444:5555:6666"]


def test_progress_is_only_for_large_files_on_a_terminal(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(command, "PROGRESS_FROM_OCTETS", 10)
    path = tmp_path / "flows.pcap"
    path.write_bytes(pcap(("192.0.2.1", 2055, TEMPLATE)))
    monkeypatch.setattr(command.sys, "stderr", Terminal())
    monkeypatch.setattr(command.sys, "stdout", io.StringIO())
    told: list[int] = []
    with path.open("rb") as source:
        with command._progress(command.Settings(), path.stat().st_size) as advance:
            told = [len(piece) for piece in command._pieces(source, "flows.pcap", advance)]
        assert sum(told) == path.stat().st_size
        assert "decoding" in command.sys.stderr.getvalue()
        with command._progress(command.Settings(quiet=True), path.stat().st_size) as advance:
            assert advance.__name__ == "nothing"


@pytest.mark.parametrize(
    ("octets", "reason", "says"),
    [
        (b"", "truncated", "is empty"),
        (
            b"Nov 26 sshd: no flows",
            "bad_version",
            "is neither a capture nor begins as NetFlow v5, v9, IPFIX or sFlow do",
        ),
        (b"\0\7" + bytes(40), "bad_version", "is neither a capture nor begins as NetFlow v5, v9, IPFIX or sFlow do"),
    ],
)
def test_a_file_that_has_no_flows_is_named(tmp_path, octets, reason, says):
    path = tmp_path / "notes.txt"
    path.write_bytes(octets)
    found = document(path)
    assert [(row["reason"], row["message"]) for row in found["undecoded"]] == [(reason, f"{path} {says}")]
    assert found["files"] == [{"file": str(path), "datagrams": 0, "records": 0}]


def test_where_no_datagram_is_to_the_ports_asked_for_the_others_are_named(capture):
    expected = "0 datagrams, 0 records; datagrams to other ports: 2055 (2), 6343 (1), 53 (1)\n"
    assert run("--port", "9995", capture).stderr == expected
    assert "other ports" not in run("--port", "2055", capture).stderr
