"""Route templates of ASP.NET."""

import pytest

from durable_app.errors import DefinitionError
from durable_app.host.routing import RouteTable


def table(*templates: str, methods: tuple[str, ...] = ()) -> RouteTable[str]:
    routes: RouteTable[str] = RouteTable()
    for template in templates:
        routes.add(template, methods, template)
    return routes


def params(template: str, path: str) -> dict[str, str] | None:
    found = table(template).match("GET", path)
    return None if found is None else found.params


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("api/start", "/api/start", {}),
        ("api/start", "/API/Start/", {}),
        ("api/start", "/api/start/more", None),
        ("api/{name}", "/api/x", {"name": "x"}),
        ("api/{name}", "/api", None),
        ("api/{name}", "/api/a%20b", {"name": "a b"}),
        ("api/{name}", "/api/a%2Fb", {"name": "a%2Fb"}),
        ("api/{name}", "/api/%C3%A4", {"name": "ä"}),
        ("api/{name?}", "/api", {}),
        ("api/{name?}", "/api/x", {"name": "x"}),
        ("api/{name=cat}", "/api", {"name": "cat"}),
        ("api/{name=cat}", "/api/dog", {"name": "dog"}),
        ("api/{*rest}", "/api/a/b", {"rest": "a/b"}),
        ("api/{*rest}", "/api", {}),
        ("api/{**rest}", "/api/a", {"rest": "a"}),
        ("api/{file}.{ext}", "/api/a.b.txt", {"file": "a.b", "ext": "txt"}),
        ("api/v{n:int}", "/api/v12", {"n": "12"}),
        ("api/v{n:int}", "/api/vx", None),
        ("{id:int:min(2)}", "/2", {"id": "2"}),
        ("{id:int:min(2)}", "/1", None),
        ("{id:int?}", "/", {}),
        ("{id:guid}", "/9e952958-5e33-4daf-827f-2fa12937b875", ...),
        ("{id:guid}", "/9e95", None),
        ("{x:length(2,3)}", "/ab", {"x": "ab"}),
        ("{x:length(2,3)}", "/abcd", None),
        ("{x:range(1,9)}", "/10", None),
        ("{x:bool}", "/TRUE", {"x": "TRUE"}),
        ("{x:alpha}", "/a1", None),
        ("{x:datetime}", "/2026-01-02", {"x": "2026-01-02"}),
        ("{x:regex(^a:b$)}", "/a:b", {"x": "a:b"}),
        ("{x:regex(^\\d{{2}}$)}", "/12", {"x": "12"}),
        ("{x:regex(^\\d{{2}}$)}", "/123", None),
    ],
)
def test_a_path_gives_its_parameters(template, path, expected):
    found = params(template, path)
    assert found is not None if expected is ... else found == expected


def test_the_most_specific_template_wins_whatever_the_order():
    routes = table("api/{*rest}", "api/{name}", "api/{id:int}", "api/fixed")
    hit = {
        path: routes.match("GET", path) for path in ("/api/fixed", "/api/7", "/api/x", "/api/x/y")
    }
    assert [found and found.target for found in hit.values()] == [
        "api/fixed",
        "api/{id:int}",
        "api/{name}",
        "api/{*rest}",
    ]


def test_a_method_that_is_not_allowed_does_not_match():
    routes = table("api/x", methods=("post",))
    assert routes.match("GET", "/api/x") is None
    assert routes.match("POST", "/api/x") is not None


def test_methods_lead_to_different_targets():
    routes: RouteTable[str] = RouteTable()
    routes.add("api/x", ["GET"], "read")
    routes.add("api/x", ["POST"], "write")
    found = routes.match("POST", "/api/x")
    assert found is not None
    assert found.target == "write"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("runtime/x", "conflicts with one or more built in routes"),
        ("Admin/{x}", "conflicts with one or more built in routes"),
        ("api/{x", "without its partner"),
        ("api/{}", "no valid parameter name"),
        ("api/{x:nope}", "'nope' does not exist"),
        ("api/{x:min(a)}", "does not exist"),
        ("api/{x:regex(()}", "bad regular expression"),
        ("api/{?}", "no valid parameter name"),
    ],
)
def test_a_bad_template_is_refused(template, text):
    with pytest.raises(DefinitionError, match=text.replace("(", r"\(")):
        table(template)
