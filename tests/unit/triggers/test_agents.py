"""The agent pipeline on virtual time: retries, rounds, the human gate and its routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest

import durable_app as df
from durable_app.protocol import TaskCompleted, TaskScheduled
from durable_app.testing import AppRunner
from triggers import agents
from triggers.scripted_model import Draft, ModelBusyError, Prompt, R, ScriptedModel

QUESTION = "Is Rust fast, safe and popular?"
PARTS = ["Is Rust fast", "safe", "popular"]
GATE = "waiting for the editor"

decorated: Any = agents
ROUTES: dict[str, Callable[..., Awaitable[func.HttpResponse]]] = {
    "order": decorated.order_article,
    "approve": decorated.approve_article,
    "reject": decorated.reject_article,
}


@pytest.fixture(autouse=True)
def fresh_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that has refused nobody yet: instances of different runs have the same ids."""
    monkeypatch.setattr(agents, "model", ScriptedModel())


def play(scene: Callable[[AppRunner], Awaitable[Any]]) -> Any:
    """Run a scene in the app with nothing but the pipeline."""

    async def main() -> Any:
        async with AppRunner(agents.bp) as run:
            return await scene(run)

    return asyncio.run(main())


async def order(run: AppRunner, **options: Any) -> str:
    """Start an article and let a minute pass, which is enough for every draft."""
    instance_id = await run.start(agents.write_article, {"text": QUESTION, **options})
    await run.advance(timedelta(minutes=1))
    return instance_id


async def ask(run: AppRunner, route: str, body: Any = b"", article_id: str = "") -> Any:
    """Code and JSON of a route's answer."""
    request = func.HttpRequest(
        method="POST",
        url="http://localhost:7071/api/articles",
        route_params={"article_id": article_id},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )
    answer = await ROUTES[route](request, run.client)
    return answer.status_code, json.loads(answer.get_body())


async def shown(run: AppRunner, instance_id: str) -> agents.Progress:
    return agents.Progress.model_validate((await run.status(instance_id)).custom_status)


class BusyModel(ScriptedModel):
    """Refuses so many calls that hold a word."""

    def __init__(self, part: str, refusals: int) -> None:
        super().__init__()
        self.part = part
        self.left = refusals

    async def ask(self, prompt: Prompt, reply: type[R]) -> R:
        if self.left and prompt.part == self.part:
            self.left -= 1
            raise ModelBusyError("The model is overloaded.")
        return await super().ask(prompt, reply)


# -- the gate ------------------------------------------------------------------------------------


def test_the_reviewer_sends_it_back_twice_and_the_editor_approves() -> None:
    async def scene(run: AppRunner) -> None:
        article = await order(run)
        progress = await shown(run, article)
        assert (progress.stage, progress.plan, progress.round) == (GATE, PARTS, 3)
        assert (progress.done, progress.total, progress.reasons) == (3, 3, [])
        assert progress.tokens > 0

        await run.advance(timedelta(days=6))
        assert await ask(run, "approve", {"by": "Grace"}, article) == (
            202,
            {"id": article, "approved": True},
        )

        outcome = await run.result(article, agents.Outcome)
        assert (outcome.outcome, outcome.by, outcome.rounds) == ("Published", "Grace", 3)
        assert outcome.tokens == progress.tokens
        called = [call.name for call in run.calls]
        drafts = ["write_draft", "review_draft"] * 3
        asked = ["plan_parts", *["ask_specialist"] * 3]
        assert called == [*asked, *drafts, "show_editor", "publish_article"]
        (shown_draft,) = (call.input for call in run.calls if call.name == "show_editor")
        assert shown_draft["text"].splitlines() == [
            QUESTION,
            *(f"{part}: yes, as far as we know." for part in PARTS),
            "(No sources. Mended.)",
            "(No summary. Mended.)",
        ]

    play(scene)


def test_the_editor_rejects() -> None:
    async def scene(run: AppRunner) -> None:
        article = await order(run)
        assert (await ask(run, "reject", b"", article))[0] == 202
        outcome = await run.result(article, agents.Outcome)
        assert (outcome.outcome, outcome.by, outcome.link) == ("Rejected", "somebody", None)
        assert (await shown(run, article)).stage == "over"
        assert "publish_article" not in [call.name for call in run.calls]

    play(scene)


def test_an_editor_who_says_nothing_for_a_week_lets_it_expire() -> None:
    async def scene(run: AppRunner) -> None:
        began = run.now
        outcome = await run.run(agents.write_article, {"text": QUESTION}, agents.Outcome)
        assert (outcome.outcome, outcome.by, outcome.link) == ("Expired", None, None)
        assert run.now - began == timedelta(days=7)

    play(scene)


def test_the_last_round_goes_to_the_editor_with_what_the_reviewer_minds() -> None:
    async def scene(run: AppRunner) -> None:
        article = await order(run, rounds=1)
        progress = await shown(run, article)
        assert (progress.stage, progress.round) == (GATE, 1)
        assert progress.reasons == ["No sources."]

    play(scene)


# -- the model -----------------------------------------------------------------------------------


def test_a_specialist_who_is_refused_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "model", BusyModel("safe", 2))

    async def scene(run: AppRunner) -> None:
        article = await run.start(agents.write_article, {"text": QUESTION, "width": 1})
        assert await shown(run, article) == agents.Progress(
            stage="researching",
            plan=PARTS,
            done=1,
            total=3,
            tokens=(await shown(run, article)).tokens,
        )
        await run.advance(timedelta(seconds=10))
        assert (await shown(run, article)).stage == GATE
        asked = [call.input["part"] for call in run.calls if call.name == "ask_specialist"]
        assert asked == [PARTS[0], "safe", "safe", "safe", PARTS[2]]

    play(scene)


def test_no_more_specialists_than_the_width_at_the_same_time() -> None:
    async def scene(run: AppRunner) -> None:
        text = ", ".join(f"part {number}" for number in range(9))
        article = await run.start(agents.write_article, {"text": text, "width": 4})
        under_way: set[int] = set()
        widest = 0
        for event in await run.client.get_orchestration_history(article):
            if isinstance(event, TaskScheduled) and event.name == "ask_specialist":
                under_way.add(event.event_id)
            elif isinstance(event, TaskCompleted):
                under_way.discard(event.task_scheduled_id)
            widest = max(widest, len(under_way))
        assert widest == 4
        asked = [call.input["part"] for call in run.calls if call.name == "ask_specialist"]
        assert asked == [f"part {number}" for number in range(9)]

    play(scene)


def test_a_model_that_is_down_fails_the_article_and_says_so() -> None:
    async def scene(run: AppRunner) -> None:
        began = run.now
        with pytest.raises(df.OrchestrationFailedError) as caught:
            await run.run(agents.write_article, {"text": QUESTION, "refusals": 99})
        assert "'plan_parts' failed" in str(caught.value)
        assert "The model is overloaded." in str(caught.value)
        assert len(run.calls) == 5
        # Pauses of 1, 2, 4 and 8 seconds, up to half of which is left out.
        assert timedelta(seconds=7.5) <= run.now - began <= timedelta(seconds=15)

    play(scene)


def test_a_model_that_refuses_for_good_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Locked:
        async def ask(self, prompt: Prompt, reply: type[R]) -> R:
            raise df.NonRetriableError(f"The key is not valid for {reply.__name__}.")

    monkeypatch.setattr(agents, "model", Locked())

    async def scene(run: AppRunner) -> None:
        with pytest.raises(df.OrchestrationFailedError, match="The key is not valid for Plan"):
            await run.run(agents.write_article, {"text": QUESTION})
        assert len(run.calls) == 1

    play(scene)


def test_the_scripted_model_has_a_plan_for_every_question() -> None:
    async def scene(run: AppRunner) -> None:
        article = await order(run, text="?")
        assert (await shown(run, article)).plan == ["everything"]

    play(scene)


def test_it_is_published_once_for_each_call() -> None:
    draft = Draft(text="Yes.")
    first = df.ActivityContext("one", 7, "publish_article", execution_id="e1")
    again = df.ActivityContext("one", 7, "publish_article", execution_id="e1", attempt=2)
    other = df.ActivityContext("two", 7, "publish_article", execution_id="e2")

    links = [agents.publish_article(draft, call) for call in (first, again, other)]

    assert links == ["/published/e1:7", "/published/e1:7", "/published/e2:7"]


# -- the routes ----------------------------------------------------------------------------------


def test_a_decision_needs_something_to_decide() -> None:
    async def scene(run: AppRunner) -> None:
        assert await ask(run, "approve", b"", "nobody") == (404, {"error": "No such article."})
        article = await run.start(agents.write_article, {"text": QUESTION, "refusals": 1})
        assert await ask(run, "approve", b"", article) == (
            409,
            {"error": "There is nothing to decide; the stage is: planning."},
        )
        await run.advance(timedelta(minutes=1))
        assert (await ask(run, "approve", {"by": 5}, article))[0] == 400
        assert (await ask(run, "approve", b"{", article))[0] == 400
        assert (await ask(run, "approve", b"", article))[0] == 202
        assert (await ask(run, "reject", b"", article))[0] == 409
        assert (await run.result(article))["outcome"] == "Published"

    play(scene)


def test_an_article_that_was_terminated_takes_no_decision() -> None:
    async def scene(run: AppRunner) -> None:
        article = await order(run)
        await run.terminate(article, "enough")
        code, body = await ask(run, "approve", b"", article)
        assert code == 409
        assert article in body["error"]

    play(scene)


def test_an_order_is_answered_with_the_management_urls() -> None:
    async def scene(run: AppRunner) -> None:
        code, links = await ask(run, "order", {"text": QUESTION})
        assert code == 202
        assert links["id"] in links["statusQueryGetUri"]
        assert (await run.status(links["id"])).name == "write_article"
        code, body = await ask(run, "order", {"text": ""})
        assert code == 400
        assert "text" in body["error"]
        assert (await ask(run, "order", b"no JSON"))[0] == 400

    play(scene)
