"""Agents: a planner, specialists in parallel, a writer with a reviewer, and a human gate."""

from datetime import timedelta

import azure.functions as func

import durable_app as df

bp = df.Blueprint()


@bp.route(route="my_function", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def my_function_start(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start it: curl -X POST 'localhost:7071/api/my_function?question=fast+and+safe'.

    The customStatus of statusQueryGetUri tells how far it is.
    """
    question = req.params.get("question", "Is it fast and safe?")
    instance_id = await client.start_new("my_function", client_input=question)
    return client.create_check_status_response(req, instance_id)


@bp.route(route="my_function/{id}/{decision}", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def my_function_decide(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Decide: curl -X POST localhost:7071/api/my_function/ID/approve, or .../reject."""
    instance_id, decision = req.route_params["id"], req.route_params["decision"]
    status = await client.get_status(instance_id)
    if not status or status.name != "my_function" or decision not in ("approve", "reject"):
        return func.HttpResponse("No such article, or no such decision.", status_code=404)
    if not isinstance(status.custom_status, dict):
        # The event would be kept, and a draft approved that nobody has seen.
        return func.HttpResponse("There is nothing to decide yet.", status_code=409)
    try:
        await client.raise_event(instance_id, "Approval", decision == "approve")
    except df.WrongStatusError as error:
        return func.HttpResponse(str(error), status_code=409)
    return func.HttpResponse(status_code=202)


@bp.orchestration_trigger(context_name="context")
async def my_function(context: df.DurableOrchestrationContext, question: str) -> str:
    """Plan, research, write until the reviewer is content (three rounds at most), ask a human."""
    # The model is busy at times. Its replies are recorded, so that none is paid for twice.
    retry = df.RetryPolicy(
        first_retry_interval=timedelta(seconds=1),
        max_number_of_attempts=5,
        backoff_coefficient=2,
        jitter=0.5,
    )
    parts = await context.call_activity(my_function_plan, question, retry_policy=retry)
    context.set_custom_status(f"{len(parts)} specialists are at work")
    notes = await context.map(my_function_research, parts, concurrency=4, retry_policy=retry)
    for number in range(1, 4):
        context.set_custom_status(f"round {number}")
        draft = await context.call_activity(my_function_write, notes, retry_policy=retry)
        reasons = await context.call_activity(my_function_review, draft, retry_policy=retry)
        if not reasons:
            break
        notes += reasons
    context.set_custom_status({"waiting for": "approve or reject", "draft": draft})
    try:
        approved = await context.wait_for_external_event(
            "Approval", bool, timeout=timedelta(days=7)
        )
    except TimeoutError:
        return "nobody decided"
    if not approved:
        return "rejected"
    return await context.call_activity(my_function_publish, draft)


def my_function_model(task: str, text: str) -> list[str]:
    """Stands for a call of a language model; raise an exception where it is busy."""
    if task == "plan":
        return text.strip("?").split(" and ")
    if task == "review":
        return [] if "sources" in text else ["Name your sources."]
    return [f"{task}: {text}"]


@bp.activity_trigger(input_name="question")
def my_function_plan(question: str) -> list[str]:
    """Cut the question into parts."""
    return my_function_model("plan", question)


@bp.activity_trigger(input_name="part")
def my_function_research(part: str) -> str:
    """Answer one part."""
    return " ".join(my_function_model("research", part))


@bp.activity_trigger(input_name="notes")
def my_function_write(notes: list[str]) -> str:
    """Make one text of the notes."""
    return " ".join(my_function_model("article", "; ".join(notes)))


@bp.activity_trigger(input_name="draft")
def my_function_review(draft: str) -> list[str]:
    """Reasons to send the draft back; none for one that passes."""
    return my_function_model("review", draft)


@bp.activity_trigger(input_name="draft")
def my_function_publish(draft: str, call: df.ActivityContext) -> str:
    """Publish it. A crash makes this run again with the same key: let the service look at it."""
    return f"published once as {call.idempotency_key}: {draft}"
