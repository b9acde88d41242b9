"""The HTTP side of the host, over a real socket."""

import asyncio
import io

import aiohttp
import pytest

from durable_app.errors import ConfigError, DefinitionError
from tests.contract.host_app import Caller, serving, talk, until, write_app

FUNCTIONS = """
import asyncio, time
import azure.functions as func
from durable_app.functions.app import DFApp

app = DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="echo/{name?}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    import json
    return func.HttpResponse(
        json.dumps(
            {
                "method": req.method,
                "url": req.url,
                "params": dict(req.params),
                "route": dict(req.route_params),
                "header": req.headers.get("X-Test"),
                "body": req.get_body().decode(),
            }
        ),
        mimetype="application/json",
        status_code=201,
        headers={"X-Answer": "yes"},
    )


@app.route(route="text")
def text(req: func.HttpRequest) -> str:
    return "plain"


@app.route(route="nothing")
async def nothing(req: func.HttpRequest):
    return None


@app.route(route="cookies")
async def cookies(req: func.HttpRequest):
    answer = func.HttpResponse(b"")
    answer.headers.add("Set-Cookie", "a=1; Path=/")
    answer.headers.add("Set-Cookie", "b=2")
    return answer


@app.route(route="broken")
def broken(req: func.HttpRequest) -> str:
    return helper()


def helper():
    raise RuntimeError("secret detail")


@app.route(route="odd")
async def odd(req: func.HttpRequest):
    return {"a": 1}


@app.route(route="who")
def who(req: func.HttpRequest, context: func.Context) -> str:
    return f"{context.function_name} {len(context.invocation_id)} {context.function_directory}"


@app.route(route="slow")
async def slow(req: func.HttpRequest) -> str:
    await asyncio.sleep(float(req.params["s"]))
    return "slept"


@app.route(route="size")
def size(req: func.HttpRequest) -> str:
    return str(len(req.get_body()))
"""


@pytest.fixture
def folder(tmp_path):
    return write_app(tmp_path, FUNCTIONS)


def test_a_function_gets_the_request_as_azure_gives_it(folder):
    async def conversation(host, call):
        url = "/api/echo/a%20b?x=1&x=2&empty=&y=%C3%A4"
        return await call("POST", url, data=b"hi", headers={"X-Test": "t"}), host.origin

    answer, origin = talk(folder, conversation)
    assert answer.status == 201
    assert answer.headers["X-Answer"] == "yes"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json == {
        "method": "POST",
        "url": f"{origin}/api/echo/a%20b?x=1&x=2&empty=&y=%C3%A4",
        "params": {"x": "1,2", "y": "ä"},
        "route": {"name": "a b"},
        "header": "t",
        "body": "hi",
    }


def test_every_kind_of_result_is_sent(folder):
    async def conversation(host, call):
        return [await call("GET", f"/api/{name}") for name in ("text", "nothing", "cookies")]

    text, nothing, cookies = talk(folder, conversation)
    assert (text.status, text.body, text.headers["Content-Type"]) == (
        200,
        b"plain",
        "text/plain; charset=utf-8",
    )
    assert (nothing.status, nothing.body) == (204, b"")
    assert cookies.headers.getall("Set-Cookie") == ["a=1; Path=/", "b=2"]


def test_what_matches_no_route_is_404(folder):
    async def conversation(host, call):
        requests = (("GET", "/api/none"), ("PUT", "/api/echo"), ("GET", "/text"), ("GET", "/admin"))
        return [(await call(*request)).status for request in requests]

    assert talk(folder, conversation) == [404, 404, 404, 404]


def test_an_exception_is_500_without_a_body_and_a_traceback_of_the_app(folder):
    stream = io.StringIO()

    async def conversation(host, call):
        answer = await call("GET", "/api/broken")
        host.console.flush()
        return answer, stream.getvalue()

    answer, console = talk(folder, conversation, stream=stream)
    assert (answer.status, answer.body) == (500, b"")
    assert "Executing 'Functions.broken' (Reason='This function was programmatically" in console
    assert "Executed 'Functions.broken' (Failed, Id=" in console
    assert f'File "{folder / "function_app.py"}", line' in console
    assert "RuntimeError: secret detail" in console
    assert "durable_app/host" not in console


def test_a_result_that_cannot_be_sent_is_the_functions_failure(folder):
    stream = io.StringIO()

    async def conversation(host, call):
        answer = await call("GET", "/api/odd")
        host.console.flush()
        return answer, stream.getvalue()

    answer, console = talk(folder, conversation, stream=stream)
    assert (answer.status, answer.body) == (500, b"")
    assert "Executed 'Functions.odd' (Failed, Id=" in console
    assert "TypeError: An HTTP function returns a str or an azure.functions.HttpResponse" in console


def test_an_unbound_context_parameter_gets_the_invocation(folder):
    async def conversation(host, call):
        return await call("GET", "/api/who")

    assert talk(folder, conversation).body == f"who 36 {folder}".encode()


def test_a_function_that_takes_too_long_is_ended(tmp_path):
    folder = write_app(tmp_path, FUNCTIONS, '{"version": "2.0", "functionTimeout": "00:00:01"}')
    stream = io.StringIO()

    async def conversation(host, call):
        answer = await call("GET", "/api/slow?s=30")
        host.console.flush()
        return answer.status, stream.getvalue()

    status, console = talk(folder, conversation, stream=stream)
    assert status == 500
    assert "Timeout value of 1 s exceeded by function 'Functions.slow'" in console


def test_a_body_over_100_mb_is_refused_and_one_of_2_mb_is_not(folder):
    async def conversation(host, call):
        fits = await call("POST", "/api/size", data=io.BytesIO(b"x" * 2_000_000))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(host.origin.split(":")[-1]))
        writer.write(
            b"POST /api/size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 105906176\r\n\r\n"
        )
        refused = await reader.readline()
        writer.close()
        return fits.body, refused

    fits, refused = talk(folder, conversation)
    assert fits == b"2000000"
    assert b"413" in refused


def test_the_route_prefix_can_be_empty(tmp_path):
    settings = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'

    async def conversation(host, call):
        return (await call("GET", "/text")).status

    assert talk(write_app(tmp_path, FUNCTIONS, settings), conversation) == 200


def test_a_request_in_flight_ends_before_the_host_does(folder):
    stream = io.StringIO()

    async def main():
        async with aiohttp.ClientSession() as session:
            async with serving(folder, stream) as (host, _):
                request = asyncio.create_task(
                    Caller(session, host.origin)("GET", "/api/slow?s=0.3")
                )
                await until(lambda: "Executing 'Functions.slow'" in stream.getvalue())
            answered_in_time = request.done()
            return answered_in_time, (await request).body

    assert asyncio.run(main()) == (True, b"slept")


def test_the_functions_are_listed_and_the_hub_is_named(folder):
    stream = io.StringIO()

    async def conversation(host, call):
        host.console.flush()
        return host.origin

    origin = talk(folder, conversation, stream=stream)
    shown = stream.getvalue()
    assert "Task hub 'default': embedded, store memory (asked for by --hub" in shown
    assert f"\nFunctions:\n\n\techo: [GET,POST] {origin}/api/echo/{{name?}}\n\n" in shown
    assert f"\ttext:  {origin}/api/text\n" in shown
    assert "Worker process started and initialized." in shown


def test_a_function_that_nothing_will_call_is_named(tmp_path):
    stream = io.StringIO()
    write_app(
        tmp_path,
        "from durable_app.functions.app import DFApp\napp = DFApp()\n"
        "@app.blob_trigger(arg_name='b', path='in/{name}', connection='S')\ndef take(b): pass\n",
    )

    async def conversation(host, call):
        host.console.flush()

    talk(tmp_path, conversation, stream=stream)
    assert "\ttake: blobTrigger\n" in stream.getvalue()
    assert "'take'" in stream.getvalue().split("blobTrigger", 1)[1]


def test_a_taken_port_is_named(folder):
    async def conversation(host, call):
        port = int(host.origin.split(":")[-1])
        with pytest.raises(ConfigError, match=f"Port {port} is unavailable"):
            async with serving(folder, port=port):
                raise AssertionError("it must not start")
        return (await call("GET", "/api/text")).status

    assert talk(folder, conversation) == 200


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def f(:\n", r"function_app.py failed to load:(.|\n)*line 1(.|\n)*SyntaxError"),
        ("x = 1\nprint(nope)\n", r"line 2, in <module>(.|\n)*NameError: name 'nope'"),
        ("import no_such_module_x\n", r"No module named 'no_such_module_x'. Cannot find module\."),
        ("raise SystemExit(3)\n", "failed to load"),
        ("x = 1\n", "Could not find top level function app instances in function_app.py"),
        (
            "from durable_app.functions.app import DFApp\na = DFApp()\nb = DFApp()\n",
            "More than one FunctionApp",
        ),
        (
            "import azure.functions as f\napp = f.FunctionApp()\n"
            "@app.function_name('x')\ndef g(): pass\n",
            "does not have a trigger",
        ),
        (
            "import azure.functions as f\napp = f.FunctionApp()\n"
            "@app.route('x')\ndef g(req, client): pass\n",
            "cannot load the g function: .* but not in the function definition.*'client'",
        ),
        (
            "import azure.functions as f\napp = f.FunctionApp()\n"
            "@app.route('x')\ndef g(request): pass\n",
            "cannot load the g function",
        ),
        (
            "import azure.functions as f\napp = f.FunctionApp()\n@app.route('x')\ndef g(): pass\n",
            r"cannot load the g function: .* but not in Python: {'req'}",
        ),
    ],
)
def test_a_broken_app_is_refused_with_its_place(tmp_path, source, text):
    write_app(tmp_path, source)

    async def conversation(host, call):
        return None

    with pytest.raises(DefinitionError, match=text) as caught:
        talk(tmp_path, conversation)
    assert "durable_app/host" not in str(caught.value)


@pytest.mark.parametrize(
    ("route", "text"),
    [
        ("runtime/x", "The specified route conflicts with one or more built in routes."),
        ("administration", "The specified route conflicts with one or more built in routes."),
        ("Text/", "The route specified conflicts with the route defined by function 'text'."),
        ("{x:nope}", "Route 'api/{x:nope}': the constraint 'nope' does not exist."),
    ],
)
def test_a_function_whose_route_is_refused_is_in_error_and_the_others_run(tmp_path, route, text):
    source = f"{FUNCTIONS}\n\n@app.route(route={route!r})\ndef wrong(req): return 'wrong'\n"
    stream = io.StringIO()

    async def conversation(host, call):
        host.console.flush()
        return (await call("GET", "/api/text")).body, (await call("GET", f"/api/{route}")).body

    served, refused = talk(write_app(tmp_path, source), conversation, stream=stream)
    assert served == b"plain"
    assert refused in {b"", b"plain"}
    assert "The 'wrong' function is in error: " in stream.getvalue()
    assert text in stream.getvalue()


def test_a_folder_without_an_app_says_what_to_do(tmp_path):
    async def conversation(host, call):
        return None

    with pytest.raises(DefinitionError, match=r"There is no function_app.py in .* Create one"):
        talk(tmp_path, conversation)
