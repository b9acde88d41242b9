"""What a host and its worker processes tell each other, as lines of JSON over two pipes.

    host -> worker (standard input)        worker -> host (standard output)
    the order, once                        "loaded": the app is imported
    "go": take work                        "connected": work can come
    "drain": take no more, end in time     "goodbye": every outcome has been handed in
    end of file: the host is gone          "leaving": no more work is wanted
                                           anything else: a line for the console

The worker waits with its work until "go", so that another load of the app can be brought to its
end first. A process that ends without "goodbye" has died of something.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from durable_app.host.console.console import Origin
from durable_app.host.console.log_levels import Level, level_named

if TYPE_CHECKING:
    from collections.abc import Mapping


class WorkerOrder(msgspec.Struct, frozen=True):
    """What a worker process needs to know.

    Attributes:
        folder: of the app.
        functions: names of the only functions that shall run; empty for all.
        target: address of the task hub, as gRPC takes it. token: opens it.
        origin: address of the host's HTTP server, for management URLs.
        connection: name of the setting with the hub's connection string, likewise.
        code: key of the management API; None where none is asked for.
    """

    folder: str
    task_hub: str
    origin: str
    connection: str
    code: str | None = None
    functions: tuple[str, ...] = ()
    is_verbose: bool = False
    user_log_level: str | None = None
    target: str = ""
    token: str = ""

    def __repr__(self) -> str:
        """Without token and key."""
        return f"WorkerOrder({self.folder!r}, {self.task_hub!r})"

    __str__ = __repr__

    def at(self, target: str, token: str) -> WorkerOrder:
        """The same for the hub at that address."""
        return msgspec.structs.replace(self, target=target, token=token)

    def line(self) -> bytes:
        """The first line that the process gets."""
        return msgspec.json.encode(self) + b"\n"

    @classmethod
    def read(cls, line: bytes) -> WorkerOrder:
        """What :meth:`line` made. Raises ValueError for anything else."""
        return msgspec.json.decode(line, type=cls)


class Word(StrEnum):
    """What a worker process says of itself."""

    LOADED = "loaded"
    CONNECTED = "connected"
    LEAVING = "leaving"
    GOODBYE = "goodbye"

    def line(self) -> str:
        """As the host gets it."""
        return json.dumps({"said": self.value}) + "\n"


GO = b'"go"\n'


def drain_line(grace_s: float) -> bytes:
    """Tells a process to end within so many seconds."""
    return json.dumps({"drain": grace_s}).encode() + b"\n"


def read_command(line: bytes) -> float | None:
    """What a line after the order says: None for "go", seconds for "drain"."""
    command: Any = json.loads(line)
    return float(command["drain"]) if isinstance(command, dict) else None


class ConsoleLine(NamedTuple):
    """A line that a process wants to have shown."""

    time: datetime | None
    level: Level
    origin: Origin
    text: str


def read_report(line: bytes, number: int) -> Word | ConsoleLine:
    """What a process reports.

    Args:
        number: of the process; stays with its lines.

    Raises:
        ValueError: it is no report.
    """
    report: Any = json.loads(line)
    if not isinstance(report, dict):
        raise TypeError("It is no object.")
    if "said" in report:
        return Word(report["said"])
    return _console_line(report, number)


def _console_line(report: Mapping[str, Any], number: int) -> ConsoleLine:
    stamp = report.get("time")
    origin = Origin(
        report["category"],
        report.get("function"),
        report.get("invocationId"),
        report.get("exception"),
        number,
    )
    time = None if stamp is None else datetime.fromisoformat(stamp).astimezone(UTC)
    level = level_named(report["level"]) or Level.INFORMATION
    return ConsoleLine(time, level, origin, report["message"])
