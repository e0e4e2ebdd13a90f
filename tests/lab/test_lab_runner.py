"""The runner on real namespaces: what it brings up is what the file says, and nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.runner import CommandFailed, CommandTimeout, Lab, LabError, Node, destroy, state
from labs.runner.errors import AlreadyDeployed, NamespaceTaken, NodeFailed, NoSuchNode
from labs.runner.namespace import Starting
from labs.runner.topology import NodeSpec

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("root")]

CHECKOUT = Path(__file__).resolve().parents[2]

PAIR = """
name: pair
topology:
  defaults: {kind: linux, image: "debian:12"}
  nodes:
    left:
      hostname: left-host
      env: {COLOUR: "deep red"}
      sysctls: {net.ipv4.ip_forward: "0"}
      tmpfs: ["/opt/scratch"]
      binds: ["greeting:/opt/nowhere/yet/greeting:ro", "shared:/run/shared"]
      exec: ["bash -c 'echo $COLOUR > /run/colour'"]
    right: {cmd: "sleep infinity"}
  links:
    - {endpoints: ["left:eth1", "right:eth1"], mtu: 1400, ipv4: ["192.0.2.1/30", "192.0.2.2/30"]}
    - type: veth
      endpoints:
        - {node: left, interface: side, mac: "02:00:00:00:00:01", ipv4: 198.51.100.1/24}
        - {node: right, interface: side, ipv6: "2001:db8::2/64"}
"""


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    (tmp_path / "greeting").write_text("hello\n")
    (tmp_path / "shared").mkdir()
    path = tmp_path / "pair.clab.yml"
    path.write_text(PAIR)
    return path


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for the test's lab; the test fails when anything of it is still there at its end."""
    name = f"t{os.getpid()}-r"
    yield name
    left = remains(name)
    destroy(name)
    assert left == []


@pytest.fixture
def lab(topology: Path, name: str) -> Iterator[Lab]:
    with Lab.from_file(topology, name=name) as lab:
        yield lab


def remains(name: str) -> list[str]:
    """What of a lab can be seen on the machine: namespaces, mounts, interfaces, files, processes."""
    netns = Path("/run/netns")
    left = [f"netns {p.name}" for p in (netns.iterdir() if netns.is_dir() else []) if p.name.startswith(f"{name}-")]
    left += [f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/{name}-" in line]
    left += [f"state {state.ROOT / name}"] if (state.ROOT / name).exists() else []
    left += [f"file {p}" for p in ("/opt/nowhere", "/opt/scratch", "/run/shared") if Path(p).exists()]
    return left


def inside(node: Node) -> dict[int, str]:
    """The processes of the node's pid namespace as the machine numbers them, with their command lines."""
    wanted = Path(f"/proc/{node.pid}/ns/pid").readlink()
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "ns/pid").readlink() == wanted:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def until(holds: Callable[[], object], *, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g}s"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def test_a_node_is_what_the_file_says(lab: Lab) -> None:
    left = lab.node("left")
    assert left.run("hostname").stdout == "left-host\n"
    assert left.run("cat /run/colour").stdout == "deep red\n"
    assert left.run(["sh", "-c", "echo $COLOUR"]).stdout == "deep red\n"
    assert left.run("sysctl -n net.ipv4.ip_forward").stdout == "0\n"
    assert lab.node("right").run("sysctl -n net.ipv4.ip_forward").stdout == "1\n"
    assert left.run("stat -f -c %T /opt/scratch").stdout == "tmpfs\n"
    assert left.run("cat /opt/nowhere/yet/greeting").stdout == "hello\n"
    assert left.run("cat /proc/1/comm").stdout == "bash\n"
    assert any("sleep infinity" in line for line in inside(lab.node("right")).values())


def test_a_read_only_bind_cannot_be_written_and_another_can(lab: Lab, topology: Path) -> None:
    left = lab.node("left")
    assert left.run(["sh", "-c", "echo x > /opt/nowhere/yet/greeting"], check=False).returncode != 0
    left.run(["sh", "-c", "echo kept > /run/shared/note"])
    assert (topology.parent / "shared" / "note").read_text() == "kept\n"
    assert (topology.parent / "greeting").read_text() == "hello\n"


def test_links_have_their_mtu_their_mac_and_their_addresses(lab: Lab) -> None:
    left, right = lab.node("left"), lab.node("right")
    links = {link["ifname"]: link for link in json.loads(left.run("ip -j addr").stdout)}
    assert links["eth1"]["mtu"] == 1400
    assert links["side"]["address"] == "02:00:00:00:00:01"
    assert {"eth1", "side", "lo"} == {name for name, link in links.items() if link["flags"].count("UP")}
    assert left.run("ping -c 1 -W 2 192.0.2.2").returncode == 0
    assert "2001:db8::2/64" in right.run("ip -6 addr show dev side").stdout
    assert "198.51.100.1/24" in left.run("ip addr show dev side").stdout


def test_a_bridge_joins_its_links(tmp_path: Path, name: str) -> None:
    path = tmp_path / "lan.clab.yml"
    path.write_text(
        """
name: lan
topology:
  nodes: {lan: {kind: bridge}, a: , b: }
  links:
    - {endpoints: ["lan:to-a", "a:eth1"], ipv4: ["", 192.0.2.1/24]}
    - {endpoints: ["lan:to-b", "b:eth1"], ipv4: ["", 192.0.2.2/24]}
"""
    )
    with Lab.from_file(path, name=name) as lab:
        assert lab.node("a").run("ping -c 1 -W 5 192.0.2.2").returncode == 0


def test_two_labs_of_one_file_run_side_by_side(topology: Path, name: str) -> None:
    other = f"{name}2"
    with Lab.from_file(topology, name=name) as one, Lab.from_file(topology, name=other) as two:
        assert one.node("left").netns != two.node("left").netns
        two.node("left").run("ip link set eth1 down")
        assert one.node("left").run("ping -c 1 -W 2 192.0.2.2").returncode == 0
        two.destroy()
        assert one.node("left").run("ping -c 1 -W 2 192.0.2.2").returncode == 0
    assert remains(other) == []


def test_the_first_labs_namespaces_end_with_it_though_a_later_one_runs(topology: Path, name: str) -> None:
    """A node's mount table is a copy; were the other labs' namespaces kept in it, they would not go."""
    one = Lab.from_file(topology, name=name)
    one.deploy()
    with Lab.from_file(topology, name=f"{name}2") as two:
        mounts = two.node("left").run("cat /proc/self/mountinfo").stdout
        assert f"{name}-left" not in mounts
        one.destroy()


def test_destroying_takes_every_process_with_it(topology: Path, name: str) -> None:
    lab = Lab.from_file(topology, name=name)
    lab.deploy()
    left = lab.node("left")
    left.run(["sh", "-c", "setsid sleep 3001 >/dev/null 2>&1 & setsid sleep 3002 >/dev/null 2>&1 &"])
    guest = subprocess.Popen(["ip", "netns", "exec", left.netns, "sleep", "3003"])
    network = Path(f"/proc/{left.pid}/ns/net").readlink()
    until(lambda: Path(f"/proc/{guest.pid}/ns/net").readlink() == network)
    until(lambda: sum(line.startswith("sleep 300") for line in inside(left).values()) == 2)
    pids = [*inside(left), *inside(lab.node("right"))]
    lab.destroy()
    assert [pid for pid in pids if alive(pid)] == []
    assert guest.wait(timeout=5) == -signal.SIGKILL
    assert not destroy(name)


def test_a_deployment_that_fails_leaves_nothing(topology: Path, name: str) -> None:
    topology.write_text(PAIR.replace("right: {", "right: {exec: ['sh -c \"echo sorry >&2; exit 3\"'], "))
    with pytest.raises(NodeFailed, match=r"node right: exec .* exited with 3: sorry"):
        Lab.from_file(topology, name=name).deploy()
    assert remains(name) == []


def test_a_node_that_cannot_be_set_up_is_named_with_what_it_said(topology: Path, name: str) -> None:
    topology.write_text(PAIR.replace("/opt/nowhere/yet/greeting:ro", "/nowhere-at-all/greeting"))
    with pytest.raises(NodeFailed, match=r"node left: did not come up: mount point /nowhere-at-all/greeting"):
        Lab.from_file(topology, name=name).deploy()
    assert remains(name) == []


def test_a_name_is_deployed_once(lab: Lab, topology: Path) -> None:
    with pytest.raises(AlreadyDeployed, match="is already running") as caught:
        Lab.from_file(topology, name=lab.name).deploy()
    assert f"destroy --name {lab.name}" in str(caught.value.hint)
    assert lab.node("left").run("true").returncode == 0


def test_a_namespace_that_is_not_ours_is_left_alone(topology: Path, name: str) -> None:
    subprocess.run(["ip", "netns", "add", f"{name}-left"], check=True)
    try:
        with pytest.raises(NamespaceTaken):
            Lab.from_file(topology, name=name).deploy()
        assert not destroy(name)
        assert Path(f"/run/netns/{name}-left").exists()
    finally:
        subprocess.run(["ip", "netns", "del", f"{name}-left"], check=True)


def test_what_a_killed_runner_left_can_be_destroyed(topology: Path, name: str) -> None:
    topology.write_text(PAIR.replace("right: {", "right: {exec: ['sleep 300'], "))
    command = [sys.executable, "-m", "labs.runner", "deploy", "-t", str(topology), "--name", name]
    runner = subprocess.Popen(command, cwd=CHECKOUT)
    until(lambda: Path(f"/run/netns/{name}-right").exists() and state.read(name).running)
    pids = [pid.number for pid in state.read(name).pids.values()]
    runner.kill()
    runner.wait()
    with pytest.raises(AlreadyDeployed):
        Lab.from_file(topology, name=name).deploy()
    assert destroy(name)
    assert not [pid for pid in pids if alive(pid)]


def test_a_runner_that_is_asked_to_stop_cleans_up_before_it_goes(topology: Path, name: str) -> None:
    topology.write_text(PAIR.replace("right: {", "right: {exec: ['sleep 50'], "))
    command = [sys.executable, "-m", "labs.runner", "deploy", "-t", str(topology), "--name", name]
    runner = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
    until(lambda: Path(f"/run/netns/{name}-right").exists())
    runner.terminate()
    _, said = runner.communicate(timeout=30)
    assert (runner.returncode, said) == (130, "interrupted\n")
    assert remains(name) == []


def test_a_node_whose_runner_dies_before_it_is_known_ends_by_itself(tmp_path: Path) -> None:
    spec = NodeSpec(name="lone", kind="linux", image="", hostname="lone", env={}, sysctls={})
    starting = Starting(spec, tmp_path / "log")
    pid = starting.ready()
    assert pid.alive
    starting.abandon()  # all that is left of a dead runner is that its pipes are closed
    starting.reap()
    assert not pid.alive


def test_killing_a_process_kills_what_it_started(lab: Lab) -> None:
    left = lab.node("left")
    process = left.popen(["sh", "-c", "sleep 3004 & sleep 3005 & wait"])
    until(lambda: sum(line.startswith("sleep 300") for line in inside(left).values()) == 2)
    process.kill()
    process.wait(timeout=5)
    until(lambda: not any("sleep 300" in line for line in inside(left).values()))


def test_terminating_a_process_lets_it_end_in_its_own_way(lab: Lab) -> None:
    script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    process = lab.node("left").popen(["bash", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(timeout=5) == 7
    process.stdout.close()


def test_a_command_dies_with_the_nsenter_that_was_started_for_it(lab: Lab) -> None:
    """So that whoever starts `command()` by himself cannot leave it behind."""
    left = lab.node("left")
    process = subprocess.Popen(left.command("sleep 3006"))
    until(lambda: any(line.startswith("sleep 3006") for line in inside(left).values()))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: not any("sleep 3006" in line for line in inside(left).values()))


def test_a_command_that_takes_too_long_is_killed_with_its_children(lab: Lab) -> None:
    left = lab.node("left")
    with pytest.raises(CommandTimeout, match=r"took longer than 0.3s"):
        left.run(["sh", "-c", "sleep 3007; true"], timeout=0.3)
    until(lambda: not any("sleep 3007" in line for line in inside(left).values()))


def test_a_command_that_fails_says_where_and_what(lab: Lab) -> None:
    with pytest.raises(CommandFailed, match=r"node left: 'sh -c echo no >&2; exit 4' exited with 4: no"):
        lab.node("left").run(["sh", "-c", "echo no >&2; exit 4"])
    assert lab.node("left").run(["cat"], input="in\n").stdout == "in\n"
    assert lab.node("left").run("pwd", cwd="/usr").stdout == "/usr\n"


def test_a_node_that_is_not_there_is_told_with_those_that_are(lab: Lab) -> None:
    with pytest.raises(NoSuchNode, match=r"has no node middle, its nodes are left, right"):
        lab.node("middle")


def test_a_lab_that_somebody_else_deployed_can_be_used(lab: Lab) -> None:
    assert Lab.running(lab.name).node("left").pid == lab.node("left").pid


def test_a_node_that_was_killed_is_told_as_such(lab: Lab) -> None:
    os.kill(lab.node("left").pid, signal.SIGKILL)
    with pytest.raises(LabError, match=r"node left of lab .* is not running"):
        until(lambda: not lab.node("left"))


def test_the_command_line_does_it_all(topology: Path, name: str) -> None:
    def runner(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labs.runner", *words]
        return subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)

    up = runner("deploy", "-t", str(topology), "--name", name)
    assert (up.returncode, up.stderr) == (0, "")
    assert up.stdout.startswith(f"{name} is up: 2 nodes")
    again = runner("deploy", "-t", str(topology), "--name", name)
    assert again.returncode == 1
    assert again.stderr.splitlines() == [
        f"error: lab {name} is already running",
        f"hint:  python -m labs.runner destroy --name {name}, or deploy under another --name",
    ]
    assert f"{name}  2/2 nodes running  {topology}\n" in runner("list").stdout
    assert json.loads(runner("inspect", "--name", name).stdout)["nodes"]["left"]["running"] is True
    assert runner("exec", "--name", name, "-n", "left", "--", "sh", "-c", "exit 9").returncode == 9
    assert runner("destroy", "-t", str(topology), "--name", name).stdout == f"{name} is down\n"
    down = runner("destroy", "--name", name)
    assert (down.returncode, down.stdout) == (0, f"{name} was not up\n")
