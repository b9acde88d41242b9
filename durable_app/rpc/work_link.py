"""The link over which a worker gets its work: the greeting and the stream, over one channel.

The greeting finds out whether the hub sends many items in one message: a message costs far more
than the item in it. It is asked before each stream, since another hub may answer than before.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import grpc.aio
from google.protobuf.message import DecodeError

from durable_app.connection.failures import LinkError, LinkFailure
from durable_app.rpc.call_kinds import (
    GET_WORK_ITEM_BATCHES,
    GET_WORK_ITEMS,
    HELLO,
    link_failure,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from durable_app.rpc.async_channel import AsyncReplaceableChannel
    from durable_app.rpc.bridge import BridgedChannel

Item = TypeVar("Item")
_GREETING: Final = pb.HelloRequest(knowsBatches=True).SerializeToString()


class GrpcWorkLink(Generic[Item]):
    """Speaks to the hub behind a channel.

    Args:
        channel: to the hub; the link does not close it.
        request: what to ask for, serialized: the GetWorkItemsRequest.
        parse: gives the item of a serialized WorkItem; None for a health ping.
        hint: see :func:`durable_app.connection.endpoint.connection_hint`.

    Attributes:
        has_batches: the hub that was greeted last sends items, and takes outcomes, in batches.
    """

    def __init__(
        self,
        channel: AsyncReplaceableChannel | BridgedChannel,
        request: bytes,
        parse: Callable[[bytes], Item | None],
        hint: str = "",
    ) -> None:
        self._channel = channel
        self._request = request
        self._parse = parse
        self._hint = hint
        self._hello = channel.unary_unary(HELLO)
        self._work = channel.unary_stream(GET_WORK_ITEMS)
        self._batches = channel.unary_stream(GET_WORK_ITEM_BATCHES)
        self.has_batches = False

    async def hello(self, timeout_s: float) -> None:
        """Ask whether a hub is there.

        Raises:
            LinkError: there is none, or it refuses.
        """
        try:
            answer = await self._hello(_GREETING, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _link_error(error, "Hello", self._hint) from error
        self.has_batches = _tells_of_batches(answer)

    async def stream(self) -> AsyncGenerator[Item | None, None]:
        """Ask for work; ends where the hub ends the stream well.

        Raises:
            LinkError: it ended otherwise.
        """
        call, split = (self._batches, _items) if self.has_batches else (self._work, _whole)
        try:
            async with aclosing(call(self._request)) as messages:
                async for message in messages:
                    for item in split(message):
                        yield None if item is None else self._parse(item)
        except grpc.aio.AioRpcError as error:
            raise _link_error(error, "the stream of work") from error

    async def replace_channel(self) -> None:
        """Use another connection from now on, unless the channel is borrowed."""
        self._channel.replace()

    async def renew_token(self) -> None:
        """Fetch another access token.

        Raises:
            TokenUnavailableError: none could be fetched.
        """
        await self._channel.renew_token()


def _tells_of_batches(answer: bytes) -> bool:
    try:
        return bool(pb.HelloResponse.FromString(answer).hasBatches)
    except DecodeError:
        # Whatever somebody else answers with: an answer is all that the protocol asks for.
        return False


def _whole(message: bytes) -> tuple[bytes]:
    return (message,)


def _items(message: bytes) -> Sequence[bytes | None]:
    """The items of a batch; None stands for the health ping that an empty one is."""
    return pb.WorkItemBatch.FromString(message).items or (None,)


def _link_error(error: Any, what: str, hint: str = "") -> LinkError:
    code = error.code().name
    failure = link_failure(code)
    if failure is LinkFailure.NOT_A_HUB:
        hint = " What answers is no task hub."
    elif failure is not LinkFailure.TRANSPORT:
        hint = ""
    return LinkError(failure, f"{what}: {code}: {(error.details() or '').rstrip('.')}.{hint}")
