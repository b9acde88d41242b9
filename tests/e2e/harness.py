"""Real `func start` processes: begun in a folder, talked to over HTTP, stopped or killed.

Nothing of durable_app is imported here: what these tests see is what users see.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

ROOT = Path(__file__).resolve().parents[2]
APP_FILES = ("function_app.py", "host.json", "local.settings.json", "triggers")
READY = "Worker process started and initialized."
WEBHOOK = "/runtime/webhooks/durabletask"
# A loaded machine of two cores needs a few seconds for a start; nothing waits for so long else.
START_S = 30.0
FINISH_S = 20.0
POLL_S = 0.02

T = TypeVar("T")


class Reply(NamedTuple):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HostDiedError(AssertionError):
    """The process has ended although it was expected to serve."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def copy_app(target: Path, source: Path = ROOT) -> Path:
    """A copy of the app in ``source``, whose scheduler endpoint is one where nobody listens."""
    target.mkdir(parents=True, exist_ok=True)
    for name in APP_FILES:
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / name, target / name, ignore=ignored)
        elif (source / name).is_file():
            shutil.copy(source / name, target / name)
    settings = target / "local.settings.json"
    if settings.exists():
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace(":8080;", f":{free_port()};"), encoding="utf-8")
    return target


def write_app(target: Path, code: str) -> Path:
    """An app that consists of this function_app.py."""
    target.mkdir(parents=True, exist_ok=True)
    (target / "function_app.py").write_text(code, encoding="utf-8")
    shutil.copy(ROOT / "host.json", target)
    shutil.copy(ROOT / "local.settings.json", target)
    return copy_app(target, target.parent / "nothing")


def eventually(look: Callable[[], T | None], what: str, timeout_s: float = FINISH_S) -> T:
    """The first true result of ``look``; fails with ``what`` when the time is up."""
    end = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(POLL_S)


class Host:
    """One `func start` of the app in ``folder``; can be started again after its end."""

    #: Text of the console that tells that it serves.
    ready = READY

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder.parent / f"{folder.name}.{self.port}.log"
        self._arguments = arguments
        self._env = env or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    # -- the process ---------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the process and return at once."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "durable_app", *self.command()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._arguments],
                cwd=self.folder,
                env=environment(self._env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def command(self) -> list[str]:
        """What is run, without the arguments of this one."""
        return ["start", "--port", str(self.port)]

    def start(self) -> Self:
        """Start the process and wait until it serves."""
        self.launch()
        try:
            self.wait_for_output(self.ready, START_S)
        except AssertionError:
            self.kill()
            raise
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it as a power cut would. Harmless when it has ended already."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def send(self, number: signal.Signals = signal.SIGTERM) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = FINISH_S) -> int:
        """Wait for the end of the process; its exit code."""
        assert self._process is not None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it does not end:\n{self.output()[-4000:]}") from None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.send(number)
        return self.wait()

    # -- the console ---------------------------------------------------------------------------

    def output(self) -> str:
        """What it has written since its last start, standard error included."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._log_start :].decode(errors="replace")

    def wait_for_output(self, text: str, timeout_s: float = FINISH_S) -> str:
        """The output once it has ``text``."""

        def look() -> str | None:
            running, output = self.is_running, self.output()
            if text in output:
                return output
            if not running:
                raise HostDiedError(f"exit code {self.wait()}, without {text!r}:\n{output}")
            return None

        try:
            return eventually(look, f"{text!r} in the output", timeout_s)
        except HostDiedError:
            raise
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()[-4000:]}") from None

    def refusal(self) -> str:
        """What it says where it must refuse to start; nothing of it may be about its own code."""
        self.launch()
        code, output = self.wait(), self.output()
        assert code == 1, output
        assert READY not in output
        assert "durable_app/" not in output
        return output

    # -- HTTP ----------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        url: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = FINISH_S,
    ) -> Reply:
        """One request; ``url`` may be a path."""
        if url.startswith("/"):
            url = f"http://localhost:{self.port}{url}"
        payload = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(url, payload, dict(headers or {}), method=method)
        if payload is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        try:
            answer = urllib.request.urlopen(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            names = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, names, answer.read())

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("GET", url, headers=headers)

    def post(self, url: str, value: Any = None) -> Reply:
        """POST; ``value`` is sent as JSON, None as an empty body."""
        return self.request("POST", url, b"" if value is None else json.dumps(value))

    # -- orchestrations ------------------------------------------------------------------------

    def begin(self, name: str, value: Any = None, instance_id: str | None = None) -> dict[str, str]:
        """Start an orchestration through the app's starter; its management URLs."""
        query = "" if instance_id is None else f"?instance_id={instance_id}"
        reply = self.post(f"/api/orchestrators/{name}{query}", value)
        assert reply.status == 202, (reply.status, reply.body)
        links: dict[str, str] = reply.json
        return links

    def status(self, instance_id: str, query: str = "") -> dict[str, Any]:
        reply = self.get(f"{WEBHOOK}/instances/{instance_id}{query}")
        assert reply.status in {200, 202}, (reply.status, reply.body)
        status: dict[str, Any] = reply.json
        return status

    def finished(self, instance_id: str, timeout_s: float = FINISH_S) -> dict[str, Any]:
        """Status of an instance, once it has ended in whatever way."""
        found: dict[str, Any] = {}

        def look() -> bool:
            reply = self.get(f"{WEBHOOK}/instances/{instance_id}")
            found.clear()
            found.update(reply.json if reply.body else {})
            return reply.status == 200

        try:
            eventually(look, f"end of {instance_id}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}: {found}\n{self.output()[-4000:]}") from None
        return dict(found)

    def run(self, name: str, value: Any = None) -> Any:
        """Output of an orchestration that must complete."""
        status = self.finished(self.begin(name, value)["id"])
        assert status["runtimeStatus"] == "Completed", status
        return status["output"]

    def pages(self, url: str) -> list[list[dict[str, Any]]]:
        """All pages of a list, as the continuation header leads from one to the next."""
        found: list[list[dict[str, Any]]] = []
        token = ""
        while True:
            reply = self.get(url, headers={"x-ms-continuation-token": token} if token else None)
            assert reply.status == 200, (reply.status, reply.body)
            found.append(reply.json)
            token = reply.headers.get("x-ms-continuation-token", "")
            if not token:
                return found

    def every_instance(self) -> list[dict[str, Any]]:
        return [row for page in self.pages(f"{WEBHOOK}/instances/?top=1000") for row in page]

    def in_status(self, instance_id: str, wanted: str) -> dict[str, Any]:
        """Status of an instance, once its runtime status is the wanted one."""

        def look() -> dict[str, Any] | None:
            status = self.status(instance_id)
            return status if status["runtimeStatus"] == wanted else None

        return eventually(look, f"{instance_id} {wanted}")


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, without what would change the app's settings."""
    ours = ("DURABLE_APP_", "AzureFunctionsJobHost__", "AzureWebJobs", "DTS_", "TASKHUB_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), **extra}
