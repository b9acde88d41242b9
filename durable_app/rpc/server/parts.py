"""Answers to turns that come in parts, as old workers send them when they are large."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc

from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.server.refusals import RefusedError

if TYPE_CHECKING:
    from durable_app.protocol import CompletionToken

#: Bytes of all parts that wait for the rest of their answers.
MOST_BYTES: Final = 256 * 2**20
#: Answers in parts at a time, and answers of which it is remembered that they were let go.
_MOST_ANSWERS: Final = 1_000
_MOST_LOST: Final = 10_000

Key = tuple[str, "CompletionToken"]
"""Task hub and completion token."""


class _Answer(NamedTuple):
    """What has come so far, its size, and the number of the part that comes next."""

    message: pb.OrchestratorResponse
    size: int
    following: int


class Parts:
    """Joins them. What it holds is bounded: the answer that was begun the longest ago is let go.

    A part may come twice, as clients repeat calls of which they do not know the end; the number of
    the part tells, where the worker sends it.

    Args:
        most_bytes: of all parts together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[Key, _Answer] = OrderedDict()
        self._lost: OrderedDict[Key, None] = OrderedDict()

    def __len__(self) -> int:
        """Answers that are not whole."""
        return len(self._answers)

    def join(self, key: Key, part: pb.OrchestratorResponse) -> pb.OrchestratorResponse | None:
        """The whole answer; None while parts of it are missing.

        Raises:
            RefusedError: it can never be whole.
        """
        known = self._answers.get(key)
        if known is None and not part.isPartial and not self._is_continued(key, part):
            return part
        answer = known or _Answer(pb.OrchestratorResponse(), 0, 0)
        number = part.chunkIndex.value if part.HasField("chunkIndex") else answer.following
        if number < answer.following:
            return None
        if number > answer.following or key in self._lost:
            self._drop(key)
            raise RefusedError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Parts of this answer are missing; the turn runs again.",
            )
        answer.message.MergeFrom(part)
        if not part.isPartial:
            self._drop(key)
            return answer.message
        self._keep(key, _Answer(answer.message, answer.size + part.ByteSize(), number + 1))
        return None

    def _is_continued(self, key: Key, part: pb.OrchestratorResponse) -> bool:
        return part.chunkIndex.value > 0 or key in self._lost

    def _keep(self, key: Key, answer: _Answer) -> None:
        before = self._answers.get(key)
        self._bytes += answer.size - (before.size if before is not None else 0)
        self._answers[key] = answer
        while len(self._answers) > _MOST_ANSWERS or self._bytes > self._most_bytes:
            oldest = next(iter(self._answers))
            self._drop(oldest)
            # Its last part alone must not be taken for the whole.
            self._lost[oldest] = None
        while len(self._lost) > _MOST_LOST:
            self._lost.popitem(last=False)

    def _drop(self, key: Key) -> None:
        answer = self._answers.pop(key, None)
        self._bytes -= answer.size if answer is not None else 0
        self._lost.pop(key, None)
