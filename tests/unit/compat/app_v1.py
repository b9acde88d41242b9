"""An app for azure.durable_functions 1.x. Its only line that differs is the import of `df`."""

import json
from datetime import timedelta

import azure.functions as func

import durable_app as df  # was: import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
attempts = {"count": 0}


class Money:
    """A class that converts itself, as 1.x asks for."""

    def __init__(self, cents, currency):
        self.cents = cents
        self.currency = currency

    @staticmethod
    def to_json(value):
        return {"cents": value.cents, "currency": value.currency}

    @staticmethod
    def from_json(data):
        return Money(data["cents"], data["currency"])


# -- starter --------------------------------------------------------------------------------------


@app.route(route="orchestrators/{function_name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    order = json.loads(req.get_body().decode())
    instance_id = await client.start_new(
        req.route_params["function_name"], client_input=order, instance_id=order.get("id")
    )
    return client.create_check_status_response(req, instance_id)


@app.route(route="status/{instance_id}")
@app.durable_client_input(client_name="client")
async def status(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    found = await client.get_status(req.route_params["instance_id"], show_input=True)
    if not found:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(found.to_json()), mimetype="application/json")


# -- activities -----------------------------------------------------------------------------------


@app.activity_trigger(input_name="number")
def double(number: int) -> int:
    return number * 2


@app.activity_trigger(input_name="city", activity="greet")
async def say_hello(city: str) -> str:
    return f"Hello {city}!"


@app.activity_trigger(input_name="number")
def fail(number: int) -> int:
    raise ValueError(f"no {number} left")


@app.activity_trigger(input_name="text")
def unreliable(text: str) -> str:
    attempts["count"] += 1
    if attempts["count"] % 3:
        raise ConnectionError("try again")
    return f"{text} at attempt {attempts['count']}"


@app.activity_trigger(input_name="price")
def add_tax(price: Money) -> Money:
    return Money(price.cents * 119 // 100, price.currency)


# -- orchestrators --------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    first = yield context.call_activity("double", context.get_input()["number"])
    second = yield context.call_activity(double, first)
    greeting = yield context.call_activity("greet", "Tokyo")
    return [second, greeting]


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext):
    tasks = [context.call_activity("double", number) for number in context.get_input()]
    results = yield context.task_all(tasks)
    nothing = yield context.task_all([])
    return {"sum": sum(results), "nothing": nothing or []}


@app.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext):
    context.set_custom_status({"waiting_for": "approval"})
    deadline = context.current_utc_datetime + timedelta(hours=72)
    timeout = context.create_timer(deadline)
    answer = context.wait_for_external_event("Approval")
    winner = yield context.task_any([answer, timeout])
    if winner == timeout:
        context.set_custom_status("escalated")
        return "escalated"
    if not timeout.is_completed:
        timeout.cancel()
    context.set_custom_status("decided")
    return {"approved": answer.result}


@app.orchestration_trigger(context_name="context")
def persistent(context: df.DurableOrchestrationContext):
    retry = df.RetryOptions(first_retry_interval_in_milliseconds=5000, max_number_of_attempts=3)
    return (yield context.call_activity_with_retry("unreliable", retry, context.get_input()))


@app.orchestration_trigger(context_name="context")
def compensating(context: df.DurableOrchestrationContext):
    try:
        yield context.call_activity("fail", 7)
    except Exception as error:  # noqa: BLE001  what 1.x apps catch
        if "Activity function 'fail' failed" in str(error) and "no 7 left" in str(error):
            return "compensated"
        return str(error)
    return "done"


@app.orchestration_trigger(context_name="context")
def parent(context: df.DurableOrchestrationContext):
    retry = df.RetryOptions(1000, 2)
    own = f"{context.instance_id}:own"
    first = yield context.call_sub_orchestrator("child", 1, own)
    second = yield context.call_sub_orchestrator_with_retry("child", retry, 2)
    return [first, second["input"], second["parent"] == context.instance_id]


@app.orchestration_trigger(context_name="context")
def child(context: df.DurableOrchestrationContext):
    return {
        "id": context.instance_id,
        "parent": context.parent_instance_id,
        "input": context.get_input(),
    }


@app.orchestration_trigger(context_name="context")
def countdown(context: df.DurableOrchestrationContext):
    left = context.get_input()
    if left == 0:
        return "lift off"
    yield context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
    context.continue_as_new(left - 1)
    return None


@app.orchestration_trigger(context_name="context")
def shopping(context: df.DurableOrchestrationContext):
    basket = df.EntityId("basket", context.get_input())
    context.signal_entity(basket, "add", 3)
    total = yield context.call_entity(basket, "add", 4)
    same = yield context.call_entity(entityId=basket, operationName="get")
    try:
        yield context.call_entity(basket, "steal")
    except Exception as error:  # noqa: BLE001  what 1.x apps catch
        return [total, same, "not in my shop" in str(error)]
    return None


@app.orchestration_trigger(context_name="context")
def taxed(context: df.DurableOrchestrationContext):
    price = yield context.call_activity(add_tax, Money(1000, "EUR"))
    again = yield context.call_activity("add_tax", price, expected_type=Money)
    return f"{price.cents} {again.cents} {again.currency}"


@app.orchestration_trigger(context_name="context")
def facts(context: df.DurableOrchestrationContext):
    ids = {context.new_uuid(), context.new_uuid(), str(context.new_guid())}
    return [len(ids), context.current_utc_datetime.utcoffset() == timedelta(0)]


# -- entity ---------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context")
def basket(context: df.DurableEntityContext):
    total = context.get_state(lambda: 0)
    operation = context.operation_name
    if operation == "add":
        total += context.get_input()
    elif operation == "clear":
        context.destruct_on_exit()
        return
    elif operation == "steal":
        raise PermissionError("not in my shop")
    context.set_state(total)
    context.set_result(total)
