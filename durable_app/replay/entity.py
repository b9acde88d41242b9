"""A batch of operations of one entity, one after the other.

Theory of operation. Each operation begins with the state that the last one left. It succeeds as a
whole or not at all: what it sets and sends counts from the moment at which it has returned and its
result could be encoded. Of one that fails nothing counts but its failure, and the next one begins
where it began. With ``rollback=False`` what it had done before it failed counts nevertheless, as in
Durable Functions 1.x.

A batch can be cut short by another thread (a time limit): what is done counts, the running
operation fails, and the hub sends the others again.

What must never happen: an operation sees half of another's work; one counts twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, Protocol

from durable_app.entity_id import EntityId
from durable_app.protocol import (
    EntityBatchRequest,
    EntityBatchResult,
    EntityOperationCalled,
    EntityRequest,
    FailureDetails,
    OperationFailure,
    OperationInfo,
    OperationSuccess,
    OrchestrationInstance,
    SendSignal,
    StartNewOrchestration,
    TraceContext,
)
from durable_app.replay.entity_definition import EntityDefinition, EntityShape
from durable_app.replay.entity_operation import Asked, Operation
from durable_app.replay.failures import failure_of

__all__ = [
    "EntityBatch",
    "EntityDefinition",
    "EntityShape",
    "refused_batch",
    "run_batch",
    "run_batch_async",
]

Request = EntityRequest | EntityBatchRequest


class Watched(Protocol):
    """An operation that runs, as somebody outside sees it."""

    @property
    def context(self) -> TraceContext | None:
        """Of its trace; what the operation sends belongs to it."""
        ...

    def fail(self, failure: FailureDetails) -> None:
        """It has failed."""
        ...


Watch = Callable[[Asked], AbstractContextManager[Watched]]


class _Done(NamedTuple):
    """How far the batch is; replaced as a whole, since another thread may look at it."""

    results: int
    sent: int
    state: str | None


class EntityBatch:
    """Runs the operations of one request; see the module's text.

    Args:
        definition: of the entity.
        request: of the hub, in either form.
        now: gives the wall-clock time, aware UTC.
        rollback: False to keep what a failed operation did before it failed.
        default_version: of orchestrations that are started without one.
        watch: what surrounds each operation; None for nothing.
    """

    def __init__(
        self,
        definition: EntityDefinition,
        request: Request,
        now: Callable[[], datetime],
        *,
        rollback: bool = True,
        default_version: str | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._definition = definition
        self._request = request
        self._entity_id = EntityId.parse(request.instance_id)
        self._now = now
        self._rollback = rollback
        self._default_version = default_version
        self._watch = watch
        self._results: list[OperationSuccess | OperationFailure] = []
        self._sent: list[SendSignal | StartNewOrchestration] = []
        self._done = _Done(0, 0, request.entity_state)
        self._operation: Operation | None = None
        self._is_cut = False

    @property
    def is_cut(self) -> bool:
        """Whether :meth:`cut_short` was called."""
        return self._is_cut

    # -- one operation after the other -------------------------------------------------------

    def run(self) -> EntityBatchResult:
        """Run all; whatever an operation raises is its failure."""
        while (call := self._begin()) is not None:
            if self._watch is None:
                self._run_one(call)
                continue
            with self._watched(self._watch):
                self._run_one(call)
        return self._result(self._done, self._results)

    def _run_one(self, call: Callable[[], Any]) -> None:
        try:
            value = call()
            if isinstance(value, Coroutine):
                value.close()  # or Python warns that it was never awaited
                raise _not_async(self._definition.name)  # noqa: TRY301  a failure as any other
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            self._fail(error)
        else:
            self._succeed(value)

    async def run_async(
        self, passes: Callable[[BaseException], bool] = lambda _: False
    ) -> EntityBatchResult:
        """Run all, and await what an ``async def`` gives.

        Args:
            passes: True for what is no outcome of an operation, such as the cancellation of the
                task that runs this: it is raised.
        """
        while (call := self._begin()) is not None:
            if self._watch is None:
                await self._run_one_async(call, passes)
                continue
            with self._watched(self._watch):
                await self._run_one_async(call, passes)
        return self._result(self._done, self._results)

    async def _run_one_async(
        self, call: Callable[[], Any], passes: Callable[[BaseException], bool]
    ) -> None:
        try:
            value = call()
            if isinstance(value, Awaitable):
                value = await value
        except BaseException as error:
            if passes(error):
                raise
            self._fail(error)
        else:
            self._succeed(value)

    @contextmanager
    def _watched(self, watch: Watch) -> Iterator[None]:
        """The time in which an operation runs; what it sends belongs to the trace of that."""
        operation = self._running
        with watch(operation.asked) as seen:
            operation.trace_context = seen.context
            yield
            outcome = self._results[-1]
            if isinstance(outcome, OperationFailure):
                seen.fail(outcome.failure)

    def cut_short(self, failure: FailureDetails) -> EntityBatchResult:
        """The outcome up to now, with this failure for the operation that runs. Any thread.

        Nothing begins any more, and what runs can change nothing.
        """
        self._is_cut = True
        done, operation = self._done, self._operation
        results = self._results[: done.results]
        if operation is not None:
            operation.end()
            if done.results < len(self._request.operations):
                results.append(OperationFailure(failure, operation.began_at, self._now()))
        return self._result(done, results)

    def _begin(self) -> Callable[[], Any] | None:
        """How to call the next operation; None at the end."""
        done = self._done
        if self._is_cut or done.results == len(self._request.operations):
            return None
        asked = self._request.operations[done.results]
        operation = self._operation = Operation(
            self._entity_id,
            asked,
            done.state,
            self._now(),
            first_id=done.sent,
            default_version=self._default_version,
        )
        return partial(self._definition.call, operation)

    def _succeed(self, value: Any) -> None:
        operation = self._running
        try:
            text = operation.result_of(value)
        except Exception as error:  # noqa: BLE001  encoding runs the user's classes
            self._fail(error)
            return
        result = OperationSuccess(text, operation.began_at, self._now())
        self._settle(operation, result, counts=True)

    def _fail(self, error: BaseException) -> None:
        operation = self._running
        result = OperationFailure(failure_of(error), operation.began_at, self._now())
        self._settle(operation, result, counts=not self._rollback)

    @property
    def _running(self) -> Operation:
        operation = self._operation
        assert operation is not None  # noqa: S101  one has begun
        return operation

    def _settle(
        self, operation: Operation, result: OperationSuccess | OperationFailure, *, counts: bool
    ) -> None:
        operation.end()
        self._results.append(result)
        state = self._done.state
        if counts:
            self._sent += operation.sent
            state = operation.state
        self._done = _Done(len(self._results), len(self._sent), state)

    def _result(
        self, done: _Done, results: list[OperationSuccess | OperationFailure]
    ) -> EntityBatchResult:
        return EntityBatchResult(
            self._request.token,
            tuple(results),
            tuple(self._sent[: done.sent]),
            done.state,
            operation_infos=_infos(self._request, len(results)),
        )


def run_batch(
    definition: EntityDefinition,
    request: Request,
    now: Callable[[], datetime],
    *,
    rollback: bool = True,
) -> EntityBatchResult:
    """Run the operations of a request; for the arguments see :class:`EntityBatch`."""
    return EntityBatch(definition, request, now, rollback=rollback).run()


async def run_batch_async(
    definition: EntityDefinition,
    request: Request,
    now: Callable[[], datetime],
    *,
    rollback: bool = True,
) -> EntityBatchResult:
    """The same for an entity that is ``async``, or has such methods."""
    return await EntityBatch(definition, request, now, rollback=rollback).run_async()


def refused_batch(
    request: Request, failure: FailureDetails, now: Callable[[], datetime]
) -> EntityBatchResult:
    """Every operation has failed in the same way, and the state stays as it is."""
    moment = now()
    return EntityBatchResult(
        request.token,
        (OperationFailure(failure, moment, moment),) * len(request.operations),
        (),
        request.entity_state,
        operation_infos=_infos(request, len(request.operations)),
    )


def _infos(request: Request, count: int) -> tuple[OperationInfo, ...]:
    """Where the outcomes go; the older form of a request has no addresses."""
    if isinstance(request, EntityBatchRequest):
        return ()
    return tuple(
        OperationInfo(operation.request_id, _caller(operation))
        for operation in request.operations[:count]
    )


def _caller(operation: Asked) -> OrchestrationInstance | None:
    if not isinstance(operation, EntityOperationCalled) or operation.parent_instance_id is None:
        return None
    return OrchestrationInstance(operation.parent_instance_id, operation.parent_execution_id)


def _not_async(name: str) -> TypeError:
    return TypeError(
        f"Entity '{name}' returned a coroutine, but is no `async def`, so nobody awaits it."
        " Declare the function or method itself with `async def`."
    )
