"""What moved apps stumble over, in lists that users can read: clients and statuses.

That sync functions have a client with the same methods is shown in
tests/unit/client/test_sync_client.py.
"""

from __future__ import annotations

import json

import azure.functions as func
import pytest

import durable_app as df
from durable_app.testing import AppRunner

REQUEST = func.HttpRequest(method="GET", url="http://localhost:7071/api/start", body=b"")


@pytest.fixture
def app(app):
    """With an orchestrator that waits, one that gives back its input, one that fails."""

    @app.orchestration_trigger(context_name="context")
    def wait(context):
        return (yield context.wait_for_external_event("go"))

    @app.orchestration_trigger(context_name="context")
    def give_back(context):
        context.set_custom_status(context.get_input())
        return context.get_input()

    @app.orchestration_trigger(context_name="context")
    def break_off(context):
        yield context.call_activity("fail")

    return app


async def state_of(run: AppRunner, instance_id: str) -> df.OrchestrationState:
    found = await run.client.get_orchestration_state(instance_id)
    assert found is not None
    return found


# -- start ----------------------------------------------------------------------------------------


def test_the_id_of_a_running_instance_is_taken(play):
    """A second start of it is an error with a type, and the first one runs on."""

    async def story(run: AppRunner):
        await run.start("wait", instance_id="one")
        with pytest.raises(df.InstanceExistsError, match="'one'"):
            await run.client.start_new("wait", "one")
        return (await run.status("one")).runtime_status

    assert play(story) is df.OrchestrationRuntimeStatus.Running


def test_the_id_of_a_finished_instance_is_free_again(play):
    """A singleton can be started whenever it does not run."""

    async def story(run: AppRunner):
        for number in (1, 2):
            await run.start("give_back", number, "one")
        return await run.result("one")

    assert play(story) == 2


def test_a_misspelt_orchestrator_is_an_error_of_the_start(play):
    """The names that there are stand in the text."""

    async def story(run: AppRunner):
        with pytest.raises(df.DefinitionError, match=r"'give_bck'.*'give_back'"):
            await run.client.start_new("give_bck")

    play(story)


def test_a_client_is_made_of_the_text_of_its_binding(app: df.DFApp, play):
    """`df.DurableOrchestrationClient(starter)`, with a binding that was declared by its type."""

    @app.activity_trigger(input_name="value")
    @app.generic_input_binding(arg_name="starter", type="durableClient")
    async def look(value: str, starter: str) -> bool:
        return bool(await df.DurableOrchestrationClient(starter).get_status(value))

    @app.orchestration_trigger(context_name="context")
    def looks(context):
        return (yield context.call_activity(look, context.instance_id))

    async def story(run: AppRunner):
        return await run.run(looks)

    assert play(story) is True


@pytest.mark.parametrize("value", [0, "", False, [], {}], ids=repr)
def test_falsy_inputs_outputs_and_statuses_are_kept(play, value):
    """By the status of 1.x, its JSON, and the state of 2.x."""

    async def story(run: AppRunner):
        await run.start("give_back", value, "one")
        status = await run.client.get_status("one", show_input=True)
        state = await state_of(run, "one")
        shown = status.to_json()
        return [
            *(status.input_, status.output, status.custom_status),
            *(shown["input"], shown["output"], shown["customStatus"]),
            *(state.get_input(), state.get_output(), state.get_custom_status()),
        ]

    assert play(story) == [value] * 9


# -- look -----------------------------------------------------------------------------------------


def test_the_status_of_nobody_is_false_and_has_a_json_form(play):
    """`if not status`, and `status.to_json()` does not raise."""

    async def story(run: AppRunner):
        status = await run.client.get_status("nobody")
        return bool(status), status.to_json(), status.runtime_status, status.history

    assert play(story) == (False, {}, None, None)


def test_instances_are_found_by_the_beginning_of_their_ids(play):
    """`instance_id_prefix=` is there, and all pages are read."""

    async def story(run: AppRunner):
        for name in ("order-1", "order-2", "parcel-1"):
            await run.start("give_back", 1, name)
        found = await run.client.get_status_by(instance_id_prefix="order-")
        return [each.instance_id for each in found]

    assert play(story) == ["order-1", "order-2"]


def test_a_history_tells_why_a_task_has_failed(play):
    """`get_status(show_history=True)` holds reasons."""

    async def story(run: AppRunner):
        await run.start("break_off", instance_id="one")
        history = (await run.client.get_status("one", show_history=True)).history
        return json.dumps(history)

    assert "sold out" in play(story)


def test_times_are_aware(play):
    """Those of a status and those of a state are the same times."""

    async def story(run: AppRunner):
        await run.start("give_back", 1, "one")
        status = await run.client.get_status("one")
        state = await state_of(run, "one")
        return status.created_time == state.created_at, state.created_at.tzname()

    assert play(story) == (True, "UTC")


def test_a_state_knows_its_version_and_tags(play):
    """Not only what it was started with in the history."""

    async def story(run: AppRunner):
        await run.client.schedule_new_orchestration(
            "give_back", input=1, instance_id="one", tags={"shop": "Bern"}
        )
        await run.settle()
        return (await state_of(run, "one")).tags

    assert play(story) == {"shop": "Bern"}


def test_raise_if_failed_raises_with_details(play):
    """And says nothing of an instance that is well."""

    async def story(run: AppRunner):
        await run.start("give_back", 1, "well")
        (await state_of(run, "well")).raise_if_failed()
        await run.start("break_off", instance_id="ill")
        with pytest.raises(df.OrchestrationFailedError, match="sold out") as caught:
            (await state_of(run, "ill")).raise_if_failed()
        return caught.value.failure_details.error_message

    assert "sold out" in play(story)


# -- wait -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "code"), [(None, 500), (True, 500), (False, 200)])
def test_a_failed_instance_is_no_success_of_the_waiting_answer(play, flag, code):
    """500, unless it is told to answer 200."""

    async def story(run: AppRunner):
        await run.start("break_off", instance_id="one")
        answer = await run.client.wait_for_completion_or_create_check_status_response(
            REQUEST, "one", return_internal_server_error_on_failure=flag
        )
        return answer.status_code, json.loads(answer.get_body())["runtimeStatus"]

    assert play(story) == (code, "Failed")


def test_waiting_longer_than_the_timeout_between_two_looks_is_an_error(play):
    """The interval must fit into the timeout."""

    async def story(run: AppRunner):
        with pytest.raises(ValueError, match="should be bigger"):
            await run.client.wait_for_completion_or_create_check_status_response(
                REQUEST, "one", 100, 1000
            )

    play(story)


def test_waiting_for_nobody_ends_with_a_timeout(play):
    """`wait_for_orchestration_completion` of an unknown id raises; it does not give None."""

    async def story(run: AppRunner):
        with pytest.raises(TimeoutError, match="nobody"):
            await run.client.wait_for_orchestration_completion("nobody", timeout=5)

    play(story)


def test_links_are_made_with_and_without_a_request(play):
    """`create_http_management_payload(id)` of 1.x and `(request, id)` of 2.x."""

    async def story(run: AppRunner):
        one = run.client.create_http_management_payload("one")
        two = run.client.create_http_management_payload(REQUEST, "one")
        assert json.loads(str(two)) == two
        return one == two, sorted(one)

    equal, keys = play(story)
    assert equal
    assert {"id", "statusQueryGetUri", "sendEventPostUri", "restartPostUri"} <= set(keys)


# -- steer ----------------------------------------------------------------------------------------


def test_an_event_for_nobody_is_an_error(play):
    """By both names of the method: a lost event would be seen by nobody."""

    async def story(run: AppRunner):
        with pytest.raises(df.InstanceNotFoundError, match="nobody"):
            await run.client.raise_event("nobody", "go")
        with pytest.raises(df.InstanceNotFoundError, match="nobody"):
            await run.client.raise_orchestration_event("nobody", "go")

    play(story)


def test_an_event_without_a_name_is_an_error(play):
    """`raise_event(id, "")` is refused."""

    async def story(run: AppRunner):
        await run.start("wait", instance_id="one")
        with pytest.raises(ValueError, match="event_name"):
            await run.client.raise_event("one", "")

    play(story)


def test_another_hub_is_refused_not_mistaken(play):
    """`task_hub_name=` of another hub does not reach this one."""

    async def story(run: AppRunner):
        await run.start("wait", instance_id="one")
        with pytest.raises(ValueError, match="elsewhere"):
            await run.client.raise_event("one", "go", 1, task_hub_name="elsewhere")

    play(story)


def test_ending_an_instance_twice_is_no_error(play):
    """terminate, suspend and resume do nothing to what has finished, and name what is unknown."""

    async def story(run: AppRunner):
        await run.start("wait", instance_id="one")
        for _ in range(2):
            await run.terminate("one", "no longer needed")
        await run.suspend("one")
        await run.resume("one")
        with pytest.raises(df.InstanceNotFoundError):
            await run.client.terminate("nobody", "x")
        return (await run.status("one")).output

    assert play(story) == "no longer needed"


def test_a_restart_has_the_default_of_its_name(play):
    """`restart` makes a new id as in 1.x, `restart_orchestration` keeps it as in 2.x."""

    async def story(run: AppRunner):
        await run.start("give_back", 7, "one")
        new = await run.client.restart("one")
        same = await run.client.restart_orchestration("one")
        return new == "one", same == "one", await run.result(new), await run.result(same)

    assert play(story) == (False, True, 7, 7)


def test_rewinding_what_has_not_failed_is_an_error(play):
    """With a type of its own, and one for unknown ids."""

    async def story(run: AppRunner):
        await run.start("give_back", 1, "one")
        with pytest.raises(df.WrongStatusError, match="Completed"):
            await run.client.rewind("one", "again")
        with pytest.raises(df.InstanceNotFoundError):
            await run.client.rewind("nobody", "again")

    play(story)


def test_purging_nobody_removes_nothing(play):
    """It counts 0, and a purge of many by 1.x needs its first time."""

    async def story(run: AppRunner):
        with pytest.raises(ValueError, match="created_time_from"):
            await run.client.purge_instance_history_by()
        return (await run.client.purge_instance_history("nobody")).instances_deleted

    assert play(story) == 0


def test_every_status_of_1x_can_be_asked_for(play):
    """`Canceled` is no error, although no instance here ever has that status."""

    async def story(run: AppRunner):
        await run.start("give_back", 1, "one")
        statuses = list(df.OrchestrationRuntimeStatus)
        every = await run.client.get_status_by(runtime_status=statuses)
        canceled = [df.OrchestrationRuntimeStatus.Canceled]
        return len(every), await run.client.get_status_by(runtime_status=canceled)

    assert play(story) == (1, [])


def test_the_text_of_a_status_is_its_name():
    """`str(state.runtime_status) == "COMPLETED"`; that of 1.x is read by `.name`."""
    assert str(df.OrchestrationStatus.COMPLETED) == "COMPLETED"
    assert df.OrchestrationRuntimeStatus.Completed.name == "Completed"


def test_the_json_of_a_status_is_read_by_both_names_of_its_history():
    """`history` of 1.x and `historyEvents` of 2.x and of the HTTP API."""
    fields = {"name": "f", "instanceId": "one", "createdTime": "2030-01-01T00:00:00Z"}
    for key in ("history", "historyEvents"):
        status = df.DurableOrchestrationStatus.from_json({**fields, key: [{"EventType": "X"}]})
        assert status.history == [{"EventType": "X"}]
        assert status.to_json()["history"] == [{"EventType": "X"}]
