"""What a function gets that is run by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import azure.functions as func
import pytest

import durable_app as df
from durable_app.errors import DefinitionError
from durable_app.functions.index import FunctionFacts, index_app
from durable_app.host.calls.manual import manual_value

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
app = df.DFApp()


@app.route(route="greet")
def http(req: func.HttpRequest) -> str:
    return ""


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def timer(timer: func.TimerRequest) -> None: ...


@app.queue_trigger(arg_name="message", queue_name="orders", connection="AzureWebJobsStorage")
def queue(message: func.QueueMessage) -> None: ...


@app.blob_trigger(arg_name="blob", path="in/{name}", connection="AzureWebJobsStorage")
def blob(blob: func.InputStream) -> None: ...


@app.event_grid_trigger(arg_name="event")
def event_grid(event: func.EventGridEvent) -> None: ...


@app.event_hub_message_trigger(arg_name="event", event_hub_name="hub", connection="Hub")
def event_hub(event: func.EventHubEvent) -> None: ...


@app.service_bus_queue_trigger(arg_name="message", queue_name="orders", connection="Bus")
def service_bus(message: func.ServiceBusMessage) -> None: ...


@app.generic_trigger(arg_name="value", type="somethingElse")
def generic(value: str) -> None: ...


@app.activity_trigger(input_name="order")
def activity(order: dict[str, int]) -> None: ...


def facts(name: str) -> FunctionFacts:
    return next(function for function in index_app(app).functions if function.name == name)


def value(name: str, text: str):
    return manual_value(facts(name), text, "id-1", NOW)


@pytest.mark.parametrize("name", ["queue", "event_hub", "service_bus"])
def test_a_message_has_the_text_as_its_body(name):
    assert value(name, "ten apples").get_body() == b"ten apples"


def test_a_queue_message_looks_as_if_it_had_just_come():
    message = value("queue", "ten apples")
    assert (message.id, message.dequeue_count) == ("id-1", 1)
    assert message.insertion_time == NOW


def test_a_timer_is_not_past_due():
    assert value("timer", "ignored").past_due is False


def test_an_http_function_gets_the_text_as_its_body():
    request = value("http", '{"n": 1}')
    assert (request.method, request.get_json()) == ("POST", {"n": 1})


def test_a_blob_has_the_text_as_its_content():
    assert value("blob", "content").read() == b"content"


def test_an_event_is_read_from_json():
    event = (
        '{"id": "7", "topic": "t", "subject": "s", "eventType": "e", "data": {"n": 1},'
        ' "eventTime": "2026-03-01T12:00:00Z", "dataVersion": "1"}'
    )
    assert value("event_grid", event).get_json() == {"n": 1}


@pytest.mark.parametrize(("text", "plain"), [('{"n": 1}', {"n": 1}), ("no json", "no json")])
def test_an_activity_gets_what_the_json_says(text, plain):
    assert value("activity", text) == plain


def test_a_generic_trigger_gets_the_text():
    assert value("generic", "text") == "text"


def test_a_trigger_that_takes_something_else_says_so():
    with pytest.raises(DefinitionError, match="event_grid cannot be run by hand with this input"):
        value("event_grid", "no json")
