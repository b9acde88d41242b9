"""The list of functions."""

import pytest

from durable_app.functions.index import AppIndex, FunctionFacts
from durable_app.host.app.roster import HostedApp, HostedFunction
from durable_app.host.console.colour import Paint
from durable_app.host.console.function_list import function_list, idle_functions, show_functions
from tests.unit.host.console_rig import TIME, Written, make_console

ORIGIN = "http://localhost:7071"


def declared(name, trigger="httpTrigger", methods=(), route=None, **hosted):
    facts = FunctionFacts(
        name=name,
        trigger_type=trigger,
        bindings=(),
        route=route,
        methods=methods,
        auth_level=None,
        is_async=False,
        handle=print,
        durable=None,
        script_file="function_app.py",
    )
    return HostedFunction(facts, **hosted)


def an_app(*functions):
    return HostedApp("function_app.py", functions, AppIndex((), {}, {}, {}))


def test_http_functions_come_first_with_their_methods_and_addresses():
    app = an_app(
        declared("chain", "orchestrationTrigger"),
        declared("start", methods=("get", "POST"), route="start/{name}"),
        declared("plain"),
    )
    assert function_list(app, ORIGIN, "/api/") == [
        "",
        "Functions:",
        "",
        "\tstart: [GET,POST] http://localhost:7071/api/start/{name}",
        "",
        "\tplain:  http://localhost:7071/api/plain",
        "",
        "\tchain: orchestrationTrigger",
        "",
    ]


def test_names_are_yellow_and_addresses_green():
    app = an_app(declared("f", route="/"), declared("t", "timerTrigger"))
    assert function_list(app, ORIGIN, "", Paint(is_on=True)) == [
        "",
        "\x1b[33mFunctions:\x1b[0m",
        "",
        "\t\x1b[33mf:\x1b[0m  \x1b[32mhttp://localhost:7071/\x1b[0m",
        "",
        "\t\x1b[33mt:\x1b[0m timerTrigger",
        "",
    ]


@pytest.mark.parametrize("colour", [False, True])
def test_what_does_not_run_is_told_after_the_list(colour):
    app = an_app(
        declared("off", is_disabled=True, error="irrelevant"),
        declared("bad", error="'%NAME%' does not resolve to a value."),
        declared("hub", "eventHubTrigger"),
    )
    stream = Written()
    console = make_console(stream, colour=colour)
    show_functions(console, app, ORIGIN, "api", idle_functions(app))
    console.close()

    def painted(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    error = "The 'bad' function is in error: '%NAME%' does not resolve to a value."
    idle = "Function 'hub' will not run: its eventHubTrigger is not run locally."
    assert stream.lines()[3:] == [
        f"\t{painted('33', 'hub:')} eventHubTrigger",
        "",
        painted("33", "Function off is disabled."),
        f"[{TIME}] {painted('31', error)}",
        painted("33", idle),
    ]


def test_functions_with_a_trigger_that_runs_are_not_idle():
    app = an_app(declared("t", "timerTrigger"), declared("e", "entityTrigger"))
    assert idle_functions(app, {"timerTrigger", "entityTrigger"}) == []
