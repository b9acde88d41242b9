"""Entity: a small state with a name, changed by one operation at a time.

    curl -X POST localhost:7071/api/counters/visits -d '5'      # add (1 without a body)
    curl localhost:7071/api/counters/visits                     # read
    curl -X DELETE localhost:7071/api/counters/visits           # reset

A signal is sent and forgotten: `202` says that it is stored, and that it will be applied once. Any
number of callers may signal the same counter; none of their signals is lost or applied twice.
"""

import json
from typing import Any

import azure.functions as func

import durable_app as df

bp = df.Blueprint()

_MILESTONE = 100


@bp.entity_trigger(context_name="context")
class Counter(df.DurableEntity):
    """Counts. Each public method is an operation; what shall last goes to `set_state`."""

    def add(self, amount: int = 1) -> int:
        """Add, and return the new count."""
        before = self.get_state(int, 0)
        count = before + amount
        self.set_state(count)
        if before // _MILESTONE < count // _MILESTONE:
            # What an operation sends leaves with its state, or, if it fails, not at all.
            self.start_new_orchestration("celebrate", {"counter": self._name, "count": count})
        return count

    def get(self) -> int:
        """The count; 0 for a counter that nobody has used."""
        return self.get_state(int, 0)

    def reset(self) -> None:
        """Begin again."""
        self.set_state(0)

    @property
    def _name(self) -> str:
        return self.entity_context.entity_id.key


@bp.orchestration_trigger(context_name="context")
def celebrate(context: df.DurableOrchestrationContext) -> str:
    """Started by a counter that has passed a hundred."""
    reached: dict[str, Any] = context.get_input()
    return f"{reached['counter']} has reached {reached['count']}"


@bp.route(route="counters/{key}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def add(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Add what the body says."""
    try:
        amount = req.get_json() if req.get_body() else 1
    except ValueError:
        amount = None
    if type(amount) is not int:
        return _answer(400, {"error": "The body is a whole number."})
    await client.signal_entity(_counter(req), "add", amount)
    return _answer(202, {"added": amount})


@bp.route(route="counters/{key}", methods=["GET"])
@bp.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """What the last operation has left; signals that are on their way do not count yet."""
    found = await client.read_entity_state(_counter(req))
    if not found.entity_exists:
        return _answer(404, {"error": "Nobody has counted here."})
    return _answer(200, {"count": found.entity_state})


@bp.route(route="counters/{key}", methods=["DELETE"])
@bp.durable_client_input(client_name="client")
async def reset(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Begin again at 0."""
    await client.signal_entity(_counter(req), "reset")
    return _answer(202, {"reset": True})


def _counter(req: func.HttpRequest) -> df.EntityId:
    return df.EntityId("Counter", req.route_params["key"])


def _answer(status: int, body: dict[str, Any]) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")
