"""How encoded work items become the messages of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.rpc.codec.work import health_ping
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A batch is full with these: its reader does nothing else until it has read all of it, and over a
#: thin line the first item arrives with the last one.
_MOST_ITEMS: Final = 100
_MOST_BYTES: Final = 2**18


class Packing(NamedTuple):
    """A way to send items.

    Attributes:
        messages: of encoded items; taken one by one, so that the first leaves before the last is
            encoded.
        ping: the message that only says that the stream lives.
        overhead: bytes that a message has beyond its item, at most.
    """

    messages: Callable[[Iterator[bytes]], Iterator[bytes]]
    ping: bytes
    overhead: int


def _batches(items: Iterator[bytes]) -> Iterator[bytes]:
    batch, size = pb.WorkItemBatch(), 0
    for item in items:
        if batch.items and (len(batch.items) == _MOST_ITEMS or size + len(item) > _MOST_BYTES):
            yield batch.SerializeToString()
            batch, size = pb.WorkItemBatch(), 0
        batch.items.append(item)
        size += len(item)
    if batch.items:
        yield batch.SerializeToString()


ONE_BY_ONE: Final = Packing(iter, health_ping().SerializeToString(), 0)
IN_BATCHES: Final = Packing(_batches, pb.WorkItemBatch().SerializeToString(), 16)
