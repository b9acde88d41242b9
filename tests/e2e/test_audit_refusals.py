"""What a start refuses, with the code 1 and the text that says what to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.e2e.harness import Host

APP = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="a")
def a(req: func.HttpRequest) -> str:
    return "a"
"""
CASES: dict[str, tuple[Mapping[str, str], list[str]]] = {
    "encrypted settings": (
        {"local.settings.json": '{"IsEncrypted": true, "Values": {"A": "xx"}}'},
        ["local.settings.json", "encrypted", "func settings decrypt"],
    ),
    "unknown version of host.json": (
        {"host.json": '{"version": "1.0"}'},
        ["host.json", '"1.0"', '"version": "2.0"'],
    ),
    "option of a wrong type": (
        {
            "host.json": '{"version": "2.0", "extensions": {"durableTask":'
            ' {"maxConcurrentActivityFunctions": "lots"}}}'
        },
        ["extensions.durableTask.maxConcurrentActivityFunctions", "lots"],
    ),
    "hub name without a setting": (
        {
            "host.json": '{"version": "2.0", "extensions": {"durableTask":'
            ' {"hubName": "%NO_SUCH_SETTING%"}}}'
        },
        ["hubName", "'%NO_SUCH_SETTING%' does not resolve to a value"],
    ),
    "function without a trigger": (
        {
            "function_app.py": APP
            + "@app.function_name('b')\n"
            + "@app.queue_output(arg_name='out', queue_name='q', connection='C')\n"
            + "def b(out: func.Out[str]) -> None: ...\n"
        },
        ["function_app.py:", "Function b does not have a trigger."],
    ),
    "parameter without a binding": (
        {
            "function_app.py": APP
            + "@app.route(route='b')\ndef b(req: func.HttpRequest, x: int) -> str:\n    return ''\n"
        },
        ["function_app.py:", "cannot load the b function", "{'x'}"],
    ),
    "annotation that Azure refuses": (
        {
            "function_app.py": APP
            + "@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\n"
            + "def b(t: func.TimerRequest | None) -> None: ...\n"
        },
        ["function_app.py:", "cannot load the b function: binding t"],
    ),
    "function called host": (
        {
            "function_app.py": APP
            + "@app.route(route='b')\ndef host(req: func.HttpRequest) -> str:\n    return ''\n"
        },
        ["function_app.py:", "host: Azure reserves this function name"],
    ),
    "app of azure.durable_functions": (
        {"function_app.py": "import azure.durable_functions as df\napp = df.DFApp()\n"},
        [
            "function_app.py:1:",
            "    import durable_app as df",
            "    import azure.durable_functions as df",
            "requirements.txt",
        ],
    ),
    "blueprint of azure.durable_functions": (
        {
            "function_app.py": APP + "from jobs import bp\napp.register_functions(bp)\n",
            "jobs.py": "import azure.durable_functions as df\nbp = df.Blueprint()\n"
            "@bp.activity_trigger(input_name='x')\ndef act(x):\n    return x\n",
        },
        ["jobs.py:1:", "    import durable_app as df"],
    ),
    "Orchestrator.create": (
        {
            "function_app.py": "import durable_app as df\n"
            "def flow(context):\n    yield\nmain = df.Orchestrator.create(flow)\n"
        },
        ["function_app.py", "line 4", "@app.orchestration_trigger"],
    ),
    "name of the script": (
        {"local.settings.json": '{"Values": {"PYTHON_SCRIPT_FILE_NAME": "my app.txt"}}'},
        ["PYTHON_SCRIPT_FILE_NAME", "'my app.txt'", ".py"],
    ),
}


def app_of(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir()
    for name, text in {
        "function_app.py": APP,
        "host.json": '{"version": "2.0"}',
        **files,
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said(case: str, tmp_path: Path, new_host: Callable[..., Host]) -> None:
    files, texts = CASES[case]

    output = new_host(app_of(tmp_path / "app", files)).refusal()

    assert [text for text in texts if text not in output] == [], output


def test_the_model_before_decorators_is_named(
    tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    files = {"Hello/function.json": '{"bindings": []}', "Hello/__init__.py": "def main(req): ..."}
    app = app_of(tmp_path / "app", files)
    (app / "function_app.py").unlink()

    output = new_host(app).refusal()

    assert "Hello/function.json" in output
    assert "app = df.DFApp()" in output


def test_another_script_can_be_the_app(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    app = app_of(tmp_path / "app", {"main.py": APP})
    (app / "function_app.py").unlink()

    host = new_host(app, env={"PYTHON_SCRIPT_FILE_NAME": "main.py"}).start()

    assert host.get("/api/a").text == "a"


def test_settings_become_the_environment_and_what_is_there_wins(
    tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    code = APP.replace('"a"\n', "' '.join(map(str, map(os.environ.get, NAMES)))\n").replace(
        "import azure", "import os\nimport azure", 1
    )
    names = "NAMES = ['MINE', 'TAKEN', 'NOTHING', 'ConnectionStrings:Db']\n"
    settings = (
        '{"Values": {"MINE": "1", "TAKEN": "file", "NOTHING": null,'
        ' "AzureWebJobs.b.Disabled": "true"}, "ConnectionStrings": {"Db": "here"}}'
    )
    more = "@app.route(route='b')\ndef b(req: func.HttpRequest) -> str:\n    return ''\n"
    app = app_of(
        tmp_path / "app", {"function_app.py": code + names + more, "local.settings.json": settings}
    )

    host = new_host(app, env={"TAKEN": "shell"}).start()

    assert host.get("/api/a").text == "1 shell None here"
    assert host.get("/api/b").status == 404
    output = host.output()
    assert "Function b is disabled." in output
    assert (
        "Skipping 'TAKEN' from local settings as it's already defined in current environment"
        " variables." in output
    )
