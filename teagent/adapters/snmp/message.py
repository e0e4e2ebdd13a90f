"""The door to pysnmp: requests and answers as our own values on one side, octets on the other.

pysnmp's message processing and security models are used as codecs, without its dispatcher and its timers: sockets,
time-outs and retries are `channel` and `session`. Nothing else in teagent imports pysnmp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Any, Protocol, TypeAlias

from pyasn1.codec.ber import decoder, encoder  # type: ignore[import-untyped]  # pysnmp's own
from pyasn1.error import PyAsn1Error  # type: ignore[import-untyped]
from pysnmp.carrier.base import AbstractTransportDispatcher
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.error import PySnmpError
from pysnmp.proto import errind
from pysnmp.proto.api import v2c
from pysnmp.proto.error import StatusInformation

from teagent.adapters.snmp.target import SnmpTarget

Oid: TypeAlias = tuple[int, ...]


class Absent(Enum):
    """The three values that stand for none (RFC 3416 section 3)."""

    NO_SUCH_OBJECT = "noSuchObject"
    NO_SUCH_INSTANCE = "noSuchInstance"
    END_OF_MIB_VIEW = "endOfMibView"


Value: TypeAlias = int | bytes | Oid | Absent | None


class ErrorStatus:
    """error-status of a Response-PDU (RFC 3416 section 3), those that are told apart here."""

    OK = 0
    TOO_BIG = 1
    NO_SUCH_NAME = 2
    AUTHORIZATION_ERROR = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GET of exact instances, or with `repetitions` a GETBULK whose first `non_repeaters` names are taken once."""

    oids: tuple[Oid, ...]
    non_repeaters: int = 0
    repetitions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A Response-PDU. `error_index` counts from 1; 0 names no variable."""

    error_status: int
    error_index: int
    varbinds: tuple[tuple[Oid, Value], ...]


class Refusal(Enum):
    """Why an SNMPv3 agent does not let us in, by the usmStats counter that it reports (RFC 3414 section 5).

    VIEW is an authorizationError, OURS a request that could not even be made.
    """

    SECURITY_LEVEL = "unsupported security level"
    TIME_WINDOW = "not in time window"
    USER = "unknown user name"
    ENGINE = "unknown engine id"
    DIGEST = "wrong digest"
    DECRYPTION = "decryption error"
    VIEW = "no access"
    OURS = "not encodable"
    OTHER = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The agent answered, but not with data."""

    refusal: Refusal
    detail: str = ""


class Noise(Enum):
    """A datagram that is not the answer to this request."""

    MALFORMED = "malformed"
    NOT_AUTHENTIC = "not authentic"
    NOT_OURS = "not ours"


class Unspeakable(Exception):
    """A request cannot be put into a message with these credentials; the text is pysnmp's reason."""


class Messages(Protocol):
    """Codec of one conversation: one request at a time, possibly encoded several times."""

    def begin(self, request: Request) -> None:
        """Makes it the current request."""

    def encode(self) -> bytes:
        """The current request as a message, to be called again for every time that it is sent.

        Raises Unspeakable.
        """

    def decode(self, datagram: bytes) -> Answer | Report | Noise:
        """What the datagram says about the current request. Raises nothing, whatever the octets."""

    def reset(self) -> None:
        """Forgets what was learned about the agent."""


def messages_for(target: SnmpTarget) -> Messages:
    if target.version == "2c":
        return V2cMessages(target.community or "")
    return V3Messages(target)


class V2cMessages:
    """Community-based SNMPv2 (RFC 1901)."""

    def __init__(self, community: str) -> None:
        self._community = _octets(community)
        self._request_id = 0
        self._message = b""

    def begin(self, request: Request) -> None:
        pdu = _pdu(request)
        self._request_id = int(v2c.apiPDU.get_request_id(pdu))
        message = v2c.Message()
        v2c.apiMessage.set_defaults(message)
        v2c.apiMessage.set_community(message, self._community)
        v2c.apiMessage.set_pdu(message, pdu)
        self._message = bytes(encoder.encode(message))

    def encode(self) -> bytes:
        return self._message

    def decode(self, datagram: bytes) -> Answer | Report | Noise:
        try:
            message, _ = decoder.decode(datagram, asn1Spec=v2c.Message())
            if int(v2c.apiMessage.get_version(message)) != 1:
                return Noise.NOT_OURS
            pdu = v2c.apiMessage.get_pdu(message)
            if pdu.tagSet != v2c.ResponsePDU.tagSet or int(v2c.apiPDU.get_request_id(pdu)) != self._request_id:
                return Noise.NOT_OURS
            return _answer(pdu)
        except Exception:  # noqa: BLE001  pyasn1 fails in many ways on hostile octets
            return Noise.MALFORMED

    def reset(self) -> None:
        """Nothing is learned about a v2c agent."""


_AUTH = {
    "md5": config.USM_AUTH_HMAC96_MD5,
    "sha": config.USM_AUTH_HMAC96_SHA,
    "sha1": config.USM_AUTH_HMAC96_SHA,
    "sha224": config.USM_AUTH_HMAC128_SHA224,
    "sha256": config.USM_AUTH_HMAC192_SHA256,
    "sha384": config.USM_AUTH_HMAC256_SHA384,
    "sha512": config.USM_AUTH_HMAC384_SHA512,
    None: config.USM_AUTH_NONE,
}
# AES-192 and AES-256 are two drafts; routers (and net-snmp by default for Blumenthal) differ in how they stretch the
# key. The Reeder stretching is what Cisco and most others have.
_PRIV = {
    "des": config.USM_PRIV_CBC56_DES,
    "3des": config.USM_PRIV_CBC168_3DES,
    "aes128": config.USM_PRIV_CFB128_AES,
    "aes192": config.USM_PRIV_CFB192_AES,
    "aes256": config.USM_PRIV_CFB256_AES,
    None: config.USM_PRIV_NONE,
}
_LEVEL = {"noAuthNoPriv": 1, "authNoPriv": 2, "authPriv": 3}
_REFUSALS = {
    errind.UnsupportedSecurityLevel: Refusal.SECURITY_LEVEL,
    errind.NotInTimeWindow: Refusal.TIME_WINDOW,
    errind.UnknownUserName: Refusal.USER,
    errind.UnknownSecurityName: Refusal.USER,
    errind.UnknownEngineID: Refusal.ENGINE,
    errind.WrongDigest: Refusal.DIGEST,
    errind.DecryptionError: Refusal.DECRYPTION,
}
_V3 = 3
_USM = 3
_DOMAIN: Oid = config.SNMP_UDP_DOMAIN
_PEER = ("agent", 161)  # pysnmp keys what it learns by address; here an engine knows one agent only
# pysnmp clears its caches by a timer that does not run here, so an engine is replaced before they grow.
_MESSAGES_PER_ENGINE = 5000


class V3Messages:
    """SNMPv3 with the user-based security model (RFC 3414), discovery of the agent's engine included."""

    def __init__(self, target: SnmpTarget) -> None:
        self._target = target
        self._engine: Any = None
        self._messages = 0
        self._handles = count(1)
        self._sent: list[int] = []
        self._discovered = False
        self._pdu: Any = None

    def begin(self, request: Request) -> None:
        if self._messages >= _MESSAGES_PER_ENGINE:
            self.reset()
        for handle in self._sent:
            self._processing().release_state_information(handle)
        self._sent.clear()
        self._pdu = _pdu(request)

    def encode(self) -> bytes:
        self._messages += 1
        handle = next(self._handles)
        self._sent.append(handle)
        try:
            return self._encode(handle)
        except StatusInformation as status:
            raise Unspeakable(str(status.get("errorIndication"))) from status
        except (PySnmpError, PyAsn1Error) as error:
            # Their texts may show what they were given, and that includes keys.
            raise Unspeakable(type(error).__name__) from None

    def _encode(self, handle: int) -> bytes:
        _, _, message = self._processing().prepare_outgoing_message(
            self._engine,
            _DOMAIN,
            _PEER,
            _V3,
            _USM,
            v2c.OctetString(_octets(self._target.user or "")),
            _LEVEL[self._target.security_level],
            None,
            b"",
            1,
            self._pdu,
            True,  # noqa: FBT003  pysnmp's signature: an answer is expected
            handle,
        )
        return bytes(message)

    def decode(self, datagram: bytes) -> Answer | Report | Noise:
        try:
            elements = self._processing().prepare_data_elements(self._engine, _DOMAIN, _PEER, datagram)
            pdu, handle = elements[7], elements[9]
            if handle not in self._sent or v2c.apiPDU.get_request_id(pdu) != v2c.apiPDU.get_request_id(self._pdu):
                return Noise.NOT_OURS
            return _answer(pdu)
        except StatusInformation as status:
            return self._status(status)
        except Exception:  # noqa: BLE001  pyasn1 and the ciphers fail in many ways on hostile octets
            return Noise.MALFORMED

    def _status(self, status: StatusInformation) -> Report | Noise:
        indication = status.get("errorIndication")
        if isinstance(indication, errind.UnknownSecurityName) and self._discovered:
            # An answer of an engine for which no user is set up here: the agent has another engine id than it had.
            self.reset()
            return Report(refusal=Refusal.ENGINE)
        if "sendPduHandle" not in status:
            # Our side could not accept it: a forged or garbled answer, or one under other keys.
            authentic = isinstance(indication, errind.AuthenticationFailure | errind.DecryptionError)
            return Noise.NOT_AUTHENTIC if authentic else Noise.MALFORMED
        if status["sendPduHandle"] not in self._sent:
            return Noise.NOT_OURS
        refusal = _REFUSALS.get(type(indication), Refusal.OTHER)
        if refusal is Refusal.ENGINE:
            # The first such report tells the engine id; pysnmp would not believe a second one that tells another.
            if self._discovered:
                self.reset()
            else:
                self._discovered = True
        return Report(refusal=refusal, detail="" if indication is None else str(indication)[:200])

    def reset(self) -> None:
        self._engine = None
        self._messages = 0
        self._discovered = False
        self._sent.clear()

    def _processing(self) -> Any:
        """pysnmp's SNMPv3 message processing; the engine behind it is made on first use (some 60 ms)."""
        if self._engine is None:
            engine = SnmpEngine()
            # It only asks the dispatcher how fine its timer is; this one has no transport and no task.
            engine.register_transport_dispatcher(AbstractTransportDispatcher())
            config.add_v3_user(
                engine,
                v2c.OctetString(_octets(self._target.user or "")),
                _AUTH[self._target.auth_protocol],
                None if self._target.auth_key is None else _octets(self._target.auth_key),
                _PRIV[self._target.priv_protocol],
                None if self._target.priv_key is None else _octets(self._target.priv_key),
            )
            self._engine = engine
        return self._engine.message_processing_subsystems[_V3]


def _octets(text: str) -> bytes:
    """As it goes over the wire: UTF-8, and whatever other octets the environment had."""
    return text.encode("utf-8", "surrogateescape")


def _pdu(request: Request) -> Any:
    if request.repetitions:
        pdu = v2c.GetBulkRequestPDU()
        v2c.apiBulkPDU.set_defaults(pdu)
        v2c.apiBulkPDU.set_non_repeaters(pdu, request.non_repeaters)
        v2c.apiBulkPDU.set_max_repetitions(pdu, request.repetitions)
        v2c.apiBulkPDU.set_varbinds(pdu, [(oid, v2c.null) for oid in request.oids])
    else:
        pdu = v2c.GetRequestPDU()
        v2c.apiPDU.set_defaults(pdu)
        v2c.apiPDU.set_varbinds(pdu, [(oid, v2c.null) for oid in request.oids])
    return pdu


def _answer(pdu: Any) -> Answer:
    return Answer(
        error_status=int(v2c.apiPDU.get_error_status(pdu)),
        error_index=int(v2c.apiPDU.get_error_index(pdu, muteErrors=True)),
        varbinds=_varbinds(v2c.apiPDU.get_varbinds(pdu)),
    )


_ABSENT = {
    v2c.NoSuchObject.tagSet: Absent.NO_SUCH_OBJECT,
    v2c.NoSuchInstance.tagSet: Absent.NO_SUCH_INSTANCE,
    v2c.EndOfMibView.tagSet: Absent.END_OF_MIB_VIEW,
}
_INTEGERS = {t.tagSet for t in (v2c.Integer32, v2c.Counter32, v2c.Gauge32, v2c.TimeTicks, v2c.Counter64)}
_OCTETS = {t.tagSet for t in (v2c.OctetString, v2c.IpAddress, v2c.Opaque)}


def _varbinds(raw: Sequence[tuple[Any, Any]]) -> tuple[tuple[Oid, Value], ...]:
    return tuple((tuple(oid), _value(value)) for oid, value in raw)


def _value(value: Any) -> Value:
    tag = value.tagSet
    if tag in _INTEGERS:
        return int(value)
    if tag in _OCTETS:
        return bytes(value)
    if tag in _ABSENT:
        return _ABSENT[tag]
    if tag == v2c.ObjectIdentifier.tagSet:
        return tuple(value)
    return None
