"""Targets: what fits together, and that secrets do not show."""

from __future__ import annotations

import pytest

from teagent.adapters.snmp.target import SnmpTarget

AUTH = {"auth_protocol": "sha256", "auth_key": "correct-horse"}
PRIV = {"priv_protocol": "aes128", "priv_key": "battery-staple"}


def test_repr_shows_no_secret():
    v2c = SnmpTarget(address="192.0.2.1", community="hush-hush")
    v3 = SnmpTarget(address="192.0.2.1", version="3", user="te", **AUTH, **PRIV)
    for text in (repr(v2c), str(v2c), f"{v3!r}", str(v3)):
        for secret in ("hush-hush", "correct-horse", "battery-staple"):
            assert secret not in text


@pytest.mark.parametrize(
    ("keys", "level"), [({}, "noAuthNoPriv"), (AUTH, "authNoPriv"), ({**AUTH, **PRIV}, "authPriv")]
)
def test_keys_decide_the_security_level(keys, level):
    assert SnmpTarget(address="192.0.2.1", version="3", user="te", **keys).security_level == level


def test_ipv6_address_is_shown_in_brackets():
    assert SnmpTarget(address="2001:db8::1", community="c").endpoint == "[2001:db8::1]:161"
    assert SnmpTarget(address="192.0.2.1", port=1161, community="c").endpoint == "192.0.2.1:1161"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "takes a community"),
        ({"community": "c", "address": ""}, "address is empty"),
        ({"community": "c", "port": 0}, "port 0"),
        ({"community": "c", "port": 70000}, "port 70000"),
        ({"community": "c", "timeout_seconds": 0}, "time-out"),
        ({"community": "c", "retries": -1}, "retries"),
        ({"community": "c", "version": "1"}, "version 1 is not spoken here"),
        ({"community": "c", "user": "te"}, "belong to SNMP version 3"),
        ({"version": "3"}, "takes a user"),
        ({"version": "3", "user": "u" * 33}, "longer than 32"),
        ({"version": "3", "user": "te", "community": "c"}, "belongs to SNMP version 2c"),
        ({"version": "3", "user": "te", "auth_key": "correct-horse"}, "one of them is missing"),
        ({"version": "3", "user": "te", "auth_protocol": "md5"}, "one of them is missing"),
        ({"version": "3", "user": "te", **AUTH, "priv_key": "battery-staple"}, "one of them is missing"),
        ({"version": "3", "user": "te", **PRIV}, "privacy needs authentication"),
        ({"version": "3", "user": "te", **AUTH, "auth_protocol": "sha3"}, "sha3 is not known"),
        ({"version": "3", "user": "te", **AUTH, **PRIV, "priv_protocol": "rot13"}, "rot13 is not known"),
        ({"version": "3", "user": "te", **AUTH, "auth_key": "short"}, "shorter than 8"),
        ({"version": "3", "user": "te", **AUTH, **PRIV, "priv_key": "short"}, "privacy key is shorter than 8"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, told):
    with pytest.raises(ValueError, match=told) as caught:
        SnmpTarget(**{"address": "192.0.2.1", **changes})
    assert "correct-horse" not in str(caught.value)
    assert "short'" not in str(caught.value)
