"""`teagent router probe`: its arguments and what it shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner

from teagent.adapters.snmp.probe import Probe, ProbedInterface
from teagent.adapters.snmp.table import Oddity
from teagent.cli.probe import document, split_address, text
from teagent.cli.root import teagent
from teagent.model.link import BundleMember, CounterSample, Interface


def row(index: int, name: str, **changes) -> ProbedInterface:
    values = {"if_descr": name, "if_alias": "", "if_high_speed_bps": 10e9, "if_oper_status": "up", **changes}
    return ProbedInterface(
        interface=Interface(if_index=index, if_name=name, **values),
        counters=CounterSample(
            at=datetime(2026, 1, 12, tzinfo=UTC),
            sys_uptime_seconds=10.0,
            if_index=index,
            in_octets=2**63,
            out_octets=17,
            bits=64,
            discontinuity=0,
        ),
        discontinuity=True,
    )


def probed(*rows: ProbedInterface, **changes) -> Probe:
    values = {
        "address": "192.0.2.1:161",
        "sys_name": "edge1",
        "sys_descr": "Example Router OS 1.2",
        "sys_uptime_seconds": 5400.0,
        "interfaces": rows,
        "oddities": (Oddity(kind="no_name", if_index=3, message="Null0 has no ifName"),),
        "sentences": ("1 interface has no ifName: Null0",),
        "pdus": 4,
    }
    return Probe(**{**values, **changes})


BARE = ProbedInterface(
    interface=Interface(
        if_index=3, if_name="", if_descr="Null0", if_alias="", if_high_speed_bps=None, if_oper_status="down"
    ),
    counters=None,
    discontinuity=False,
)


def test_text_shows_the_router_its_interfaces_and_its_oddities():
    assert text(probed(row(1_600_000_001, "xe-0/0/0", if_alias="transit a"), BARE)) == (
        "edge1  192.0.2.1:161  up 1h30m\n"
        "Example Router OS 1.2\n"
        "\n"
        "     INDEX  NAME      ALIAS      SPEED  STATE  COUNTERS  DISCONTINUITY\n"
        "1600000001  xe-0/0/0  transit a    10G  up           64  yes\n"
        "         3  Null0     -              -  down       none  no\n"
        "\n"
        "oddities\n"
        "  1 interface has no ifName: Null0\n"
        "\n"
        "2 interfaces, read in 4 PDUs"
    )


def test_long_names_are_not_cut():
    long = "x" * 255
    shown = text(probed(row(1, long, if_alias=long)))
    assert shown.count(long) == 2


def test_markup_in_a_name_is_a_name():
    assert "[red]xe-0/0/0[/red] :smile:" in text(probed(row(1, "[red]xe-0/0/0[/red] :smile:")))


def test_wide_output_adds_the_description_at_the_right_end():
    shown = text(probed(row(1, "Gi0/0/1", if_descr="GigabitEthernet0/0/1")), wide=True)
    assert shown.splitlines()[3].endswith("DISCONTINUITY  DESCR")
    assert shown.splitlines()[4].endswith("yes            GigabitEthernet0/0/1")


def test_router_without_anything_is_shown():
    shown = text(probed(sys_name="", sys_descr="", sys_uptime_seconds=None, oddities=(), sentences=(), pdus=1))
    assert shown == "no name  192.0.2.1:161  uptime unknown\n\n0 interfaces, read in 1 PDU"


def test_what_carries_a_bundle_is_shown_below_the_interfaces():
    members = (
        BundleMember(if_index=1, if_name="xe-0/0/0", if_high_speed_bps=10e9, state="up"),
        BundleMember(if_index=2, if_name="xe-0/0/1\x1b", if_high_speed_bps=None, state="down"),
    )
    shown = text(probed(row(9, "ae0", members=members), row(1, "xe-0/0/0")))
    assert "bundles\n  ae0: xe-0/0/0 up 10G, xe-0/0/1 down speed unknown\n" in shown
    assert [len(each["members"]) for each in document(probed(row(9, "ae0", members=members)))["interfaces"]] == [2]


def test_json_has_exact_values_in_base_units():
    shown = json.loads(json.dumps(document(probed(row(7, "xe-0/0/0"), BARE))))
    assert shown["interfaces"] == [
        {
            "if_index": 7,
            "if_name": "xe-0/0/0",
            "if_descr": "xe-0/0/0",
            "if_alias": "",
            "if_high_speed_bps": 10_000_000_000,
            "if_oper_status": "up",
            "counters": 64,
            "in_octets": 2**63,
            "out_octets": 17,
            "discontinuity": True,
            "members": [],
        },
        {
            "if_index": 3,
            "if_name": "",
            "if_descr": "Null0",
            "if_alias": "",
            "if_high_speed_bps": None,
            "if_oper_status": "down",
            "counters": None,
            "in_octets": None,
            "out_octets": None,
            "discontinuity": False,
            "members": [],
        },
    ]
    assert shown["oddities"] == [{"kind": "no_name", "if_index": 3, "message": "Null0 has no ifName"}]
    assert (shown["sys_uptime_seconds"], shown["pdus"]) == (5400.0, 4)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("192.0.2.1", ("192.0.2.1", 161)),
        ("192.0.2.1:1161", ("192.0.2.1", 1161)),
        ("2001:db8::1", ("2001:db8::1", 161)),
        ("[2001:db8::1]", ("2001:db8::1", 161)),
        ("[2001:db8::1]:1161", ("2001:db8::1", 1161)),
        ("edge1.example.net", ("edge1.example.net", 161)),
        ("edge1.example.net:1161", ("edge1.example.net", 1161)),
    ],
)
def test_address_is_split_from_its_port(address, parts):
    assert split_address(address) == parts


@pytest.mark.parametrize(
    "address",
    [
        "",
        ":161",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:snmp",
        "192.0.2.1:¹",
        "[2001:db8::1",
        "[2001:db8::1]161",
        "[2001:db8::1]:",
        "[]:161",
        "a b",
    ],
)
def test_address_that_is_none_is_wrong_usage(address):
    with pytest.raises(click.UsageError):
        split_address(address)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "--community for SNMP 2c or --user for SNMP 3"),
        (["--community", "env:C", "--user", "te"], "one of them"),
        (["--community", "hush-hush"], "not written here but referred to"),
        (["--user", "te", "--auth", "hush-hush"], "--auth takes PROTOCOL:REFERENCE"),
        (["--user", "te", "--auth", "sha256:hush-hush"], "--auth takes PROTOCOL:REFERENCE"),
        (["--user", "te", "--auth", "sha256:x:hush-hush"], "not written here but referred to"),
        (["--user", "te", "--priv", "aes128:env:C"], "privacy needs authentication"),
        (["--user", "te", "--auth", "rot13:env:C"], "rot13 is not known"),
        (["--community", "env:C", "--timeout", "0"], "time-out"),
        (["--community", "env:C", "--retries", "-1"], "retries"),
    ],
)
def test_wrong_usage_exits_2_and_repeats_no_secret(options, told):
    result = CliRunner().invoke(teagent, ["router", "probe", "192.0.2.1", *options], env={"C": "hush-hush-too"})
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""
    assert "hush-hush" not in result.stderr


def test_secret_that_is_not_there_exits_3():
    result = CliRunner().invoke(teagent, ["router", "probe", "192.0.2.1", "--community", "env:EDGE1_COMMUNITY"])
    assert result.exit_code == 3
    assert "the environment variable EDGE1_COMMUNITY is not set" in result.stderr
    assert result.stdout == ""
