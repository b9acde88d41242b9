"""What the command line, the files and the environment add up to."""

from __future__ import annotations

import json

import pytest

from durable_app.compose.plan import HostOptions, make_plan
from durable_app.errors import ConfigError


def plan(folder, environ=None, **options):
    return make_plan(HostOptions(folder, store="memory", hub="embedded", **options), environ or {})


def test_another_runtime_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="FUNCTIONS_WORKER_RUNTIME is 'node'"):
        plan(tmp_path, {"FUNCTIONS_WORKER_RUNTIME": "node"})


def test_the_command_line_wins_over_local_settings(tmp_path):
    host = {"LocalHttpPort": 7090, "LocalHttpAddress": "::1", "CORS": "http://a.example"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Host": host}))
    found = plan(tmp_path)
    assert (found.port, found.address) == (7090, "::1")
    assert found.cors.names("http://a.example")
    found = plan(tmp_path, port=7091, address="127.0.0.1", cors=("http://b.example",))
    assert (found.port, found.address) == (7091, "127.0.0.1")
    assert not found.cors.names("http://a.example")


def test_state_is_kept_where_somebody_may_need_it(tmp_path):
    assert plan(tmp_path).state is None
    assert plan(tmp_path, enable_auth=True).state == tmp_path / ".durable/host.db"


def test_functions_may_be_chosen_in_host_json_too(tmp_path):
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0", "functions": ["a"]}))
    assert plan(tmp_path).functions == ("a",)
    assert plan(tmp_path, functions=("b",)).functions == ("b",)


def test_worker_processes_are_named_by_an_option_or_a_setting(tmp_path):
    environ = {"FUNCTIONS_WORKER_PROCESS_COUNT": "3"}
    assert plan(tmp_path).workers == 1
    assert plan(tmp_path, dict(environ)).workers == 3
    assert plan(tmp_path, dict(environ), workers=2).workers == 2


@pytest.mark.parametrize("text", ["0", "-1", "65", "two", "1.5"])
def test_what_is_no_number_of_processes_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match="a number of processes from 1 to 64"):
        plan(tmp_path, {"FUNCTIONS_WORKER_PROCESS_COUNT": text})
