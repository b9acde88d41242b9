"""Cross-origin requests."""

import pytest

from durable_app.errors import ConfigError
from durable_app.host.web.cors import NO_CORS, cors_policy

ORIGIN = "http://localhost:3000"
ALLOW = "Access-Control-Allow-Origin"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "x-a, x-b",
}


def test_without_settings_nothing_is_said():
    assert not NO_CORS.allows(ORIGIN)
    assert not NO_CORS.is_preflight("OPTIONS", PREFLIGHT)
    assert NO_CORS.answer({"origin": ORIGIN}) == {}
    assert cors_policy("") == NO_CORS


@pytest.mark.parametrize(
    ("setting", "origin", "allowed"),
    [
        (f"{ORIGIN},https://a.example", ORIGIN, True),
        (f"{ORIGIN}/ , https://A.example", "https://a.example", True),
        ((ORIGIN, "https://a.example,https://b.example"), "https://b.example", True),
        (ORIGIN, "http://localhost:3001", False),
        (ORIGIN, "https://localhost:3000", False),
        (ORIGIN, "null", False),
        (ORIGIN, None, False),
        ("*", "https://anybody.example", True),
    ],
)
def test_origins_of_the_list_are_allowed(setting, origin, allowed):
    assert cors_policy(setting).allows(origin) is allowed


@pytest.mark.parametrize("setting", ["localhost:3000", "http://", "http://a.example/path"])
def test_what_is_no_origin_is_refused(setting):
    with pytest.raises(ConfigError, match="is no origin"):
        cors_policy(setting)


def test_an_allowed_origin_is_named_and_caches_are_told():
    policy = cors_policy(ORIGIN)
    assert policy.answer({"origin": ORIGIN}) == {"Vary": "Origin", ALLOW: ORIGIN}
    assert policy.answer({"origin": "http://evil.example"}) == {"Vary": "Origin"}
    assert policy.answer({}) == {"Vary": "Origin"}


def test_any_origin_is_a_star_for_browsers_only():
    assert cors_policy("*").answer({"origin": ORIGIN}) == {ALLOW: "*"}
    assert cors_policy("*").answer({}) == {}


@pytest.mark.parametrize("setting", ["*", ORIGIN])
def test_credentials_never_go_with_a_star(setting):
    found = cors_policy(setting, credentials=True).answer({"origin": ORIGIN})
    assert found == {
        "Vary": "Origin",
        ALLOW: ORIGIN,
        "Access-Control-Allow-Credentials": "true",
    }


def test_a_preflight_is_a_question_of_a_browser():
    policy = cors_policy(ORIGIN)
    assert policy.is_preflight("OPTIONS", PREFLIGHT)
    assert not policy.is_preflight("GET", PREFLIGHT)
    assert not policy.is_preflight("OPTIONS", {"origin": ORIGIN})
    assert not policy.is_preflight("OPTIONS", {"access-control-request-method": "PUT"})


def test_a_preflight_is_granted_what_it_asks_for():
    assert cors_policy(ORIGIN).preflight(PREFLIGHT) == {
        "Vary": "Origin",
        ALLOW: ORIGIN,
        "Access-Control-Allow-Methods": "PUT",
        "Access-Control-Allow-Headers": "x-a, x-b",
    }
    plain = {"origin": ORIGIN, "access-control-request-method": "PUT"}
    assert "Access-Control-Allow-Headers" not in cors_policy(ORIGIN).preflight(plain)


def test_a_preflight_of_a_stranger_is_granted_nothing():
    assert cors_policy("https://a.example").preflight(PREFLIGHT) == {"Vary": "Origin"}


def test_an_origin_is_named_by_itself_alone():
    policy = cors_policy(("*", "http://localhost:3000"))
    assert policy.names("http://LOCALHOST:3000/")
    assert not policy.names("http://other.example")
    assert not policy.names("*")
    assert not policy.names(None)
