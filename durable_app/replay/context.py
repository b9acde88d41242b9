"""The context: all that an orchestrator may ask for.

Every method gives the same answer in every replay. A method that asks for an action returns a task
at once; ``yield`` waits for it. Methods of a closed execution raise GeneratorExit, so that the
clean-up code of an orchestrator that is thrown out of memory ends without a trace.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload
from uuid import NAMESPACE_OID, NAMESPACE_URL, UUID, uuid5

from durable_app.errors import UnsupportedOnHostError, missing
from durable_app.payload import encode_input, from_text, to_text
from durable_app.protocol import (
    EPOCH,
    CreateTimer,
    ExecutionStarted,
    HistoryEvent,
)
from durable_app.replay.addressing import Addressing
from durable_app.replay.bounded import FanningOut
from durable_app.replay.calling import Calling
from durable_app.replay.environment import NEW_VERSION, PATCHES
from durable_app.replay.gathering import Gathering
from durable_app.replay.http_calls import HttpCalling
from durable_app.replay.ledger import CLOSED, Ledger, Restart
from durable_app.replay.logger import ReplaySafeLogger
from durable_app.replay.patches import Patches
from durable_app.replay.references import exact_text
from durable_app.replay.tasks import RUNNING, TimerTask
from durable_app.replay.waits import EventDeadline, ExternalEventTask

if TYPE_CHECKING:
    from logging import Logger, LoggerAdapter

    from durable_app.replay.chronicle import Chronicle
    from durable_app.replay.environment import ReplayEnv
    from durable_app.replay.retrying import Retries

T = TypeVar("T")

# Instances in flight depend on this number: the same one as in other Durable Functions libraries.
_UUID_NAMESPACE: Final = uuid5(NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")


class FunctionContext:
    """What the host knows about the running function; this one knows nothing."""

    __slots__ = ()


class OrchestrationContext(Calling, FanningOut, Gathering, Addressing, HttpCalling):
    """Given to an orchestrator, as its first argument.

    Attributes:
        is_replaying: the code that runs now has run before; do not log.
        current_utc_datetime: the orchestration's time, aware UTC; use it instead of the clock.
        function_context: an empty object, for compatibility.
    """

    __slots__ = (
        "_capabilities",
        "_chronicle",
        "_custom_status",
        "_default_version",
        "_input_type",
        "_ledger",
        "_names",
        "_patches",
        "_retries",
        "_started",
        "current_utc_datetime",
        "function_context",
        "is_replaying",
    )

    def __init__(
        self,
        ledger: Ledger,
        retries: Retries,
        env: ReplayEnv,
        input_type: Any,
        chronicle: Chronicle,
    ) -> None:
        self._ledger = ledger
        self._retries = retries
        self._capabilities = env.capabilities
        self._default_version = env.default_version
        self._input_type = input_type
        self._chronicle = chronicle
        self._patches = Patches(chronicle, env.patches)
        self._started = ExecutionStarted()
        self._names = 0
        self._custom_status: Any = None
        self.is_replaying = False
        self.current_utc_datetime = EPOCH
        self.function_context = FunctionContext()

    if not TYPE_CHECKING:  # A type checker that saw it would take every misspelt name for Any.

        def __getattr__(self, name: str) -> object:
            raise AttributeError(missing("The context", name), name=name, obj=self)

    # -- facts -------------------------------------------------------------------------------

    @property
    def instance_id(self) -> str:
        """Id of this instance."""
        instance = self._started.instance
        return "" if instance is None else instance.instance_id

    @property
    def parent_instance_id(self) -> str | None:
        """Id of the instance that called this one, None if none did."""
        parent = self._started.parent
        return None if parent is None else parent.instance.instance_id

    @property
    def version(self) -> str | None:
        """Version that the instance was started with."""
        return self._started.version

    @property
    def histories(self) -> list[HistoryEvent]:
        """The events of this execution so far; a new list on every access."""
        return self._chronicle.events()

    @property
    def will_continue_as_new(self) -> bool:
        """True after ``continue_as_new``."""
        return self._ledger.restart is not None

    @property
    def custom_status(self) -> Any:
        """What was last given to ``set_custom_status``, None before."""
        return self._custom_status

    def get_input(self, expected_type: Any = None) -> Any:
        """Return the input, None if there is none.

        Args:
            expected_type: what to decode it as; None for the type that the orchestrator was
                registered with, else plain JSON structure.

        Raises:
            PayloadError: the input does not fit the type.
        """
        wanted = self._input_type if expected_type is None else expected_type
        return from_text(self._started.input, wanted)

    # -- tasks -------------------------------------------------------------------------------

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Wait until a moment, however far away.

        Args:
            fire_at: a moment (naive ones are taken as UTC), or a time from now on; what lies in the
                past fires at once.

        Raises:
            TypeError: it is neither.
            ValueError: the moment lies beyond the year 9999.
        """
        task = TimerTask(self)
        task.action = CreateTimer(self._ledger.next_id, self._moment(fire_at, "create_timer"))
        self._ledger.schedule(task)
        return task

    def _moment(self, moment: Any, api: str) -> datetime:
        try:
            if isinstance(moment, timedelta):
                return self.current_utc_datetime + moment
            if isinstance(moment, datetime):
                if moment.tzinfo is None:
                    return moment.replace(tzinfo=UTC)
                return moment.astimezone(UTC)
        except OverflowError:
            raise ValueError(
                f"{api}: {moment} lies outside of the years 1 to 9999 in UTC."
            ) from None
        raise TypeError(f"{api} takes a datetime or a timedelta, not {type(moment).__name__}.")

    @overload
    def wait_for_external_event(
        self,
        name: str,
        expected_type: None = None,
        *,
        data_type: None = None,
        timeout: datetime | timedelta | None = None,
    ) -> ExternalEventTask[Any]: ...

    @overload
    def wait_for_external_event(
        self,
        name: str,
        expected_type: type[T] = ...,
        *,
        data_type: type[T] = ...,
        timeout: datetime | timedelta | None = None,
    ) -> ExternalEventTask[T]: ...

    @overload
    def wait_for_external_event(
        self,
        name: str,
        expected_type: Any = None,
        *,
        data_type: Any = None,
        timeout: datetime | timedelta | None = None,
    ) -> ExternalEventTask[Any]: ...

    def wait_for_external_event(
        self,
        name: str,
        expected_type: Any = None,
        *,
        data_type: Any = None,
        timeout: datetime | timedelta | None = None,
    ) -> ExternalEventTask[Any]:
        """Wait for an event that a client raises.

        Events are delivered once each, in the order of their arrival, to the waits of that name in
        the order in which they were created; an event that comes first waits for its reader.

        Args:
            name: of the event, in any case.
            expected_type: what to decode the payload as; a payload that does not fit raises
                PayloadError at the yield.
            data_type: another name of ``expected_type``.
            timeout: how long, or until when, to wait; the task then fails with a TaskTimeoutError,
                which is a TimeoutError. None for ever.

        Raises:
            DefinitionError: the name is no text, or empty.
            TypeError: the timeout is neither a datetime nor a timedelta.
            ValueError: it ends beyond the year 9999.
        """
        api = "wait_for_external_event"
        until = None if timeout is None else self._moment(timeout, f"{api}: timeout")
        name = exact_text(name, f"{api}: the name")
        wanted = data_type if expected_type is None else expected_type
        wanted = Any if wanted is None else wanted
        task: ExternalEventTask[Any] = ExternalEventTask(self, name, wanted)
        ledger = self._ledger
        ledger.wait(task)
        if until is not None and task.state is RUNNING:
            task.deadline = EventDeadline(task, ledger.next_id, until)
            ledger.schedule(task.deadline)
        return task

    # -- the rest ----------------------------------------------------------------------------

    def continue_as_new(
        self,
        input_: Any = None,
        *,
        save_events: bool = True,
        new_version: str | None = None,
        new_input: Any = None,
    ) -> None:
        """Start over with a new input and an empty history.

        It takes effect when the orchestrator returns or yields next; what it asks for in between
        is ignored.

        Args:
            input_: anything with a JSON form; None for no input.
            save_events: external events that nobody took go to the new execution.
            new_version: of the new execution; None for the present one.
            new_input: another name of ``input_``.

        Raises:
            PayloadError: the input has no JSON form.
            UnsupportedOnHostError: the host cannot change the version.
        """
        if new_version is not None:
            new_version = exact_text(new_version, "continue_as_new: new_version")
            if NEW_VERSION not in self._capabilities:
                raise UnsupportedOnHostError(
                    "This host keeps the version of an instance. Start a new instance of the other"
                    " version, and return."
                )
        given = encode_input(new_input if input_ is None else input_)
        self._ledger.continue_as_new(Restart(given, save_events, new_version))

    def set_custom_status(self, status: Any = None, *, custom_status: Any = None) -> None:
        """Show a value to clients that ask for the instance's status; 0, "", None are kept too.

        Args:
            custom_status: another name of ``status``.

        Raises:
            PayloadError: the value has no JSON form.
        """
        if status is None:
            status = custom_status
        self._ledger.note_status(to_text(status), replaying=self.is_replaying)
        self._custom_status = status

    def is_patched(self, patch_id: str) -> bool:
        """Tell whether this execution runs changed code; the old code stays beside it.

        ``if context.is_patched("ask twice"): ... else: ...`` lets executions that came by this
        place before the change was deployed go on as they began. All others run the new code: the
        answer is written into their history, and stays the same until they end. Remove the old code
        when no execution needs it any more, and the question when none has asked it.

        Args:
            patch_id: name of the change, a text of your own; never use one again.

        Raises:
            DefinitionError: the name is no text, or empty.
            UnsupportedOnHostError: the host cannot keep the answer.
        """
        patch_id = exact_text(patch_id, "is_patched: the name of a patch")
        if PATCHES not in self._capabilities:
            raise UnsupportedOnHostError(
                "This host keeps no marks of patches. Give the changed code a new version."
            )
        return self._patches.ask(patch_id, self)

    def create_replay_safe_logger(self, logger: Logger | LoggerAdapter[Any]) -> ReplaySafeLogger:
        """Return a logger that is silent while the code runs over what it has done before.

        Args:
            logger: where it logs to.
        """
        return ReplaySafeLogger(logger, self)

    def new_uuid(self) -> str:
        """Return a UUID that is the same in every replay, as text."""
        moment = self.current_utc_datetime.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return str(uuid5(_UUID_NAMESPACE, f"{self.instance_id}_{moment}_{self._next_name()}"))

    def new_guid(self) -> UUID:
        """Return a UUID that is the same in every replay."""
        moment = self.current_utc_datetime
        return uuid5(NAMESPACE_URL, f"{self.instance_id}_{moment}_{self._next_name()}")

    def _next_name(self) -> int:
        number = self._names
        self._names = number + 1
        return number

    # -- the engine's side -------------------------------------------------------------------

    def _start(self, event: ExecutionStarted) -> None:
        self._started = event

    def _detach(self) -> None:
        self._ledger = CLOSED


class DurableOrchestrationContext(OrchestrationContext):
    """The context under the name that Durable Functions gives it; every context is of this class.

    As an annotation it says that the orchestrator takes the context alone.
    """

    __slots__ = ()
