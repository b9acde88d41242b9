"""What the console shows as JSON, one object per line, for programs that read along."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from durable_app.errors import ConfigError
from durable_app.host.console.colour import without_colour

if TYPE_CHECKING:
    from pathlib import Path

    from durable_app.host.console.log_levels import Level


def json_line(
    time: str | None,
    level: Level,
    category: str,
    message: str,
    *,
    function: str | None = None,
    invocation_id: str | None = None,
    exception: str | None = None,
    worker: int | None = None,
) -> str:
    """One object with a line end: time, level, category, message, and what else is known.

    Args:
        time: ISO 8601 with milliseconds; None leaves it out.
        exception: a traceback.
        worker: number of the worker process, if it is one.
    """
    event = {
        "time": time,
        "level": level.name.capitalize(),
        "category": category,
        "message": without_colour(message),
        "function": function,
        "invocationId": invocation_id,
        "exception": exception,
        "worker": worker,
    }
    known = {key: value for key, value in event.items() if value is not None}
    # ASCII: readable in any encoding, and half of a surrogate pair is no obstacle.
    return json.dumps(known) + "\n"


class JsonFile:
    """A file that lines are appended to.

    Raises:
        ConfigError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        try:
            # Line ends as they are, so that a reader sees whole objects on every system.
            self._file = path.open("a", encoding="ascii", newline="\n")
        except OSError as error:
            raise ConfigError(
                f"The file of --json-output-file cannot be written: {error}. Name one in a folder"
                " that exists and that you may write to."
            ) from error

    def write(self, lines: str) -> None:
        """Append lines; other programs can read them when this returns.

        Raises:
            OSError: the disk is full, or gone.
        """
        self._file.write(lines)
        self._file.flush()

    def close(self) -> None:
        """Release the file. Idempotent."""
        self._file.close()
