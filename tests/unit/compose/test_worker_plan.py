"""Which scheduler and which hub a worker process uses."""

from __future__ import annotations

import json

import pytest

from durable_app.compose.worker_plan import WorkerOptions, make_worker_plan
from durable_app.errors import ConfigError

LOCAL = "Endpoint=http://localhost:8080;Authentication=None"
USUAL = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"


def write_host(folder, **durable):
    content = {"version": "2.0", "extensions": {"durableTask": durable}}
    (folder / "host.json").write_text(json.dumps(content))


def test_the_usual_setting_and_the_default_hub(tmp_path):
    plan = make_worker_plan(WorkerOptions(tmp_path), {USUAL: LOCAL})
    assert (plan.target.task_hub, plan.connection) == ("default", USUAL)
    assert plan.health_port is None


def test_host_json_names_setting_and_hub(tmp_path):
    storage = {"type": "azureManaged", "connectionStringName": "MINE"}
    write_host(tmp_path, hubName="%HUB%", storageProvider=storage)
    environ = {"MINE": f"{LOCAL};TaskHub=text", "HUB": "orders"}
    plan = make_worker_plan(WorkerOptions(tmp_path), environ)
    assert (plan.target.task_hub, plan.connection) == ("orders", "MINE")


def test_the_command_line_wins(tmp_path):
    write_host(tmp_path, hubName="orders")
    options = WorkerOptions(tmp_path, connection=LOCAL, task_hub="mine", functions=("a",))
    plan = make_worker_plan(options, {})
    assert (plan.target.task_hub, plan.connection, plan.functions) == ("mine", "Storage", ("a",))
    assert options.host_options().functions == ("a",)


def test_local_settings_count(tmp_path):
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": {USUAL: LOCAL}}))
    assert make_worker_plan(WorkerOptions(tmp_path), {}).target.endpoint.port == 8080


def test_no_scheduler_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="No scheduler is named"):
        make_worker_plan(WorkerOptions(tmp_path), {})
    with pytest.raises(ConfigError, match="is no folder"):
        make_worker_plan(WorkerOptions(tmp_path / "none"), {USUAL: LOCAL})
