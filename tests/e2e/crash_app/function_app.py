"""The patterns of triggers/ with short waits, and a record of every activity that ran.

Each activity appends one line to `<instance>.log` in the folder that EFFECTS names, before it does
anything else. A call is told by (id, task, step): no orchestration asks for the same one twice.
"""

import asyncio
import json
import os
import time
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func

import durable_app as df

app = df.DFApp()
WORK_S = 0.01
TICK = timedelta(milliseconds=30)


@app.route(route="start/{function_name}/{instance_id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    names = req.route_params
    await client.start_new(names["function_name"], names["instance_id"], names["instance_id"])
    return func.HttpResponse(status_code=202)


# -- effects --------------------------------------------------------------------------------------


def note(task: str, call: dict[str, Any]) -> int:
    """Record a run; returns its number, 1 for the first of this call."""
    path = Path(os.environ["EFFECTS"]) / f"{call['id']}.log"
    mine = {"task": task, "step": call["step"]}
    lines = path.read_text().splitlines() if path.exists() else []
    earlier = [line for line in lines if mine.items() <= json.loads(line).items()]
    attempt = 1 + len(earlier)
    line = json.dumps({"id": call["id"], **mine, "attempt": attempt}) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)
    return attempt


@app.activity_trigger(input_name="call")
def work(call: dict[str, Any]) -> str:
    note("work", call)
    time.sleep(WORK_S)
    return f"done {call['step']}"


@app.activity_trigger(input_name="call")
async def async_work(call: dict[str, Any]) -> str:
    note("async_work", call)
    await asyncio.sleep(WORK_S)
    return f"done {call['step']}"


@app.activity_trigger(input_name="call")
def flaky(call: dict[str, Any]) -> str:
    if note("flaky", call) == 1:
        raise RuntimeError("the first attempt fails")
    return f"done {call['step']}"


@app.activity_trigger(input_name="call")
def broken(call: dict[str, Any]) -> str:
    note("broken", call)
    raise RuntimeError("out of order")


# -- patterns -------------------------------------------------------------------------------------


def call(context, step) -> dict[str, Any]:
    return {"id": context.get_input(), "step": step}


@app.orchestration_trigger(context_name="context")
def chain(context):
    done = []
    for step in range(5):
        done.append((yield context.call_activity(work, call(context, step))))
        context.set_custom_status(step)
    return done


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    calls = [context.call_activity(work, call(context, step)) for step in range(8)]
    calls += [context.call_activity(async_work, call(context, step)) for step in range(8)]
    return sorted((yield context.task_all(calls)))


@app.orchestration_trigger(context_name="context")
def monitor(context):
    for look in range(4):
        yield context.call_activity(work, call(context, look))
        yield context.create_timer(context.current_utc_datetime + TICK)
    return "seen"


@app.orchestration_trigger(context_name="context")
def approval(context):
    yield context.call_activity(work, call(context, "ask"))
    decision = context.wait_for_external_event("Approval")
    timeout = context.create_timer(timedelta(minutes=10))
    winner = yield context.task_any([decision, timeout])
    if winner is timeout:
        return "too late"
    timeout.cancel()
    yield context.call_activity(work, call(context, "thank"))
    return decision.result


@app.orchestration_trigger(context_name="context")
def escalation(context):
    decision = context.wait_for_external_event("Approval")
    timeout = context.create_timer(TICK)
    winner = yield context.task_any([decision, timeout])
    yield context.call_activity(work, call(context, "escalate"))
    return "escalated" if winner is timeout else "approved"


@app.orchestration_trigger(context_name="context")
def saga(context):
    retry = df.RetryOptions(10, 2)
    undo = []
    try:
        for step in ("reserve", "charge"):
            yield context.call_activity_with_retry(flaky, retry, call(context, step))
            undo.append(f"un{step}")
        yield context.call_activity_with_retry(broken, retry, call(context, "ship"))
    except df.TaskFailedError as failure:
        for step in reversed(undo):
            yield context.call_activity(work, call(context, step))
        return [failure.details.error_message, *reversed(undo)]


@app.orchestration_trigger(context_name="context")
def pipeline(context):
    waiting, running, done = deque(range(9)), list[Any](), 0
    while waiting or running:
        while waiting and len(running) < 3:
            running.append(context.call_activity(async_work, call(context, waiting.popleft())))
        running.remove((yield context.task_any(running)))
        done += 1
    return done


@app.orchestration_trigger(context_name="context")
def parent(context):
    me = context.get_input()
    children = [context.call_sub_orchestrator(child, [me, number]) for number in range(3)]
    return (yield context.task_all(children))


@app.orchestration_trigger(context_name="context")
def child(context):
    owner, number = context.get_input()
    first = yield context.call_activity(work, {"id": owner, "step": [number, 1]})
    yield context.create_timer(TICK)
    second = yield context.call_activity(work, {"id": owner, "step": [number, 2]})
    return [first, second]


@app.orchestration_trigger(context_name="context")
def eternal(context):
    memory = context.get_input()
    me, number = memory if isinstance(memory, list) else (memory, 0)
    yield context.call_activity(work, {"id": me, "step": number})
    if number == 5:
        return number
    yield context.create_timer(TICK)
    context.continue_as_new([me, number + 1])


@app.orchestration_trigger(context_name="context")
def collector(context):
    """One event per generation; those that wait for their turn are carried over."""
    known = context.get_input() if isinstance(context.get_input(), list) else []
    item = yield context.wait_for_external_event("Item")
    known = sorted({*known, item})
    if known == [1, 2, 3]:
        return known
    context.continue_as_new(known)
