from __future__ import annotations

import math
import struct
from collections import Counter

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.element_names import ELEMENTS, DataType, name_and_type
from teagent.wire.flow.offline import MOST_TROUBLES, OfflineReader
from teagent.wire.flow.record_view import views
from teagent.wire.flow.structured import MOST_NESTED
from teagent.wire.flow.template import Field
from teagent.wire.flow.values import shown, time_text
from tests.fakes.netflow import (
    flow_set,
    ipfix,
    netflow5,
    netflow9,
    options_template9,
    options_template10,
    record,
    record5,
    template,
)
from tests.fakes.sflow import ethernet
from tests.unit.wire.flow.conftest import FRAME, documents

VARIABLE = 0xFFFF


def view(message: bytes):
    return [found for one in FlowDecoder("192.0.2.1").read(message, at=0) for found in views(one, Counter())]


def test_the_registry_is_whole_up_to_its_end_but_for_what_iana_keeps_for_netflow():
    missing = set(range(1, max(ELEMENTS) + 1)) - set(ELEMENTS)
    assert missing <= {*range(65, 70), 97, *range(105, 128), 416, 419}
    names = [name for name, _ in ELEMENTS.values()]
    assert len(set(names)) == len(names)
    assert ELEMENTS[1] == ("octetDeltaCount", DataType.UNSIGNED)
    assert ELEMENTS[27] == ("sourceIPv6Address", DataType.IPV6_ADDRESS)
    assert ELEMENTS[315] == ("dataLinkFrameSection", DataType.OCTET_ARRAY)
    assert ELEMENTS[278] == ("newConnectionDeltaCount", DataType.UNSIGNED)
    assert ELEMENTS[503] == ("transportChecksum", DataType.UNSIGNED)
    assert ELEMENTS[533] == ("pathDelaySumDeltaMicroseconds", DataType.UNSIGNED)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (Field(8, 4), "sourceIPv4Address"),
        (Field(999, 4), "element999"),
        (Field(12, 4, enterprise=9), "element9.12"),
        (Field(1, 8, enterprise=29305), "reverseOctetDeltaCount"),
        (Field(2, 4, scope=True, v9_scope=True), "scopeInterface"),
        (Field(10, 4, scope=True), "ingressInterface"),
    ],
)
def test_fields_are_called_as_their_registry_calls_them(field, name):
    assert name_and_type(field)[0] == name


@pytest.mark.parametrize(
    ("octets", "kind", "value"),
    [
        (b"\x01\x00\x00", DataType.UNSIGNED, 65536),
        (b"\x80" + bytes(31), DataType.UNSIGNED, 1 << 255),  # unsigned256
        (bytes(33), DataType.UNSIGNED, "00" * 33),
        (b"\xff\xff", DataType.SIGNED, -1),
        (struct.pack(">f", 0.5), DataType.FLOAT, 0.5),
        (struct.pack(">d", math.inf), DataType.FLOAT, None),
        (b"\x01", DataType.BOOLEAN, True),
        (b"\x02", DataType.BOOLEAN, False),
        (b"\x03", DataType.BOOLEAN, "03"),
        (bytes([192, 0, 2, 1]), DataType.IPV4_ADDRESS, "192.0.2.1"),
        (bytes(3), DataType.IPV4_ADDRESS, "000000"),
        (bytes(15) + b"\x01", DataType.IPV6_ADDRESS, "::1"),
        (bytes(range(6)), DataType.MAC_ADDRESS, "00:01:02:03:04:05"),
        (b"eth0\0\0", DataType.STRING, "eth0"),
        (b"\xff", DataType.STRING, "\ufffd"),
        (b"\xab", DataType.OCTET_ARRAY, "ab"),
        (b"\xab", None, "ab"),
        (struct.pack(">I", 1_700_000_000), DataType.SECONDS, "2023-11-14T22:13:20Z"),
        (struct.pack(">Q", 1_700_000_000_123), DataType.MILLISECONDS, "2023-11-14T22:13:20.123000Z"),
        (struct.pack(">Q", 2**63), DataType.MILLISECONDS, 2**63),
        (
            struct.pack(">II", 1_700_000_000 + 2_208_988_800, 1 << 31),
            DataType.NANOSECONDS,
            "2023-11-14T22:13:20.500000Z",
        ),
        (bytes(8), DataType.MICROSECONDS, 0),
        (bytes(4), DataType.MICROSECONDS, 0),
        (b"", DataType.SECONDS, ""),
    ],
)
def test_values_are_shown_by_type_and_as_octets_where_they_do_not_fit_it(octets, kind, value):
    assert shown(octets, kind) == value


def test_a_time_that_is_none_is_null():
    assert [time_text(t) for t in (1.7e9, math.nan, -1.0, 1e18)] == ["2023-11-14T22:13:20Z", None, None, None]


def test_a_record_has_its_fields_and_what_is_derived_from_them():
    fields = ((8, 4), (12, 4), (10, 2), (14, 2), (1, 4), (2, 4), (34, 4), (82, VARIABLE), (9 << 16 | 5, 2), (210, 3))
    row = record(fields, 0xC0000201, 0xC6336407, 3, 0, 1500, 1, 100, b"eth0", 0xABCD, b"pad")
    [one] = view(ipfix(flow_set(2, template(300, fields)), flow_set(300, row), domain=7))
    assert (one.version, one.domain, one.template, one.options) == (10, 7, 300, False)
    assert (one.input_interface, one.output_interface, one.sampling_rate) == (3, None, 100)
    assert one.fields == {
        "sourceIPv4Address": "192.0.2.1",
        "destinationIPv4Address": "198.51.100.7",
        "ingressInterface": 3,
        "egressInterface": 0,
        "octetDeltaCount": 1500,
        "packetDeltaCount": 1,
        "samplingInterval": 100,
        "interfaceName": "eth0",
        "element9.5": "abcd",
    }


def test_the_physical_port_is_the_input_interface_where_no_other_is_known():
    fields = ((8, 4), (12, 4), (10, 4), (252, 4), (1, 4))
    flows = flow_set(300, record(fields, 1, 2, 0, 11, 99) + record(fields, 1, 2, 5, 11, 99))
    assert [one.input_interface for one in view(ipfix(flow_set(2, template(300, fields)), flows))] == [11, 5]


def test_an_element_that_stands_there_several_times_is_a_list_and_one_of_no_octets_is_left_out():
    fields = ((70, 3), (70, 3), (70, 3), (4, 0), (1, 8))
    [one] = view(
        ipfix(flow_set(2, template(300, fields)), flow_set(300, record(fields, b"abc", b"def", b"ghi", b"", 9)))
    )
    assert one.fields == {"mplsTopLabelStackSection": ["616263", "646566", "676869"], "octetDeltaCount": 9}


def test_the_packet_in_a_record_is_shown_by_its_fields():
    fields = ((12, 0), (10, 4), (315, VARIABLE))
    rows = [record(fields, b"", 7, frame) for frame in (FRAME, b"short")]
    whole, short = view(ipfix(flow_set(2, template(300, fields)), flow_set(300, b"".join(rows))))
    assert whole.fields["dataLinkFrameSection"] == FRAME.hex()
    assert whole.fields["destinationIPv4Address"] == "198.51.100.7"
    assert (whole.fields["destinationTransportPort"], whole.fields["ipTotalLength"]) == (53, 48)
    assert list(short.fields) == ["ingressInterface", "dataLinkFrameSection"]


def test_a_packet_in_a_record_that_cannot_be_read_is_said():
    fields = ((12, 0), (10, 4), (315, VARIABLE))
    rows = [record(fields, b"", 7, octets) for octets in (FRAME, ethernet(bytes(28), kind=0x0806), FRAME[:20], b"")]
    message = ipfix(flow_set(2, template(300, fields)), flow_set(300, b"".join(rows)))
    found, undecoded = documents(message)
    assert [("sourceIPv4Address" in document["fields"]) for document in found] == [True, False, False, False]
    assert undecoded == {
        ("192.0.2.1", "not_ip", "the packet in a record of template 300 is not IP"): 1,
        ("192.0.2.1", "truncated", "the packet in a record of template 300 ends before the addresses"): 2,
    }


INNER = ((12, 4), (82, VARIABLE))
ROWS = record(INNER, 0xC0000201, b"eth0") + record(INNER, 0xC0000202, b"")
SHOWN_ROWS = [
    {"destinationIPv4Address": "192.0.2.1", "interfaceName": "eth0"},
    {"destinationIPv4Address": "192.0.2.2", "interfaceName": ""},
]


def listed(element: int, octets: bytes, length: int = VARIABLE) -> tuple[object, dict]:
    """A list in a record, as it is shown, and what could not be read."""
    fields = ((element, length), (10, 4))
    told = flow_set(2, template(300, INNER) + template(301, fields) + template(302, INNER[:1]))
    found, undecoded = documents(ipfix(told, flow_set(301, record(fields, octets, 7))))
    assert found[0]["input_interface"] == 7
    return found[0]["fields"][ELEMENTS[element][0]], undecoded


@pytest.mark.parametrize(
    ("element", "octets", "value"),
    [
        (
            291,
            struct.pack(">BHHII", 3, 12, 4, 0xC0000201, 0xC0000202),
            {"semantic": "allOf", "element": "destinationIPv4Address", "values": ["192.0.2.1", "192.0.2.2"]},
        ),
        (
            291,
            struct.pack(">BHH", 4, 82, VARIABLE) + b"\x02ab\x00\xff\x00\x01c",
            {"semantic": "ordered", "element": "interfaceName", "values": ["ab", "", "c"]},
        ),
        (
            291,
            struct.pack(">BHHI", 255, 0x8000 | 12, 2, 9) + b"\x01\x02",
            {"semantic": "undefined", "element": "element9.12", "values": ["0102"]},
        ),
        (
            291,
            struct.pack(">BHH", 1, 291, VARIABLE) + b"\x07" + struct.pack(">BHHH", 0, 7, 2, 53),
            {
                "semantic": "exactlyOneOf",
                "element": "basicList",
                "values": [{"semantic": "noneOf", "element": "sourceTransportPort", "values": [53]}],
            },
        ),
        (
            484,
            struct.pack(">BHHII", 3, 483, 4, 64500 << 16 | 1, 64500 << 16 | 2),
            {"semantic": "allOf", "element": "bgpCommunity", "values": [64500 << 16 | 1, 64500 << 16 | 2]},
        ),
        (292, struct.pack(">BH", 3, 300) + ROWS, {"semantic": "allOf", "template": 300, "records": SHOWN_ROWS}),
        (516, struct.pack(">BH", 3, 300) + ROWS, {"semantic": "allOf", "template": 300, "records": SHOWN_ROWS}),
        (
            293,
            struct.pack(">BHH", 2, 300, 4 + len(ROWS)) + ROWS + struct.pack(">HH", 300, 4),
            {
                "semantic": "oneOrMoreOf",
                "lists": [{"template": 300, "records": SHOWN_ROWS}, {"template": 300, "records": []}],
            },
        ),
    ],
)
def test_a_list_in_a_field_is_shown_with_what_it_holds(element, octets, value):
    assert listed(element, octets) == (value, {})


def test_a_list_in_a_field_of_fixed_length_is_shown():
    octets = struct.pack(">BHHI", 3, 12, 4, 0xC0000201)
    value = {"semantic": "allOf", "element": "destinationIPv4Address", "values": ["192.0.2.1"]}
    assert listed(291, octets, len(octets)) == (value, {})


@pytest.mark.parametrize(
    ("element", "octets", "message"),
    [
        (291, b"\x03\x00", "a basicList of 2 octets"),
        (291, struct.pack(">BHHH", 3, 0x800C, 4, 0), "a basicList of 7 octets"),
        (291, struct.pack(">BHH", 3, 12, 4) + bytes(6), "a basicList of 6 octets, its elements have 4"),
        (291, struct.pack(">BHH", 3, 12, 0) + bytes(6), "a basicList of 6 octets, its elements have 0"),
        (291, struct.pack(">BHH", 3, 82, VARIABLE) + b"\x05a", "the last element of a basicList goes past its end"),
        (292, struct.pack(">BH", 3, 999), "a list by template 999, which is not known"),
        (
            292,
            struct.pack(">BH", 3, 300) + ROWS + ROWS[:7],
            "the last record by template 300 goes past the end of its list",
        ),
        (292, struct.pack(">BH", 3, 302) + bytes(9), "a list of 9 octets, its records by template 302 have 4"),
        (293, struct.pack(">BHH", 3, 300, 9), "a list of 9 octets, 4 are left"),
        (293, struct.pack(">BHH", 3, 300, 3), "a list of 3 octets, 4 are left"),
    ],
)
def test_a_list_that_cannot_be_read_is_left_in_hexadecimal_and_said(element, octets, message):
    value, undecoded = listed(element, octets)
    assert value == octets.hex()
    assert [text for _, _, text in undecoded] == [f"{ELEMENTS[element][0]} of template 301: {message}"]


def test_lists_in_lists_are_followed_so_far_and_no_farther():
    octets = struct.pack(">BHHH", 3, 7, 2, 53)
    for _ in range(MOST_NESTED):
        octets = struct.pack(">BHH", 3, 291, VARIABLE) + bytes([len(octets)]) + octets
    value, undecoded = listed(291, octets)
    assert value == octets.hex()
    assert [text for _, _, text in undecoded] == [
        f"basicList of template 301: lists in lists, more than {MOST_NESTED} deep"
    ]


def test_netflow5_is_shown_by_the_same_names():
    [one] = view(
        netflow5(record5(src=0xC0000201, dst=0xC6336407, octets=100, in_if=3, out_if=4, asn=64496), sampling=10)
    )
    assert (one.version, one.input_interface, one.output_interface, one.sampling_rate) == (5, 3, 4, 10)
    assert one.fields["sourceIPv4Address"] == "192.0.2.1"
    assert (one.fields["octetDeltaCount"], one.fields["bgpSourceAsNumber"]) == (100, 64496)


def test_options_are_told_from_flows_and_their_rate_is_that_of_later_records():
    options = options_template9(400, ((1, 4),), ((48, 1), (50, 4)))
    fields = ((8, 4), (48, 1))
    message = netflow9(
        flow_set(1, options),
        flow_set(400, record(((1, 4), (48, 1), (50, 4)), 0, 1, 512)),
        flow_set(0, template(300, fields)),
        flow_set(300, record(fields, 1, 1)),
    )
    told, flow = view(message)
    assert (told.options, told.sampling_rate, told.fields["scopeSystem"]) == (True, None, 0)
    assert (flow.options, flow.sampling_rate) == (False, 512)


def test_the_reasons_of_templates_and_sets_come_with_words():
    fields = ((8, 4), (12, 4))
    _, undecoded = documents(
        netflow9(flow_set(0, template(99, fields)), flow_set(5, b"")),
        ipfix(
            flow_set(2, template(300, ((8, 4), (371, VARIABLE)))),
            flow_set(300, record(((8, 4), (371, 2)), 1, b"\x09x")),
        ),
        netflow9(flow_set(301, bytes(8)), flow_set(301, bytes(8)), source=5),
        b"\x00\x01rest",
        netflow9(b"\x01\x2c\x01\x00rest"),
    )
    assert {(reason, text): count for (_, reason, text), count in undecoded.items()} == {
        ("bad_length", "template id 99 is below 256"): 1,
        ("bad_length", "set id 5 has no meaning in version 9"): 1,
        ("truncated", "the last record of set 300 goes past the end of the set"): 1,
        ("no_template", "netflow-v9 template 301 of domain 5 did not come"): 2,
        ("bad_version", "version 1 is not NetFlow v5, v9, IPFIX or sFlow"): 1,
        ("truncated", "set 300 states a length of 256, 8 octets are left"): 1,
    }


def test_records_before_something_unreadable_in_a_datagram_are_kept():
    shown, undecoded = documents(netflow5(record5(src=1, dst=2)) + b"\x00\x07junk")
    assert (len(shown), list(undecoded.values())) == (1, [1])


def test_data_before_its_template_is_shown_when_that_comes_with_the_head_of_its_own_export():
    fields = ((8, 4), (1, 4))
    shown, undecoded = documents(
        ipfix(flow_set(300, record(fields, 1, 10)), seconds=1_700_000_000),
        ipfix(flow_set(2, template(300, fields)), seconds=1_700_000_600),
    )
    assert ([row["exported_at"] for row in shown], undecoded) == (["2023-11-14T22:13:20Z"], {})


def test_exporters_have_their_own_templates():
    reader = OfflineReader()
    fields = ((8, 4), (1, 4))
    first = ipfix(flow_set(2, template(300, fields)))
    data = ipfix(flow_set(300, record(fields, 1, 10)))
    assert list(reader.read(first, exporter="192.0.2.1", port=1, at=0)) == []
    assert list(reader.read(data, exporter="192.0.2.2", port=1, at=0)) == []
    assert len(list(reader.read(data, exporter="192.0.2.1", port=1, at=0))) == 1


def test_options_of_ipfix_are_shown_with_their_scope():
    fields = ((302, 4), (309, 4), (310, 4))
    message = ipfix(
        flow_set(3, options_template10(400, fields[:1], fields[1:])), flow_set(400, record(fields, 5, 1, 100))
    )
    [one], _ = documents(message)
    assert (one["kind"], one["fields"]) == ("options", {"selectorId": 5, "samplingSize": 1, "samplingPopulation": 100})


def test_troubles_of_many_kinds_are_bounded():
    reader = OfflineReader()
    for number in range(MOST_TROUBLES + 50):
        reader.fail(f"192.0.2.{number}", "truncated", "text")
    assert len(reader.undecoded) == MOST_TROUBLES + 1
    assert reader.undecoded["", "truncated", "more of the same kind"] == 50
