"""Requests to the host's own APIs and their answers, without sockets.

The management API and the admin API map an :class:`ApiRequest` to an :class:`Answer`; the HTTP
server and ``func durable`` carry them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ApiRequest(NamedTuple):
    """One request below the API's path.

    Attributes:
        method: upper case.
        parts: decoded segments of the path, without empty ones.
        query: by lower-case name.
        headers: by lower-case name.
        url: as the caller sees it; its origin goes into the URLs of the answer.
    """

    method: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    url: str


class Answer(NamedTuple):
    """Status, JSON text (None for an empty body) and headers."""

    status: int
    body: str | None = None
    headers: Mapping[str, str] = {}
