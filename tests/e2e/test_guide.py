"""The guide's examples, run as they are written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, Host, eventually
from tests.e2e.test_scheduler import Hub

GUIDE = ROOT / "docs" / "guide"
EXAMPLE = re.compile(r"^(curl .*\S)\s+# (\d{3})$", re.M)


def func(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "durable_app", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def first_app(folder: Path) -> Path:
    """The app that `first-app.md` makes."""
    folder.mkdir()
    func(folder, "init")
    for command in re.findall(
        r"^func (new .*)$", (GUIDE / "first-app.md").read_text("utf-8"), re.M
    ):
        func(folder, *shlex.split(command))
    return folder


def ask(host: Host, command: str) -> int:
    """Status of the answer to a request that is written as a curl command."""
    method, url, headers, body = None, "", {}, None
    words = iter(shlex.split(command)[1:])
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words).encode()
            case _:
                url = word
    path = url.removeprefix("localhost:7071")
    assert path.startswith("/"), f"no request to the host: {command}"
    # As curl does where no type is given.
    headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    return host.request(method or "GET", path, body=body, headers=headers).status


def test_the_answers_of_the_http_api_are_those_of_the_guide(
    tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(first_app(tmp_path / "greetings"), "--store", "memory").start()
    examples = EXAMPLE.findall((GUIDE / "http-api.md").read_text("utf-8"))

    answers = [(command, ask(host, command)) for command, _ in examples]

    assert len(examples) > 30
    assert answers == [(command, int(status)) for command, status in examples]


def test_the_tests_of_the_guide_pass(tmp_path: Path) -> None:
    text = (GUIDE / "testing.md").read_text("utf-8")
    app, *tests = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (tmp_path / "tests").mkdir()
    (tmp_path / "function_app.py").write_text(app, "utf-8")
    (tmp_path / "host.json").write_text('{"version": "2.0"}', "utf-8")
    for number, code in enumerate(tests):
        (tmp_path / "tests" / f"test_{number}.py").write_text(code, "utf-8")

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout


def test_the_tour_through_the_commands_works(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    app = first_app(tmp_path / "greetings")
    host = new_host(app).start()
    text = (GUIDE / "first-app.md").read_text("utf-8")
    commands = [shlex.split(line) for line in re.findall(r"^func (durable .*)$", text, re.M)]

    for command in commands[:-1]:
        func(app, *command)
    told = eventually(lambda: completed(func(app, *commands[-1])), "approval")

    assert len(commands) == 4
    assert '"output": "approved"' in told
    host.kill()


@pytest.mark.parametrize(
    ("page", "ending", "output"),
    [
        ("hub.md", "", '["Hello Ada!", "Hello Grace!"]'),
        ("scheduler.md", "\n\nmain()\n", "16"),
    ],
)
def test_programs_beside_a_hub_print_what_they_should(
    tmp_path: Path, page: str, ending: str, output: str
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (GUIDE / page).read_text("utf-8"), re.M | re.S)
    hub = Hub(tmp_path)
    hub.start()
    try:
        program = code.replace("localhost:8080", f"localhost:{hub.port}") + ending
        assert program != code + ending
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
            text=True,
            timeout=50,
        )
    finally:
        hub.kill()

    assert done.stdout.strip() == output, done.stderr


def completed(text: str) -> str | None:
    return text if '"runtimeStatus": "Completed"' in text else None
