"""Monitor: look every now and then, until it is done or too late.

    curl -X POST localhost:7071/api/orchestrators/watch_job -d '{"job": "export", "poll_s": 2}'

The waits are durable timers. Nothing runs between two looks, and the host may be restarted
meanwhile. The custom status in the answer of statusQueryGetUri tells how far it is.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import durable_app as df

bp = df.Blueprint()


@dataclass
class Watch:
    """What to watch.

    Attributes:
        poll_s: seconds between two looks.
        expires_s: seconds until the watch is given up.
        done_at_look: at which look the imaginary job is done.
    """

    job: str = "export"
    poll_s: float = 30
    expires_s: float = 3600
    done_at_look: int = 4


@dataclass
class Look:
    """One look at the job; `number` counts from 1."""

    watch: Watch
    number: int


@bp.orchestration_trigger(context_name="context", input_type=Watch)
def watch_job(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any]]:
    """Look at a job until it is done or the watch expires."""
    watch: Watch = context.get_input() or Watch()
    # The orchestration's own clock: the same at each replay, unlike datetime.now().
    expires_at = context.current_utc_datetime + timedelta(seconds=watch.expires_s)
    looks = 0
    while context.current_utc_datetime < expires_at:
        looks += 1
        if (yield context.call_activity(is_done, Look(watch, looks))):
            return {"job": watch.job, "outcome": "Done", "looks": looks}
        context.set_custom_status({"looks": looks, "expires_at": expires_at})
        next_look = context.current_utc_datetime + timedelta(seconds=watch.poll_s)
        yield context.create_timer(min(next_look, expires_at))
    return {"job": watch.job, "outcome": "Expired", "looks": looks}


@bp.activity_trigger(input_name="look")
def is_done(look: Look) -> bool:
    """Stands for a call of the service that runs the job."""
    return look.number >= look.watch.done_at_look
