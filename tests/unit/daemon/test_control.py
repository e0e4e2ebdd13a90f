"""Who may do what, before any socket is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from teagent.daemon.control import Actor, Command, ControlServer, Right
from teagent.errors import NotAuthorised, NotFound
from teagent.wire.control import Request


def actor(user: str = "carol", *, uid: int = 1001, groups: set[str] | None = None) -> Actor:
    return Actor(uid=uid, gid=1001, pid=1, user=user, groups=frozenset(groups or ()))


async def nothing(actor: Actor, arguments: object) -> object:
    return {}


def server(
    *,
    approvers: tuple[str, ...] = ("netops",),
    viewers: tuple[str, ...] = (),
    administrators: tuple[str, ...] = (),
) -> ControlServer:
    handlers = {
        "status": Command(nothing),
        "thaw": Command(nothing, right=Right.APPROVE),
        "config.reload": Command(nothing, right=Right.ADMINISTER),
        "plan.compute": Command(nothing, right=lambda given: Right.APPROVE if given["propose"] else Right.VIEW),
    }
    return ControlServer(
        Path("never-opened.sock"), handlers, approvers=approvers, viewers=viewers, administrators=administrators
    )


def admit(server: ControlServer, who: Actor, command: str, **arguments: object) -> None:
    server._admit(who, Request(id=1, command=command, arguments=arguments))


def test_anybody_who_can_open_the_socket_may_read() -> None:
    admit(server(), actor(), "status")


def test_a_change_takes_an_approver() -> None:
    with pytest.raises(NotAuthorised, match="carol may not thaw: it takes membership of netops"):
        admit(server(), actor(groups={"users"}), "thaw")
    admit(server(), actor(groups={"users", "netops"}), "thaw")


def test_root_may_change_without_any_group() -> None:
    admit(server(approvers=()), actor("root", uid=0), "thaw")


def test_without_approvers_only_root_may_change() -> None:
    with pytest.raises(NotAuthorised, match="membership of root"):
        admit(server(approvers=()), actor(groups={"netops"}), "thaw")


def test_with_viewers_reading_takes_a_viewer_or_an_approver() -> None:
    guarded = server(viewers=("noc",))
    with pytest.raises(NotAuthorised):
        admit(guarded, actor(groups={"users"}), "status")
    admit(guarded, actor(groups={"noc"}), "status")
    admit(guarded, actor(groups={"netops"}), "status")
    with pytest.raises(NotAuthorised):
        admit(guarded, actor(groups={"noc"}), "thaw")


def test_administering_takes_an_administrator_who_may_do_everything_else_as_well() -> None:
    guarded = server(viewers=("noc",), administrators=("netadmin",))
    with pytest.raises(NotAuthorised, match=r"carol may not config.reload: it takes membership of netadmin") as caught:
        admit(guarded, actor(groups={"netops", "noc"}), "config.reload")
    assert "administrators" in str(caught.value.hint)
    for command in ("status", "thaw", "config.reload"):
        admit(guarded, actor(groups={"netadmin"}), command)


def test_without_administrators_the_approvers_are_it() -> None:
    admit(server(), actor(groups={"netops"}), "config.reload")
    with pytest.raises(NotAuthorised):
        admit(server(approvers=()), actor(groups={"netops"}), "config.reload")


def test_whether_a_command_changes_may_depend_on_its_arguments() -> None:
    admit(server(), actor(), "plan.compute")
    with pytest.raises(NotAuthorised):
        admit(server(), actor(), "plan.compute", propose=True)


def test_a_command_of_the_protocol_that_is_not_handled_is_not_found() -> None:
    with pytest.raises(NotFound, match="there is no command freeze"):
        admit(server(), actor("root", uid=0), "freeze")


def test_constructing_touches_nothing(tmp_path: Path) -> None:
    ControlServer(tmp_path / "missing" / "teagent.sock", {})
    assert list(tmp_path.iterdir()) == []
