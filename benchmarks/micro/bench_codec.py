"""Payloads to text and back beside the standard library; events to bytes and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

from pydantic import BaseModel

from benchmarks.micro.orders import NOW, PAYLOAD
from durable_app.payload import from_text, to_text
from durable_app.protocol import (
    HistoryEvent,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
    decode_events,
    encode_events,
)

#: What one timing lasts at least; below it the clock's own cost would count.
MIN_S = 0.005


@dataclass
class Line:
    article: str
    pieces: int
    price: float


@dataclass
class Order:
    id: str
    placed: datetime
    lines: list[Line]


class Receipt(BaseModel):
    id: str
    placed: datetime
    amount: int


SMALL = json.loads(PAYLOAD)
LARGE = {
    "id": "order-000042",
    "customer": {"name": "Ana Núñez", "mail": "ana@example.org", "vip": False},
    "lines": [
        {"article": f"article-{i:04}", "pieces": i, "price": 9.5 + i, "note": None}
        for i in range(20)
    ],
}
ORDER = Order(
    "order-000042",
    datetime(2026, 1, 1, tzinfo=UTC),
    [Line(f"article-{i:04}", i, 9.5 + i) for i in range(20)],
)
RECEIPT = Receipt(id="order-000042", placed=datetime(2026, 1, 1, tzinfo=UTC), amount=1999)
PLAIN: dict[str, Any] = {
    "object of 3 fields": SMALL,
    "object of 85 values": LARGE,
    "list of 1,000 numbers": list(range(1_000)),
    "text of 10,000 characters": "durable " * 1_250,
}
TYPED: dict[str, Any] = {"dataclass with 20 inside": ORDER, "pydantic model": RECEIPT}


def seconds(operation: Callable[[], object]) -> float:
    """Seconds per call, over enough calls to be measured."""
    calls = 1
    while True:
        began = perf_counter()
        for _ in range(calls):
            operation()
        taken = perf_counter() - began
        if taken >= MIN_S:
            return taken / calls
        calls *= 4


def payloads() -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, value in PLAIN.items():
        text = to_text(value)
        assert from_text(text) == json.loads(text) == value
        figures |= {
            f"{name}: to_text": seconds(partial(to_text, value)),
            f"{name}: json.dumps": seconds(partial(json.dumps, value)),
            f"{name}: from_text": seconds(partial(from_text, text)),
            f"{name}: json.loads": seconds(partial(json.loads, text)),
        }
    return figures


def typed_payloads() -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, value in TYPED.items():
        text, kind = to_text(value), type(value)
        assert from_text(text, kind) == value
        figures |= {
            f"{name}: to_text": seconds(partial(to_text, value)),
            f"{name}: from_text": seconds(partial(from_text, text, kind)),
        }
    return figures


def events() -> dict[str, float]:
    history: list[HistoryEvent] = []
    for number in range(1, 334):
        history.append(TaskScheduled(number, NOW, "charge", None, PAYLOAD, None, None, number))
        history.append(OrchestratorStarted(-1, NOW))
        history.append(TaskCompleted(-1, NOW, number, PAYLOAD))
    history.append(OrchestratorStarted(-1, NOW))
    blob = encode_events(history)
    assert len(history) == 1_000
    assert decode_events(blob) == history
    return {
        "1,000 events: encode_events": seconds(partial(encode_events, history)),
        "1,000 events: decode_events": seconds(partial(decode_events, blob)),
    }


CASES = (payloads, typed_payloads, events)
