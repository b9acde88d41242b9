"""Ids of entities."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import durable_app as df
from durable_app.entity_id import EntityId


def test_the_case_of_a_name_does_not_matter_and_that_of_a_key_does():
    assert EntityId("Counter", "A") == EntityId("counter", "A")
    assert len({EntityId("Counter", "A"), EntityId("counter", "A"), EntityId("counter", "a")}) == 2
    assert (EntityId("Counter", "A").name, EntityId("Counter", "A").entity) == (
        "Counter",
        "counter",
    )
    assert EntityId("counter", "A") != "@counter@A"


@pytest.mark.parametrize(
    "made",
    [
        EntityId(name="Counter", key="a"),
        EntityId(entity="Counter", key="a"),
        df.EntityInstanceId("Counter", key="a"),
        df.EntityInstanceId(entity="Counter", key="a"),
    ],
)
def test_the_name_has_two_words(made):
    assert (made.name, made.entity, made.key, made) == (
        *("Counter", "counter", "a"),
        EntityId("Counter", "a"),
    )


def test_one_name_is_enough():
    with pytest.raises(TypeError, match="'name' or 'entity'"):
        EntityId("counter", "a", entity="counter")  # type: ignore[call-overload]  # what is refused
    with pytest.raises(ValueError, match="not None, 'a'"):
        EntityId(key="a")  # type: ignore[call-overload]  # what is refused


def test_ids_are_sorted_as_the_hub_sorts_them():
    ids = [EntityId("b", "1"), EntityId("A", "2"), EntityId("a", "10")]
    assert sorted(ids) == [EntityId("a", "10"), EntityId("a", "2"), EntityId("b", "1")]


@pytest.mark.parametrize(
    ("name", "key"), [("", "k"), ("n", ""), ("n@x", "k"), (1, "k"), ("n", None)]
)
def test_what_cannot_be_an_id_is_refused(name, key):
    with pytest.raises(ValueError, match="name"):
        EntityId(name, key)


@pytest.mark.parametrize("text", ["", "counter", "counter@a", "@counter", "@counter@", "@@a"])
def test_a_text_that_is_no_id_is_refused(text):
    with pytest.raises(ValueError, match="entity"):
        EntityId.parse(text)


@given(st.text(st.characters(exclude_characters="@"), min_size=1), st.text(min_size=1))
def test_an_id_is_read_as_it_was_written(name, key):
    written = EntityId(name, key)
    assert EntityId.parse(str(written)) == written == EntityId.get_entity_id(str(written))
    assert EntityId.get_scheduler_id(written) == str(written)


def test_its_path_is_percent_encoded():
    assert EntityId.get_entity_id_url_path(EntityId("Counter", "a/b c")) == (
        "entities/Counter/a%2Fb%20c"
    )
    assert repr(EntityId("Counter", "a")) == "EntityId('Counter', 'a')"
