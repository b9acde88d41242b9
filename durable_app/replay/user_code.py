"""The user's code: called, resumed, judged, stopped.

User code runs only within ``_call`` and ``_resume``, and sees the context alone. Whatever it raises
becomes the outcome of the orchestration.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final

from durable_app.payload import encode_input
from durable_app.protocol import FailureDetails, OrchestrationStatus
from durable_app.replay.chronicle import Chronicle
from durable_app.replay.context import DurableOrchestrationContext, OrchestrationContext
from durable_app.replay.environment import Emit, ReplayEnv, ScheduleAt
from durable_app.replay.failures import failure_of
from durable_app.replay.ledger import Ledger
from durable_app.replay.retrying import RETRIES
from durable_app.replay.tasks import RUNNING, SUCCEEDED, Task, foreign, fresh
from durable_app.replay.whereabouts import (
    UserFrames,
    line_of,
    start_of,
    without_loop,
    wrong_await,
    wrong_result,
    wrong_yield,
)

if TYPE_CHECKING:
    from durable_app.errors import NonDeterminismError, OrchestratorError

Orchestrator = Callable[[OrchestrationContext], Any]

_Status = OrchestrationStatus


class Outcome:
    """How the execution ended.

    Attributes:
        alone: the actions asked for before do not count.
    """

    __slots__ = ("alone", "failure", "result", "status")

    def __init__(
        self,
        status: OrchestrationStatus,
        result: str | None = None,
        failure: FailureDetails | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self.status = status
        self.result = result
        self.failure = failure
        self.alone = alone


def _started() -> Task[Any]:
    nobody: Any = None
    task: Task[Any] = Task(nobody)
    task.state = SUCCEEDED
    return task


#: What a generator or coroutine that has not run yet waits for.
_START: Final = _started()


class UserCode:
    """An orchestrator that runs, waits, or has ended.

    Args:
        fn: a function of the context: a generator function, an ``async def``, or a plain function
            that returns a value.
        env: the rules of the host.
        input_type: what ``get_input`` decodes as by default.
    """

    __slots__ = (
        "_awaited",
        "_chronicle",
        "_context",
        "_env",
        "_fatal",
        "_fn",
        "_generator",
        "_input_type",
        "_ledger",
        "_observes_yields",
        "_outcome",
        "_retries",
    )

    def __init__(self, fn: Orchestrator, env: ReplayEnv, input_type: Any = None) -> None:
        self._fn = fn
        self._env = env
        self._input_type = input_type
        self._ledger = Ledger(env)
        self._retries = RETRIES[env.retry](self._ledger)
        self._chronicle = Chronicle()
        self._context = DurableOrchestrationContext(
            self._ledger, self._retries, env, input_type, self._chronicle
        )
        self._generator: UserFrames | None = None
        self._awaited: Task[Any] | None = None
        self._outcome: Outcome | None = None
        self._fatal: BaseException | None = None
        self._observes_yields = env.schedule_at is ScheduleAt.YIELD or env.emit is Emit.ALL

    @property
    def instance_id(self) -> str:
        """Id of the instance, "" before it has started."""
        return self._context.instance_id

    @property
    def execution_id(self) -> str | None:
        """Id of the execution, None before it has started or if the host gives none."""
        instance = self._context._started.instance  # noqa: SLF001  engine and context are one
        return None if instance is None else instance.execution_id

    @property
    def location(self) -> str | None:
        """``file:line`` at which the code stands, None when there is none; any thread may ask."""
        return line_of(self._generator)

    def _call(self) -> None:
        self._awaited = _START
        try:
            value = self._fn(self._context)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            self._fail(error)
            return
        # A coroutine is sent values and thrown errors just as a generator is.
        if isinstance(value, (Generator, Coroutine)):
            self._generator = value
            self._resume()
        elif isinstance(value, AsyncGenerator):
            self._fail(wrong_result(self._fn, value))
        else:
            self._return(value)

    def _resume(self) -> None:
        """Run the code if what it waits for is settled, until it waits again."""
        task = self._awaited
        generator = self._generator
        if task is None or generator is None or task.state is RUNNING:
            return
        try:
            self._awaited = self._run(generator, task)
        except StopIteration as stop:
            self._return(stop.value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            self._fail(error)

    def _run(self, generator: UserFrames, task: Task[Any]) -> Task[Any]:
        """Resume the code with a settled task; return the running one that it waits for next.

        Raises:
            StopIteration: it returned, or it waits after continue_as_new.
        """
        while True:
            given: Any
            if task.state is SUCCEEDED:
                given = generator.send(task.outcome)
            else:
                given = generator.throw(fresh(task.outcome))
            if self._ledger.restart is not None:
                raise StopIteration
            if not isinstance(given, Task):
                wrong = wrong_await if isinstance(generator, Coroutine) else wrong_yield
                raise wrong(given, self._where())
            task = given
            if self._observes_yields:
                self._ledger.reach(task)
            if task.state is RUNNING:
                if task.context is not self._context:
                    raise foreign(task)
                return task

    def _return(self, value: Any) -> None:
        restart = self._ledger.restart
        if restart is not None:
            self._finish(Outcome(_Status.CONTINUED_AS_NEW, restart.input))
        elif isinstance(value, (Task, Coroutine)):
            self._fail(wrong_result(self._fn, value))
        else:
            try:
                text = encode_input(value)
            except Exception as error:  # noqa: BLE001  encoding runs the user's classes
                self._fail(error)
                return
            self._finish(Outcome(_Status.COMPLETED, text))
        self._stop()

    def _fail(self, error: BaseException) -> None:
        error = without_loop(error) or error
        self._fatal = error
        self._finish(Outcome(_Status.FAILED, failure=failure_of(error)))
        self._stop()

    def _break_off(self, error: NonDeterminismError | OrchestratorError) -> None:
        """History and code do not belong together: nothing that the code asked for counts."""
        self._finish(Outcome(_Status.FAILED, failure=failure_of(error), alone=True))
        self._stop()

    def _finish(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def _stop(self) -> None:
        """Detach the context first, so that clean-up code cannot act, then close it."""
        self._context._detach()  # noqa: SLF001  engine and context are one
        generator, self._generator = self._generator, None
        if generator is None:
            return
        try:
            generator.close()
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001, S110  what clean-up code raises has no one to go to
            pass

    def _where(self) -> str:
        return line_of(self._generator) or start_of(self._fn)
