"""Calls over a channel that somebody else has closed."""

from __future__ import annotations

import pytest

from durable_app.errors import SchedulerUnavailableError
from durable_app.rpc.generated import taskhub_pb2 as pb
from tests.unit.rpc.stub.rig import with_calls


def test_a_channel_that_is_closed_under_a_call():
    async def conversation(calls, _server):
        await calls.call("Hello", pb.HelloRequest())
        await calls.channel.close()
        with pytest.raises(SchedulerUnavailableError, match="is closed"):
            await calls.call("Hello", pb.HelloRequest())
        with pytest.raises(SchedulerUnavailableError, match="is closed"):
            await calls.collect("StreamInstanceHistory", pb.StreamInstanceHistoryRequest())

    with_calls(conversation)
