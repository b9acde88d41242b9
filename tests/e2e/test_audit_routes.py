"""Each rule of route templates, over HTTP to one running process; and apps of other frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Host

CONSTRAINTS = {
    "int": (["5", "-5"], ["x", "5.0", "99999999999"]),
    "long": (["99999999999"], ["99999999999999999999"]),
    "bool": (["true", "FALSE"], ["1", "yes"]),
    "datetime": (["2026-01-02", "2026-01-02T03:04:05Z"], ["x"]),
    "decimal": (["1.5", "-1"], ["x"]),
    "double": (["1e5", "1.5"], ["x"]),
    "float": (["1.5"], ["x"]),
    "guid": (["3f2504e0-4f89-11d3-9a0c-0305e82c3301"], ["x", "3f2504e0-4f89"]),
    "alpha": (["aB"], ["a1"]),
    "required": (["a"], [""]),
    "minlength(3)": (["abc"], ["ab"]),
    "maxlength(3)": (["abc"], ["abcd"]),
    "length(3)": (["abc"], ["ab", "abcd"]),
    "length(2,4)": (["ab", "abcd"], ["a", "abcde"]),
    "min(5)": (["5"], ["4", "x"]),
    "max(5)": (["5"], ["6"]),
    "range(5,7)": (["5", "7"], ["4", "8"]),
    r"regex(^\d{{3}}$)": (["123"], ["12", "1234"]),
    "int:min(3)": (["3"], ["2", "x"]),
}
TEMPLATES: dict[str, dict[str, dict[str, str] | None]] = {
    "o/{a}/{b?}": {"o/1": {"a": "1"}, "o/1/2": {"a": "1", "b": "2"}, "o/1/2/3": None, "o": None},
    "d/{a=hello}": {"d": {"a": "hello"}, "d/x": {"a": "x"}},
    "di/{a:int=5}": {"di": {"a": "5"}, "di/7": {"a": "7"}, "di/x": None},
    "k/{*rest}": {"k": {}, "k/a/b%20c": {"rest": "a/b c"}},
    "file/{name}.{ext?}": {"file/a.b.txt": {"name": "a.b", "ext": "txt"}, "file/a": {"name": "a"}},
    "Case/Path": {"case/path": {}, "CASE/PATH/": {}},
}
CODE = f"""
import json
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def add(name, route, answer=None, **options):
    def function(req: func.HttpRequest) -> str:
        return answer or json.dumps(dict(req.route_params))
    function.__name__ = name
    app.route(route=route, **options)(function)


for number, constraint in enumerate({list(CONSTRAINTS)!r}):
    add(f"c{{number}}", f"c{{number}}/{{{{x:{{constraint}}}}}}")
for number, template in enumerate({list(TEMPLATES)!r}):
    add(f"t{{number}}", template)
add("literal", "rank/lit", "literal")
add("typed", "rank/{{x:int}}", "typed")
add("any", "rank/{{x}}", "any")
add("rest", "rank/{{*x}}", "rest")
add("reads", "methods", "reads", methods=["GET"])
add("writes", "methods", "writes", methods=["POST"])
"""
WSGI = """
import azure.functions as func

def site(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]

app = func.WsgiFunctionApp(app=site, http_auth_level=func.AuthLevel.ANONYMOUS)
"""
ASGI = """
import azure.functions as func

async def site(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"b")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})

app = func.AsgiFunctionApp(app=site, http_auth_level=func.AuthLevel.ANONYMOUS)
"""


def plain_app(folder: Path, code: str, host_json: str = '{"version": "2.0"}') -> Path:
    folder.mkdir()
    (folder / "function_app.py").write_text(code)
    (folder / "host.json").write_text(host_json)
    return folder


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(plain_app(tmp_path_factory.mktemp("routes") / "app", CODE))
    try:
        yield host.start()
    finally:
        host.kill()


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_value_that_breaks_a_constraint_is_404(constraint: str, routes: Host) -> None:
    number = list(CONSTRAINTS).index(constraint)
    good, bad = CONSTRAINTS[constraint]

    assert [routes.get(f"/api/c{number}/{value}").status for value in good] == [200] * len(good)
    assert [routes.get(f"/api/c{number}/{value}").status for value in bad] == [404] * len(bad)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_gives_the_function_its_parameters(template: str, routes: Host) -> None:
    for path, parameters in TEMPLATES[template].items():
        reply = routes.get(f"/api/{path}")

        assert reply.status == (404 if parameters is None else 200), path
        assert parameters is None or reply.json == parameters


@pytest.mark.parametrize(
    ("path", "function"),
    [("lit", "literal"), ("LIT", "literal"), ("5", "typed"), ("x", "any"), ("x/y", "rest")],
)
def test_the_narrowest_template_wins(path: str, function: str, routes: Host) -> None:
    assert routes.get(f"/api/rank/{path}").text == function


def test_methods_choose_among_functions_of_one_route(routes: Host) -> None:
    assert routes.get("/api/methods").text == "reads"
    assert routes.post("/api/methods").text == "writes"
    assert routes.request("PUT", "/api/methods").status == 404


def test_a_wsgi_app_answers(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    root = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
    host = new_host(plain_app(tmp_path / "app", WSGI, root)).start()

    assert host.get("/some/page").text == "/some/page"


def test_an_asgi_app_answers(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    root = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
    host = new_host(plain_app(tmp_path / "app", ASGI, root)).start()

    reply = host.get("/some/page")

    assert (reply.status, reply.headers["x-a"], reply.text) == (201, "b", "/some/page")
