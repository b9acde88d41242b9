"""The context's methods that call activities.

Every argument has the names that Durable Functions 1.x and the other Durable Task library for
Python give it. A decorated function tells type checkers its result (see ``references.Callee``); a
name does not, so that ``expected_type`` says it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durable_app.payload import encode_input
from durable_app.protocol import ScheduleTask
from durable_app.replay.children import CallingChildren, Named
from durable_app.replay.references import Callee, name_and_type
from durable_app.replay.retry import Plan, retry_plan
from durable_app.replay.retrying import Attempts
from durable_app.replay.tasks import ActivityTask, Task

if TYPE_CHECKING:
    from durable_app.replay.children import Policy

T = TypeVar("T")


class Calling(CallingChildren):
    """Calls of activities, too."""

    __slots__ = ()

    @overload
    def call_activity(
        self,
        name: Callee[T],
        input_: Any = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: None = None,
    ) -> Task[T]: ...

    @overload
    def call_activity(  # type: ignore[overload-cannot-match]  # it can: see ``Callee``
        self,
        name: Callee[object],
        input_: Any = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: None = None,
    ) -> Task[object]: ...

    @overload
    def call_activity(
        self,
        name: Named,
        input_: Any = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: None = None,
    ) -> Task[Any]: ...

    @overload
    def call_activity(
        self,
        name: Named,
        input_: Any = None,
        expected_type: type[T] = ...,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: type[T] = ...,
    ) -> Task[T]: ...

    @overload
    def call_activity(
        self,
        name: Named | None = None,
        input_: Any = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: Any = None,
        activity: Named | None = None,
    ) -> Task[Any]: ...

    def call_activity(
        self,
        name: Any = None,
        input_: Any = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
        input: Any = None,
        retry_policy: Policy | None = None,
        return_type: Any = None,
        activity: Any = None,
    ) -> Task[Any]:
        """Call an activity.

        Args:
            name: the activity, by name or by the function.
            input_: anything with a JSON form; None for no input.
            expected_type: what to decode the result as; None for the return annotation of the
                function, if a function was given, else plain JSON structure.
            tags: kept beside the call in the history.
            input: another name of ``input_``.
            retry_policy: as ``retry_options`` of ``call_activity_with_retry``; None to try once.
            return_type: another name of ``expected_type``.
            activity: another name of ``name``.

        Raises:
            PayloadError: the input has no JSON form.
            TypeError: the policy is neither RetryOptions nor a RetryPolicy.
        """
        api = "call_activity"
        policy = None if retry_policy is None else retry_plan(retry_policy, api)
        if name is None:
            name = activity
        if input_ is None:
            input_ = input
        wanted = return_type if expected_type is None else expected_type
        return self._activity(api, name, input_, wanted, tags, policy)

    @overload
    def call_activity_with_retry(
        self,
        name: Callee[T],
        retry_options: Policy,
        input_: Any = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[T]: ...

    @overload
    def call_activity_with_retry(  # type: ignore[overload-cannot-match]  # it can: see ``Callee``
        self,
        name: Callee[object],
        retry_options: Policy,
        input_: Any = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[object]: ...

    @overload
    def call_activity_with_retry(
        self,
        name: Named,
        retry_options: Policy,
        input_: Any = None,
        expected_type: None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]: ...

    @overload
    def call_activity_with_retry(
        self,
        name: Named,
        retry_options: Policy,
        input_: Any = None,
        expected_type: type[T] = ...,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[T]: ...

    @overload
    def call_activity_with_retry(
        self,
        name: Named,
        retry_options: Policy,
        input_: Any = None,
        expected_type: Any = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> Task[Any]: ...

    def call_activity_with_retry(
        self,
        name: Any,
        retry_options: Policy,
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
        policy = retry_plan(retry_options, api)
        return self._activity(api, name, input_, expected_type, tags, policy)

    def _activity(
        self,
        api: str,
        name: Any,
        input_: Any,
        expected_type: Any,
        tags: Mapping[str, str] | None,
        policy: Plan | None,
    ) -> ActivityTask[Any]:
        task = self._prepared(api, name, input_, expected_type, tags, policy)
        self._ledger.schedule(task)
        return task

    def _prepared(
        self,
        api: str,
        name: Any,
        input_: Any,
        expected_type: Any,
        tags: Mapping[str, str] | None,
        policy: Plan | None,
    ) -> ActivityTask[Any]:
        """Return a call that is not scheduled yet."""
        if expected_type is None or type(name) is not str or not name or not name.isascii():
            name, expected_type = name_and_type(name, expected_type, api)
        ledger = self._ledger
        context: Any = self
        task: ActivityTask[Any] = ActivityTask(context, expected_type)
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
        return task
