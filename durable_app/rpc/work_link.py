"""The link over which a worker gets its work: the greeting and the stream, over one channel."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import grpc.aio

from durable_app.connection.failures import LinkError, LinkFailure
from durable_app.rpc.call_kinds import GET_WORK_ITEMS, HELLO, link_failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from durable_app.rpc.async_channel import AsyncReplaceableChannel
    from durable_app.rpc.bridge import BridgedChannel

Item = TypeVar("Item")


class GrpcWorkLink(Generic[Item]):
    """Speaks to the hub behind a channel.

    Args:
        channel: to the hub; the link does not close it.
        request: what to ask for, serialized: the GetWorkItemsRequest.
        parse: gives the item of a serialized WorkItem; None for a health ping.
        hint: see :func:`durable_app.connection.endpoint.connection_hint`.
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

    async def hello(self, timeout_s: float) -> None:
        """Ask whether a hub is there.

        Raises:
            LinkError: there is none, or it refuses.
        """
        try:
            # An empty message is no bytes at all.
            await self._hello(b"", timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _link_error(error, "Hello", self._hint) from error

    async def stream(self) -> AsyncGenerator[Item | None, None]:
        """Ask for work; ends where the hub ends the stream well.

        Raises:
            LinkError: it ended otherwise.
        """
        try:
            async with aclosing(self._work(self._request)) as messages:
                async for message in messages:
                    yield self._parse(message)
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


def _link_error(error: Any, what: str, hint: str = "") -> LinkError:
    code = error.code().name
    failure = link_failure(code)
    if failure is LinkFailure.NOT_A_HUB:
        hint = " What answers is no task hub."
    elif failure is not LinkFailure.TRANSPORT:
        hint = ""
    return LinkError(failure, f"{what}: {code}: {(error.details() or '').rstrip('.')}.{hint}")
