"""The files written for the relay and for ExaBGP, read back by those who read them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from teagent.adapters.exabgp.allow_list import write_allow_list
from teagent.adapters.exabgp.configuration import ExabgpSession, render_exabgp_conf, render_exabgp_env
from teagent.model.allow_list import AllowedNeighbor, AllowedPrefix, AllowList
from teagent.model.bgp import Asn
from teagent.relay import allow_list

LISTED = AllowList(
    local_asn=Asn(64500),
    links={2: "transit-b", 1: "transit-a"},
    prefixes=(
        AllowedPrefix(prefix=ip_network("198.51.100.0/24"), max_prepend=2, link_ids=frozenset({1, 2})),
        AllowedPrefix(prefix=ip_network("2001:db8:100::/44"), max_prepend=3, link_ids=frozenset({2})),
    ),
    next_hop_ipv4=ip_address("192.0.2.254"),
    next_hop_ipv6=ip_address("2001:db8:ffff::254"),
    neighbors=(AllowedNeighbor(address=ip_address("192.0.2.65"), families=frozenset({"ipv6", "ipv4"})),),
    max_prepend=3,
)


def test_the_relay_reads_what_is_written_for_it(tmp_path):
    path = tmp_path / "allow.json"
    assert write_allow_list(path, LISTED)
    allow = allow_list.load(path)
    assert allow.local_asn == 64500
    assert dict(allow.links) == {1: "transit-a", 2: "transit-b"}
    assert allow.prefixes[ip_network("198.51.100.0/24")].max_prepend == 2
    assert allow.prefixes[ip_network("2001:db8:100::/44")].links == {2}
    assert dict(allow.next_hop) == {"ipv4": ip_address("192.0.2.254"), "ipv6": ip_address("2001:db8:ffff::254")}
    assert allow.neighbors[0].families == {"ipv4", "ipv6"}
    assert not allow.withhold
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_family_without_a_next_hop_is_written_as_none(tmp_path):
    write_allow_list(tmp_path / "allow.json", replace(LISTED, next_hop_ipv6=None))
    assert dict(allow_list.load(tmp_path / "allow.json").next_hop) == {"ipv4": ip_address("192.0.2.254")}


def test_it_is_written_only_when_it_says_something_else(tmp_path):
    path = tmp_path / "allow.json"
    write_allow_list(path, LISTED)
    before = path.stat()
    assert not write_allow_list(path, LISTED)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert write_allow_list(path, replace(LISTED, max_prepend=2))
    assert path.stat().st_ino != before.st_ino


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "allow.json"
    write_allow_list(path, LISTED)
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="full"):
        write_allow_list(path, replace(LISTED, max_prepend=2))
    assert allow_list.load(path).max_prepend == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["allow.json"]


def _full(_fd: int) -> None:
    raise OSError("full")


def session(router: str = "edge1", **changes) -> ExabgpSession:
    fields = {"neighbor": ip_address("192.0.2.65"), "local_address": ip_address("192.0.2.66"), "families": ("ipv4",)}
    return ExabgpSession(router=router, **{**fields, **changes})


def conf(*sessions: ExabgpSession, command: tuple[str, ...] = ("/usr/bin/env",)) -> str:
    return render_exabgp_conf(
        local_asn=Asn(64500), router_id=ip_address("192.0.2.66"), sessions=sessions, relay_command=command
    )


def test_exabgp_itself_accepts_both_files(tmp_path):
    six = session(
        "edge2", neighbor=ip_address("2001:db8::65"), local_address=ip_address("2001:db8::66"), families=("ipv6",)
    )
    (tmp_path / "exabgp.conf").write_text(conf(session(families=("ipv4", "ipv6")), six))
    (tmp_path / "exabgp.env").write_text(render_exabgp_env(user="nobody"))
    done = subprocess.run(
        [Path(sys.executable).parent / "exabgp", "validate", "-nrv", tmp_path / "exabgp.conf"],
        env={**os.environ, "EXABGP_ENVFILE": str(tmp_path / "exabgp.env")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "manual-eor true" in (tmp_path / "exabgp.conf").read_text()


def test_exabgp_does_not_log_each_keepalive(tmp_path):
    (tmp_path / "exabgp.env").write_text(render_exabgp_env(user="nobody"))
    done = subprocess.run(
        [Path(sys.executable).parent / "exabgp", "env", "--diff"],
        env={**os.environ, "EXABGP_ENVFILE": str(tmp_path / "exabgp.env")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "statistics = false" in done.stdout.splitlines()


@pytest.mark.parametrize("key", [b"s3cret", b"deadbeef", b'a b;"}#\\', bytes(range(33, 113)), b"~"])
def test_exabgp_reads_the_very_key_that_signs_a_session(tmp_path, key):
    text = conf(session(md5_key=key), session("edge2", neighbor=ip_address("192.0.2.73")))
    (tmp_path / "exabgp.conf").write_text(text)
    script = (
        "import sys; from exabgp.configuration.configuration import Configuration; "
        "from exabgp.logger import log; log.silence(); "
        "from exabgp.util.psk import decode_base64; c = Configuration([sys.argv[1]]); assert c.reload(), c.error; "
        "print([n['md5-base64'] and decode_base64(n['md5-password']).hex() for n in c.neighbors.values()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "exabgp.conf"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == [str([key.hex(), False])], done.stderr
    assert "md5" not in conf(session())


def test_a_key_shows_in_no_repr():
    assert "s3cret" not in repr(session(md5_key=b"s3cret"))


def test_exabgp_takes_the_settings_that_everything_rests_on(tmp_path):
    env = tmp_path / "exabgp.env"
    env.write_text(render_exabgp_env(user="nobody", log_destination="/var/log/exabgp.log"))
    script = (
        "from exabgp.environment import getenv; e = getenv(); "
        "print(e.api.ack, e.api.cli, e.api.respawn, e.api.terminate, e.api.show_routes_format, "
        "e.daemon.user, e.daemon.drop, e.log.destination, e.tcp.bind)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "EXABGP_ENVFILE": str(env), "exabgp_ENVFILE": str(env)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [
        "True",
        "False",
        "True",
        "False",
        "v2",
        "nobody",
        "True",
        "/var/log/exabgp.log",
        "[]",
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (conf, "no session"),
        (lambda: conf(session(), command=()), "absolute path"),
        (lambda: conf(session(), command=("teagent-relay",)), "absolute path"),
        (lambda: conf(session(), command=("/bin/x", "a b")), "cannot carry"),
        (lambda: conf(session(), command=("/bin/x;", "y")), "cannot carry"),
        (lambda: conf(session(), command=("/bin/x", "y}\n")), "cannot carry"),
        (lambda: conf(session(local_address=ip_address("2001:db8::1"))), "different families"),
        (lambda: conf(session(families=())), "families are out of"),
        (lambda: conf(session(families=("ipv4", "flow"))), "families are out of"),
        (lambda: render_exabgp_env(user="te agent"), "not the name of a user"),
        (lambda: render_exabgp_env(user=""), "not the name of a user"),
        (lambda: render_exabgp_env(user="teagent", log_destination="a\nb"), "not a destination"),
    ],
)
def test_what_exabgps_grammar_cannot_carry_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_routers_name_cannot_leave_its_quotes():
    assert 'description "edge__ shutdown_";' in conf(session('edge"; shutdown\n'))


SHIPPED = Path(__file__).resolve().parents[4] / "packaging" / "exabgp"


def example_conf() -> str:
    return render_exabgp_conf(
        local_asn=Asn(64500),
        router_id=ip_address("192.0.2.66"),
        sessions=[
            ExabgpSession(router="edge1", neighbor=ip_address("192.0.2.65"), local_address=ip_address("192.0.2.66")),
            ExabgpSession(
                router="edge2",
                neighbor=ip_address("192.0.2.73"),
                local_address=ip_address("192.0.2.66"),
                families=("ipv4", "ipv6"),
            ),
        ],
        relay_command=[
            *("/opt/teagent/bin/teagent-relay", "--allow", "/etc/teagent/allow.json"),
            *("--journal", "/var/lib/teagent-exabgp/relay-journal.json"),
            *("--socket", "/run/teagent-exabgp/relay.sock", "--freeze-file", "/etc/teagent/freeze"),
        ],
    )


def example_env() -> str:
    return render_exabgp_env(user="teagent-exabgp")


@pytest.mark.parametrize(("name", "make"), [("exabgp.conf", example_conf), ("exabgp.env", example_env)])
def test_the_shipped_examples_are_what_is_generated(name, make):
    assert (SHIPPED / name).read_text() == make()
