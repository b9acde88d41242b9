"""The context: all that an orchestrator may ask for.

Every method gives the same answer in every replay. A method that asks for an action returns a task
at once; ``yield`` waits for it. Methods of a closed execution raise GeneratorExit, so that the
clean-up code of an orchestrator that is thrown out of memory ends without a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_OID, NAMESPACE_URL, UUID, uuid5

from durable_app.errors import UnsupportedOnHostError, missing
from durable_app.payload import encode_input, from_text, to_text
from durable_app.protocol import (
    EPOCH,
    CreateSubOrchestration,
    CreateTimer,
    ExecutionStarted,
    HistoryEvent,
    RetryPolicy,
    ScheduleTask,
)
from durable_app.replay.addressing import Addressing
from durable_app.replay.environment import TAGS, ReplayEnv
from durable_app.replay.ledger import CLOSED, Ledger
from durable_app.replay.references import exact_text, name_and_type
from durable_app.replay.retry import protocol_policy
from durable_app.replay.retrying import Attempts, Retries
from durable_app.replay.tasks import (
    ActivityTask,
    ExternalEventTask,
    SubOrchestrationTask,
    Task,
    TimerTask,
    WhenAllTask,
    WhenAnyTask,
    checked_children,
)

if TYPE_CHECKING:
    from durable_app.replay import retry

# Instances in flight depend on this number: the same one as in other Durable Functions libraries.
_UUID_NAMESPACE: Final = uuid5(NAMESPACE_OID, "9e952958-5e33-4daf-827f-2fa12937b875")


class FunctionContext:
    """What the host knows about the running function; this one knows nothing."""

    __slots__ = ()


class OrchestrationContext(Addressing):
    """Given to an orchestrator as its one argument.

    Attributes:
        is_replaying: the code that runs now has run before; do not log.
        current_utc_datetime: the orchestration's time, aware UTC; use it instead of the clock.
        function_context: an empty object, for compatibility.
    """

    __slots__ = (
        "_capabilities",
        "_custom_status",
        "_default_version",
        "_input_type",
        "_ledger",
        "_load_history",
        "_names",
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
        load_history: Callable[[], list[HistoryEvent]],
    ) -> None:
        self._ledger = ledger
        self._retries = retries
        self._capabilities = env.capabilities
        self._default_version = env.default_version
        self._input_type = input_type
        self._load_history = load_history
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
        return self._load_history()

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

    def call_activity(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]:
        """Call an activity.

        Args:
            name: the activity, by name or by the function.
            input_: anything with a JSON form; None for no input.
            expected_type: what to decode the result as; None for the return annotation of the
                function, if a function was given, else plain JSON structure.
            tags: kept beside the call in the history.

        Raises:
            PayloadError: the input has no JSON form.
        """
        return self._activity("call_activity", name, input_, expected_type, tags, None)

    def call_activity_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: retry.RetryOptions | retry.RetryPolicy,
        input_: Any = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]:
        """Call an activity, again and again while it fails, as the options say.

        It is one task: completed by the first success, failed by the last failure.

        Args:
            name: as in ``call_activity``, like what follows the options.
            retry_options: how often, and how long to wait in between.
            input_: anything with a JSON form; None for no input.
            expected_type: what to decode the result as.
            tags: kept beside the call in the history.

        Raises:
            PayloadError: the input has no JSON form.
            TypeError: the options are neither RetryOptions nor a RetryPolicy.
        """
        api = "call_activity_with_retry"
        policy = protocol_policy(retry_options, api)
        return self._activity(api, name, input_, expected_type, tags, policy)

    def _activity(
        self,
        api: str,
        name: Any,
        input_: Any,
        expected_type: Any,
        tags: Mapping[str, str] | None,
        policy: RetryPolicy | None,
    ) -> ActivityTask[Any]:
        if expected_type is None or type(name) is not str or not name or not name.isascii():
            name, expected_type = name_and_type(name, expected_type, api)
        ledger = self._ledger
        task: ActivityTask[Any] = ActivityTask(self, expected_type)
        task.action = ScheduleTask(
            ledger.next_id,
            name,
            None,
            None if input_ is None else encode_input(input_),
            None if tags is None else self._tags(tags),
            None,
            None if policy is None else self._retries.on_action(policy),
        )
        if policy is not None:
            task.attempts = Attempts(policy, self.current_utc_datetime, renamed=False)
        ledger.schedule(task)
        return task

    def call_sub_orchestrator(
        self,
        name: str | Callable[..., Any],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]:
        """Run another orchestrator as an instance of its own.

        Args:
            name: the orchestrator, by name or by the function.
            input_: anything with a JSON form; None for no input.
            instance_id: id of the child; None for one that is unique.
            version: version of the child, None for the default.
            expected_type: as in ``call_activity``.
            tags: kept on the child.

        Raises:
            PayloadError: the input has no JSON form.
            OrchestratorError: within a critical section.
        """
        return self._child(
            "call_sub_orchestrator", name, input_, (instance_id, version), expected_type, tags, None
        )

    def call_sub_orchestrator_with_retry(
        self,
        name: str | Callable[..., Any],
        retry_options: retry.RetryOptions | retry.RetryPolicy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]:
        """Run another orchestrator, again and again while it fails, as the options say.

        A child without an ``instance_id`` of its own gets a new id for every attempt. Other
        arguments and errors are those of ``call_sub_orchestrator``.

        Args:
            retry_options: how often, and how long to wait in between.
        """
        api = "call_sub_orchestrator_with_retry"
        policy = protocol_policy(retry_options, api)
        target = (instance_id, version)
        return self._child(api, name, input_, target, expected_type, tags, policy)

    def _child(
        self,
        api: str,
        name: Any,
        input_: Any,
        target: tuple[str | None, str | None],
        expected_type: Any,
        tags: Mapping[str, str] | None,
        policy: RetryPolicy | None,
    ) -> SubOrchestrationTask[Any]:
        name, expected_type = name_and_type(name, expected_type, api)
        ledger = self._ledger
        if ledger.section is not None:
            ledger.section.check_child(api)
        instance_id, version = (
            None if text is None else exact_text(text, f"{api}: {what}")
            for text, what in zip(target, ("instance_id", "version"), strict=True)
        )
        task: SubOrchestrationTask[Any] = SubOrchestrationTask(self, expected_type)
        task.action = CreateSubOrchestration(
            ledger.next_id,
            ledger.default_child_id() if instance_id is None else instance_id,
            name,
            self._default_version if version is None else version,
            encode_input(input_),
            None,
            None if tags is None else self._tags(tags),
            None if policy is None else self._retries.on_action(policy),
        )
        if policy is not None:
            renamed = instance_id is None
            task.attempts = Attempts(policy, self.current_utc_datetime, renamed=renamed)
        ledger.schedule(task)
        return task

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

    def wait_for_external_event(
        self, name: str, expected_type: Any = None
    ) -> ExternalEventTask[Any]:
        """Wait for an event that a client raises.

        Events are delivered once each, in the order of their arrival, to the waits of that name in
        the order in which they were created; an event that comes first waits for its reader.

        Args:
            name: of the event, in any case.
            expected_type: what to decode the payload as; a payload that does not fit raises
                PayloadError at the yield.

        Raises:
            DefinitionError: the name is no text, or empty.
        """
        name = exact_text(name, "wait_for_external_event: the name")
        wanted = Any if expected_type is None else expected_type
        task: ExternalEventTask[Any] = ExternalEventTask(self, name, wanted)
        self._ledger.wait(task)
        return task

    def task_all(self, tasks: Iterable[Task[Any]]) -> Task[list[Any]]:
        """Wait for all tasks; the result is the list of their results, in the same order.

        The first failure fails the whole at once; the other tasks run on and are ignored.

        Raises:
            TypeError: an item is no task.
        """
        return WhenAllTask(self, checked_children(self, tasks, "task_all"))

    def task_any(self, tasks: Iterable[Task[Any]]) -> Task[Task[Any]]:
        """Wait for the first task that is completed; the result is that task, failed or not.

        Raises:
            TypeError: an item is no task.
            ValueError: there are no tasks: none could ever be the first.
        """
        children = checked_children(self, tasks, "task_any")
        if not children:
            raise ValueError("task_any needs at least one task: of none, none comes first.")
        return WhenAnyTask(self, children)

    # -- the rest ----------------------------------------------------------------------------

    def continue_as_new(self, input_: Any, *, save_events: bool = True) -> None:
        """Start over with a new input and an empty history.

        It takes effect when the orchestrator returns or yields next; what it asks for in between
        is ignored.

        Args:
            input_: anything with a JSON form; None for no input.
            save_events: external events that nobody took go to the new execution.
        """
        self._ledger.continue_as_new(encode_input(input_), save_events=save_events)

    def set_custom_status(self, status: Any) -> None:
        """Show a value to clients that ask for the instance's status; 0, "", None are kept too.

        Raises:
            PayloadError: the value has no JSON form.
        """
        self._ledger.note_status(to_text(status), replaying=self.is_replaying)
        self._custom_status = status

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

    def _tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        if TAGS not in self._capabilities:
            raise UnsupportedOnHostError(
                "This host keeps no tags on tasks. Leave `tags` out, or put the values into the"
                " input."
            )
        return {exact_text(k, "A tag"): exact_text(v, f"Tag {k!r}") for k, v in tags.items()}

    # -- the engine's side -------------------------------------------------------------------

    def _start(self, event: ExecutionStarted) -> None:
        self._started = event

    def _detach(self) -> None:
        self._ledger = CLOSED
