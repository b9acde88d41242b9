"""Route templates of ASP.NET."""

import pytest

from durable_app.errors import DefinitionError
from durable_app.host.web.routing import RouteTable, refuse_reserved, split_path


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
        # literals
        ("api/start", "/api/start", {}),
        ("api/start", "/API/Start/", {}),
        ("api/STRASSE", "/api/strasse", {}),
        ("api/Äpfel", "/api/%C3%A4PFEL", {}),
        ("api/start", "/api/start/more", None),
        ("api/start", "/api//start", None),
        ("api/start", "//api/start", None),
        ("api/start", "/api/start//", None),
        ("api/a{{b}}", "/api/A%7Bb%7D", {}),
        ("", "/", {}),
        ("", "", {}),
        ("", "/x", None),
        # parameters
        ("api/{name}", "/api/x", {"name": "x"}),
        ("api/{name}", "/api", None),
        ("api/{name}", "/api/", None),
        ("api/{name}/end", "/api//end", None),
        ("api/{name}", "/api/a%20b", {"name": "a b"}),
        ("api/{name}", "/api/a+b", {"name": "a+b"}),
        ("api/{name}", "/api/a%2Fb", {"name": "a%2Fb"}),
        ("api/{name}", "/api/a%2fb", {"name": "a%2fb"}),
        ("api/{name}", "/api/a%252Fb", {"name": "a%2Fb"}),
        ("api/{name}", "/api/%C3%A4", {"name": "ä"}),
        ("api/{name}", "/api/%FF", {"name": "%FF"}),
        ("api/{Name}", "/api/CaSe", {"Name": "CaSe"}),
        ("api/{order-id}", "/api/7", {"order-id": "7"}),
        # optional parameters and defaults
        ("api/{name?}", "/api", {}),
        ("api/{name?}", "/api/", {}),
        ("api/{name?}", "/api/x", {"name": "x"}),
        ("api/{a?}/{b?}", "/api/x", {"a": "x"}),
        ("{id:int?}", "/", {}),
        ("{id:int?}", "/x", None),
        ("api/{name=cat}", "/api", {"name": "cat"}),
        ("api/{name=cat}", "/api/dog", {"name": "dog"}),
        ("api/{name=a:b=c}", "/api", {"name": "a:b=c"}),
        ("api/{id:int=5}", "/api", {"id": "5"}),
        ("api/{id:int=x}", "/api", None),
        # catch-alls
        ("api/{*rest}", "/api/a/b", {"rest": "a/b"}),
        ("api/{*rest}", "/api/a//b", {"rest": "a//b"}),
        ("api/{*rest}", "/api/a%2Fb/%20", {"rest": "a%2Fb/ "}),
        ("api/{*rest}", "/api", {}),
        ("api/{**rest}", "/api/a/b", {"rest": "a/b"}),
        ("api/{*rest=all}", "/api", {"rest": "all"}),
        ("api/{*rest:maxlength(3)}", "/api/a/b", {"rest": "a/b"}),
        ("api/{*rest:maxlength(3)}", "/api/a/bc", None),
        # several in one segment, matched from the right
        ("api/{file}.{ext}", "/api/a.b.txt", {"file": "a.b", "ext": "txt"}),
        ("api/{file}.{ext}", "/api/a.", None),
        ("api/{file}.{ext}", "/api/.txt", None),
        ("api/{file}.{ext}", "/api/a", None),
        ("api/{file}.{ext?}", "/api/a", {"file": "a"}),
        ("api/{file}.{ext?}", "/api/a.b", {"file": "a", "ext": "b"}),
        ("api/{file}.{ext?}", "/api/a.", None),
        ("api/{file}.{ext?}", "/api", None),
        ("api/{a}-to-{b}!", "/api/x-TO-y!", {"a": "x", "b": "y"}),
        ("api/{a}-to-{b}!", "/api/x-to-y!?", None),
        ("a{b}c{d}", "/abcd", {"b": "b", "d": "d"}),
        ("a{b}c{d}", "/aabcd", None),
        ("a{b}c{d}", "/acd", None),
        ("api/v{n:int}", "/api/V12", {"n": "12"}),
        ("api/v{n:int}", "/api/vx", None),
        ("api/{n:int}x", "/api/5x", {"n": "5"}),
        ("api/{n:int}x", "/api/ax", None),
        ("api/{n:int}x", "/api/x", None),
        # constraints; each one has its test elsewhere
        ("{id:int:min(2)}", "/2", {"id": "2"}),
        ("{id:int:min(2)}", "/1", None),
        ("{x:regex(^a:b$)}", "/a:b", {"x": "a:b"}),
        ("{x:regex(^a?$)?}", "/", {}),
        ("{x:regex(^\\d{{2}}$)}", "/12", {"x": "12"}),
        ("{x:regex(^\\d{{2}}$)}", "/123", None),
        ("{x:regex(^[(]$)}", "/(", {"x": "("}),
    ],
)
def test_a_path_gives_its_parameters(template, path, expected):
    assert params(template, path) == expected


def test_the_most_specific_template_wins_whatever_the_order():
    templates = (
        "api/{*rest}",
        "api/{*rest:minlength(9)}",
        "api/{name}",
        "api/{id:int}",
        "api/fixed",
        "api/fixed/{more?}",
    )
    paths = {
        "/api/fixed": "api/fixed",
        "/api/fixed/x": "api/fixed/{more?}",
        "/api/7": "api/{id:int}",
        "/api/x": "api/{name}",
        "/api/x/y": "api/{*rest}",
        "/api/x/y/z/123": "api/{*rest:minlength(9)}",
    }
    for routes in (table(*templates), table(*reversed(templates))):
        hit = {path: routes.match("GET", path) for path in paths}
        assert {path: found and found.target for path, found in hit.items()} == paths


def test_of_equally_specific_templates_the_first_one_wins():
    found = table("api/{a}", "api/{b}").match("GET", "/api/x")
    assert found is not None
    assert found.target == "api/{a}"


def test_a_method_that_is_not_allowed_does_not_match():
    for template in ("api/x", "api/{x}"):
        routes = table(template, methods=("post",))
        assert [
            method
            for method in ("GET", "HEAD", "OPTIONS", "POST")
            if routes.match(method, "/api/x") is not None
        ] == ["POST"]


def test_a_method_leads_past_a_more_specific_template():
    routes: RouteTable[str] = RouteTable()
    routes.add("api/x", ["GET"], "read")
    routes.add("api/x", ["POST"], "write")
    routes.add("api/{any}", [], "all")
    found = [routes.match(method, "/api/x") for method in ("GET", "POST", "DELETE")]
    assert [match and match.target for match in found] == ["read", "write", "all"]


def test_two_functions_cannot_have_one_route_and_one_method():
    routes: RouteTable[str] = RouteTable()
    routes.add("api/{x}", ["GET"], "first", name="read")
    routes.add("api/{x}", ["POST"], "second", name="write")
    for methods in ((), ("put", "post")):
        with pytest.raises(DefinitionError, match="conflicts with the route defined by function"):
            routes.add("/API/{X}/", methods, "third")
    routes.add("api/{x}", ["PUT"], "third")


def test_split_path_gives_what_match_takes():
    found = table("api/{x}").match("GET", split_path("/api/a%20b"))
    assert found is not None
    assert found.params == {"x": "a b"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("runtime/x", "conflicts with one or more built in routes"),
        ("Admin/{x}", "conflicts with one or more built in routes"),
        ("/admin", "conflicts with one or more built in routes"),
        ("api/{x", "without its partner"),
        ("api/x}", "without its partner"),
        ("api/{x{y}", "without its partner"),
        ("api/{}", "no valid parameter name"),
        ("api/{?}", "no valid parameter name"),
        ("api/{***x}", "no valid parameter name"),
        ("api/{x?y}", "no valid parameter name"),
        ("api/{x:nope}", "'nope' does not exist"),
        ("api/{x=1?}", "is optional and has a default"),
        ("api/{*x?}", "cannot be optional too"),
        ("api/{*x}/y", "the catch-all 'x' must be its last segment"),
        ("api/a{*x}", "'x' needs a segment of its own"),
        ("api/a{x=1}", "'x' needs a segment of its own"),
        ("api/a{x?}", "the optional 'x' needs a segment of its own, or a dot"),
        ("api/{x}.{y?}z", "the optional 'y' needs a segment of its own, or a dot"),
        ("api/{x}{y}", "no text separates 'x' from 'y'"),
        ("api/{x}/{X}", "the parameter 'X' appears more than once"),
        ("api//x", "two slashes follow each other"),
        ("api/x?", "a question mark stands outside of a parameter"),
    ],
)
def test_a_bad_template_is_refused(template, text):
    with pytest.raises(DefinitionError, match=text):
        table(template)


def test_a_route_of_a_function_cannot_begin_as_the_hosts_own_do():
    for route in ("admin", "Runtime/x", "/administration/{id}"):
        with pytest.raises(DefinitionError, match="conflicts with one or more built in routes"):
            refuse_reserved(route)
    refuse_reserved("api/admin")
    refuse_reserved("{admin}")
