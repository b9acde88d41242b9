"""Folders of sockets: private, short, and tidied up after hosts that were killed."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

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


def test_without_unix_sockets_there_is_none(monkeypatch, parent):
    monkeypatch.delattr(socket, "AF_UNIX")
    assert make_socket_folder(parent) is None
