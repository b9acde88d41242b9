"""Messages of a stream."""

from __future__ import annotations

import pytest

from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.server.packing import IN_BATCHES, ONE_BY_ONE


def packed(items):
    messages = IN_BATCHES.messages(iter(items))
    return [list(pb.WorkItemBatch.FromString(message).items) for message in messages]


def test_one_by_one_each_is_a_message():
    assert list(ONE_BY_ONE.messages(iter([b"a", b"b"]))) == [b"a", b"b"]
    assert pb.WorkItem.FromString(ONE_BY_ONE.ping).WhichOneof("request") == "healthPing"


@pytest.mark.parametrize("items", [[], [b"a"], [b"a", b"b", b"c"]])
def test_what_is_here_goes_together(items):
    assert packed(items) == ([items] if items else [])


def test_a_batch_without_items_is_a_ping():
    assert list(pb.WorkItemBatch.FromString(IN_BATCHES.ping).items) == []


def test_a_batch_is_full_with_100_items():
    items = [b"%d" % number for number in range(201)]
    assert packed(items) == [items[:100], items[100:200], items[200:]]


def test_a_batch_is_full_with_256_kib_and_a_larger_item_goes_alone():
    large, half = b"l" * 2**19, b"h" * 2**17
    assert packed([half, half, b"s", large, b"s"]) == [[half, half], [b"s"], [large], [b"s"]]


def test_the_first_leaves_before_the_last_is_encoded():
    taken = []

    def items():
        for number in range(150):
            taken.append(number)
            yield b"x"

    next(IN_BATCHES.messages(items()))
    assert len(taken) == 101


@pytest.mark.parametrize("size", [0, 1, 127, 128, 2**14, 2**21, 2**26])
def test_a_message_is_hardly_larger_than_its_item(size):
    [message] = IN_BATCHES.messages(iter([b"x" * size]))
    assert len(message) <= size + IN_BATCHES.overhead
