"""What the relay takes an allow-list from: nobody but its owner can have had a hand in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teagent.relay import allow_list
from teagent.relay.allow_list import BadAllowListError
from teagent.relay.custody import owner_named, why_place_untrusted, why_untrusted

ME = frozenset({0, os.getuid()})
as_root = pytest.mark.skipif(os.getuid() != 0, reason="giving files to another user takes root")


def why(path: Path, owners: frozenset[int] = ME) -> str | None:
    with path.open("rb") as file:
        return why_untrusted(file.fileno(), path, owners)


def test_a_file_that_only_its_owner_can_write_is_used(write_allow):
    path = write_allow()
    path.chmod(0o644)
    assert why(path) is None
    assert allow_list.load(path, owners=ME).local_asn == 64500


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_not_used(write_allow, mode):
    path = write_allow()
    path.chmod(mode)
    with pytest.raises(BadAllowListError, match=f"is not used: others than its owner may write it .mode 0{mode:o}"):
        allow_list.load(path, owners=ME)


@as_root
def test_a_file_of_the_daemons_user_is_not_used_whatever_its_mode(write_allow):
    path = write_allow()
    path.chmod(0o400)
    os.chown(path, 65534, -1)
    assert str(why(path)).startswith("it belongs to nobody, not to root")
    assert why(path, frozenset({0, 65534})) is None


@as_root
def test_a_file_in_a_directory_of_the_daemons_user_is_not_used(write_allow, tmp_path):
    path = write_allow()
    path.chmod(0o644)
    os.chown(tmp_path, 65534, -1)
    assert "belongs to nobody" in str(why(path))


def test_a_directory_into_which_others_may_write_spoils_all_below_it_unless_it_is_sticky(tmp_path):
    open_to_all, below = tmp_path / "open", tmp_path / "open" / "below"
    below.mkdir(parents=True)
    open_to_all.chmod(0o777)
    assert f"may write into {open_to_all}" in str(why_place_untrusted(below / "allow.json", ME))
    open_to_all.chmod(0o1777)
    assert why_place_untrusted(below / "allow.json", ME) is None


def test_a_symbolic_link_is_judged_by_where_it_lies_and_by_where_it_leads(tmp_path, write_allow):
    target = write_allow()
    target.chmod(0o644)
    lies, leads = tmp_path / "lies", tmp_path / "leads"
    for directory in (lies, leads):
        directory.mkdir()
    (lies / "allow.json").symlink_to(leads / "allow.json")
    target.rename(leads / "allow.json")
    assert why(lies / "allow.json") is None
    for directory in (lies, leads):
        directory.chmod(0o777)
        assert f"may write into {directory}" in str(why(lies / "allow.json"))
        directory.chmod(0o755)


def test_what_is_no_file_is_not_used(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert why_untrusted(fd, tmp_path, ME) == "it is not a regular file"
    finally:
        os.close(fd)


def test_an_owner_is_a_name_or_a_number():
    assert (owner_named("root"), owner_named("4711")) == (0, 4711)
    with pytest.raises(LookupError):
        owner_named("no-such-user")
