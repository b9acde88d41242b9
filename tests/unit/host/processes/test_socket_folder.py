"""Folders of sockets: private, short, and tidied up after hosts that were killed."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from durable_app.host.processes import socket_folder
from durable_app.host.processes.socket_folder import make_socket_folder


@pytest.fixture
def parent():
    with tempfile.TemporaryDirectory(prefix="da-", dir="/tmp") as folder:
        yield Path(folder)


def left_behind(parent: Path, name: str) -> tuple[Path, socket.socket]:
    """A folder of long ago with a socket."""
    folder = parent / f"durable-app-{name}"
    folder.mkdir()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "1.sock"))
    os.utime(folder, (0, 0))
    return folder, listening


def test_nobody_else_can_enter_it(parent):
    folder = make_socket_folder(parent)
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_a_killed_host_left_behind_is_removed_and_what_is_used_stays(parent):
    dead, closed = left_behind(parent, "dead")
    closed.close()
    alive, listening = left_behind(parent, "alive")
    with listening:
        listening.listen()
        fresh = make_socket_folder(parent)
        make_socket_folder(parent)
        assert (dead.exists(), alive.exists()) == (False, True)
    assert fresh is not None
    assert fresh.exists()


def test_a_path_that_is_too_long_for_a_socket_makes_none(parent):
    deep = parent / ("x" * 100)
    deep.mkdir()
    assert make_socket_folder(deep) is None
    assert list(deep.iterdir()) == []


@pytest.mark.parametrize("name", ["a#b", "a?b", "a,b", "a%20b"])
def test_a_path_that_grpc_would_read_as_something_else_makes_none(parent, name):
    odd = parent / name
    odd.mkdir()
    assert make_socket_folder(odd) is None
    assert list(odd.iterdir()) == []


def test_a_folder_of_somebody_else_with_such_a_name_stays(parent):
    mine = parent / "durable-app-my-project"
    (mine / "src").mkdir(parents=True)
    (mine / "README.md").write_text("mine")
    mixed, closed = left_behind(parent, "mixed")
    closed.close()
    (mixed / "notes.txt").touch()
    for folder in (mine, mixed):
        os.utime(folder, (0, 0))
    assert make_socket_folder(parent) is not None
    assert (mine / "README.md").read_text() == "mine"
    assert sorted(path.name for path in mixed.iterdir()) == ["1.sock", "notes.txt"]


def test_a_link_to_a_folder_is_not_followed(parent):
    dead, closed = left_behind(parent, "dead")
    closed.close()
    target = dead.rename(parent / "elsewhere")
    link = parent / "durable-app-link"
    link.symlink_to(target)
    os.utime(link, (0, 0), follow_symlinks=False)
    make_socket_folder(parent)
    assert (target / "1.sock").is_socket()


def test_what_hangs_is_there_all_the_same(parent, monkeypatch):
    monkeypatch.setattr(socket_folder, "_PROBE_S", 0.01)
    hanging, listening = left_behind(parent, "hanging")
    with listening, socket.socket(socket.AF_UNIX) as first:
        listening.listen(0)
        first.connect(str(hanging / "1.sock"))  # nobody takes it, and there is room for no more
        make_socket_folder(parent)
        assert hanging.exists()


def test_a_folder_that_cannot_be_written_makes_none(parent):
    assert make_socket_folder(parent / "missing") is None


def test_without_unix_sockets_there_is_none(monkeypatch, parent):
    monkeypatch.delattr(socket, "AF_UNIX")
    assert make_socket_folder(parent) is None
