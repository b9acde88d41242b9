"""Answers in parts: joined once, in order, and never taken for whole while something is missing."""

from __future__ import annotations

import grpc
import pytest

from durable_app.protocol import CompletionToken
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.server.parts import Parts
from durable_app.rpc.server.refusals import RefusedError

KEY = ("hub", CompletionToken("o", 1))


def part(number, *, last=False, index=True):
    message = pb.OrchestratorResponse(
        isPartial=not last, actions=[pb.OrchestratorAction(id=number)]
    )
    if index:
        message.chunkIndex.value = number
    return message


def ids(answer):
    return [action.id for action in answer.actions]


def key(number):
    return ("hub", CompletionToken("o", number))


def refused(parts, of, message):
    with pytest.raises(RefusedError) as caught:
        parts.join(of, message)
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION


def test_an_answer_in_one_piece_is_itself():
    whole = part(0, last=True, index=False)
    assert Parts().join(KEY, whole) is whole


@pytest.mark.parametrize("index", [True, False])
def test_parts_are_joined_in_order(index):
    parts = Parts()
    assert parts.join(KEY, part(0, index=index)) is None
    assert parts.join(KEY, part(1, index=index)) is None
    assert ids(parts.join(KEY, part(2, last=True, index=index))) == [0, 1, 2]
    assert len(parts) == 0


def test_a_part_that_comes_twice_counts_once():
    parts = Parts()
    parts.join(KEY, part(0))
    parts.join(KEY, part(0))
    assert ids(parts.join(KEY, part(1, last=True))) == [0, 1]


def test_answers_of_other_turns_and_hubs_are_apart():
    parts = Parts()
    parts.join(KEY, part(0))
    parts.join(("other", KEY[1]), part(0))
    parts.join(key(2), part(0))
    assert ids(parts.join(KEY, part(1, last=True))) == [0, 1]
    assert len(parts) == 2


def test_a_gap_is_refused_and_the_answer_let_go():
    parts = Parts()
    parts.join(KEY, part(0))
    refused(parts, KEY, part(2))
    assert len(parts) == 0


def test_a_rest_without_its_beginning_is_refused():
    refused(Parts(), KEY, part(3, last=True))


def test_the_oldest_answer_makes_room_and_its_rest_is_refused():
    parts = Parts(most_bytes=3 * part(1, index=False).ByteSize())
    for number in range(4):
        parts.join(key(number), part(1, index=False))
    assert len(parts) == 3
    refused(parts, key(0), part(2, last=True, index=False))
    # The turn that runs again may take the same number only by accident: it is whole.
    assert ids(parts.join(key(0), part(7, last=True, index=False))) == [7]
    assert ids(parts.join(key(3), part(2, last=True, index=False))) == [1, 2]


def test_an_answer_that_never_ends_takes_bounded_memory():
    size = part(1, index=False).ByteSize()
    parts = Parts(most_bytes=10 * size)
    for _ in range(10):
        parts.join(KEY, part(1, index=False))
    assert parts.join(KEY, part(1, index=False)) is None
    refused(parts, KEY, part(1, index=False))


def test_what_is_remembered_of_answers_let_go_is_bounded():
    parts = Parts(most_bytes=0)
    for number in range(10_002):
        parts.join(key(number), part(0, index=False))
    assert len(parts) == 0
    refused(parts, key(2), part(1, last=True, index=False))
    assert parts.join(key(0), part(1, last=True, index=False)) is not None
