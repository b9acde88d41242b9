"""Messages of queues as text: encoding, and what output bindings may send. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Literal

from azure.functions import QueueMessage

#: ``messageEncoding`` of host.json.
Encoding = Literal["base64", "none"]


def encode(body: str | bytes, encoding: Encoding) -> str:
    """Text to send.

    Raises:
        ValueError: bytes that are no UTF-8, without Base64.
    """
    if encoding == "base64":
        raw = body.encode() if isinstance(body, str) else body
        return base64.b64encode(raw).decode("ascii")
    return body if isinstance(body, str) else body.decode()


def decode(text: str, encoding: Encoding) -> str | bytes:
    """Body of a message: text where it is UTF-8, else bytes, as the host hands it over.

    Raises:
        ValueError: the message is not in Base64 although it should be.
    """
    if encoding == "none":
        return text
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is not in Base64 ({error})") from None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def bodies(value: Any) -> list[str | bytes]:
    """The messages that a function's output stands for: one, or one per item.

    Raises:
        TypeError: the value can be no message.
    """
    if isinstance(value, str | bytes):
        return [value]
    if isinstance(value, QueueMessage):
        return [_body(value)]
    if isinstance(value, Iterable) and not isinstance(value, dict):
        return [_body(item) for item in value]
    raise TypeError(_refusal(value))


def _body(item: Any) -> str | bytes:
    if isinstance(item, QueueMessage):
        raw: bytes = item.get_body()
        return raw
    if isinstance(item, str | bytes):
        return item
    raise TypeError(_refusal(item))


def _refusal(value: Any) -> str:
    return (
        f"A queue output cannot send a value of type {type(value).__name__}. Give it text, bytes,"
        " an azure.functions.QueueMessage, or a list of these; json.dumps makes text of the rest."
    )
