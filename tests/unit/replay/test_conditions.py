"""Which failures are tried again, and how pauses are spread."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_app.errors import NonRetriableError
from durable_app.exception_types import register_exception
from durable_app.protocol import CreateTimer, FailureDetails, ScheduleTask
from durable_app.replay.conditions import Conditions, conditions_of
from durable_app.replay.engine import ReplayEnv, RetryMode
from durable_app.replay.retry import RetryOptions, RetryPolicy
from tests.unit.replay.world import World, details_of, done, failed, fired

SECOND = timedelta(seconds=1)
BUSY = FailureDetails("app.BusyError", "busy")
MISSING = FailureDetails("KeyError", "'x'")
PASSED_ON = FailureDetails("TaskFailedError", "child: KeyError", None, MISSING)
FOREIGN = FailureDetails("durabletask.task.TaskFailedError", "child", None, PASSED_ON)


class BusyError(Exception):
    pass


class VeryBusyError(BusyError):
    pass


def conditions(**given: Any) -> Conditions:
    made = conditions_of(given.get("jitter", 0), given.get("retry_on"), given.get("give_up_on"))
    assert made is not None
    return made


@pytest.mark.parametrize("failure", [MISSING, PASSED_ON, FOREIGN])
@pytest.mark.parametrize("rule", [KeyError, LookupError, Exception, "KeyError"])
def test_a_rule_that_fits(failure: FailureDetails, rule: Any) -> None:
    assert conditions(retry_on=rule).allow(failure)
    assert not conditions(give_up_on=[ValueError, rule]).allow(failure)


@pytest.mark.parametrize("rule", [ValueError, "LookupError", "Error", lambda failure: None])
def test_a_rule_that_does_not_fit(rule: Any) -> None:
    assert not conditions(retry_on=[rule]).allow(MISSING)
    assert conditions(give_up_on=[rule]).allow(MISSING)


def test_giving_up_goes_before_trying_again() -> None:
    both = conditions(retry_on=LookupError, give_up_on=KeyError)
    assert not both.allow(MISSING)
    assert both.allow(FailureDetails("IndexError", "9"))


def test_a_users_class_by_name_or_itself() -> None:
    assert conditions(retry_on="BusyError").allow(BUSY)
    assert conditions(retry_on="app.BusyError").allow(BUSY)
    assert conditions(retry_on=BusyError).allow(FailureDetails(f"{__name__}.BusyError", ""))
    assert not conditions(retry_on=BusyError).allow(BUSY)


def test_subclasses_count_once_they_are_registered_and_not_by_being_loaded() -> None:
    from durable_app import exception_types

    failure = FailureDetails(f"{__name__}.VeryBusyError", "")
    assert not conditions(retry_on=BusyError).allow(failure)
    register_exception(VeryBusyError)
    try:
        assert conditions(retry_on=BusyError).allow(failure)
    finally:
        del exception_types._registered[failure.error_type]
        del exception_types._raised[failure.error_type]


def test_a_function_sees_the_failure() -> None:
    seen: list[FailureDetails] = []
    assert not conditions(retry_on=seen.append).allow(PASSED_ON)
    assert seen == [PASSED_ON]


def test_jitter_shortens_and_follows_from_ids() -> None:
    spread = conditions(jitter=0.5).spread
    pauses = {spread(SECOND, "e", task, attempt) for task in range(20) for attempt in range(5)}
    assert len(pauses) == 100
    assert all(SECOND / 2 <= pause <= SECOND for pause in pauses)
    assert spread(SECOND, "e", 1, 1) == spread(SECOND, "e", 1, 1) != spread(SECOND, "f", 1, 1)
    assert conditions(retry_on=KeyError).spread(SECOND, "e", 1, 1) == SECOND


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"jitter": True}, TypeError),
        ({"jitter": "1"}, TypeError),
        ({"jitter": 1.1}, ValueError),
        ({"jitter": -0.1}, ValueError),
        ({"jitter": float("nan")}, ValueError),
        ({"retry_on": 3}, TypeError),
        ({"retry_on": [int]}, TypeError),
        ({"give_up_on": [ValueError()]}, TypeError),
        ({"retry_on": []}, ValueError),
    ],
)
def test_what_no_policy_takes(given: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind, match=next(iter(given))):
        RetryOptions(1, 1, **given)


def test_a_coroutine_function_cannot_judge() -> None:
    async def judge(failure: FailureDetails) -> bool:
        return True

    with pytest.raises(TypeError, match="plain functions"):
        RetryOptions(1, 1, retry_on=judge)  # type: ignore[arg-type]  # on purpose


def test_policies_say_what_they_have() -> None:
    plain = RetryOptions(1000, 3)
    assert (plain.jitter, plain.retry_on, plain.give_up_on) == (0.0, None, ())
    same = RetryOptions(1000, 3, jitter=0.0, give_up_on=())
    assert (same, hash(same)) == (plain, hash(plain))
    full = RetryPolicy(
        first_retry_interval=SECOND,
        max_number_of_attempts=3,
        jitter=1,
        retry_on="BusyError",
        give_up_on=[KeyError],
    )
    assert (full.jitter, full.retry_on, full.give_up_on) == (1.0, ("BusyError",), (KeyError,))
    assert repr(full).endswith(
        "retry_timeout=None, jitter=1.0, retry_on=('BusyError',), give_up_on=(<class 'KeyError'>,))"
    )
    assert full != plain
    assert full._conditions != 1
    assert "jitter" not in RetryOptions(1, 1, jitter=0.5).to_json()


# -- in an orchestration ----------------------------------------------------------------------


def careful(context):
    options = RetryOptions(1000, 5, retry_on=LookupError, give_up_on="IndexError", jitter=0.5)
    try:
        return (yield context.call_activity_with_retry("a", options))
    except IndexError as error:
        return f"{details_of(error).error_type} after {context.current_utc_datetime.second} s"


def test_only_what_is_worth_it_is_tried_again() -> None:
    world = World(careful)
    world.turn(failed(1, MISSING))
    (timer,) = world.actions
    assert isinstance(timer, CreateTimer)
    assert 0.5 <= (timer.fire_at - world.now).total_seconds() <= 1
    world.turn(fired(2))
    assert [type(action) for action in world.actions] == [ScheduleTask]
    world.turn(failed(3, FailureDetails("IndexError", "9")))
    assert world.output == "IndexError after 3 s"


def test_a_host_that_repeats_is_not_told_of_a_policy_that_it_cannot_follow() -> None:
    def orchestrator(context):
        options = RetryOptions(1000, 2, retry_on=KeyError)
        return (yield context.call_activity_with_retry("a", options))

    env = ReplayEnv(retry=RetryMode.HOST, strict_ids=False)
    world = World(orchestrator, env=env)
    assert world.actions[0].retry_policy is None
    world.turn(failed(1, MISSING))
    assert [type(action) for action in world.actions] == [CreateTimer]
    world.turn(fired(2))
    world.turn(done(3, "at last"))
    assert world.output == "at last"


def test_a_judge_that_fails_fails_the_task() -> None:
    def judge(failure: FailureDetails) -> bool:
        raise ZeroDivisionError(failure.error_type)

    def orchestrator(context):
        options = RetryOptions(1000, 2, retry_on=judge)
        try:
            yield context.call_activity_with_retry("a", options)
        except ZeroDivisionError as error:
            return str(error)

    world = World(orchestrator)
    world.turn(failed(1, MISSING))
    assert world.output == "KeyError"


def test_too_many_actions_are_no_failure_of_the_task() -> None:
    def orchestrator(context):
        yield context.call_activity_with_retry("a", RetryOptions(1000, 2))

    world = World(orchestrator, env=ReplayEnv(max_actions=1))
    world.execution._ledger._limit = 0
    world.turn(failed(1, MISSING))
    assert world.failure.error_type == "OrchestratorError"


def test_what_is_marked_non_retriable_is_not_tried_again_and_is_caught_as_such() -> None:
    def orchestrator(context):
        try:
            yield context.call_activity_with_retry("a", RetryOptions(1000, 5))
        except NonRetriableError as error:
            return str(error)

    world = World(orchestrator)
    world.turn(failed(1, FailureDetails("app.Refused", "no", is_non_retriable=True)))
    assert world.output == "Activity function 'a' failed: app.Refused: no"


def test_equal_policies_count_as_one() -> None:
    pair = [RetryOptions(1000, 3, jitter=1, retry_on=[KeyError]) for _ in range(2)]
    assert len(set(pair)) == 1
    assert pair[0] != RetryOptions(1000, 3, jitter=1)


def test_the_bases_that_a_failure_names_count():
    failure = FailureDetails("shop.GoneError", "", base_types=("shop.ShopError", "LookupError"))
    untold = FailureDetails("shop.GoneError", "")
    assert conditions(retry_on=LookupError).allow(failure)
    assert not conditions(retry_on=LookupError).allow(untold)
    assert not conditions(retry_on=OSError).allow(failure)
    for rule in (Exception, BaseException):
        assert conditions(retry_on=rule).allow(failure)
        assert conditions(retry_on=rule).allow(untold)
