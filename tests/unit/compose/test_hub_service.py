"""The service of task hubs: what it refuses, what it says, what it answers."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import grpc.aio
import pytest

from durable_app.clock import SystemClock
from durable_app.compose.hub_service import (
    HubServiceOptions,
    has_dynamic_hubs,
    hub_names,
    run_hub_service,
    shown_host,
)
from durable_app.errors import ConfigError
from durable_app.host.web.tls import ssl_context
from durable_app.rpc.server.server import TlsFiles

_HELLO = "/TaskHubSidecarService/Hello"
_TOKEN = "correct horse battery"


def service(**changes: Any) -> HubServiceOptions:
    return HubServiceOptions(None, port=0, health_port=0)._replace(**changes)


def play(scenario: Any, options: HubServiceOptions) -> Any:
    async def run() -> Any:
        async with run_hub_service(options) as hubs:
            return await scenario(hubs)

    return asyncio.run(run())


async def hello(hubs: Any, *metadata: tuple[str, str]) -> grpc.StatusCode:
    """How a Hello ends."""
    async with grpc.aio.insecure_channel(hubs.endpoint.removeprefix("http://")) as channel:
        call = channel.unary_unary(_HELLO)(b"", metadata=metadata)
        return await call.code()


def refused(options: HubServiceOptions) -> str:
    async def scenario(_hubs: Any) -> None:
        raise AssertionError("it has started")

    with pytest.raises(ConfigError) as caught:
        play(scenario, options)
    return str(caught.value)


def test_it_says_where_it_is_and_how_to_connect():
    async def scenario(hubs):
        text = "\n".join(hubs.lines)
        assert f"Endpoint={hubs.endpoint};TaskHub=default;Authentication=None" in text
        assert f"{hubs.health}/metrics" in text
        assert "memory (lost at the end)" in text
        assert "token" not in text
        assert await hello(hubs) is grpc.StatusCode.OK

    play(scenario, service())


def test_its_metrics_count_calls_by_their_end():
    async def scenario(hubs):
        await hello(hubs)
        await hello(hubs, ("taskhub", "nobodys"))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{hubs.health}/metrics") as answer:
                text = await answer.text()
            async with session.get(f"{hubs.health}/healthz") as answer:
                assert answer.status == 204
        assert 'durable_app_rpc_calls_total{method="Hello",code="OK"} 1' in text
        assert 'durable_app_rpc_calls_total{method="Hello",code="NOT_FOUND"} 1' in text
        assert 'durable_app_workers{hub="default"} 0' in text
        assert 'durable_app_items_completed_total{hub="default",kind="activity"} 0' in text
        assert "durable_app_task_hubs{} 1" in text

    play(scenario, service())


def test_a_hub_that_has_failed_is_unhealthy():
    async def scenario(hubs):
        hubs.stop.fail(RuntimeError("the disk is gone"))
        await hubs.stop.wait()
        url = f"{hubs.health}/healthz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert (answer.status, await answer.text()) == (503, "the disk is gone")

    play(scenario, service())


@pytest.mark.parametrize(
    ("presented", "code"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", _TOKEN),), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", f"Bearer {_TOKEN}x"),), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer "),), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", f"Bearer {_TOKEN}"),), grpc.StatusCode.OK),
        ((("authorization", f"bearer {_TOKEN}"),), grpc.StatusCode.OK),
    ],
)
def test_with_a_token_only_those_who_present_it_get_in(presented, code):
    async def scenario(hubs):
        assert await hello(hubs, *presented) is code
        assert _TOKEN not in "\n".join(hubs.lines)

    play(scenario, service(token=_TOKEN))


def test_dynamic_hubs_come_with_their_first_call():
    async def scenario(hubs):
        assert await hello(hubs, ("taskhub", "fresh")) is grpc.StatusCode.OK
        assert await hello(hubs, ("taskhub", "")) is grpc.StatusCode.OK

    play(scenario, service(is_dynamic=True))


def test_it_does_not_open_itself_to_others_without_a_token():
    assert "DURABLE_APP_HUB_TOKEN" in refused(service(address="0.0.0.0"))


@pytest.mark.parametrize("how", [{"token": _TOKEN}, {"is_open": True}])
def test_it_does_with_a_token_or_where_it_is_told_to(how):
    async def scenario(hubs):
        assert hubs.endpoint.startswith("http://localhost:")

    play(scenario, service(address="0.0.0.0", **how))


def connection_string(lines):
    """What it prints, and the line behind it."""
    at = lines.index("Connection string:")
    return (*lines[at + 1 :], "", "")[:2]


@pytest.mark.parametrize(("address", "is_for_others"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_it_prints_what_can_be_connected_to(address, is_for_others):
    async def scenario(hubs):
        assert hubs.endpoint.startswith("http://localhost:")
        assert hubs.health.startswith("http://localhost:")
        text, next_line = connection_string(hubs.lines)
        assert text == f"  Endpoint={hubs.endpoint};TaskHub=default;Authentication=None"
        assert ("other machines" in next_line) is is_for_others
        assert await hello(hubs) is grpc.StatusCode.OK

    play(scenario, service(address=address, is_open=True))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("::", "localhost"),
        ("::1", "localhost"),
        ("localhost", "localhost"),
        ("127.0.0.2", "127.0.0.2"),
        ("10.1.2.3", "10.1.2.3"),
        ("fd00::7", "[fd00::7]"),
    ],
)
def test_the_host_of_an_address(address, shown):
    assert shown_host(address) == shown


@pytest.mark.parametrize(
    ("names", "hub"),
    [
        ((), "default"),
        (("alpha", "default"), "default"),
        (("Orders", "billing"), "orders"),
    ],
)
def test_it_prints_the_hub_that_is_meant(names, hub):
    async def scenario(hubs):
        assert f";TaskHub={hub};" in connection_string(hubs.lines)[0]

    play(scenario, service(names=names))


def test_it_says_how_a_token_is_presented(tmp_path):
    async def in_the_clear(hubs):
        assert "set it for them, too" in hubs.lines[-1]
        assert "over TLS only: use --tls-cert" in hubs.lines[-1]

    async def encrypted(hubs):
        assert connection_string(hubs.lines)[0].startswith("  Endpoint=https://localhost:")
        assert hubs.lines[-1].endswith("set it for them, too.")

    play(in_the_clear, service(token=_TOKEN))
    ssl_context(None, None, tmp_path, SystemClock())
    pem = tmp_path / ".durable" / "localhost.pem"
    play(encrypted, service(token=_TOKEN, certificate=pem, key=pem))


def test_a_token_that_can_be_guessed_is_refused():
    assert "6 characters" in refused(service(token="secret"))


def test_certificate_and_key_belong_together(tmp_path):
    certificate = tmp_path / "cert.pem"
    assert "belong together" in refused(service(certificate=certificate))
    assert f"'{certificate}' cannot be read" in refused(
        service(certificate=certificate, key=tmp_path / "key.pem")
    )


def test_a_port_that_is_taken_is_named():
    async def scenario(hubs):
        port = int(hubs.endpoint.rpartition(":")[2])
        with pytest.raises(ConfigError, match="Choose another one with --port"):
            async with run_hub_service(service(port=port)):
                raise AssertionError("it has started")

    play(scenario, service())


@pytest.mark.parametrize(
    ("value", "names"),
    [("", ("default",)), ("a", ("a",)), (" a , b,", ("a", "b")), (" , ", ("default",))],
)
def test_names_of_hubs_come_from_the_environment(value, names):
    assert hub_names({"DTS_TASK_HUB_NAMES": value}) == names
    assert hub_names({}) == ("default",)


@pytest.mark.parametrize(
    ("value", "said"),
    [("true", True), ("1", True), (" Yes ", True), ("no", False), ("False", False), ("0", False)],
)
def test_the_environment_may_ask_for_dynamic_hubs(value, said):
    assert has_dynamic_hubs({"DTS_USE_DYNAMIC_TASK_HUBS": value}) is said
    assert not has_dynamic_hubs({})
    assert not has_dynamic_hubs({"DTS_USE_DYNAMIC_TASK_HUBS": " "})


def test_a_dashboard_that_is_asked_for_is_told_not_to_be_there():
    async def asked(hubs):
        line = "Nothing listens on 8082: the dashboard comes with a later version."
        assert line in hubs.lines

    async def not_asked(hubs):
        assert "dashboard" not in "\n".join(hubs.lines)

    play(asked, service(dashboard_port=8082))
    play(not_asked, service())


def test_certificate_and_key_that_do_not_fit_are_named(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_text("no certificate")
    key.write_text("no key")
    text = refused(service(certificate=certificate, key=key))
    assert f"'{certificate}' and '{key}' are no certificate chain" in text


@pytest.mark.parametrize("token", [_TOKEN + "\n", _TOKEN + "é"])
def test_a_token_that_no_header_can_carry_is_refused(token):
    text = refused(service(token=token))
    assert "no client could present it" in text
    assert _TOKEN not in text


def test_options_and_certificates_show_no_secret():
    assert _TOKEN not in repr(service(token=_TOKEN))
    assert "secret" not in repr(TlsFiles(b"chain", b"secret"))
