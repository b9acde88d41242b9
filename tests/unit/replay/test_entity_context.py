"""The contexts: state, input, result, what is sent; and the class that is derived from."""

from __future__ import annotations

import dataclasses
import enum
from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic
import pytest

from durable_app.entity_id import EntityId
from durable_app.errors import DefinitionError
from durable_app.protocol import SendSignal, StartNewOrchestration
from durable_app.replay.entity import EntityBatch, EntityDefinition, EntityShape, run_batch
from durable_app.replay.entity_context import DurableEntity, DurableEntityContext, EntityContext
from tests.unit.replay.entity_rig import NOON, a_function, a_request, outcomes, run, signal, ticking


def only(function, text: str | None = None, state: str | None = None) -> Any:
    """The result of one operation of a function of a DurableEntityContext."""
    (result,) = outcomes(run(function, signal("look", text), state=state))
    return result


def native(function, text: str | None = None, state: str | None = None, **form: Any):
    """Run one operation of a function of an EntityContext."""
    definition = EntityDefinition("counter", function, EntityShape.INPUT, "ctx", **form)
    return run_batch(definition, a_request(signal("look", text), state=state), ticking())


# -- DurableEntityContext -------------------------------------------------------------------------


def test_the_context_says_who_is_asked_for_what():
    def entity(context: DurableEntityContext) -> list[str]:
        assert context.entity_id == EntityId("Counter", "a")
        return [context.entity_name, context.entity_key, context.operation_name]

    assert only(entity) == '["counter","a","look"]'


@pytest.mark.parametrize(("state", "expected"), [(None, "true"), ("0", "false"), ("null", "false")])
def test_an_entity_without_a_state_is_new(state, expected):
    assert only(lambda context: context.is_newly_constructed, state=state) == expected


@pytest.mark.parametrize("text", ["0", "false", '""', "[]", "{}"])
def test_a_falsy_state_needs_no_initializer(text):
    assert only(lambda context: context.get_state(lambda: 7), state=text) == text


@pytest.mark.parametrize("initializer", [lambda: [1], [1]])
@pytest.mark.parametrize("state", [None, "null"])
def test_the_initializer_is_a_value_or_makes_one_and_is_not_kept(initializer, state):
    result = run(lambda context: context.get_state(initializer), "look", state=state)
    assert (outcomes(result), result.entity_state) == (["[1]"], state)


def test_without_an_initializer_a_missing_state_is_none():
    assert only(lambda context: [context.get_state()]) == "[null]"


def test_a_state_that_is_changed_in_place_is_kept_by_set_state_alone():
    def entity(context: DurableEntityContext) -> None:
        items: list[int] = context.get_state(list, list)
        items.append(len(items))
        if context.operation_name == "keep":
            context.set_state(items)
            items.append(99)

    assert run(entity, "change", "keep", "change", "keep").entity_state == "[0,1]"


class Colour(enum.Enum):
    RED = "red"


class Basket(pydantic.BaseModel):
    lines: list[int] = []


@dataclasses.dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Colour.RED, Colour),
        (Basket(lines=[1]), Basket),
        (Point(3), Point),
        (datetime(2026, 1, 2, tzinfo=UTC), datetime),
        ({1, 2}, set[int]),
        (0, int),
    ],
)
def test_a_state_has_the_type_that_is_asked_for(value, kind):
    def entity(context: DurableEntityContext) -> bool:
        if context.operation_name == "write":
            context.set_state(value)
            return True
        return bool(context.get_state(expected_type=kind) == value)

    assert outcomes(run(entity, "write", "read")) == ["true", "true"]


def test_a_state_that_does_not_fit_names_the_field():
    text = only(lambda context: context.get_state(None, Basket), state='{"lines":["x"]}')
    assert "lines[0]" in text
    assert "(state of entity 'counter')" in text


def test_a_state_that_cannot_be_kept_fails_where_it_is_set():
    text = only(lambda context: context.set_state({"a": object()}))
    assert text.startswith("PayloadError: a: ")
    assert "(state of entity 'counter')" in text


def test_an_input_is_decoded_on_demand():
    assert only(lambda context: context.get_input(Point).x, '{"x":3}') == "3"
    assert only(lambda context: context.get_input(), '{"x":3}') == '{"x":3}'


@pytest.mark.parametrize("text", [None, "0", "null"])
def test_a_falsy_input_is_what_it_is(text):
    assert only(lambda context: [context.get_input()], text) == f"[{text or 'null'}]"


def test_an_input_that_is_missing_has_no_type():
    assert only(lambda context: [context.get_input(int)]) == "[null]"


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [('{"x":"y"}', Point, "x: "), ("{", Any, "not valid JSON"), ('["x"]', list[int], "[0]: ")],
)
def test_an_input_that_does_not_fit_says_so(text, kind, place):
    found = only(lambda context: context.get_input(kind), text)
    assert place in found
    assert "(input of operation 'look' of entity 'counter')" in found


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), (0, "0"), (Point(1), '{"x":1}'), ("", '""')]
)
def test_a_result_that_is_set_goes_before_what_is_returned(value, expected):
    def entity(context: DurableEntityContext) -> str:
        context.set_result(value)
        return "returned"

    assert only(entity) == expected


def test_a_function_that_sets_no_result_returns_it():
    assert only(lambda context: [1]) == "[1]"
    assert only(lambda context: None) is None


def test_destruction_removes_the_state_unless_another_one_is_set():
    def entity(context: DurableEntityContext) -> Any:
        context.destruct_on_exit()
        seen = context.get_state("none")
        if context.operation_name == "again":
            context.set_state("new")
        return seen

    result = run(entity, "once", state="1")
    assert (outcomes(result), result.entity_state) == (['"none"'], None)
    assert run(entity, "again", state="1").entity_state == '"new"'


# -- EntityContext --------------------------------------------------------------------------------


def test_the_native_context_says_who_is_asked_for_what():
    def entity(ctx: EntityContext) -> list[str]:
        return [ctx.orchestration_id, ctx.operation, str(ctx.entity_id)]

    assert outcomes(native(entity)) == ['["@counter@a","look","@counter@a"]']


def test_the_native_state_has_a_default_and_none_removes_it():
    def entity(ctx: EntityContext, value: Any) -> list[Any]:
        before = ctx.get_state(int, 7)
        ctx.set_state(value)
        return [before, ctx.get_state()]

    result = native(entity, "5", input_parameter="value")
    assert (outcomes(result), result.entity_state) == (["[7,5]"], "5")
    result = native(entity, "0", "5", input_parameter="value")
    assert (outcomes(result), result.entity_state) == (["[5,0]"], "0")
    result = native(entity, "null", "5", input_parameter="value")
    assert (outcomes(result), result.entity_state) == (["[5,null]"], None)


def test_the_native_input_has_the_type_of_its_parameter():
    def entity(ctx: EntityContext, point: Point) -> int:
        return point.x

    form: dict[str, Any] = {"input_parameter": "point", "input_type": Point}
    assert outcomes(native(entity, '{"x":3}', **form)) == ["3"]
    (text,) = outcomes(native(entity, '{"x":"y"}', **form))
    assert text is not None
    assert text.startswith("PayloadError: point.x: ")
    (text,) = outcomes(native(entity, "3", **form))
    assert text is not None
    assert text.startswith("PayloadError: point: ")


def test_without_an_input_the_parameter_is_none_or_keeps_its_default():
    def entity(ctx: EntityContext, value: Any = "default") -> list[Any]:
        return [value]

    form: dict[str, Any] = {"input_parameter": "value", "input_type": int}
    assert outcomes(native(entity, **form)) == ["[null]"]
    assert outcomes(native(entity, input_has_default=True, **form)) == ['["default"]']
    assert outcomes(native(entity, "3", input_has_default=True, **form)) == ["[3]"]


# -- What is sent ---------------------------------------------------------------------------------


def sent_by(act, **options: Any) -> Any:
    batch = EntityBatch(a_function(act), a_request("look"), lambda: NOON, **options)
    result = batch.run()
    assert outcomes(result) == [None]
    return result.actions


LATER = NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (None, None),
        (timedelta(hours=1), LATER),
        (LATER, LATER),
        (LATER.replace(tzinfo=None), LATER),
    ],
)
def test_a_signal_is_sent_now_or_later(moment, expected):
    actions = sent_by(lambda c: c.signal_entity(EntityId("Log", "K"), "note", [0], moment))
    assert actions == (SendSignal(0, "@log@K", "note", "[0]", expected, NOON),)


def test_an_orchestration_is_started_under_an_id_that_follows_from_the_request():
    def entity(context: DurableEntityContext) -> None:
        ids.append(context.start_new_orchestration("ship", 0))
        ids.append(context.schedule_new_orchestration("ship"))
        ids.append(context.start_new_orchestration("ship", None, "mine", "2"))

    ids: list[str] = []
    first = sent_by(entity, default_version="1")
    assert first == sent_by(entity, default_version="1")
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3
    assert {len(each) for each in ids} == {32, 4}
    assert first == (
        StartNewOrchestration(0, ids[0], "ship", "1", "0", None, NOON),
        StartNewOrchestration(1, ids[1], "ship", "1", None, None, NOON),
        StartNewOrchestration(2, "mine", "ship", "2", None, None, NOON),
    )


def test_two_requests_start_two_orchestrations():
    def entity(context: DurableEntityContext) -> None:
        context.start_new_orchestration("ship")

    result = run(entity, signal("look", None, "r1"), signal("look", None, "r2"))
    assert len({each.instance_id for each in result.actions}) == 2


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda c: c.signal_entity("log", "note"), "ValueError: An entity's id looks like"),
        (lambda c: c.signal_entity(7, "note"), "TypeError: signal_entity takes an EntityId"),
        (lambda c: c.signal_entity("@log@a", ""), "DefinitionError: signal_entity: the name of an"),
        (
            lambda c: c.signal_entity("@log@a", "note", {"a": object()}),
            "input of the signal 'note', operation 'look' of entity 'counter'",
        ),
        (lambda c: c.signal_entity("@log@a", "note", None, "soon"), "TypeError: signal_entity: s"),
        (
            lambda c: c.signal_entity("@log@a", "note", None, timedelta.max),
            "lies outside of the years",
        ),
        (lambda c: c.start_new_orchestration(7), "TypeError: start_new_orchestration: the func"),
        (lambda c: c.start_new_orchestration("a", None, "@a@b"), "reserved for entities"),
        (lambda c: c.start_new_orchestration("a", None, "x" * 257), "1 to 256 characters"),
        (lambda c: c.start_new_orchestration("a", None, "a/b"), "DefinitionError: start_new_orch"),
        (lambda c: c.start_new_orchestration("a", object()), "input of orchestration 'a'"),
    ],
)
def test_what_cannot_be_sent_fails_where_it_is_asked_for(act, text):
    result = run(act, "look")
    assert text in str(outcomes(result)[0])
    assert result.actions == ()


@pytest.mark.parametrize("name", ["call_entity", "call_activity", "create_timer", "lock_entities"])
def test_an_entity_cannot_wait(name):
    assert f"has no {name}: an entity cannot wait for others" in str(
        only(lambda context: getattr(context, name))
    )


def test_a_misspelt_name_is_no_attribute():
    assert only(lambda context: context.get_stat()) == (
        "AttributeError: The context of an entity has no attribute 'get_stat'"
    )


@pytest.mark.parametrize(
    "act",
    [
        lambda context: context.set_state(1),
        lambda context: context.set_result(1),
        lambda context: context.signal_entity("@log@a", "note"),
        lambda context: context.start_new_orchestration("ship"),
    ],
)
def test_after_its_end_an_operation_can_do_nothing(act):
    contexts: list[DurableEntityContext] = []
    run(contexts.append, "look")
    with pytest.raises(RuntimeError, match="'look' of entity '@counter@a' has ended"):
        act(contexts[0])


# -- DurableEntity --------------------------------------------------------------------------------


class Robot(DurableEntity):
    """Uses everything that the class brings."""

    def __init__(self) -> None:
        self.seen = self.get_state(int, 0)

    def work(self, step: int) -> list[Any]:
        self.set_state(self.seen + step)
        self.signal_entity("@log@a", "note", step, timedelta(hours=1))
        child = self.start_new_orchestration("ship", step, "child")
        same = self.schedule_new_orchestration("ship", step, "other", "2")
        return [self.entity_context.operation, self.seen, child, same]


def test_a_class_has_all_that_a_context_has():
    definition = EntityDefinition("counter", Robot, EntityShape.CLASS)
    result = run_batch(definition, a_request(signal("work", "2"), state="1"), lambda: NOON)
    assert outcomes(result) == ['["work",1,"child","other"]']
    assert result.entity_state == "3"
    assert result.actions == (
        SendSignal(0, "@log@a", "note", "2", LATER, NOON),
        StartNewOrchestration(1, "child", "ship", None, "2", None, NOON),
        StartNewOrchestration(2, "other", "ship", "2", "2", None, NOON),
    )


def test_every_operation_has_an_object_of_its_own():
    assert outcomes(run(Robot, signal("work", "1"), signal("work", "1")))[1] == (
        '["work",1,"child","other"]'
    )


def test_an_object_that_was_made_by_hand_has_no_operation():
    with pytest.raises(DefinitionError, match="Robot was made for no operation"):
        Robot()
