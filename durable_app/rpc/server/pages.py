"""Pages of queries, no larger than a client can receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from durable_app.ports import EntityQuery, InstanceQuery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from google.protobuf.message import Message

#: gRPC receives 4 MiB where nobody has set a limit; a client that meets it cannot ask for less.
PAGE_BYTES: Final = 3 * 2**20


class _Page(Protocol):
    @property
    def items(self) -> Sequence[object]: ...


QueryT = TypeVar("QueryT", InstanceQuery, EntityQuery)
PageT = TypeVar("PageT", bound=_Page)
MessageT = TypeVar("MessageT", bound="Message")


async def fitting_page(
    query: QueryT,
    fetch: Callable[[QueryT], Awaitable[PageT]],
    encode: Callable[[PageT], MessageT],
) -> MessageT:
    """The answer to a query: with fewer rows than it asks for, and a token, where they are large.

    A page of one row is what it is.
    """
    while True:
        page = await fetch(query)
        message = encode(page)
        count, size = len(page.items), message.ByteSize()
        if size <= PAGE_BYTES or count <= 1:
            return message
        # As many as fit if they are alike; at least one less, so that this ends.
        fewer = min(count * PAGE_BYTES // size, count - 1)
        query = msgspec.structs.replace(query, page_size=max(1, fewer))
