"""The context's methods that call other orchestrators; arguments are those of activities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durable_app.errors import UnsupportedOnHostError
from durable_app.payload import encode_input
from durable_app.protocol import CreateSubOrchestration
from durable_app.replay.environment import TAGS
from durable_app.replay.references import Callee, exact_text, name_and_type
from durable_app.replay.retry import Plan, retry_plan
from durable_app.replay.retrying import Attempts
from durable_app.replay.tasks import SubOrchestrationTask, Task

if TYPE_CHECKING:
    from durable_app.replay import retry
    from durable_app.replay.ledger import Ledger
    from durable_app.replay.retrying import Retries

    Policy = retry.RetryOptions | retry.RetryPolicy

T = TypeVar("T")
Named = str | Callable[..., Any]


class CallingChildren:
    """Calls of other orchestrators."""

    __slots__ = ()

    if TYPE_CHECKING:  # the context has them
        _ledger: Ledger
        _retries: Retries
        _capabilities: frozenset[str]
        _default_version: str | None
        current_utc_datetime: datetime

    @overload
    def call_sub_orchestrator(
        self,
        name: Callee[T],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: None = None,
    ) -> Task[T]: ...

    @overload
    def call_sub_orchestrator(  # type: ignore[overload-cannot-match]  # it can: see ``Callee``
        self,
        name: Callee[object],
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: None = None,
    ) -> Task[object]: ...

    @overload
    def call_sub_orchestrator(
        self,
        name: Named,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: None = None,
    ) -> Task[Any]: ...

    @overload
    def call_sub_orchestrator(
        self,
        name: Named,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type[T] = ...,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: type[T] = ...,
    ) -> Task[T]: ...

    @overload
    def call_sub_orchestrator(
        self,
        name: Named | None = None,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: Any = None,
        orchestrator: Named | None = None,
    ) -> Task[Any]: ...

    def call_sub_orchestrator(  # noqa: PLR0913  the names of two libraries
        self,
        name: Any = None,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: Any = None,
        orchestrator: Any = None,
    ) -> Task[Any]:
        """Run another orchestrator as an instance of its own.

        Args:
            name: the orchestrator, by name or by the function.
            input_: anything with a JSON form; None for no input.
            instance_id: id of the child; None for one that is unique.
            version: version of the child, None for the default.
            expected_type: as in ``call_activity``.
            tags: kept on the child.
            input: another name of ``input_``.
            retry_policy: as ``retry_options`` of ``call_sub_orchestrator_with_retry``; None to try
                once.
            return_type: another name of ``expected_type``.
            orchestrator: another name of ``name``.

        Raises:
            PayloadError: the input has no JSON form.
            OrchestratorError: within a critical section.
            TypeError: the policy is neither RetryOptions nor a RetryPolicy.
        """
        api = "call_sub_orchestrator"
        policy = None if retry_policy is None else retry_plan(retry_policy, api)
        if name is None:
            name = orchestrator
        if input_ is None:
            input_ = input
        wanted = return_type if expected_type is None else expected_type
        return self._child(api, name, input_, (instance_id, version), wanted, tags, policy)

    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Callee[T],
        retry_options: Policy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[T]: ...

    @overload
    def call_sub_orchestrator_with_retry(  # type: ignore[overload-cannot-match]  # it can: see ``Callee``
        self,
        name: Callee[object],
        retry_options: Policy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[object]: ...

    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Named,
        retry_options: Policy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]: ...

    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Named,
        retry_options: Policy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: type[T] = ...,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[T]: ...

    @overload
    def call_sub_orchestrator_with_retry(
        self,
        name: Named,
        retry_options: Policy,
        input_: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]: ...

    def call_sub_orchestrator_with_retry(
        self,
        name: Any,
        retry_options: Policy,
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
        policy = retry_plan(retry_options, api)
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
        policy: Plan | None,
    ) -> SubOrchestrationTask[Any]:
        name, expected_type = name_and_type(name, expected_type, api)
        ledger = self._ledger
        if ledger.section is not None:
            ledger.section.check_child(api)
        instance_id, version = (
            None if text is None else exact_text(text, f"{api}: {what}")
            for text, what in zip(target, ("instance_id", "version"), strict=True)
        )
        context: Any = self
        task: SubOrchestrationTask[Any] = SubOrchestrationTask(context, expected_type)
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

    def _tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        if TAGS not in self._capabilities:
            raise UnsupportedOnHostError(
                "This host keeps no tags on tasks. Leave `tags` out, or put the values into the"
                " input."
            )
        return {exact_text(k, "A tag"): exact_text(v, f"Tag {k!r}") for k, v in tags.items()}
