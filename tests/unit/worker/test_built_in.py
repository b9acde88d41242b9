"""Functions that every worker has and no app lists."""

from __future__ import annotations

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.worker.built_in import with_built_in
from durable_app.worker.http_caller import HttpCaller


def test_they_are_found_and_not_listed():
    app = df.DFApp()
    plain = index_app(app)
    index = with_built_in(plain, HttpCaller(SystemClock()))
    poller = index.find("orchestration", "BuiltIn__HttpPollOrchestrator")
    activity = index.find("activity", "BuiltIn__HttpActivity")
    assert poller is not None
    assert poller.durable is not None
    assert poller.durable.for_version("2.0").function.__name__ == "poll_http"
    assert activity is not None
    assert activity.is_async
    assert index.find("activity", "BuiltIn__HttpPollOrchestrator") is None
    assert (index.functions, dict(index.orchestrations), dict(index.activities)) == ((), {}, {})
    assert "BuiltIn" not in index.unknown("activity", "nothing")
    assert plain.find("activity", "BuiltIn__HttpActivity") is None


def test_an_app_can_have_its_own():
    app = df.DFApp()

    @app.activity_trigger(input_name="request", activity="BuiltIn__HttpActivity")
    def answers(request):
        return request

    index = with_built_in(index_app(app), HttpCaller(SystemClock()))
    found = index.find("activity", "BuiltIn__HttpActivity")
    assert found is not None
    assert found.name == "answers"
