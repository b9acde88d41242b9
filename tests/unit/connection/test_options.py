"""Options: their bounds, and the pauses that they lead to."""

from __future__ import annotations

import pytest

from durable_app.connection.backoff import backoff_s, draw_of
from durable_app.connection.failures import LinkError, LinkFailure
from durable_app.connection.options import (
    GrpcChannelOptions,
    GrpcClientResiliencyOptions,
    GrpcRetryPolicyOptions,
    GrpcWorkerResiliencyOptions,
    reconnect_cap_s,
)
from durable_app.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (GrpcRetryPolicyOptions, {"max_attempts": 0}, "at least 1"),
        (GrpcRetryPolicyOptions, {"max_attempts": 6}, "at most 5"),
        (GrpcRetryPolicyOptions, {"max_attempts": 2.5}, "whole number"),
        (GrpcRetryPolicyOptions, {"max_attempts": True}, "whole number"),
        (GrpcRetryPolicyOptions, {"initial_backoff_seconds": 0}, "greater than 0"),
        (GrpcRetryPolicyOptions, {"initial_backoff_seconds": 1}, "must not be less"),
        (GrpcRetryPolicyOptions, {"backoff_multiplier": 0.5}, "at least 1"),
        (GrpcRetryPolicyOptions, {"retryable_status_codes": ["BUSY"]}, "'BUSY' is no status code"),
        (GrpcChannelOptions, {"max_receive_message_length": -2}, "at least -1"),
        (GrpcChannelOptions, {"keepalive_time_ms": 0}, "at least 1"),
        (GrpcWorkerResiliencyOptions, {"hello_timeout_seconds": 0}, "greater than 0"),
        (GrpcWorkerResiliencyOptions, {"hello_timeout_seconds": "1"}, "must be a number, not '1'"),
        (GrpcWorkerResiliencyOptions, {"hello_timeout_seconds": float("nan")}, "a number"),
        (GrpcWorkerResiliencyOptions, {"reconnect_backoff_cap_seconds": 0.5}, "must not be less"),
        (GrpcWorkerResiliencyOptions, {"reconnect_backoff_cap_seconds": 0}, "greater than 0"),
        (GrpcWorkerResiliencyOptions, {"channel_recreate_failure_threshold": -1}, "at least 0"),
        (GrpcClientResiliencyOptions, {"min_recreate_interval_seconds": -1}, "at least 0"),
        (GrpcClientResiliencyOptions, {"retired_channel_grace_seconds": -1}, "at least 0"),
    ],
)
def test_values_out_of_bounds(kind, values, message) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(**values)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{kind.__name__}: ")


def test_values_within_bounds() -> None:
    GrpcChannelOptions(
        max_receive_message_length=-1, keepalive_time_ms=1, retry_policy=GrpcRetryPolicyOptions()
    )
    GrpcClientResiliencyOptions(channel_recreate_failure_threshold=0)
    assert GrpcWorkerResiliencyOptions().silent_disconnect_timeout_seconds == 120


@pytest.mark.parametrize(
    ("options", "far", "near"),
    [
        ({}, 30, 3),
        ({"reconnect_backoff_cap_seconds": 20}, 20, 20),
        ({"reconnect_backoff_cap_seconds": 1}, 1, 1),
        ({"reconnect_backoff_base_seconds": 10}, 30, 10),
        ({"reconnect_backoff_base_seconds": 60}, 60, 60),
    ],
)
def test_waits_for_a_hub_on_this_machine_are_short(options, far, near) -> None:
    made = GrpcWorkerResiliencyOptions(**options)
    assert reconnect_cap_s(made, is_local=False) == far
    assert reconnect_cap_s(made, is_local=True) == near


@pytest.mark.parametrize(
    ("attempt", "bound"), [(0, 1), (1, 1), (2, 2), (4, 8), (6, 30), (10_000, 30)]
)
def test_waits_grow_up_to_the_cap(attempt: int, bound: float) -> None:
    assert backoff_s(attempt, first_s=1, cap_s=30, factor=2, draw=1) == bound
    assert backoff_s(attempt, first_s=1, cap_s=30, factor=2, draw=0) == 0


def test_an_id_is_a_draw() -> None:
    assert draw_of("0" * 32) == 0
    assert draw_of("8" + "0" * 31) == 0.5
    assert 0.999 < draw_of("f" * 32) < 1


def test_an_error_of_a_link_can_be_tried_again() -> None:
    error = LinkError(LinkFailure.TRANSPORT, "gone")
    assert error.retriable
    assert error.failure is LinkFailure.TRANSPORT
