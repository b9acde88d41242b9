"""Tells of executions whose history grows and grows.

A history is read whole wherever its orchestration is not in memory, so that one without an end
makes every restart slower, until it is larger than a message or the memory.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable_app.taskhub.instance import Instance

_log = logging.getLogger(__name__)


def warn_of_growth(before: Instance | None, now: Instance, every: int) -> None:
    """Write a line where a commit has taken a history past a multiple of so many events.

    Args:
        before: the instance as it was stored before the commit, of any execution; None where it
            was not.
        now: as it is stored.
        every: events, >= 1.
    """
    is_same = before is not None and before.execution_id == now.execution_id
    known = before.history_count if before is not None and is_same else 0
    if now.history_count // every > known // every:
        _log.warning(
            "The history of orchestration '%s' (instance %s) has %d events and is read whole after"
            " each restart: let it begin anew with continue_as_new, or give parts of its work to"
            " sub-orchestrations.",
            now.name,
            now.instance_id,
            now.history_count,
        )
