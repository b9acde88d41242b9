"""Golden files: histories that instances really had, and bytes that were really stored.

They stand for all instances that are in flight when a new version of the app or of the engine is
deployed. What a history is, and how it is replayed: ``durable_app.testing.histories``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from durable_app.protocol import HistoryEvent
from durable_app.testing import load_history, save_history
from durable_app.testing.histories import (
    KINDS,
    departure,
    from_readable,
    options_of,
    start_of,
    struct_in,
    to_readable,
    turns_of,
    write_json,
)

__all__ = [
    "KINDS",
    "STORED",
    "check_history",
    "from_readable",
    "history_names",
    "options_of",
    "read_history",
    "start_of",
    "struct_in",
    "to_readable",
    "turns_of",
    "write_history",
    "write_json",
]

FOLDER: Final = Path(__file__).parent
STORED: Final = FOLDER / "stored" / "events.json"


def history_names() -> list[str]:
    """Names of the histories, without folder and suffix."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_history(name: str) -> list[Any]:
    """Return the events of one history."""
    return load_history(FOLDER / f"{name}.json")


def write_history(name: str, events: Iterable[HistoryEvent]) -> None:
    """Write or replace one history."""
    save_history(FOLDER / f"{name}.json", events)


def check_history(name: str, history: Sequence[Any], fn: Any, input_type: Any) -> None:
    """Replay every turn of a history; AssertionError where the code asks for something else."""
    left = departure(history, fn, input_type)
    if left is not None:
        raise AssertionError(
            f"In turn {left.number} of tests/golden/{name}.json the orchestrator"
            f" '{start_of(history).name}' asks for something else than was recorded.\n"
            f"{left.told}\n"
            "Instances that are in flight when this is deployed would break; where only an input"
            " or a time differs, they would go on with two minds. If only the app has changed and"
            " that is meant, give the changed orchestrator a new version or let its instances"
            " finish first; then record anew, and commit the file with the change:\n"
            f"    python -m tests.golden.record {name}\n"
            "If the engine has changed, the change is wrong: recording anew would only hide it."
        )
