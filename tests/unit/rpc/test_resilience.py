"""Which calls are repeated, and when a channel is replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from durable_app.connection.failures import LinkFailure
from durable_app.connection.options import GrpcClientResiliencyOptions, GrpcRetryPolicyOptions
from durable_app.rpc.call_kinds import CallKind, kind_of, link_failure
from durable_app.rpc.resilience import CallAttempts, FailureTracker, Repeat
from tests.unit.rpc.test_token_cache import Clock

GET = "/TaskHubSidecarService/GetInstance"
START = "/TaskHubSidecarService/StartInstance"
WAIT = "/TaskHubSidecarService/WaitForInstanceCompletion"
RETRY = GrpcRetryPolicyOptions()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (GET, CallKind.READ),
        ("/TaskHubSidecarService/Hello", CallKind.READ),
        (WAIT, CallKind.LONG_POLL),
        (START, CallKind.MUTATION),
        ("/TaskHubSidecarService/SomethingNew", CallKind.MUTATION),
        ("/Another/Hello", CallKind.MUTATION),
    ],
)
def test_kinds(path: str, kind: CallKind) -> None:
    assert kind_of(path) is kind


def test_every_status_means_something_for_a_link() -> None:
    found = {code: link_failure(code.name) for code in grpc.StatusCode}
    assert found[grpc.StatusCode.UNAVAILABLE] is LinkFailure.TRANSPORT
    assert found[grpc.StatusCode.UNAUTHENTICATED] is LinkFailure.UNAUTHENTICATED
    assert found[grpc.StatusCode.UNIMPLEMENTED] is LinkFailure.NOT_A_HUB
    assert found[grpc.StatusCode.PERMISSION_DENIED] is LinkFailure.REFUSED


def test_a_read_is_repeated_with_growing_waits_until_the_attempts_are_used() -> None:
    attempts = CallAttempts(GET, RETRY, has_token=False)
    found = [attempts.after("UNAVAILABLE", 1.0) for _ in range(4)]
    assert found == [Repeat(0.05), Repeat(0.1), Repeat(0.2), None]


@pytest.mark.parametrize(
    ("path", "code"), [(START, "UNAVAILABLE"), (GET, "NOT_FOUND"), (GET, "UNAUTHENTICATED")]
)
def test_what_is_not_repeated(path: str, code: str) -> None:
    assert CallAttempts(path, RETRY, has_token=False).after(code, 1.0) is None


@pytest.mark.parametrize("path", [GET, START])
def test_a_refused_token_is_renewed_once(path: str) -> None:
    attempts = CallAttempts(path, RETRY, has_token=True)
    assert attempts.after("UNAUTHENTICATED", 1.0) == Repeat(0.0, with_new_token=True)
    assert attempts.after("UNAUTHENTICATED", 1.0) is None


class Tracked:
    def __init__(self, threshold=3, interval=30.0):
        self.clock = Clock()
        self.replaced = 0
        options = GrpcClientResiliencyOptions(
            channel_recreate_failure_threshold=threshold, min_recreate_interval_seconds=interval
        )
        self.tracker = FailureTracker(options, self.clock, self.replace)

    def replace(self):
        self.replaced += 1

    def end(self, *codes, path=GET):
        for code in codes:
            self.tracker.ended(path, code, self.tracker.generation)
        return self.replaced


BAD = "UNAVAILABLE"


@pytest.mark.parametrize(
    ("codes", "replaced"),
    [
        ([BAD, BAD], 0),
        ([BAD, "DEADLINE_EXCEEDED", BAD], 1),
        ([BAD, BAD, "OK", BAD], 0),
        ([BAD, BAD, "NOT_FOUND", BAD], 0),
        ([BAD, BAD, "CANCELLED", BAD], 1),
        (["CANCELLED", "OK", "ABORTED"], 0),
    ],
)
def test_failures_of_the_transport_in_a_row_count(codes, replaced) -> None:
    assert Tracked().end(*codes) == replaced


def test_the_deadline_of_a_long_poll_is_no_failure_and_no_success() -> None:
    tracked = Tracked()
    assert tracked.end(*["DEADLINE_EXCEEDED"] * 9, path=WAIT) == 0
    tracked.end(BAD, BAD)
    tracked.end("DEADLINE_EXCEEDED", path=WAIT)
    assert tracked.end(BAD) == 1


def test_there_is_an_interval_between_replacements() -> None:
    tracked = Tracked()
    assert tracked.end(*[BAD] * 3) == 1
    assert tracked.end(*[BAD] * 30) == 1
    tracked.clock.seconds = 30
    assert tracked.end(BAD) == 2


def test_a_threshold_of_zero_never_replaces() -> None:
    assert Tracked(threshold=0).end(*[BAD] * 30) == 0


def test_calls_of_a_replaced_channel_say_nothing_about_the_next() -> None:
    tracked = Tracked(interval=0)
    old = tracked.tracker.generation
    tracked.end(*[BAD] * 3)
    for _ in range(9):
        tracked.tracker.ended(GET, BAD, old)
    assert tracked.replaced == 1
    tracked.end(BAD, BAD)
    tracked.tracker.ended(GET, "OK", old)
    assert tracked.end(BAD) == 2


def test_many_threads_replace_once() -> None:
    tracked = Tracked(threshold=50)
    generation = tracked.tracker.generation
    with ThreadPoolExecutor(8) as pool:
        for _ in range(80):
            pool.submit(tracked.tracker.ended, GET, BAD, generation)
    assert tracked.replaced == 1
