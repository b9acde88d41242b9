"""What a connection to a remote hub is made of."""

from __future__ import annotations

import asyncio

import pytest

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.compose import scheduler_worker
from durable_app.compose.remote import HubToken, Tuning, access_to, session_with
from durable_app.connection.authentication import Authentication, AuthenticationKind
from durable_app.connection.endpoint import parse_endpoint
from durable_app.connection.failures import LinkFailure
from durable_app.connection.target import HubTarget
from durable_app.rpc.call_headers import CLIENT_ROLE, WORKER_ROLE
from durable_app.worker.session import HelloFailed, SayHello, SessionState, Tick, Wait

CLOCK = SystemClock()
TOKEN = {"DURABLE_APP_HUB_TOKEN": "a secret of ours"}


def access(address, environ=TOKEN, role=CLIENT_ROLE, kind=AuthenticationKind.NONE, **tuning):
    endpoint = parse_endpoint(address, "test", encrypted=True)
    target = HubTarget(endpoint, "orders", Authentication(kind))
    return access_to(target, role, CLOCK, environ, Tuning(**tuning))


def test_the_token_of_a_hub_of_ones_own_is_presented_over_tls():
    credential = access("https://hub.example:8080").credential
    assert isinstance(credential, HubToken)
    answer = credential.get_token("any")
    assert answer.token == "a secret of ours"
    assert answer.expires_on > CLOCK.now().timestamp() + 1e6


@pytest.mark.parametrize(
    ("address", "environ", "kind"),
    [
        ("http://hub.example:8080", TOKEN, AuthenticationKind.NONE),
        ("https://x.durabletask.io", TOKEN, AuthenticationKind.NONE),
        ("https://hub.example", TOKEN, AuthenticationKind.AZURE_CLI),
        ("https://hub.example", {}, AuthenticationKind.NONE),
    ],
)
def test_nobody_else_gets_it(address, environ, kind):
    assert access(address, environ, kind=kind).credential is None


def test_a_worker_has_an_id_and_its_own_rules_for_channels():
    found = access("http://localhost:1", role=WORKER_ROLE)
    assert "workerid" in dict(found.headers.merged(None, None))
    assert found.resiliency is None
    mine = df.GrpcClientResiliencyOptions(channel_recreate_failure_threshold=2)
    assert access("http://localhost:1", client=mine).resiliency is mine


def test_the_audience_may_be_chosen():
    assert access("http://localhost:1", resource_id="https://r").scope == "https://r/.default"


@pytest.mark.parametrize(
    ("address", "tuning", "longest_s"),
    [
        ("http://localhost:8080", {}, 3),
        ("unix:/run/hub.sock", {}, 3),
        ("http://hub:8080", {}, 30),
        ("http://localhost:8080", {"channel": object()}, 30),
        (
            "http://localhost:8080",
            {"worker": df.GrpcWorkerResiliencyOptions(reconnect_backoff_cap_seconds=9)},
            9,
        ),
    ],
)
def test_a_worker_asks_a_hub_on_its_machine_more_often(address, tuning, longest_s):
    target = HubTarget(parse_endpoint(address, "test", encrypted=False), "default")
    session = session_with(target, Tuning(**tuning))
    state, waited_s, now = SessionState(), 0.0, 0.0
    for _ in range(9):
        state, hello = session.step(state, Tick(), now, 1)
        assert isinstance(hello, SayHello)
        state, wait = session.step(state, HelloFailed(hello.attempt, LinkFailure.TRANSPORT), now, 1)
        assert isinstance(wait, Wait)
        waited_s, now = wait.until - now, wait.until
    assert waited_s == longest_s


class NoCredential:
    """Lacks what a credential has."""


def test_a_start_that_fails_leaves_nothing_behind():
    worker = df.DurableTaskSchedulerWorker(
        host_address="https://far", taskhub="x", token_credential=NoCredential()
    )
    worker.stop()
    for _ in range(2):
        with pytest.raises(df.ConfigError, match="has no get_token"):
            worker.start()
    with pytest.raises(df.ConfigError, match="has no get_token"):
        df.DurableTaskSchedulerClient(
            host_address="https://far", taskhub="x", token_credential=NoCredential()
        )


def test_what_ends_a_worker_is_logged(caplog):
    scheduler_worker._report(df.SchedulerUnavailableError("no hub"))
    assert "takes no work any more: no hub" in caplog.text


def test_an_async_client_ends_once():
    client = df.AsyncDurableTaskSchedulerClient(host_address="http://localhost:1", taskhub="x")

    async def twice():
        await client.close()
        await client.close()

    asyncio.run(twice())


def test_no_secret_is_shown():
    token = HubToken("a secret of ours")
    for holder in (token, token.get_token("any"), Tuning(token, local_token=token.text)):
        assert token.text not in repr(holder)
        assert token.text not in str(holder)
