"""Agents: a planner, specialists in parallel, a writer with a reviewer, and a human who publishes.

    curl -i -X POST localhost:7071/api/articles -d '{"text": "Is Rust fast, safe and popular?"}'
    curl <statusQueryGetUri>                        # the custom status tells how far it is
    curl -X POST localhost:7071/api/articles/<id from the answer>/approve -d '{"by": "Grace"}'
    curl -X POST localhost:7071/api/articles/<id from the answer>/reject

Each call of the model is an activity. Its reply is recorded, so that nothing is asked (and paid)
twice when the host is restarted; a busy model is asked again after a pause. `ScriptedModel` stands
for the model and needs no network: assign another object with its method `ask` to `model`.
`"refusals": 3` in the order makes it refuse three calls, `"rounds": 1` allows one draft only.
"""

import json
from datetime import timedelta
from typing import Any, Literal

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import durable_app as df
from triggers.scripted_model import (
    Draft,
    Finding,
    Model,
    ModelBusyError,
    Plan,
    Prompt,
    R,
    ScriptedModel,
    Verdict,
)

bp = df.Blueprint()

EDITOR_EVENT = "EditorDecision"


class Question(BaseModel):
    """An order.

    Attributes:
        text: what the article shall answer.
        rounds: most drafts; the last one goes to the editor as it is.
        width: most specialists at the same time.
        patience_s: seconds that the editor has.
        refusals: how many calls the imaginary model refuses, to see the retries at work.
    """

    text: str = Field(min_length=1, max_length=1000)
    rounds: int = Field(default=3, ge=1, le=10)
    width: int = Field(default=3, ge=1, le=20)
    patience_s: float = Field(default=7 * 24 * 3600, gt=0, le=366 * 24 * 3600)
    refusals: int = Field(default=0, ge=0)


class Decision(BaseModel):
    """The editor's; what the event carries."""

    approved: bool = False
    by: str = "somebody"


class Progress(BaseModel):
    """The custom status: small, since everybody who asks for the status gets it.

    Attributes:
        done: parts of the plan that are answered.
        round: of the drafts, from 1; 0 before the first.
        reasons: what the reviewer had against the last draft.
        tokens: that all replies have cost so far.
    """

    stage: Literal["planning", "researching", "writing", "waiting for the editor", "over"]
    plan: list[str] = []
    done: int = 0
    total: int = 0
    round: int = 0
    reasons: list[str] = []
    tokens: int = 0


class Outcome(BaseModel):
    """How it ended; `link` is set for a published article, `by` where the editor decided."""

    outcome: Literal["Published", "Rejected", "Expired"]
    rounds: int
    tokens: int
    by: str | None = None
    link: str | None = None


model: Model = ScriptedModel()

# Only a busy model is worth another attempt. The pauses are durable timers of different lengths:
# specialists that were refused together do not come back together.
_PATIENTLY = df.RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=5,
    backoff_coefficient=2,
    max_retry_interval=timedelta(minutes=1),
    jitter=0.5,
    retry_on=ModelBusyError,
)


# -- the orchestration ---------------------------------------------------------------------------


class Desk:
    """What one run of the orchestrator knows; a replay fills it with the same things again."""

    def __init__(self, context: df.DurableOrchestrationContext, question: Question) -> None:
        self.context = context
        self.question = question
        self.progress = Progress(stage="planning")

    def prompt(self, **parts: Any) -> Prompt:
        """A prompt of this conversation."""
        return Prompt(
            conversation=self.context.instance_id,
            question=self.question.text,
            refusals=self.question.refusals,
            **parts,
        )

    def show(self, **news: Any) -> None:
        """Change the custom status."""
        self.progress = self.progress.model_copy(update=news)
        self.context.set_custom_status(self.progress)

    def paid(self, reply: R) -> R:
        """Count what a reply has cost; the next `show` shows it."""
        self.progress.tokens += reply.tokens
        return reply


@bp.orchestration_trigger(context_name="context")
async def write_article(context: df.DurableOrchestrationContext, question: Question) -> Outcome:
    """From a question to an article that a human has approved."""
    desk = Desk(context, question)
    desk.show()
    findings = await _research(desk)
    draft = await _write(desk, findings)
    await context.call_activity(show_editor, draft)
    desk.show(stage="waiting for the editor")
    outcome = Outcome(outcome="Expired", rounds=desk.progress.round, tokens=desk.progress.tokens)
    try:
        decision = await context.wait_for_external_event(
            EDITOR_EVENT, Decision, timeout=timedelta(seconds=question.patience_s)
        )
    except TimeoutError:
        desk.show(stage="over")
        return outcome
    # From here on the routes below refuse a second decision.
    desk.show(stage="over")
    outcome.by, outcome.outcome = decision.by, "Rejected"
    if decision.approved:
        # Without a retry policy: each of its attempts would be a call of its own, with its own key.
        outcome.link = await context.call_activity(publish_article, draft)
        outcome.outcome = "Published"
    return outcome


async def _research(desk: Desk) -> list[str]:
    """Plan, then ask the specialists, few at a time; returns their answers in the plan's order."""
    context, width = desk.context, desk.question.width
    planned = context.call_activity(plan_parts, desk.prompt(), retry_policy=_PATIENTLY)
    parts = desk.paid(await planned).parts
    desk.show(stage="researching", plan=parts, total=len(parts))
    # context.map(..., concurrency=width) does it in one line, but shows nothing before its end.
    tasks: list[df.Task[Finding]] = []
    running: list[df.Task[Finding]] = []
    while len(tasks) < len(parts) or running:
        for part in parts[len(tasks) : len(tasks) + width - len(running)]:
            prompt = desk.prompt(part=part)
            task = context.call_activity(ask_specialist, prompt, retry_policy=_PATIENTLY)
            tasks.append(task)
            running.append(task)
        ended = await df.when_any(running)
        running.remove(ended)
        desk.paid(await ended)
        desk.show(done=desk.progress.done + 1)
    return [task.result.text for task in tasks]


async def _write(desk: Desk, findings: list[str]) -> Draft:
    """Draft and review until the reviewer is content or the rounds are used up."""
    context, draft = desk.context, Draft(text="")
    for number in range(1, desk.question.rounds + 1):
        desk.show(stage="writing", round=number)
        brief = desk.prompt(findings=findings, draft=draft.text, reasons=desk.progress.reasons)
        drafted = context.call_activity(write_draft, brief, retry_policy=_PATIENTLY)
        draft = desk.paid(await drafted)
        submitted = desk.prompt(draft=draft.text)
        reviewed = context.call_activity(review_draft, submitted, retry_policy=_PATIENTLY)
        verdict = desk.paid(await reviewed)
        desk.show(reasons=verdict.reasons)
        if verdict.passes:
            break
    return draft


# -- activities ----------------------------------------------------------------------------------


@bp.activity_trigger(input_name="prompt")
async def plan_parts(prompt: Prompt) -> Plan:
    """Cut the question into parts."""
    return await model.ask(prompt, Plan)


@bp.activity_trigger(input_name="prompt")
async def ask_specialist(prompt: Prompt) -> Finding:
    """Answer one part."""
    return await model.ask(prompt, Finding)


@bp.activity_trigger(input_name="prompt")
async def write_draft(prompt: Prompt) -> Draft:
    """Make one article of the findings, or mend the draft as the reviewer wishes."""
    return await model.ask(prompt, Draft)


@bp.activity_trigger(input_name="prompt")
async def review_draft(prompt: Prompt) -> Verdict:
    """Judge a draft."""
    return await model.ask(prompt, Verdict)


@bp.activity_trigger(input_name="draft")
def show_editor(draft: Draft) -> None:
    """Stands for a message to the editor, with the draft and the links that decide."""


_published: dict[str, Draft] = {}


@bp.activity_trigger(input_name="draft")
def publish_article(draft: Draft, call: df.ActivityContext) -> str:
    """Publish it once and return its link; the dictionary stands for a service with keys.

    The process may die between the publication and the record of it. The activity then runs again,
    with the same key, and the service does nothing.
    """
    _published.setdefault(call.idempotency_key, draft)
    return f"/published/{call.idempotency_key}"


# -- routes --------------------------------------------------------------------------------------


@bp.route(route="articles", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def order_article(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Take an order: 202 with the management URLs."""
    try:
        question = Question.model_validate_json(req.get_body())
    except ValidationError as error:
        return _problem(400, error)
    instance_id = await client.start_new("write_article", client_input=question)
    return client.create_check_status_response(req, instance_id)


@bp.route(route="articles/{article_id}/approve", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def approve_article(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Let it be published."""
    return await _decide(req, client, approved=True)


@bp.route(route="articles/{article_id}/reject", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def reject_article(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Let it not be published."""
    return await _decide(req, client, approved=False)


async def _decide(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, *, approved: bool
) -> func.HttpResponse:
    """202 for a decision that is sent, 404 for no article, 409 where none is waited for."""
    try:
        decision = Decision.model_validate_json(req.get_body() or b"{}")
    except ValidationError as error:
        return _problem(400, error)
    article_id = req.route_params["article_id"]
    status = await client.get_status(article_id)
    if not status or status.name != "write_article":
        return _answer(404, {"error": "No such article."})
    # An event would be kept for later: nobody shall approve what is not written yet.
    stage = Progress.model_validate(status.custom_status or {"stage": "planning"}).stage
    if stage != "waiting for the editor":
        return _answer(409, {"error": f"There is nothing to decide; the stage is: {stage}."})
    decision.approved = approved
    try:
        await client.raise_event(article_id, EDITOR_EVENT, decision)
    except df.WrongStatusError as error:
        return _answer(409, {"error": str(error)})
    return _answer(202, {"id": article_id, "approved": approved})


def _answer(status_code: int, body: dict[str, Any]) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(body), status_code=status_code, mimetype="application/json")


def _problem(status_code: int, error: ValidationError) -> func.HttpResponse:
    return _answer(
        status_code, {"error": f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}"}
    )
