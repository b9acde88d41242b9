"""Function chaining: one step after the other.

    curl -X POST localhost:7071/api/orchestrators/hello_cities

An orchestrator is a generator. At each `yield` it hands over a task and sleeps until the task has
a result; it is then run from the top again with the results so far. So it must do the same each
time: no clock, no randomness, no I/O. Whatever touches the world belongs into an activity.
"""

from collections.abc import Generator
from typing import Any

import durable_app as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def hello_cities(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    """Greet three cities, in this order."""
    tokyo = yield context.call_activity(say_hello, "Tokyo")
    seattle = yield context.call_activity(say_hello, "Seattle")
    london = yield context.call_activity(say_hello, "London")
    return [tokyo, seattle, london]


@bp.activity_trigger(input_name="city")
def say_hello(city: str) -> str:
    """An ordinary function; it may do I/O and take its time."""
    return f"Hello {city}!"
