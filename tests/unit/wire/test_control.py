"""The control protocol's lines."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.errors import BadVersion, GuardRefused, LimitExceeded, NotFound, TeagentError, WireError
from teagent.wire import control
from teagent.wire.control import Request

WORDS = st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)


@given(st.integers(0, 2**31), WORDS, st.dictionaries(WORDS, JSON, max_size=4))
def test_a_request_survives_the_line(number: int, command: str, arguments: dict[str, object]) -> None:
    request = Request(id=number, command=command, arguments=arguments)
    line = control.encode_request(request)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert control.decode_request(line) == request


@given(JSON)
def test_a_result_survives_the_line(result: object) -> None:
    reply = control.decode_reply(control.encode_result(7, result))
    assert (reply.id, reply.result, reply.error, reply.more) == (7, result, None, False)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_wire_error(line: bytes) -> None:
    for decode in (control.decode_request, control.decode_reply):
        with suppress(WireError):
            decode(line)


@given(st.dictionaries(st.sampled_from(["version", "id", "command", "arguments", "ok", "error", "more"]), JSON))
def test_any_object_is_a_message_or_a_wire_error(document: dict[str, object]) -> None:
    line = json.dumps({"version": 1, **document}).encode()
    for decode in (control.decode_request, control.decode_reply):
        with suppress(WireError):
            decode(line)


@pytest.mark.parametrize(
    "line",
    [b"[" * 60000, b'{"version": 1, "id": ' + b"9" * 5000 + b"}", b'{"version": NaN}', b'"\xff"', b"{}{}", b""],
)
def test_hostile_lines_are_wire_errors(line: bytes) -> None:
    with pytest.raises(WireError):
        control.decode_request(line)


@pytest.mark.parametrize("version", [0, 2, "1", True, None, [1]])
def test_another_version_is_named(version: object) -> None:
    with pytest.raises(BadVersion, match="this teagent speaks 1"):
        control.decode_request(json.dumps({"version": version, "id": 1, "command": "status"}).encode())


def test_an_error_keeps_its_facts() -> None:
    failed = [{"rule": "headroom", "message": "9% left", "value": 0.09, "limit": 0.15}]
    error = GuardRefused(failed, checks=6, hint="wait")
    remote = control.decode_reply(control.encode_error(3, error)).error
    assert remote is not None
    assert (remote.kind, remote.exit_code, remote.hint) == ("GuardRefused", 5, "wait")
    assert remote.message == error.message
    assert remote.fields == {"reasons": failed, "checks": 6}


def test_an_error_whose_field_is_no_json_is_still_told() -> None:
    remote = control.decode_reply(control.encode_error(3, TeagentError("disk is full", path=object()))).error
    assert remote is not None
    assert (remote.message, remote.fields) == ("disk is full", {})


def test_a_refusal_never_has_the_exit_code_of_a_success() -> None:
    line = json.dumps({"version": 1, "id": 1, "ok": False, "error": {"message": "no", "exit_code": 0}}).encode()
    error = control.decode_reply(line).error
    assert error is not None
    assert error.exit_code == 1


def test_a_result_that_is_no_json_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        control.encode_result(1, {"bps": float("nan")})
    with pytest.raises(TypeError):
        control.encode_result(1, {"at": object()})


def test_a_request_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(LimitExceeded, match="limit 65536"):
        control.encode_request(Request(id=1, command="freeze", arguments={"reason": "x" * 70000}))


def test_defaults_are_filled_in() -> None:
    assert control.check_arguments("matrix.show", {"link": "transit-a"}) == {
        "link": "transit-a",
        "prefix": None,
        "source_as": None,
        "window_seconds": None,
        "since_seconds": None,
        "top": 20,
    }


def test_an_as_number_is_one_of_four_octets() -> None:
    assert control.check_arguments("matrix.show", {"source_as": 2**32 - 1})["source_as"] == 2**32 - 1
    for wrong in (0, 2**32, -1, 1.5, True, "64500"):
        with pytest.raises(WireError, match=r"argument source_as of matrix.show is .*, not an AS number"):
            control.check_arguments("matrix.show", {"source_as": wrong})


def test_an_unknown_command_hints_at_an_older_daemon() -> None:
    with pytest.raises(NotFound) as caught:
        control.check_arguments("proposal.explode", {})
    assert "older" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("proposal.show", {}, "needs the argument id"),
        ("proposal.show", {"id": 7}, "argument id of proposal.show is 7, not text"),
        ("proposal.show", {"id": "p-1", "force": True}, "has no argument force, known are id"),
        ("status", {"x": 1}, "it takes none"),
        ("matrix.show", {"top": -1}, "not a whole number"),
        ("matrix.show", {"top": True}, "not a whole number"),
        ("matrix.show", {"top": 10**9}, "not a whole number"),
        ("link.show", {"name": "a", "since_seconds": 0}, "not a number of seconds"),
        ("plan.compute", {"propose": 1}, "not true or false"),
        ("freeze", {"reason": "two\nlines"}, "not text"),
        ("freeze", {"reason": "\x1b[2J"}, "not text"),
        ("freeze", {"reason": "x" * 1001}, "not text"),
    ],
)
def test_arguments_that_do_not_fit_are_named(command: str, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(WireError, match=words.replace("[", r"\[")):
        control.check_arguments(command, arguments)
