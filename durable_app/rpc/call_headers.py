"""The headers that a hub expects on each call, and the names that a process gives itself."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final

from durable_app.connection.connection_string import check_header_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durable_app.ports import Clock

TASK_HUB: Final = "taskhub"
#: ``user-agent`` itself belongs to gRPC.
USER_AGENT: Final = "x-user-agent"
WORKER_ID: Final = "workerid"
AUTHORIZATION: Final = "authorization"
CLIENT_ROLE: Final = "DurableTaskClient"
WORKER_ROLE: Final = "DurableTaskWorker"


def user_agent(version: str, role: str) -> str:
    """``durable-app/1.0.0 (DurableTaskWorker)``."""
    return f"durable-app/{version} ({role})"


def new_worker_id(clock: Clock) -> str:
    """``host:pid:id``, another one for each worker of a process."""
    host = "".join(c for c in socket.gethostname() if c.isascii() and c.isprintable()).strip()
    return f"{host or 'host'}:{os.getpid()}:{clock.new_id()}"


class CallHeaders:
    """What is sent with each call.

    Args:
        task_hub: name of the hub.
        agent: see :func:`user_agent`.
        worker_id: see :func:`new_worker_id`; None for clients.
        token: of a hub on this machine; sent in the clear, so for no other one.

    Raises:
        ConfigError: a text cannot be sent.
    """

    __slots__ = ("_pairs",)

    def __init__(
        self, task_hub: str, agent: str, worker_id: str | None = None, token: str | None = None
    ) -> None:
        pairs = [(TASK_HUB, task_hub), (USER_AGENT, agent)]
        if worker_id is not None:
            pairs.append((WORKER_ID, worker_id))
        if token is not None:
            pairs.append((AUTHORIZATION, f"Bearer {token}"))
        for name, value in pairs:
            check_header_text(value, name, "headers of calls")
        self._pairs = tuple(pairs)

    def merged(
        self, given: Iterable[tuple[str, Any]] | None, token: str | None
    ) -> tuple[tuple[str, Any], ...]:
        """Headers of one call.

        Args:
            given: by the caller of this call; its own values win.
            token: access token to send, if any.
        """
        pairs = self._pairs
        if token is not None:
            pairs = (*pairs, (AUTHORIZATION, f"Bearer {token}"))
        if not given:
            return pairs
        own = tuple((name.lower(), value) for name, value in given)
        names = {name for name, _ in own}
        return (*own, *(pair for pair in pairs if pair[0] not in names))
