"""Scheduled start: a timer that starts an orchestration, but never two of them at a time.

    curl -X POST localhost:7071/admin/functions/every_morning \
         -H 'Content-Type: application/json' -d '{"input": ""}'

runs the timer function now. A timer alone would do for a short task. The orchestration adds what a
timer lacks: retries of one step, a status to look at, and going on after a restart.
"""

import logging
from collections.abc import Generator
from typing import Any

import azure.functions as func

import durable_app as df

bp = df.Blueprint()

DIGEST = "daily-digest"
_log = logging.getLogger(__name__)


@bp.timer_trigger(arg_name="timer", schedule="0 0 6 * * *")
@bp.durable_client_input(client_name="client")
async def every_morning(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """At six o'clock UTC. One id for all days, so that a slow digest is not started twice."""
    if timer.past_due:
        _log.info("Nobody was here at six: the digest is late.")
    try:
        await client.start_new("write_digest", DIGEST)
    except df.InstanceExistsError:
        _log.warning("The last digest is still being written; this one is left out.")


@bp.orchestration_trigger(context_name="context")
def write_digest(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    """Collect, then send; a mail server that is down gets three chances."""
    headlines = yield context.call_activity(collect_headlines, 2)
    retry = df.RetryOptions(5000, max_number_of_attempts=3)
    digest: str = yield context.call_activity_with_retry(send_digest, retry, headlines)
    return digest


@bp.activity_trigger(input_name="count")
def collect_headlines(count: int) -> list[str]:
    """Stands for a search in what happened since yesterday."""
    return ["Tea is ready", "Rain at noon", "Nothing else"][:count]


@bp.activity_trigger(input_name="headlines")
def send_digest(headlines: list[str]) -> str:
    """Stands for a mail; returns its text."""
    return "; ".join(headlines)
