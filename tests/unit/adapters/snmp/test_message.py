"""The codec of SNMP messages against octets that are not ours."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.error import PySnmpError
from pysnmp.proto.api import v2c

from teagent.adapters.snmp.message import Absent, Answer, Noise, Report, Request, Unspeakable, messages_for
from teagent.adapters.snmp.target import SnmpTarget

UPTIME = (1, 3, 6, 1, 2, 1, 1, 3, 0)
IF_NAME_7 = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1, 7)
V2C = SnmpTarget(address="192.0.2.1", community="public")
V3 = SnmpTarget(
    address="192.0.2.1",
    version="3",
    user="te",
    auth_protocol="sha256",
    auth_key="correct-horse",
    priv_protocol="aes128",
    priv_key="battery-staple",
)
GET = Request(oids=(UPTIME, IF_NAME_7))


def response(request: bytes, *varbinds, pdu_type=v2c.GetResponsePDU, version=1, add=0, status=0, index=0) -> bytes:
    """An answer to a v2c request, with something changed."""
    asked, _ = decoder.decode(request, asn1Spec=v2c.Message())
    pdu = pdu_type()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_request_id(pdu, int(v2c.apiPDU.get_request_id(v2c.apiMessage.get_pdu(asked))) + add)
    v2c.apiPDU.set_error_status(pdu, status)
    v2c.apiPDU.set_error_index(pdu, index)
    v2c.apiPDU.set_varbinds(pdu, list(varbinds))
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_version(message, version)
    v2c.apiMessage.set_community(message, "public")
    v2c.apiMessage.set_pdu(message, pdu)
    return encoder.encode(message)


def begun(request: Request = GET):
    messages = messages_for(V2C)
    messages.begin(request)
    return messages, messages.encode()


def test_values_of_every_kind_are_understood():
    messages, request = begun()
    values = [
        (v2c.TimeTicks(4711), 4711),
        (v2c.Counter64(2**64 - 1), 2**64 - 1),
        (v2c.Counter32(2**32 - 1), 2**32 - 1),
        (v2c.Gauge32(10_000), 10_000),
        (v2c.Integer32(-1), -1),
        (v2c.OctetString(b"xe-0/0/0"), b"xe-0/0/0"),
        (v2c.ObjectIdentifier((1, 3, 6)), (1, 3, 6)),
        (v2c.IpAddress("192.0.2.1"), b"\xc0\x00\x02\x01"),
        (v2c.NoSuchObject(), Absent.NO_SUCH_OBJECT),
        (v2c.NoSuchInstance(), Absent.NO_SUCH_INSTANCE),
        (v2c.EndOfMibView(), Absent.END_OF_MIB_VIEW),
        (v2c.null, None),
    ]
    answer = messages.decode(response(request, *((UPTIME, raw) for raw, _ in values)))
    assert isinstance(answer, Answer)
    assert [value for _, value in answer.varbinds] == [expected for _, expected in values]
    assert {oid for oid, _ in answer.varbinds} == {UPTIME}


def test_bulk_request_says_what_to_repeat():
    _, request = begun(Request(oids=(UPTIME, IF_NAME_7), non_repeaters=1, repetitions=12))
    asked, _ = decoder.decode(request, asn1Spec=v2c.Message())
    pdu = v2c.apiMessage.get_pdu(asked)
    assert pdu.tagSet == v2c.GetBulkRequestPDU.tagSet
    assert (int(v2c.apiBulkPDU.get_non_repeaters(pdu)), int(v2c.apiBulkPDU.get_max_repetitions(pdu))) == (1, 12)


def test_error_status_and_index_are_passed_on():
    messages, request = begun()
    answer = messages.decode(response(request, (UPTIME, v2c.null), status=5, index=1))
    assert (answer.error_status, answer.error_index) == (5, 1)


@pytest.mark.parametrize("change", [{"add": 1}, {"version": 0}, {"pdu_type": v2c.GetRequestPDU}])
def test_answer_to_another_question_is_not_ours(change):
    messages, request = begun()
    assert messages.decode(response(request, (UPTIME, v2c.TimeTicks(1)), **change)) is Noise.NOT_OURS


def test_answer_to_the_request_before_is_not_ours():
    messages, first = begun()
    messages.begin(GET)
    assert messages.decode(response(first, (UPTIME, v2c.TimeTicks(1)))) is Noise.NOT_OURS


@settings(max_examples=200)
@given(st.data())
def test_garbled_answer_never_raises(data):
    messages, request = begun()
    octets = bytearray(response(request, (UPTIME, v2c.TimeTicks(1)), (IF_NAME_7, v2c.OctetString(b"xe-0/0/0"))))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets = octets[: data.draw(st.integers(0, len(octets)))]
    assert isinstance(messages.decode(bytes(octets)), Answer | Noise)


V3_MESSAGES = messages_for(V3)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_noise_never_raises_in_version_3(octets):
    V3_MESSAGES.begin(GET)
    V3_MESSAGES.encode()
    assert isinstance(V3_MESSAGES.decode(octets), Noise | Report)


def test_first_message_of_version_3_holds_no_secret_and_no_user():
    """Discovery asks for the engine alone (RFC 3414 section 4)."""
    messages = messages_for(V3)
    messages.begin(GET)
    octets = messages.encode()
    for hidden in (b"correct-horse", b"battery-staple", b"te"):
        assert hidden not in octets


def test_request_that_cannot_be_made_says_so_without_the_keys(monkeypatch):
    def refuse(*arguments, **_):
        raise PySnmpError(f"bad key {arguments!r}")

    monkeypatch.setattr("teagent.adapters.snmp.message.config.add_v3_user", refuse)
    messages = messages_for(V3)
    messages.begin(GET)
    with pytest.raises(Unspeakable) as caught:
        messages.encode()
    assert "correct-horse" not in "".join(traceback.format_exception(caught.value))


def test_octets_of_a_secret_that_are_not_utf8_are_sent_as_they_are():
    """As Python shows such an environment variable."""
    messages = messages_for(SnmpTarget(address="192.0.2.1", community=b"gl\xfcck".decode("utf-8", "surrogateescape")))
    messages.begin(GET)
    assert b"gl\xfcck" in messages.encode()
