from __future__ import annotations

import pytest
from azure.functions import QueueMessage
from hypothesis import given
from hypothesis import strategies as st

from durable_app.host.triggers.queue_text import bodies, decode, encode


@given(st.text())
def test_text_comes_back(text: str) -> None:
    assert decode(encode(text, "base64"), "base64") == text
    assert decode(encode(text, "none"), "none") == text


def test_bytes_that_are_no_text_stay_bytes() -> None:
    assert decode(encode(b"\xff", "base64"), "base64") == b"\xff"
    with pytest.raises(ValueError, match="codec can't decode"):
        encode(b"\xff", "none")


@pytest.mark.parametrize("text", ["plain text", "YQ", "{}"])
def test_what_is_not_in_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it is not in Base64"):
        decode(text, "base64")


def test_outputs() -> None:
    assert bodies("a") == ["a"]
    assert bodies(b"a") == [b"a"]
    assert bodies(QueueMessage(body="a")) == [b"a"]
    assert bodies(text for text in ("a", "b")) == ["a", "b"]
    assert bodies([QueueMessage(body="a"), b"b"]) == [b"a", b"b"]


@pytest.mark.parametrize(("value", "kind"), [({"a": 1}, "dict"), (5, "int"), (["a", 5], "int")])
def test_what_is_no_message(value: object, kind: str) -> None:
    with pytest.raises(TypeError, match=f"a value of type {kind}"):
        bodies(value)
