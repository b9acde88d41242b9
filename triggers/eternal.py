"""Eternal orchestration: a loop without an end whose history does not grow.

    curl -X POST 'localhost:7071/api/orchestrators/clean_up?instance_id=janitor' \
         -d '{"interval_s": 10}'

`continue_as_new` ends this run and starts the next under the same instance id, with a fresh
history and the input it is given: all that the loop remembers is in that input.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import durable_app as df

bp = df.Blueprint()


@dataclass
class CleanUp:
    """What the loop remembers.

    Attributes:
        interval_s: seconds between two rounds.
        rounds: how many rounds there shall be; None for no end.
        rounds_done: rounds so far.
        removed: files removed so far.
    """

    interval_s: float = 3600
    rounds: int | None = None
    rounds_done: int = 0
    removed: int = 0


@bp.orchestration_trigger(context_name="context", input_type=CleanUp)
def clean_up(context: df.DurableOrchestrationContext) -> Generator[Any, Any, CleanUp | None]:
    """One round, then the next."""
    memory: CleanUp = context.get_input() or CleanUp()
    removed = yield context.call_activity(remove_old_files, memory.rounds_done)
    memory = replace(memory, rounds_done=memory.rounds_done + 1, removed=memory.removed + removed)
    context.set_custom_status({"rounds_done": memory.rounds_done, "removed": memory.removed})
    if memory.rounds_done == memory.rounds:
        return memory
    yield context.create_timer(timedelta(seconds=memory.interval_s))
    context.continue_as_new(memory)
    return None


@bp.activity_trigger(input_name="number")
def remove_old_files(number: int) -> int:
    """Remove what is too old; returns how many files that were."""
    return number + 1
