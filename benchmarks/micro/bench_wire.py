"""Work items and results to protobuf's bytes and back, beside protobuf alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.micro.bench_codec import seconds
from benchmarks.micro.orders import NOW, PAYLOAD
from durable_app import protocol as p
from durable_app.rpc.codec.tokens import HubTokens
from durable_app.rpc.codec.work import (
    decode_activity_response,
    decode_orchestrator_response,
    decode_work_item,
    encode_activity_response,
    encode_orchestrator_response,
    encode_work_item,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

TOKENS = HubTokens("5f0c2a91")
TOKEN = p.CompletionToken("t", 1_234_567)
INSTANCE = p.OrchestrationInstance("order-000042", "0" * 32)
STARTED = p.OrchestratorStarted(-1, NOW)

ACTIVITY = p.ActivityRequest("charge", None, PAYLOAD, INSTANCE, 7, TOKEN)
RESULT = p.ActivityResponse("order-000042", 7, TOKEN, PAYLOAD)
TURN = p.OrchestratorRequest(
    "order-000042",
    "0" * 32,
    "order",
    [],
    [STARTED, p.TaskCompleted(-1, NOW, 6, PAYLOAD)],
    TOKEN,
    past_count=18,
    requires_history_streaming=True,
)
DECIDED = p.OrchestratorResponse(
    "order-000042", TOKEN, [p.ScheduleTask(7, "charge", None, PAYLOAD)]
)
PAST: list[p.HistoryEvent] = [
    STARTED,
    p.ExecutionStarted(0, NOW, "order", None, PAYLOAD, INSTANCE),
]
for number in range(1, 334):
    PAST.append(p.TaskScheduled(number, NOW, "charge", None, PAYLOAD))
    PAST.append(STARTED)
    PAST.append(p.TaskCompleted(-1, NOW, number, PAYLOAD))
COLD = p.OrchestratorRequest("order-000042", "0" * 32, "order", PAST, TURN.new_events, TOKEN)


def _figures(
    name: str, encode: Callable[..., Any], decode: Callable[..., Any], value: Any, message: Any
) -> dict[str, float]:
    sent = encode(value, TOKENS).SerializeToString()
    parsed = message.FromString(sent)
    return {
        f"{name}: to bytes": seconds(lambda: encode(value, TOKENS).SerializeToString()),
        f"{name}: only protobuf": seconds(parsed.SerializeToString),
        f"{name}: from bytes": seconds(lambda: decode(message.FromString(sent), TOKENS)),
        f"{name}: only protobuf back": seconds(partial(message.FromString, sent)),
    }


def activities() -> dict[str, float]:
    return _figures(
        "activity request", encode_work_item, decode_work_item, ACTIVITY, pb.WorkItem
    ) | _figures(
        "activity response",
        encode_activity_response,
        decode_activity_response,
        RESULT,
        pb.ActivityResponse,
    )


def turns() -> dict[str, float]:
    return _figures(
        "turn, 2 new events", encode_work_item, decode_work_item, TURN, pb.WorkItem
    ) | _figures(
        "turn's response, 1 action",
        encode_orchestrator_response,
        decode_orchestrator_response,
        DECIDED,
        pb.OrchestratorResponse,
    )


def cold_turns() -> dict[str, float]:
    return _figures(
        "turn, 1,001 past events", encode_work_item, decode_work_item, COLD, pb.WorkItem
    )


CASES = (activities, turns, cold_turns)
