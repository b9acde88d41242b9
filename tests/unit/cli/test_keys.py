"""``func keys``: the keys that a host demands."""

from __future__ import annotations

import json

from durable_app.cli.main import main
from durable_app.host.state import STATE_FILE, HostState
from durable_app.host.web.keys import Keys


def test_all_keys_are_shown(tmp_path, capsys):
    state = HostState(tmp_path / STATE_FILE)
    keys = Keys(state)
    keys.set("master", "master", "m1")
    keys.set("host", "default", "h1")
    state.close()

    assert main(["keys", "list", "--script-root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == ["host/default", "h1", "master/master", "m1"]
    assert main(["keys", "list", "--json", "--script-root", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"host/default": "h1", "master/master": "m1"}


def test_without_a_host_there_are_none(tmp_path, capsys):
    assert main(["keys", "list", "--script-root", str(tmp_path)]) == 0
    assert "func start --enableAuth" in capsys.readouterr().err
    assert not (tmp_path / STATE_FILE).exists()


def test_a_state_that_cannot_be_read_is_an_error(tmp_path, capsys):
    (tmp_path / ".durable").mkdir()
    (tmp_path / STATE_FILE).write_text("no database, but long enough to be taken for one" * 9)
    assert main(["keys", "list", "--script-root", str(tmp_path)]) == 1
    assert "cannot be used" in capsys.readouterr().err


def test_without_a_command_the_usage_is_shown(capsys):
    assert main(["keys"]) == 0
    assert "func keys" in capsys.readouterr().out
